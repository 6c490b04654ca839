"""The steps of a deployment, in their order: first gates, which change nothing that serves, then changes.

Each step may be done twice: a process that was killed within it is followed by one that begins it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from omc_infra.deploy.building import build_and_push
from omc_infra.deploy.commits import require_files_of, require_tests
from omc_infra.deploy.context import Context, Target
from omc_infra.deploy.database import make_snapshot, start_migration, wait_for_migration
from omc_infra.deploy.ecs import service_states
from omc_infra.deploy.entries import add_cache_token, keep_only_cache_token, set_login_rules
from omc_infra.deploy.failures import GateRefusedError
from omc_infra.deploy.health import require_health
from omc_infra.deploy.images import digest_of, require_clean_scan, require_image, tagged_digest
from omc_infra.deploy.planning import planned_changes
from omc_infra.deploy.record import Journal
from omc_infra.deploy.revisions import definition, family_of, registered
from omc_infra.deploy.rollout import require_image_runs, require_quiet_alarms, roll_out
from omc_infra.deploy.verify import findings

_MIGRATION = "migration task"
SNAPSHOT = "snapshot"
_DEFINITION = "migration definition"


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        commit: What is deployed.
        image: By digest; None: that of the commit, built where the registry lacks it.
        tests_passed_for: Commit for which the caller says that all tests passed; None: the record counts.
        project: Folder that is built.
        approve: Asks a person whether to go on, once they have read the differences.
    """

    commit: str
    image: str | None
    tests_passed_for: str | None
    project: Path
    approve: Callable[[], bool]


@dataclass(frozen=True)
class Step:
    """A step: its name, and what does it and returns the result in words."""

    name: str
    run: Callable[[], str]
    is_gate: bool = False


class Steps:
    """The steps of one deployment.

    Args:
        context: Of the environment, locked.
        journal: Of the deployment.
        request: What is asked for.
    """

    def __init__(self, context: Context, journal: Journal, request: Request) -> None:
        self._context, self._journal, self._request = context, journal, request

    def __iter__(self) -> Iterator[Step]:
        for name, gate in (
            ("tests", self._tests), ("image", self._image), ("scan", self._scan), ("verify", self._verify),
            ("differences", self._differences), ("approval", self._approval),
        ):  # fmt: skip
            yield Step(name, gate, is_gate=True)
        yield Step(SNAPSHOT, self._snapshot)
        yield Step("task definitions", self._definitions)
        yield Step("cache token", lambda: add_cache_token(self._context, self._journal))
        yield Step("login rules", lambda: set_login_rules(self._context, self._journal))
        yield Step("migration", self._migration)
        for target in self._context.targets:
            yield Step(f"service {target.spec.name}", lambda target=target: self._service(target))  # type: ignore[misc]
        yield Step("health", lambda: require_health(self._context))
        yield Step("watch", self._watch)
        yield Step("cache token alone", lambda: keep_only_cache_token(self._context, self._journal))

    @property
    def image(self) -> str:
        """The image, by digest; known after its step."""
        return self._journal.deployment.image

    def _tests(self) -> str:
        section, request = self._context.section, self._request
        return require_tests(request.commit, request.tests_passed_for, request.project / section.tests_record)

    def _image(self) -> str:
        section, request = self._context.section, self._request
        if request.image:
            digest, made = digest_of(request.image, section), "given"
        elif found := tagged_digest(self._context, request.commit):
            digest, made = found, "in the registry already"
        elif section.builder == "none":
            raise GateRefusedError(f"the registry has no image of {request.commit[:12]}, and builder is none; give --image")
        else:
            require_files_of(request.commit, request.project)
            digest, made = build_and_push(self._context, request.commit, request.project), "built and pushed"
        require_image(self._context, digest, request.commit)
        self._journal.note(image=f"{section.repository}@{digest}")
        return f"{digest} {made}"

    def _scan(self) -> str:
        return require_clean_scan(self._context, digest_of(self.image, self._context.section))

    def _verify(self) -> str:
        if found := findings(self._context):
            for line in found:
                self._context.report(f"  {line}")
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise GateRefusedError(f"{found[0]}{more}")
        return "everything that it uses exists and fits"

    def _differences(self) -> str:
        changes = planned_changes(self._context, self.image)
        for change in changes:
            self._context.report(f"  {change}")
        recorded = [planned.change for planned in changes]
        self._journal.note(services=tuple(c for c in recorded if c.ecs_name), families=tuple(c for c in recorded if not c.ecs_name))
        return f"{sum(change.is_change for change in changes)} of {len(changes)} change"

    def _approval(self) -> str:
        if not self._context.section.approval:
            return "not needed"
        if not self._request.approve():
            raise GateRefusedError(f"{self._context.environment} needs an approval: --yes, or its name at the prompt")
        return "given"

    def _snapshot(self) -> str:
        name = make_snapshot(self._context, self._journal.deployment.id)
        self._journal.fact(SNAPSHOT, name)
        return name

    def _definitions(self) -> str:
        deployment, context = self._journal.deployment, self._context
        for change in (*deployment.services, *deployment.families):
            context.require_lock()
            self._journal.change(change.name, registered(context, definition(context, family_of(change.before)), self.image))
        self._journal.fact(_DEFINITION, registered(context, definition(context, context.section.migration_family), self.image))
        after = [*self._journal.deployment.services, *self._journal.deployment.families]
        return ", ".join(change.after.rpartition("/")[2] for change in after)

    def _migration(self) -> str:
        deployment, context = self._journal.deployment, self._context
        task = deployment.facts.get(_MIGRATION)
        if task is None:
            names = [target.ecs_name for target in context.targets]
            states = service_states(context, names)
            task = start_migration(context, deployment.facts[_DEFINITION], deployment.id, states[names[0]].network)
            self._journal.fact(_MIGRATION, task)
        wait_for_migration(context, task)
        return "done"

    def _service(self, target: Target) -> str:
        change = next(each for each in self._journal.deployment.services if each.name == target.spec.name)
        roll_out(self._context, target.ecs_name, change.after)
        require_image_runs(self._context, target.ecs_name, digest_of(self.image, self._context.section))
        return f"stable on {change.after.rpartition('/')[2]}"

    def _watch(self) -> str:
        for _ in self._context.looks(self._context.section.bake_s):
            require_quiet_alarms(self._context)
        for change in self._journal.deployment.services:
            roll_out(self._context, change.ecs_name, change.after)
        return f"stable for {self._context.section.bake_s:.0f} s, no alarm"
