"""Which kind of process a run gets, decided by one table of rules over its tags and its job.

Light runs fork from the warm server; heavy ones (backfills, whatever is tagged so) get an ordinary process, or another
launcher's where one is configured: a warm process shares its machine and its memory with all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, cast, get_args

from omc_infra.errors import ConfigurationError

Target = Literal["warm", "process", "elsewhere"]

WISH_TAG = "omc/launch"
"""A job or run says ``warm``, ``process`` or ``elsewhere``; it wins over every rule but its own."""
LAUNCHED_TAG = "omc/launched"
"""What the run got."""
PROCESS_TAG = "omc/process"
"""Which process it is: see ``process.RunProcess``."""


@dataclass(frozen=True)
class Rule:
    """Send runs to a target; of its conditions those that are set must all hold.

    Attributes:
        tag: A tag the run has, whatever its value unless ``value`` is set too.
        value: Pattern of the tag's value, as in file names.
        job: Pattern of the job's name.
    """

    to: Target
    tag: str | None = None
    value: str | None = None
    job: str | None = None

    def fits(self, job: str, tags: Mapping[str, str]) -> bool:
        """Say whether a run is meant."""
        if self.tag is not None and (self.tag not in tags or not fnmatchcase(tags[self.tag], self.value or "*")):
            return False
        return self.job is None or fnmatchcase(job, self.job)


RULES: tuple[Rule, ...] = (
    Rule("warm", tag=WISH_TAG, value="warm"),
    Rule("process", tag=WISH_TAG, value="process"),
    Rule("elsewhere", tag=WISH_TAG, value="elsewhere"),
    Rule("process", tag="dagster/backfill"),
    Rule("process", tag="dagster/asset_partition_range_start"),  # many partitions in one run
)
"""The first that fits decides; a run that none fits is light."""


def target_of(job: str, tags: Mapping[str, str], rules: Sequence[Rule] = RULES) -> Target:
    """Decide where a run goes."""
    return next((rule.to for rule in rules if rule.fits(job, tags)), "warm")


def unknown_wish(tags: Mapping[str, str]) -> str | None:
    """Say that a run wishes for what there is not, in one line; None where it does not."""
    wish = tags.get(WISH_TAG)
    return None if wish in {None, *get_args(Target)} else f"{WISH_TAG}={wish!r} is not one of {', '.join(get_args(Target))}; it is ignored"


def rules_of(configured: Sequence[Mapping[str, str]]) -> tuple[Rule, ...]:
    """Put configured rules between a run's own wish and the rest of the table.

    Raises:
        ConfigurationError: A rule names no such target, or has no condition.
    """
    return (*RULES[:3], *map(_rule, configured), *RULES[3:])


def _rule(fields: Mapping[str, str]) -> Rule:
    to = fields["to"]
    if to not in get_args(Target):
        raise ConfigurationError(f"run_launcher routes: no target {to!r}; choose one of {', '.join(get_args(Target))}")
    if not {"tag", "job"} & fields.keys():
        raise ConfigurationError(f"run_launcher routes: the rule for {to!r} needs a tag or a job")
    return Rule(cast(Target, to), fields.get("tag"), fields.get("value"), fields.get("job"))
