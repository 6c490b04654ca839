"""The table of services: contributed by entry points, ordered by needs, and refused where it does not fit together."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from pydantic import SecretStr

from omc_infra.errors import ConfigurationError
from omc_infra.services.health import ListeningHealth
from omc_infra.services.place import ServicePlace
from omc_infra.services.table import ServiceSpec, ServiceTable, load_services
from omc_infra.settings import Settings

TODAY = {"postgres", "sandbox", "code-omc_pipeline", "code-omc_agents", "dagster-daemon", "dagster-webserver"}


def spec(name: str, *needs: str, **fields: object) -> ServiceSpec:
    return ServiceSpec(name, name, ListeningHealth(), ("true",), needs=needs, **fields)  # type: ignore[arg-type]


def test_the_storeys_contribute_todays_services() -> None:
    table = load_services()

    assert {service.name for service in table} >= TODAY
    names = [service.name for service in table]
    assert names.index("postgres") < names.index("code-omc_agents") < names.index("dagster-daemon")


def test_a_package_adds_a_service_by_one_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contribute(tmp_path, "beacon = beacon_service:BEACON", "BEACON = ServiceSpec('beacon', 'Shines', HttpHealth(), port=0)")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()

    assert load_services()["beacon"].title == "Shines"


def test_an_entry_point_that_is_no_service_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contribute(tmp_path, "wrong = wrong_service:WRONG", "WRONG = 'dagster'", module="wrong_service")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()

    with pytest.raises(ConfigurationError, match=r"'wrong'.*is not a service of that name"):
        load_services()


def test_services_come_after_those_they_need_whatever_the_order_they_are_given_in() -> None:
    table = ServiceTable([spec("ui", "code-*", "store"), spec("code-b", "store"), spec("code-a"), spec("store")])

    assert [service.name for service in table] == ["code-a", "store", "code-b", "ui"]
    assert [service.name for service in table.needed_by(table["ui"])] == ["code-a", "store", "code-b"]


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ([spec("a", "b"), spec("b", "a")], "cycle: a, b"),
        ([spec("a"), spec("a")], "two services are named 'a'"),
        ([spec("a", "nowhere")], "'a' needs 'nowhere'"),
    ],
    ids=["circle", "two of one name", "unknown need"],
)
def test_a_table_that_does_not_fit_together_is_refused(specs: list[ServiceSpec], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        ServiceTable(specs)


def test_a_service_runs_in_its_profiles_and_where_no_setting_names_another() -> None:
    table = ServiceTable([spec("sandbox", profiles=("sandbox",), replaced_by="sandbox_url"), spec("ui"), spec("daemon")])

    def names(settings: Settings, *asked: str) -> list[str]:
        return [service.name for service in table.only(settings, asked or ("*",))]

    assert names(Settings()) == ["sandbox", "ui", "daemon"]
    assert names(Settings(profile="live")) == ["ui", "daemon"]
    assert names(Settings(sandbox_url="http://127.0.0.1:1")) == ["ui", "daemon"]
    assert names(Settings(), "sand*", "ui") == ["sandbox", "ui"]


def test_code_servers_get_what_runs_need_where_they_execute_them() -> None:
    table = ServiceTable(
        [spec("code-a", code_location="a", roles=("dagster",)), spec("daemon", roles=("writer",), keys=("*",), launches_runs=True)]
    ).where_code_servers_execute_runs()

    assert (table["code-a"].roles, table["code-a"].keys) == (("writer",), ("*",))


def test_no_command_line_holds_a_secret() -> None:
    place = ServicePlace(Settings(database_url=SecretStr("postgresql://u:hunter2@h/d"), keys={"coinspot": SecretStr("hunter2")}))

    assert "hunter2" not in "".join(place.filled(["{settings}", "{settings.database_url}", "{settings.keys}"]))


def contribute(folder: Path, entry: str, source: str, module: str = "beacon_service") -> None:
    """Write a distribution that contributes one service into a folder of the import path."""
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[omc.services]\n{entry}\n")
    imports = "from omc_infra.services.health import HttpHealth\nfrom omc_infra.services.table import ServiceSpec\n"
    (folder / f"{module}.py").write_text(f"{imports}{source}\n")


def test_a_service_on_demand_runs_only_where_somebody_names_it() -> None:
    table = load_services()
    settings = Settings()

    assert "dagster-viewer" not in {service.name for service in table.only(settings)}
    assert [service.name for service in table.only(settings, ["dagster-viewer"])] == ["dagster-viewer"]
