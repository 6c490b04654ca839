"""``omc deploy`` and ``omc rollback``: an environment on AWS gets an image, or what it had before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from omc_infra.cli import emit, json_option
from omc_infra.deploy.options import ENVIRONMENTS
from omc_infra.errors import BadInputError
from omc_infra.settings import PROJECT_ROOT, load_settings
from omc_infra.tables import print_rows
from omc_infra.terminal import open_console, say

if TYPE_CHECKING:
    from omc_infra.deploy.context import Context
    from omc_infra.deploy.deploying import Preview
    from omc_infra.deploy.record import Deployment
    from omc_infra.deploy.status import EnvironmentStatus

_ENVIRONMENT = click.Choice(ENVIRONMENTS)


@click.command(
    help="Deploy a commit to an environment on AWS: gates, snapshot, migration, services in order, health, watch. "
    "When a step fails or an alarm goes off, every service is rolled back. Run again after a kill, it goes on where it was.",
    epilog="Exit code 1: a gate refused, or the deployment failed and was rolled back; with --status: a service is not stable.",
)
@click.argument("environment", type=_ENVIRONMENT)
@click.option("--plan", "only_plan", is_flag=True, help="Pass through the gates, show what would change, and change nothing.")
@click.option("--status", "only_status", is_flag=True, help="Show what serves and how the newest deployment stands, and change nothing.")
@click.option("--image", metavar="REPOSITORY@DIGEST", help="An image that exists, by digest. Default: that of the commit, built if needed.")
@click.option("--commit", metavar="SHA", help="Commit that is deployed. Default: the one that is checked out.")
@click.option(
    "--tests-passed-for", metavar="SHA", help="Commit for which all tests passed, as CI knows. Default: what `tests_record` holds."
)
@click.option("--yes", is_flag=True, help="Approve it.")
@json_option
def deploy(
    environment: str,
    *,
    only_plan: bool,
    only_status: bool,
    image: str | None,
    commit: str | None,
    tests_passed_for: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Deploy, preview or look."""
    if only_plan and only_status:
        raise BadInputError("choose one of --plan and --status")
    from omc_infra.deploy.commits import current_commit, full_sha
    from omc_infra.deploy.deploying import deploy as run_deployment
    from omc_infra.deploy.deploying import preview
    from omc_infra.deploy.images import digest_of
    from omc_infra.deploy.steps import Request

    context = _context(environment, as_json)
    if only_status:
        from omc_infra.deploy.status import environment_status

        _show_status(environment_status(context), as_json)
        return
    passed = full_sha(tests_passed_for) if tests_passed_for is not None else None
    if image is not None:
        digest_of(image, context.section)
    sha = full_sha(commit) if commit is not None else current_commit(PROJECT_ROOT)
    request = Request(sha, image, passed, PROJECT_ROOT, _approval(environment, yes))
    if only_plan:
        _show_preview(context, preview(context, request), as_json)
        return
    _conclude(run_deployment(context, request), "deployed", as_json)


@click.command(
    help="Give every service of an environment the task definition that it had before the newest deployment. "
    "Run twice, it changes nothing more.",
    epilog="The database is not restored; the snapshot from before the deployment is named. Exit code 1: it failed.",
)
@click.argument("environment", type=_ENVIRONMENT)
@click.option("--yes", is_flag=True, help="Approve it.")
@json_option
def rollback(environment: str, *, yes: bool, as_json: bool) -> None:
    """Roll back and print the result."""
    from omc_infra.deploy.deploying import rollback as run_rollback

    context = _context(environment, as_json)
    _conclude(run_rollback(context, _approval(environment, yes)), "rolled back", as_json)


def _context(environment: str, as_json: bool) -> Context:
    from omc_infra.deploy.aws import Aws
    from omc_infra.deploy.context import Context, targets_of
    from omc_infra.deploy.deploying import require_account
    from omc_infra.deploy.options import deploy_section
    from omc_infra.services.table import load_services

    section = deploy_section(load_settings(), environment)

    def report(line: str) -> None:
        say(line, err=as_json)

    context = Context(environment, section, Aws(section.region, section.api_attempts), targets_of(load_services(), section), report)
    require_account(context)
    return context


def _approval(environment: str, yes: bool) -> Callable[[], bool]:
    def approve() -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            return False
        return bool(click.prompt(f"Type {environment} to go on", default="", show_default=False, err=True) == environment)

    return approve


def _conclude(deployment: Deployment, wanted: str, as_json: bool) -> None:
    if as_json:
        emit(asdict(deployment))
    else:
        reason = f": {deployment.reason}" if deployment.reason else ""
        say(f"{deployment.environment}: {deployment.state}{reason}")
        for name in filter(None, [deployment.facts.get("snapshot")]):
            say(f"snapshot of the database: {name}")
    if deployment.state != wanted:
        raise click.exceptions.Exit(1)


def _show_preview(context: Context, found: Preview, as_json: bool) -> None:
    if as_json:
        changes = [
            {**asdict(c.change), "image_before": c.image_before, "image_after": c.image_after, "others": c.others} for c in found.changes
        ]
        emit(
            {
                "environment": context.environment,
                "gates": found.gates,
                "refused": found.refused,
                "findings": found.findings,
                "changes": changes,
            }
        )
    else:
        for name, said in found.gates.items():
            say(f"{'refused' if name in found.refused else 'ok'} · {name}: {said}")
        for line in [*found.findings, *map(str, found.changes)]:
            say(f"  {line}")
        say("nothing was changed")
    if found.refused:
        raise click.exceptions.Exit(1)


def _show_status(found: EnvironmentStatus, as_json: bool) -> None:
    if as_json:
        emit({**asdict(found), "well": found.is_well})
    else:
        rows = [
            {
                "service": service.name,
                "runs": service.task_definition or "missing",
                "image": service.image.partition("@")[2][:19] or service.image,
                "tasks": f"{service.running} of {service.desired}",
                "stable": "yes" if service.is_stable else "no",
            }
            for service in found.services
        ]
        print_rows(open_console(), rows, "Services")
        last = found.newest
        say(
            f"Newest {last.kind}: {last.id}, {last.state}" + (f": {last.reason}" if last.reason else "")
            if last
            else "Nothing was deployed yet"
        )
        say(f"Lock: {found.holder or 'nobody'}")
        say(f"Alarms that are off: {', '.join(found.alarms) or 'none'}")
    if not found.is_well:
        raise click.exceptions.Exit(1)
