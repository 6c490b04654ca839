"""``omc bench quality``: which planted faults a red check sees and an alert tells, and how often sound data raise one."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from omc_infra.bench import Figure, bench_document
from omc_infra.cli import emit, json_option
from omc_infra.terminal import open_console

if TYPE_CHECKING:
    from omc_pipeline.benches.quality_work import Seen, Sound

DAYS_A_WEEK = 7


@click.command()
@click.option("--faults", "count", type=click.IntRange(1, 10_000), default=60, show_default=True, help="How many faults to plant.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Of the choice of faults.")
@json_option
def quality(count: int, seed: int, as_json: bool) -> None:
    """Plant random faults in days of sound data, each alone, and count what the checks see of them."""
    from omc_pipeline.benches.own_database import bench_database
    from omc_pipeline.benches.quality_work import faults, judged_faults, judged_sound, quality_days

    began = time.perf_counter()
    with bench_database() as database:
        days = quality_days(database)
        seen = list(judged_faults(database, days, faults(count, seed, days.until)))
        sound = list(judged_sound(database, days))
    figures = list(_figures(seen, sound, time.perf_counter() - began))
    if as_json:
        emit({**bench_document("quality", figures), **_document(seen, sound)})
        return
    _print(seen, sound, figures)


def _figures(seen: list[Seen], sound: list[Sound], seconds: float) -> Iterator[Figure]:
    needing = [each for each in seen if each.fault.needs_action]
    yield Figure("faults seen by a red check", sum(bool(each.red) for each in seen) / len(seen), "ratio")
    yield Figure("faults that need action, alerted", sum(each.alerted for each in needing) / max(len(needing), 1), "ratio")
    yield Figure("false alerts a simulated week", sum(len(each.alerts) for each in sound if each.is_moment), "alerts")
    yield Figure("false alerts in scenes that look like faults", sum(len(each.alerts) for each in sound if not each.is_moment), "alerts")
    yield Figure("all of it", seconds, "s")


def _rows(seen: Iterable[Seen]) -> dict[str, tuple[int, int, int, int]]:
    """Count by kind: planted, seen, alerted, needing an alert."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for each in seen:
        for place, has in enumerate((True, bool(each.red), each.alerted, each.fault.needs_action)):
            counts[each.fault.kind][place] += has
    return {kind: (row[0], row[1], row[2], row[3]) for kind, row in sorted(counts.items())}


def _document(seen: list[Seen], sound: list[Sound]) -> dict[str, Any]:
    names = ("planted", "seen", "alerted", "needing_action")
    return {
        "kinds": {kind: dict(zip(names, row, strict=True)) for kind, row in _rows(seen).items()},
        "missed": [{"kind": each.fault.kind, "details": each.fault.details} for each in seen if not each.red],
        "without_alert": [
            {"kind": each.fault.kind, "details": each.fault.details, "red": list(each.red)}
            for each in seen
            if each.fault.needs_action and not each.alerted
        ],
        "sound": [{"name": each.name, "alerts": list(each.alerts), "red": list(each.red)} for each in sound],
    }


def _print(seen: list[Seen], sound: list[Sound], figures: list[Figure]) -> None:
    from rich.table import Table

    console = open_console()
    table = Table("kind", "planted", "seen", "alerted", "needing action", title="omc bench quality", title_justify="left")
    for kind, row in _rows(seen).items():
        table.add_row(kind, *map(str, row))
    console.print(table)
    for each in seen:
        if not each.red:
            console.print(f"missed: {each.fault.kind}: {each.fault.details}", highlight=False, markup=False)
        elif each.fault.needs_action and not each.alerted:
            console.print(f"no alert: {each.fault.kind}: {each.fault.details}: {', '.join(each.red)}", highlight=False, markup=False)
    scenes = Table("sound moment or scene", "alerts", "red checks")
    for scene in sound:
        scenes.add_row(scene.name, ", ".join(scene.alerts), ", ".join(scene.red))
    console.print(scenes)
    for figure in figures:
        console.print(f"{figure.what}: {figure.value:.4g} {figure.unit}", highlight=False, markup=False)
