"""Deployments that are killed, that meet another one, or that lose their lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aws_account import COMMIT, OLD_COMMIT
from conftest import Place

from omc_infra.clock import utc_now
from omc_infra.deploy.deploying import deploy, rollback
from omc_infra.deploy.failures import DeploymentLockedError, GateRefusedError, LeaseLostError
from omc_infra.deploy.lease import Lease, key_of, read_lock
from omc_infra.deploy.record import Journal, deployments, new_deployment

OMC = Path(sys.executable).parent / "omc"
TABLE = "omc-deployments"


def killed_at(place: Place, is_time: Callable[[str], bool]) -> None:
    """Deploy in a process of its own, which is killed with SIGKILL while it updates a service."""
    process = subprocess.Popen(
        [OMC, "deploy", "staging", "--commit", COMMIT, "--tests-passed-for", COMMIT],
        env=place.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def kill(service: str) -> None:
        if is_time(service) and process.poll() is None:
            os.kill(process.pid, 9)

    place.ecs.script.on_update = kill
    assert process.wait(120) == -9


@pytest.mark.slow
def test_a_deployment_killed_half_way_is_gone_on_with(place: Place) -> None:
    place.configure(lease_s=4.0)
    killed_at(place, lambda service: service == "omc-dagster-daemon")

    done = deploy(place.context(), place.wanted())

    assert done.state == "deployed", done.reason
    assert {name.rpartition(":")[2] for name in place.account.running().values()} == {"2"}
    assert place.ecs.count("RunTask") == 1
    assert len([s for s in place.client("rds").describe_db_snapshots()["DBSnapshots"] if s["SnapshotType"] == "manual"]) == 1
    assert len(list(deployments(place.deploying, TABLE, "staging"))) == 1
    assert any(line.startswith("going on with deployment") for line in place.lines)


@pytest.mark.slow
def test_a_rollback_killed_half_way_is_gone_on_with(place: Place) -> None:
    place.configure(lease_s=4.0)
    place.ecs.script.unhealthy.add("omc-dagster-webserver")
    seen: list[str] = []
    killed_at(place, lambda service: seen.append(service) or seen.count("omc-dagster-daemon") == 2)  # type: ignore[func-returns-value]

    done = deploy(place.context(), place.wanted())

    assert done.state == "rolled back"
    assert "circuit breaker" in done.reason
    assert {name.rpartition(":")[2] for name in place.account.running().values()} == {"1"}


def test_what_is_unfinished_is_not_mixed_with_another_commit_and_can_be_given_up(place: Place) -> None:
    context = place.context()
    with Lease(place.deploying, TABLE, "staging", 5.0, place.lines.append) as lease:
        Journal(place.deploying, TABLE, lease, new_deployment("deployment", "staging", COMMIT, "", utc_now())).note()

    with pytest.raises(GateRefusedError, match="is unfinished: go on with it by the same command, or `omc rollback staging`"):
        deploy(context, place.wanted(OLD_COMMIT))
    given_up = rollback(context, lambda: False)

    assert given_up.state == "rolled back"
    assert place.ecs.count("UpdateService") == 0


@pytest.mark.slow
def test_of_two_at_once_one_deploys_and_the_other_is_refused(place: Place) -> None:
    place.configure(lease_s=6.0, bake_s=5.0)
    ended: list[str] = []

    def run() -> None:
        try:
            ended.append(deploy(place.context(), place.wanted()).state)
        except DeploymentLockedError as error:
            ended.append(str(error))

    both = [threading.Thread(target=run) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(120)

    assert sorted(state == "deployed" for state in ended) == [False, True]
    assert any("staging is being deployed by" in said and f"process {os.getpid()}" in said for said in ended)
    assert place.ecs.count("RunTask") == 1
    assert read_lock(place.deploying, TABLE, "staging") is None


def test_who_lost_the_lock_writes_nothing_and_does_not_release_it(place: Place) -> None:
    item = {**key_of("staging", "lock"), **{name: {"S": "other"} for name in ("holder", "token", "beat")}, "lease_s": {"S": "60"}}
    with Lease(place.deploying, TABLE, "staging", 60.0, place.lines.append) as lease:
        journal = Journal(place.deploying, TABLE, lease, new_deployment("deployment", "staging", COMMIT, "", utc_now()))
        place.client("dynamodb").put_item(TableName=TABLE, Item=item)

        with pytest.raises(LeaseLostError):
            journal.note()

    assert list(deployments(place.deploying, TABLE, "staging")) == []
    held = read_lock(place.deploying, TABLE, "staging")
    assert held is not None
    assert held["token"] == "other"


def test_a_lock_that_is_not_renewed_in_time_is_lost(place: Place) -> None:
    context = place.context()
    lease = Lease(place.deploying, TABLE, "staging", 60.0, place.lines.append)
    lease._renewed_at = -1000.0

    with pytest.raises(LeaseLostError):
        next(replace(context, require_lock=lease.require).looks(1.0))
