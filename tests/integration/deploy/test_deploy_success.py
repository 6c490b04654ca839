"""A deployment against a scripted ECS in which all goes well, and the same one again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from aws_account import COMMIT, DEPLOYED, SECRETS
from aws_fake import LocalAws
from conftest import Place, opened_place

from omc_infra.deploy.aws import Aws
from omc_infra.deploy.deploying import Preview, deploy, preview
from omc_infra.deploy.record import Deployment
from omc_infra.deploy.status import environment_status

SERVICES = [f"omc-{spec.name}" for spec in DEPLOYED]


class Deployed(NamedTuple):
    """What a preview and the deployment after it did."""

    place: Place
    previewed: Preview
    changed_by_preview: list[str]
    done: Deployment
    asked: list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def deployed(
    moto_url: str, running_aws: LocalAws, clients: tuple[Callable[[str], Any], Aws], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    with opened_place(moto_url, running_aws, clients, tmp_path_factory.mktemp("deploy")) as place:
        place.ecs.asked.clear()
        previewed = preview(place.context(), place.wanted())
        changes = [action for action, _ in place.ecs.asked if not action.startswith(("Describe", "List"))]
        changes += [str(item) for item in place.client("dynamodb").scan(TableName="omc-deployments")["Items"]]
        place.ecs.asked.clear()
        done = deploy(place.context(), place.wanted())
        yield Deployed(place, previewed, changes, done, list(place.ecs.asked))


def test_a_preview_changes_and_records_nothing(deployed: Deployed) -> None:
    assert deployed.changed_by_preview == []
    assert deployed.previewed.refused == ()
    assert [change.is_change for change in deployed.previewed.changes] == [True] * (len(SERVICES) + 1)
    assert COMMIT not in deployed.previewed.gates["image"]


def test_every_service_gets_the_new_image_in_the_order_of_the_table(deployed: Deployed) -> None:
    updated = [given["service"] for action, given in deployed.asked if action == "UpdateService"]

    assert deployed.done.state == "deployed", deployed.done.reason
    assert updated == SERVICES
    assert SERVICES.index("omc-code-omc_pipeline") < SERVICES.index("omc-dagster-daemon") < SERVICES.index("omc-dagster-webserver")
    assert {name.rpartition(":")[2] for name in deployed.place.account.running().values()} == {"2"}
    assert any("has reached a steady state" in line for line in deployed.place.lines)


def test_a_new_revision_changes_the_image_and_nothing_else(deployed: Deployed) -> None:
    ecs, image = deployed.place.ecs, deployed.place.account.image

    old, new = ecs.families["omc-dagster-daemon"]
    daemon, router = new["containerDefinitions"]
    assert daemon["image"] == daemon["environment"][0]["value"] == image
    assert router == old["containerDefinitions"][1]
    assert {key for key in new if new[key] != old[key]} == {"containerDefinitions", "taskDefinitionArn", "revision"}
    assert len(ecs.families["omc-runs"]) == len(ecs.families["omc-migrate"]) == 2


def test_the_database_is_saved_before_it_is_migrated_and_migrated_before_a_service_changes(deployed: Deployed) -> None:
    actions = [action for action, _ in deployed.asked]
    (task,) = [given for action, given in deployed.asked if action == "RunTask"]
    snapshots = deployed.place.client("rds").describe_db_snapshots()["DBSnapshots"]

    assert deployed.done.facts["snapshot"] in {each["DBSnapshotIdentifier"] for each in snapshots}
    assert deployed.done.done.index("snapshot") < deployed.done.done.index("migration")
    assert actions.index("RunTask") < actions.index("UpdateService")
    assert task["overrides"] == {"containerOverrides": [{"name": "migrate", "command": ["omc", "db", "migrate"]}]}
    assert task["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == deployed.place.account.names["subnets"].split(",")


def test_the_cache_takes_the_new_token_beside_the_old_one_first_and_alone_at_the_end(deployed: Deployed) -> None:
    assert [call["AuthTokenUpdateStrategy"] for call in deployed.place.aws.cache] == ["ROTATE", "SET"]
    assert {call["AuthToken"] for call in deployed.place.aws.cache} == {"cache-token-Zq2"}


def test_no_secret_is_printed_or_recorded(deployed: Deployed) -> None:
    kept = json.dumps(deployed.place.client("dynamodb").scan(TableName="omc-deployments")["Items"]) + "\n".join(deployed.place.lines)

    assert [secret for secret in ("cache-token-Zq2", "client-secret-Zq3", "password-Zq1") if secret in kept] == []


def test_what_is_deployed_again_changes_nothing_but_the_login_rule_whose_secret_changed(deployed: Deployed) -> None:
    place = deployed.place
    (made,) = _rules(place)
    counts = _counts(place)
    changed = json.loads(SECRETS["oidc"]) | {"client_id": "another"}
    place.client("secretsmanager").put_secret_value(SecretId="omc/oidc", SecretString=json.dumps(changed))

    again = deploy(place.context(), place.wanted())

    (after,) = _rules(place)
    assert again.state == "deployed"
    assert _counts(place) == counts
    assert [action["Type"] for action in made["Actions"]] == ["authenticate-oidc", "forward"]
    assert made["Conditions"][0]["HostHeaderConfig"]["Values"] == ["omc.example.com"]
    assert after["RuleArn"] == made["RuleArn"]
    assert after["Actions"][0]["AuthenticateOidcConfig"]["ClientId"] == "another"


def test_the_status_shows_what_serves_and_how_the_deployment_stands(deployed: Deployed) -> None:
    found = environment_status(deployed.place.context())

    assert found.is_well
    assert [service.image for service in found.services] == [deployed.place.account.image] * len(SERVICES)
    assert found.newest is not None
    assert found.newest.state == "deployed"
    assert found.holder == ""


def _counts(place: Place) -> tuple[int, int, int]:
    return place.ecs.count("UpdateService"), place.ecs.count("RegisterTaskDefinition"), len(place.aws.cache)


def _rules(place: Place) -> list[dict[str, Any]]:
    found = place.client("elbv2").describe_rules(ListenerArn=place.account.names["listener"])["Rules"]
    return [rule for rule in found if rule["Priority"] != "default"]
