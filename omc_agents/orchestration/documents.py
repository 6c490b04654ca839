"""For which filings a brief waits, and how long: what the source fetches, and what the agents allow."""

from __future__ import annotations

from omc_agents.models.options import SECTION, AgentsSection
from omc_infra.configuration import load_configuration
from omc_infra.errors import ConfigurationError
from omc_pipeline.collection.sections import configured_options
from omc_pipeline.sources.catalyst_sec_edgar import SOURCE as EDGAR
from omc_pipeline.sources.catalyst_sec_edgar import EdgarConfig


def awaited_documents() -> tuple[float, tuple[str, ...]]:
    """Return how long, in seconds, a brief waits for the document of a filing, and for which forms one is fetched."""
    configuration = load_configuration()
    options = configuration.section(SECTION)
    filings = configured_options(EDGAR, configuration)
    if not isinstance(options, AgentsSection) or not isinstance(filings, EdgarConfig):
        raise ConfigurationError(f"the section [{SECTION}] is not available")
    return options.document_wait_s, filings.document_forms if filings.document_days else ()
