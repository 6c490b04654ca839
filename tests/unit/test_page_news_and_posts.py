"""Every option that the page how-to/read-news-and-posts.md shows is one of its source, and every key that it names is wanted."""

from __future__ import annotations

import re
import tomllib

from omc_infra.settings import PROJECT_ROOT
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.sections import source_config

PAGE = (PROJECT_ROOT / "docs" / "how-to/read-news-and-posts.md").read_text("utf-8")
SOURCES = discover_sources()


def test_the_configuration_of_the_page_is_valid() -> None:
    shown = [tomllib.loads(block)["sources"] for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]

    assert len(shown) == 3
    for sections in shown:
        for name, options in sections.items():
            assert source_config(SOURCES[name], options)


def test_the_keys_of_the_page_are_those_that_its_sources_want() -> None:
    named = {variable.removeprefix("OMC_KEY_").lower() for variable in re.findall(r"OMC_KEY_\w+", PAGE)}

    assert named == {*SOURCES["human_cryptopanic"].keys, *SOURCES["human_reddit"].keys}
