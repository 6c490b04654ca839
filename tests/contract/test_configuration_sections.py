"""What is true of every section of the configuration that a storey contributes, and of the settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from omc_infra.configuration import contributed_models, load_configuration
from omc_infra.configuration_template import template
from omc_infra.settings import IN_ENVIRONMENT_ONLY, Settings


def _models() -> Mapping[str, type[BaseModel]]:
    return {"settings": Settings, **contributed_models()}


def test_every_option_says_what_it_is_for() -> None:
    silent = [f"{name}.{key}" for name, model in _models().items() for key, field in model.model_fields.items() if not field.description]

    assert silent == []


def test_a_new_file_names_every_option_and_uncommented_it_says_the_defaults(tmp_path: Path) -> None:
    text = template(contributed_models())
    (tmp_path / "omc.toml").write_text(re.sub(r'(?m)^#(?=[\w"\[])', "", text))

    for profile in ("sandbox", "live"):
        spelled = load_configuration({"OMC_HOME": str(tmp_path), "OMC_PROFILE": profile})
        values = load_configuration({"OMC_HOME": str(tmp_path / "nothing"), "OMC_PROFILE": profile})

        assert {name: spelled.digest(name) for name in spelled.models} == {name: values.digest(name) for name in values.models}
        assert spelled.settings.model_dump(exclude={"home"}) == values.settings.model_dump(exclude={"home"})
    flat = text.replace("\n# ", " ")  # prose is wrapped
    for name, model in _models().items():
        for key in model.model_fields.keys() - (IN_ENVIRONMENT_ONLY.keys() if name == "settings" else set()):
            assert re.search(rf"(?m)^#{key} = |{key}: not set\.|^#?\[{re.escape(name)}\.{key}\]", flat), f"{name}.{key}"


def test_no_number_of_the_settings_may_be_without_end() -> None:
    for key, field in Settings.model_fields.items():
        if field.annotation in (int, float):
            assert re.search(r"L[te]\(l[te]=", str(field.metadata)), f"{key} has no upper bound"
