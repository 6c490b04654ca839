"""``omc demo``: the whole platform once, headless, with a progress bar a stage and a summary at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.markdown import Markdown
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from omc_infra.cli import emit, json_option
from omc_infra.settings import load_settings
from omc_infra.terminal import open_console, visible

if TYPE_CHECKING:
    from rich.console import Console

    from omc_agents.demonstration.stages import Demonstration, Stage, StageResult


@click.command(epilog="Exit code 1: a stage failed.")
@json_option
def demo(*, as_json: bool) -> None:
    """Collect all ledgers, check them, compute PnL, and have an agent write a brief about a new filing."""
    from omc_agents.demonstration.report import demonstration_document
    from omc_agents.demonstration.stages import LAUNCHER, SERVICES, Demonstration
    from omc_infra.services.platform import open_platform

    console = open_console(stderr=True)
    settings = load_settings()
    if settings.profile != "sandbox":
        raise click.UsageError("the demo runs in the sandbox profile only; unset OMC_PROFILE")
    with console.status("Starting PostgreSQL and the sandbox upstreams"), open_platform(settings, LAUNCHER, SERVICES) as platform:
        console.print(
            Text.assemble(("OMC", "bold"), " demonstration · profile ", (settings.profile, "bold"), f" · {visible(settings.home)}")
        )
        demonstration = Demonstration(platform)
        results: list[StageResult] = []
        for stage in demonstration.stages():
            results.append(_run(console, demonstration, stage))
            if results[-1].failure:
                console.print(Text.assemble(("✗", "red"), f" {stage.title}: {visible(results[-1].failure)}"))
                break
        platform.keep_postgres()
        document = demonstration_document(platform, results, demonstration.briefs, demonstration.started_at)
    if as_json:
        emit(document)
    else:
        _print_summary(open_console(), document)
    if any(not stage["ok"] for stage in document["stages"]):
        raise click.exceptions.Exit(1)


def _run(console: Console, demonstration: Demonstration, stage: Stage) -> StageResult:
    """Run a stage under its bar; the bar is only full, and ticked, when the stage has done its work."""
    with _bar(console) as progress:
        task = progress.add_task(stage.title, total=1)
        result = demonstration.run(stage)
        if result.failure is None:
            progress.update(task, completed=1)
    return result


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(finished_text=Text("✓", "green")),
        TextColumn("{task.description:<42}", markup=False),
        BarColumn(24),
        TimeElapsedColumn(),
        console=console,
    )


def _print_summary(console: Console, document: dict[str, Any]) -> None:
    console.print(_ledger_table(document))
    pnl = document["pnl"]
    verdict = ("holds exactly", "green") if pnl["identity_holds"] else ("is broken", "red")
    figures = {
        name: "–" if pnl.get(name) is None else f"{pnl[name]:,.2f}" for name in ("realized", "unrealized", "proceeds", "value", "cost")
    }
    sums = (
        f"PnL of {visible(pnl['user'])} in {pnl['currency']}: realized {figures['realized']} + unrealized {figures['unrealized']}"
        f" = proceeds {figures['proceeds']} + value {figures['value']} − cost {figures['cost']}: "
    )
    console.print(Text.assemble(sums, verdict))
    for brief in document["briefs"]:
        caption = f"{brief['verified']} of {brief['claims']} claims verified · {brief['latency_s']:.1f} s after the event was recorded"
        console.print(Panel(Markdown(visible(brief["body"]), hyperlinks=False), title=Text(visible(brief["title"])), subtitle=caption))
        console.print(f"Its rows: omc agent show {brief['event']}")
    if all(stage["ok"] for stage in document["stages"]):
        console.print(Text.assemble("Next: ", ("make up", "bold"), " runs the platform with the Dagster UI."))


def _ledger_table(document: dict[str, Any]) -> Table:
    table = Table(
        Column("ledger", no_wrap=True),
        Column("source", no_wrap=True),
        title=f"Ledgers · profile {document['profile']}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in ("rows", "complete", "timely", "accurate", "score"):
        table.add_column(heading, justify="right")
    for ledger, found in document["ledgers"].items():
        scores = document["quality"].get(ledger, {})
        cells = [
            f"{scores[name]:.2f}" if scores else "–"
            for name in ("completeness_score", "timeliness_score", "accuracy_score", "overall_score")
        ]
        for index, (source, rows) in enumerate(found["sources"].items()):
            table.add_row(ledger if index == 0 else "", source, f"{rows:,}", *(cells if index == 0 else [""] * 4))
    return table
