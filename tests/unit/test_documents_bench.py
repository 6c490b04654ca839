"""``omc bench documents``: figures over a folder of labelled documents."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from omc_infra.errors import BadInputError
from omc_pipeline.benches.documents import documents
from omc_pipeline.benches.documents_labelled import labelled
from omc_pipeline.benches.documents_mutated import mutated

FIXTURES = Path(__file__).parents[1] / "fixtures" / "documents"


def _figures(folder: Path) -> dict[str, float]:
    done = CliRunner().invoke(documents, ["--folder", str(folder), "--mutations", "400", "--seed", "3", "--json"], catch_exceptions=False)
    return {figure["what"]: figure["value"] for figure in json.loads(done.output)["figures"]}


def test_every_label_of_the_own_documents_is_accepted_and_changed_ones_are_refused() -> None:
    figures = _figures(FIXTURES)

    assert figures["labelled facts accepted"] == 1
    assert figures["changed facts refused: scale"] == 1
    assert figures["changed facts refused: sign"] == 1
    assert figures["changed facts refused"] >= 0.99
    assert figures["rules, labelled facts found: coins_purchased"] == 1


def test_the_real_documents_keep_their_rates(shared: Path) -> None:
    figures = _figures(shared / "documents")

    assert figures["labelled facts accepted"] >= 0.97
    assert figures["changed facts refused: scale"] >= 0.99
    assert figures["changed facts refused"] >= 0.98, "400 changes; the bench itself asks 5,000"


def test_the_same_seed_changes_the_same_facts() -> None:
    documents_ = labelled(FIXTURES)

    first, again, other = ([(how, fact) for how, _, fact in mutated(documents_, 100, seed)] for seed in (1, 1, 2))

    assert first == again
    assert first != other
    assert len(first) == 100


def test_a_folder_without_labels_is_bad_input(tmp_path: Path) -> None:
    done = CliRunner().invoke(documents, ["--folder", str(tmp_path)])

    assert isinstance(done.exception, BadInputError)
