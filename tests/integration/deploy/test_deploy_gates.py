"""What refuses a deployment before anything is changed, and what a person reads then."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from aws_account import COMMIT, OLD_COMMIT, REPOSITORY
from aws_fake import ACCOUNT, LocalAws
from conftest import Place, opened_place
from http_upstream import Reply, upstream

from omc_infra.deploy.aws import Aws
from omc_infra.deploy.commits import require_files_of, require_tests
from omc_infra.deploy.deploying import deploy, preview, require_account
from omc_infra.deploy.failures import GateRefusedError
from omc_infra.deploy.health import problem
from omc_infra.deploy.images import digest_of, require_clean_scan, require_image
from omc_infra.deploy.verify import findings
from omc_infra.errors import BadInputError, ConfigurationError


@pytest.fixture(scope="module")
def whole(
    moto_url: str, running_aws: LocalAws, clients: tuple[Callable[[str], Any], Aws], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Return an account that several tests look at and none breaks."""
    with opened_place(moto_url, running_aws, clients, tmp_path_factory.mktemp("deploy")) as found:
        yield found


def test_tests_must_have_passed_for_this_commit(tmp_path: Path) -> None:
    record = tmp_path / "passed"

    with pytest.raises(GateRefusedError, match=r"nothing says that the tests passed .* `git rev-parse HEAD > passed`"):
        require_tests(COMMIT, None, record)
    record.write_text(OLD_COMMIT)
    with pytest.raises(GateRefusedError, match="the tests passed for bbbbbbbbbbbb, and aaaaaaaaaaaa is deployed"):
        require_tests(COMMIT, None, record)
    with pytest.raises(GateRefusedError, match="the tests passed for bbbbbbbbbbbb"):
        require_tests(COMMIT, OLD_COMMIT, record)
    record.write_text(f"{COMMIT}\n")

    assert require_tests(COMMIT, None, record) == "as passed says"
    assert require_tests(COMMIT, COMMIT, record) == "as --tests-passed-for says"


def test_an_image_is_built_from_the_files_of_its_commit_only(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "a")
    head = git("rev-parse", "HEAD")

    require_files_of(head, tmp_path)
    with pytest.raises(GateRefusedError, match="is checked out, and an image of aaaaaaaaaaaa would be built"):
        require_files_of(COMMIT, tmp_path)
    (tmp_path / "b").write_text("2")
    with pytest.raises(GateRefusedError, match="1 files differ from the commit"):
        require_files_of(head, tmp_path)


def test_an_image_is_named_by_digest_exists_and_is_of_the_commit(whole: Place) -> None:
    context = whole.context()
    digest = digest_of(whole.account.image, context.section)

    for name in (f"{REPOSITORY}:latest", f"other@{digest}", f"{REPOSITORY}@sha256:1"):
        with pytest.raises(BadInputError, match="an image is named as"):
            digest_of(name, context.section)
    with pytest.raises(GateRefusedError, match="has no tag bbbbbbbbbbbb: it was built from another commit"):
        require_image(context, digest, OLD_COMMIT)
    with pytest.raises(GateRefusedError, match="has no image"):
        require_image(context, f"sha256:{'0' * 64}", COMMIT)
    require_image(context, digest, COMMIT)


def test_a_scan_is_started_where_there_is_none_and_its_findings_block_until_they_are_accepted(whole: Place) -> None:
    context = whole.context()
    digest = digest_of(whole.account.image, context.section)

    assert require_clean_scan(context, digest, starts=False) == "not scanned yet"
    assert require_clean_scan(context, digest) == "no finding of CRITICAL, HIGH; 1 accepted"
    with pytest.raises(GateRefusedError, match=r"the scan found CVE-9999-9999 \(HIGH\)"):
        require_clean_scan(replace(context, section=context.section.model_copy(update={"accepted_findings": ()})), digest)


def test_verify_finds_nothing_in_an_account_that_is_complete(whole: Place) -> None:
    assert findings(whole.context()) == []


def test_production_waits_for_an_approval(whole: Place) -> None:
    whole.configure("production")

    refused = deploy(whole.context("production"), whole.wanted())

    assert refused.state == "refused"
    assert refused.reason == "approval: production needs an approval: --yes, or its name at the prompt"
    assert whole.ecs.count("RunTask") == 0


def test_keys_of_another_account_are_refused(whole: Place) -> None:
    whole.configure(account="999999999999")

    with pytest.raises(ConfigurationError, match=f"the keys are of account {ACCOUNT}, and staging is in 999999999999"):
        require_account(whole.context())


def _role_without_trust(place: Place) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    place.client("iam").update_assume_role_policy(RoleName="omc-execution", PolicyDocument=policy)


def _wrong_health_path(place: Place) -> None:
    place.client("elbv2").modify_target_group(TargetGroupArn=place.account.names["group"], HealthCheckPath="/")


def _two_daemons(place: Place) -> None:
    place.ecs.services["omc-dagster-daemon"]["deploymentConfiguration"]["maximumPercent"] = 200


def _no_breaker(place: Place) -> None:
    place.ecs.services["omc-dagster-daemon"]["deploymentConfiguration"]["deploymentCircuitBreaker"] = {"enable": False}


def _foreign_image(place: Place) -> None:
    place.ecs.families["omc-migrate"][-1]["containerDefinitions"][0]["image"] = "public.ecr.aws/other:1"


BREAKAGES: list[tuple[str, Callable[[Place], object]]] = [
    ("role omc-execution does not trust ecs-tasks.amazonaws.com", _role_without_trust),
    ("role omc-execution: it does not exist", lambda p: p.client("iam").delete_role(RoleName="omc-execution")),
    ("role omc-execution may not read secret omc/database", lambda p: p.ecs.script.denied_secrets.add("omc/database")),
    ("is marked for deletion", lambda p: p.client("secretsmanager").delete_secret(SecretId="omc/database", RecoveryWindowInDays=7)),
    ("log group /omc/services doesn't exist", lambda p: p.client("logs").delete_log_group(logGroupName="/omc/services")),
    ("target group web checks /; dagster-webserver is checked by /server_info", _wrong_health_path),
    ("omc-dagster-daemon: maximumPercent must be 100, since two of it must never run; it is 200", _two_daemons),
    ("omc-dagster-daemon: its deployment circuit breaker is off", _no_breaker),
    (f"omc-migrate: no container has an image of {REPOSITORY}", _foreign_image),
    ("the quota of Fargate is 1", lambda p: setattr(p.ecs.script, "vcpus", 1.0)),
    ("cluster omc has no service omc-dagster-webserver", lambda p: p.ecs.services.pop("omc-dagster-webserver")),
    ("task definition omc-migrate: AWS refuses", lambda p: p.ecs.families.pop("omc-migrate")),
    ("alarm omc-errors doesn't exist", lambda p: p.client("cloudwatch").delete_alarms(AlarmNames=["omc-errors"])),
    (
        "entry omc/redis: AWS refuses",
        lambda p: p.client("secretsmanager").delete_secret(SecretId="omc/redis", ForceDeleteWithoutRecovery=True),
    ),
    ("database: AWS refuses", lambda p: p.client("rds").delete_db_instance(DBInstanceIdentifier="omc", SkipFinalSnapshot=True)),
]


@pytest.mark.slow
def test_verify_names_everything_that_does_not_fit(place: Place) -> None:
    """One account is broken step by step, because making one takes longer than looking at it."""
    silent = []
    for said, breakage in sorted(BREAKAGES, key=lambda each: "role omc-execution: it" in each[0] or "no service" in each[0]):
        breakage(place)
        if not any(said in line for line in findings(place.context())):
            silent.append(said)

    assert silent == []


def test_a_finding_refuses_and_nothing_is_changed(place: Place) -> None:
    place.client("secretsmanager").delete_secret(SecretId="omc/database", ForceDeleteWithoutRecovery=True)

    done = deploy(place.context(), place.wanted())

    assert done.state == "refused"
    assert "verify: secret omc/database" in done.reason
    assert "it does not exist" in done.reason
    assert place.ecs.count("UpdateService") == place.ecs.count("RunTask") == 0
    assert place.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"] == []


def test_a_preview_names_every_gate_that_refuses(place: Place) -> None:
    place.client("logs").delete_log_group(logGroupName="/omc/services")

    found = preview(place.context(), replace(place.wanted(), tests_passed_for=OLD_COMMIT))

    assert found.refused == ("tests", "verify")
    assert found.findings == ("log group /omc/services doesn't exist",)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(302, headers={"Location": "https://login.example.com/a?b"}), "answers 302, a redirect to login.example.com"),
        (Reply(503), "answers 503"),
        (Reply(body=b"<html>"), "does not say its dagster_version"),
        (Reply(body=b'{"dagster_version": "0.1"}'), "runs Dagster 0.1, and"),
        (Reply(body=json.dumps({"dagster_version": version("dagster")}).encode()), None),
    ],
)
def test_health_is_a_200_of_the_same_version_and_no_login_page(reply: Reply, said: str | None, place_targets: Callable[[], object]) -> None:
    with upstream() as web:
        web.replies = [reply]
        found = problem(place_targets(), web.url)  # type: ignore[arg-type]

    assert (found is None) if said is None else said in (found or "")


@pytest.fixture
def place_targets() -> Callable[[], object]:
    """Return a function that returns the webserver as a target."""
    from omc_infra.deploy.context import Target
    from omc_infra.services.own import WEBSERVER

    return lambda: Target(WEBSERVER, "omc-dagster-webserver")
