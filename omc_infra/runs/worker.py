"""What a run's own process does, forked or new: open the instance, say who it is, execute, leave the right exit status.

``python -m omc_infra.runs.worker --folder FOLDER`` is the ordinary process; its order comes as one JSON line on stdin. The folder
is there to be seen from outside (``sweep``).
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from omc_infra.runs.outcome import settle
from omc_infra.runs.process import RunProcess, name_process
from omc_infra.runs.protocol import Order
from omc_infra.runs.routing import LAUNCHED_TAG, PROCESS_TAG

if TYPE_CHECKING:
    from dagster import DagsterInstance

OUTCOME_RECORDED = 93
"""Exit status of a process whose run needs no more care. Not 0: an op that calls ``os._exit(0)`` has recorded nothing."""
NOT_WANTED = 94
"""Exit status where the launcher withdrew."""
UNFINISHED = 95
"""Exit status where Dagster came back but the run has no outcome."""


def work(order: Order, permitted: Callable[[], Mapping[str, str] | None]) -> int:
    """Execute a run to its end, as ``dagster api execute_run`` and ``resume_run`` do.

    Args:
        order: What to execute.
        permitted: Asked once, when everything is ready, for the variables of the run; None ends the process without a trace.

    Returns:
        The exit status, one of the constants above.
    """
    from dagster._utils.interrupts import capture_interrupts

    from omc_infra.runs.lean_instance import open_lean_instance

    with capture_interrupts(), open_lean_instance(order.instance_ref) as instance:
        variables = permitted()
        if variables is None:
            return NOT_WANTED
        os.environ.update(variables)
        instance.add_run_tags(order.run_id, {LAUNCHED_TAG: order.launched, PROCESS_TAG: RunProcess.current(order.run_id).as_tag()})
        _execute(order, instance)
        settle(instance, order.run_id)
        return OUTCOME_RECORDED if _has_outcome(order, instance) else UNFINISHED


def _execute(order: Order, instance: DagsterInstance) -> None:
    from dagster._cli.api import _execute_run_command_body, _resume_run_command_body

    body = _resume_run_command_body if order.resume else _execute_run_command_body
    body(order.run_id, instance, lambda _event: None, set_exit_code_on_failure=False)


def _has_outcome(order: Order, instance: DagsterInstance) -> bool:
    from dagster import DagsterRunStatus

    run = instance.get_run_by_id(order.run_id)
    return run is None or run.is_finished or run.status is DagsterRunStatus.SUSPENDED


def main() -> int:
    """Execute the run of the order on stdin."""
    faulthandler.enable()
    name_process("omc-run")
    document = json.loads(sys.stdin.readline())
    return work(Order.of_document(document["order"]), permitted=lambda: document["variables"])


if __name__ == "__main__":
    sys.exit(main())
