"""``omc bench documents``: how many labelled facts the verifier accepts, how many changed ones it refuses, and what rules find."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from omc_infra.bench import Figure
from omc_infra.cli import json_option
from omc_infra.commands.bench import print_figures
from omc_infra.errors import BadInputError

FIXTURES = Path("tests/fixtures/documents")


@click.command()
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=FIXTURES,
    show_default=True,
    help="Folder of documents, each with a NAME.facts.json beside it; subfolders are read, too.",
)
@click.option("--mutations", type=click.IntRange(1, 1_000_000), default=5000, show_default=True, help="Number of changed facts to try.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=1,
    show_default=True,
    help="Random seed. The same seed tries the same changes.",
)
@json_option
def documents(folder: Path, mutations: int, seed: int, as_json: bool) -> None:
    """Measure rules and verifier over a set of documents with labelled facts."""
    print_figures("documents", list(_figures(folder, mutations, seed)), as_json=as_json)


def _figures(folder: Path, mutations: int, seed: int) -> Iterator[Figure]:
    from omc_pipeline.benches.documents_labelled import labelled
    from omc_pipeline.benches.documents_mutated import mutated
    from omc_pipeline.documents.rules import extract
    from omc_pipeline.documents.verify import accepted, refusal

    started = time.perf_counter()
    documents = labelled(folder)
    facts = [(document, fact) for document in documents for fact in document.facts]
    if not facts:
        raise BadInputError(f"{folder}: no labelled document; each one needs a NAME.facts.json beside it")
    found = [accepted(extract(document.read), document.read) for document in documents]
    yield Figure("a document read, its facts found and verified", (time.perf_counter() - started) / len(documents) * 1000, "ms")

    held = sum(refusal(fact, document.read) is None for document, fact in facts)
    yield Figure("labelled facts accepted", held / len(facts), "ratio")

    tried, refused = Counter[str](), Counter[str]()
    for how, document, fact in mutated(documents, mutations, seed):
        tried[how] += 1
        refused[how] += refusal(fact, document.read) is not None
    yield Figure("changed facts refused", refused.total() / max(tried.total(), 1), "ratio")
    for how in sorted(tried):
        yield Figure(f"changed facts refused: {how}", refused[how] / tried[how], "ratio")

    wanted, recalled, extra = Counter[str](), Counter[str](), Counter[str]()
    for document, facts_found in zip(documents, found, strict=True):
        cores = {(fact.kind, fact.value, fact.unit) for fact in facts_found}
        labels = {(fact.kind, fact.value, fact.unit) for fact in document.facts}
        wanted.update(kind for kind, _, _ in labels)
        recalled.update(kind for kind, _, _ in labels & cores)
        extra.update(kind for kind, _, _ in cores - labels)
    yield Figure("rules, labelled facts found: all kinds, those too that no rule reads", recalled.total() / wanted.total(), "ratio")
    known = recalled.keys() | extra.keys()
    for kind in sorted(known & wanted.keys()):
        yield Figure(f"rules, labelled facts found: {kind}", recalled[kind] / wanted[kind], "ratio")
    for kind in sorted(known):
        yield Figure(f"rules, found facts that are labelled: {kind}", recalled[kind] / (recalled[kind] + extra[kind]), "ratio")
