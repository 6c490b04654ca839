"""``omc documents``: what a filing, an exhibit or an announcement says, as facts that its own words bear."""

from __future__ import annotations

from pathlib import Path

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.terminal import open_console, say


@click.group(help="Documents behind events: passages and the facts they state.")
def documents() -> None:
    """Group the commands of documents."""


@documents.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def read(file: Path, as_json: bool) -> None:
    """Read a saved document by rules: purchases, sales and holdings of coins, prices, proceeds, notes. No database is needed."""
    from omc_infra.tables import print_rows
    from omc_pipeline.documents.reader import MOST_BYTES, read_document
    from omc_pipeline.documents.rules import extract
    from omc_pipeline.documents.verify import accepted

    try:
        with file.open("rb") as opened:
            body = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInputError(f"{file}: {error.strerror or error}") from error
    document = read_document(body)
    facts = accepted(extract(document), document)
    if as_json:
        emit({"passages": len(document.passages), "facts": [fact.as_document() for fact in facts]})
        return
    rows = [
        {
            "fact": f"{fact.kind.replace('_', ' ')} of {fact.subject}",
            "value": f"{fact.value} {fact.unit}",
            "period": f"{fact.period} ({fact.modality})" if fact.modality else fact.period,
            "passage": f"{fact.passage}: {fact.literal}",
        }
        for fact in facts
    ]
    title = f"{len(document.passages)} passages; facts that rules found and the document's words bear"
    print_rows(open_console(), rows, title)
    if not facts:
        say("The rules found no purchases, sales or holdings of coins, prices, proceeds or notes in this document.")
