"""Deployments against a scripted ECS that fail or are taken back: each ends as the runbook says, with the old revision serving."""

from __future__ import annotations

import pytest
from conftest import Place
from http_upstream import Reply

from omc_infra.deploy.deploying import deploy, rollback

pytestmark = pytest.mark.slow


def revisions(place: Place) -> set[str]:
    return {name.rpartition(":")[2] for name in place.account.running().values()}


def test_a_task_that_never_starts_brings_every_service_back(place: Place) -> None:
    place.configure(start_timeout_s=4.0)
    place.ecs.script.never_starts.add("omc-dagster-daemon")

    done = deploy(place.context(), place.wanted())

    assert done.state == "rolled back"
    assert "service dagster-daemon: omc-dagster-daemon: no task of it has started within 4 s" in done.reason
    assert "CannotPullContainerError" in done.reason
    assert revisions(place) == {"1"}


def test_a_failing_health_check_brings_every_service_back(place: Place) -> None:
    place.ecs.script.stale_looks = 2
    place.ecs.script.unhealthy.add("omc-dagster-webserver")

    done = deploy(place.context(), place.wanted())

    assert done.state == "rolled back"
    assert "circuit breaker" in done.reason
    assert "Task failed ELB health checks; dagster-webserver exited with 143" in done.reason
    assert revisions(place) == {"1"}
    assert any("ROLLED_BACK" in line for line in place.lines)
    runs = place.ecs.families["omc-runs"][-1]
    assert runs["containerDefinitions"][0]["image"] == place.account.old_image


def test_an_unhealthy_answer_from_outside_brings_every_service_back(place: Place) -> None:
    place.web.replies = [Reply(body=b'{"dagster_version": "0.1"}')]

    done = deploy(place.context(), place.wanted())

    assert done.state == "rolled back"
    assert "runs Dagster 0.1" in done.reason
    assert revisions(place) == {"1"}


@pytest.mark.parametrize("exit_code", [1, None])
def test_a_migration_that_fails_or_never_starts_leaves_the_old_services_untouched(place: Place, exit_code: int | None) -> None:
    place.configure(start_timeout_s=4.0)
    place.ecs.script.migration_exit = exit_code

    done = deploy(place.context(), place.wanted())

    assert done.state == "rolled back"
    assert done.reason.startswith("migration: the migration" if exit_code else "migration: the migration's task has not started")
    assert ("migrate exited with 1" in done.reason) == bool(exit_code)
    assert done.facts["snapshot"]
    assert place.ecs.count("UpdateService") == 0
    assert revisions(place) == {"1"}


def test_throttled_calls_are_made_again(place: Place) -> None:
    place.ecs.script.throttled.update(
        {"DescribeServices": 2, "UpdateService": 1, "RunTask": 1, "RegisterTaskDefinition": 1, "DescribeTasks": 1}
    )

    done = deploy(place.context(), place.wanted())

    assert done.state == "deployed", done.reason
    assert place.ecs.script.throttled.total() == 0


def test_an_alarm_in_the_middle_brings_every_service_back(place: Place) -> None:
    def go_off(service: str) -> None:
        if service == "omc-dagster-daemon":
            place.client("cloudwatch").set_alarm_state(AlarmName="omc-errors", StateValue="ALARM", StateReason="test")

    place.ecs.script.on_update = go_off

    done = deploy(place.context(), place.wanted())

    assert done.state == "rolled back"
    assert "alarm omc-errors went off" in done.reason
    assert revisions(place) == {"1"}
    assert "service dagster-webserver" not in done.done


def test_a_service_that_can_not_be_brought_back_is_named(place: Place) -> None:
    place.configure(start_timeout_s=4.0)

    def break_both(service: str) -> None:
        if service == "omc-dagster-daemon":
            place.ecs.services.pop("omc-code-omc_agents", None)
            place.ecs.script.never_starts.add("omc-dagster-daemon")

    place.ecs.script.on_update = break_both

    done = deploy(place.context(), place.wanted())

    assert done.state == "rollback failed"
    assert "NOT ROLLED BACK: code-omc_agents: cluster omc has no active service omc-code-omc_agents" in done.reason
    assert place.account.running()["omc-dagster-daemon"] == "omc-dagster-daemon:1"


def test_a_rollback_restores_what_served_before_and_never_goes_further_back(place: Place) -> None:
    first = deploy(place.context(), place.wanted())

    once = rollback(place.context(), lambda: False)
    updates = place.ecs.count("UpdateService")
    twice = rollback(place.context(), lambda: False)

    assert once.state == twice.state == "rolled back"
    assert once.facts["snapshot"] == first.facts["snapshot"]
    assert revisions(place) == {"1"}
    assert place.ecs.count("UpdateService") == updates
