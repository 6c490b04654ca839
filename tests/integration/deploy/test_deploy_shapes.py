"""The same calls against moto's own ECS, which checks their shapes; its services run at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_fake import LocalAws
from conftest import opened_place

from omc_infra.deploy.aws import Aws
from omc_infra.deploy.deploying import deploy, rollback
from omc_infra.deploy.status import environment_status


@pytest.mark.slow
def test_a_deployment_and_its_rollback_pass_where_moto_plays_ecs(
    moto_url: str, running_aws: LocalAws, clients: tuple[Callable[[str], Any], Aws], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_ECS_SERVICE_RUNNING", "1")
    with opened_place(moto_url, running_aws, clients, tmp_path, scripted=False) as place:
        done = deploy(place.context(), place.wanted())
        after = environment_status(place.context())
        assert done.state == "deployed", "\n".join([done.reason, *place.lines])
        back = rollback(place.context(), lambda: False)

        assert {service.image for service in after.services} == {place.account.image}
        assert after.is_well
        assert back.state == "rolled back"
        assert {name.rpartition(":")[2] for name in place.account.running().values()} == {"1"}
