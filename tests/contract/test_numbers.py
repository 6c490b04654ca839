"""Every number that a person may set has a least and a most; what is infinite, not a number or huge is refused where it is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

import click
import dagster as dg
import pytest
from pydantic import BaseModel, ValidationError

from omc_infra.cli import COMMANDS_GROUP, FiniteRange
from omc_infra.errors import ConfigurationError
from omc_infra.runs.launcher import _BOUNDS, _CONFIG, WarmRunLauncher
from omc_infra.settings import Settings, load_settings
from omc_pipeline.collection.discovery import discover_sources

LEAST, MOST = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
WRONG = [math.inf, -math.inf, math.nan, 1e300, -1e300]


def models() -> list[type[BaseModel]]:
    """Return every model that a person's configuration is read into: settings, options of sources, run configuration."""
    from omc_agents import definitions as _agents
    from omc_pipeline import definitions as _pipeline

    assert _agents
    assert _pipeline
    sources = {source.config for source in discover_sources().values()}
    configs = {model for model in subclasses(dg.Config) if model.__module__.startswith("omc_")}
    return sorted({Settings, *sources, *configs}, key=lambda model: f"{model.__module__}.{model.__name__}")


def subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from subclasses(one)


def numbers(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each part of a JSON schema that takes a number, and where it stands."""
    if isinstance(schema, dict):
        if schema.get("type") in ("number", "integer"):
            yield at, schema
        for key, inner in schema.items():
            yield from numbers(inner, f"{at}/{key}")
    elif isinstance(schema, list):
        for place, inner in enumerate(schema):
            yield from numbers(inner, f"{at}/{place}")


def options() -> list[tuple[str, click.Parameter]]:
    """Return every option and argument of every command and bench that is a number."""
    found = []
    for group in (COMMANDS_GROUP, "omc.benches"):
        for entry in sorted(entry_points(group=group)):
            for name, command in leaves(entry.name, entry.load()):
                found += [(f"{name} {p.name}", p) for p in command.params if isinstance(p.type, click.types._NumberParamTypeBase)]
    return found


def leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for inner in command.list_commands(click.Context(command)):
            yield from leaves(f"{name} {inner}", command.get_command(click.Context(command), inner))  # type: ignore[arg-type]
    else:
        yield name, command


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_number_of_a_model_has_finite_bounds(model: type[BaseModel]) -> None:
    for at, schema in numbers(model.model_json_schema()):
        for sides in (LEAST, MOST):
            assert any(math.isfinite(schema.get(side, math.nan)) for side in sides), f"{model.__name__}{at} has no {sides[0]}"


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)])
@pytest.mark.parametrize("value", WRONG)
def test_a_setting_that_is_infinite_no_number_or_huge_is_refused_in_one_line(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings({f"OMC_{name.upper()}": str(value)})
    with pytest.raises(ValidationError):
        Settings.model_validate({name: value})

    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(("place", "option"), options(), ids=[name for name, _ in options()])
def test_every_number_of_a_command_line_has_finite_bounds(place: str, option: click.Parameter) -> None:
    bounds = option.type

    assert isinstance(bounds, FiniteRange | click.IntRange), f"{place} takes any number"
    assert bounds.min is not None
    assert bounds.max is not None
    assert math.isfinite(bounds.min)
    assert math.isfinite(bounds.max)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e300", "x"])
def test_a_range_takes_no_number_that_is_none(text: str) -> None:
    with pytest.raises(click.BadParameter):
        FiniteRange(0, 10).convert(text, None, None)


def test_the_numbers_of_the_run_launcher_have_bounds_of_ours_since_dagsters_schema_has_none() -> None:
    defaults = {name: getattr(field, "default_value", None) for name, field in _CONFIG.items() if getattr(field, "default_provided", False)}

    assert {name for name, value in defaults.items() if isinstance(value, int | float) and not isinstance(value, bool)} == set(_BOUNDS)
    WarmRunLauncher(defaults)
    for name in _BOUNDS:
        for value in WRONG:
            with pytest.raises(ConfigurationError, match=name):
                WarmRunLauncher({**defaults, name: value})
