"""A platform that runs takes a change of the file with its next run: warm runs fork from a process that has read it before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterRunStatus

from omc_infra.postgres.database import Database

sys.path.insert(0, str(Path(__file__).parent))

from warm_home import FIXTURES, WarmHome, python_path, warm_home


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("config") / "omc.toml"
    place.write_text("[settings]\nalert_threshold = 0.25\n")
    return place


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, database: Database, file: Path) -> Iterator[WarmHome]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path(FIXTURES))
        patch.setenv("OMC_CONFIG", str(file))
        with warm_home(tmp_path_factory.mktemp("warm") / "home", database) as opened:
            yield opened


def _description(warm: WarmHome) -> tuple[DagsterRunStatus, str]:
    run_id = warm.launch("telling")
    return warm.ended(run_id), warm.messages(run_id)


@pytest.mark.slow
def test_each_warm_run_sees_the_file_as_it_is_and_a_wrong_file_fails_runs_only_until_it_is_mended(warm: WarmHome, file: Path) -> None:
    before, server = _description(warm), warm.server()["pid"]
    file.write_text("[settings]\nalert_threshold = 0.75\n")
    changed = _description(warm)
    file.write_text("[settings]\n\nalert_threshold = 7\n")
    wrong = _description(warm)
    file.write_text("[settings]\nalert_threshold = 0.5\n")
    mended = _description(warm)

    assert before[0] is changed[0] is mended[0] is DagsterRunStatus.SUCCESS, before[1]
    assert "the threshold is 0.25" in before[1]
    assert "the threshold is 0.75" in changed[1]
    assert "the threshold is 0.5" in mended[1]
    assert wrong[0] is DagsterRunStatus.FAILURE
    assert warm.server()["pid"] == server, "the same server all along"


def test_the_failure_is_one_line_with_the_place_of_the_mistake(warm: WarmHome, file: Path) -> None:
    file.write_text("[settings]\n\nalert_threshold = 7\n")

    run_id = warm.launch("telling")
    warm.ended(run_id)

    described = [
        entry.dagster_event.step_failure_data.user_failure_data.description
        for entry in warm.instance.all_logs(run_id)
        if entry.dagster_event and entry.dagster_event.is_step_failure and entry.dagster_event.step_failure_data.user_failure_data
    ]
    assert described == [f"{file}:3: settings.alert_threshold: must be at most 1"]
