"""The section ``[quality]`` of ``omc.toml``: weights of the mean, what is severe, and thresholds of single ledgers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, Field, model_validator

from omc_infra.alerts.alert import HIGH_BELOW
from omc_infra.configuration import Section, lone_section
from omc_infra.settings import Settings
from omc_pipeline.ledgers.table import LedgerName
from omc_pipeline.quality.check import DIMENSIONS, Dimension
from omc_pipeline.quality.score import DIMENSION_WEIGHTS

SECTION = "quality"


class WeightsOptions(Section):
    """Weights of the dimensions in the mean of a ledger; they sum to 1."""

    completeness: float = Field(DIMENSION_WEIGHTS["completeness"], ge=0, le=1, description="Weight of completeness in the mean.")
    timeliness: float = Field(DIMENSION_WEIGHTS["timeliness"], ge=0, le=1, description="Weight of timeliness in the mean.")
    accuracy: float = Field(
        DIMENSION_WEIGHTS["accuracy"], ge=0, le=1, description="Weight of accuracy in the mean. The three weights must sum to 1."
    )

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.completeness + self.timeliness + self.accuracy
        if not math.isclose(total, 1, abs_tol=1e-9):
            raise ValueError(f"completeness, timeliness and accuracy must sum to 1; they sum to {total:g}")
        return self

    def by_dimension(self) -> dict[Dimension, float]:
        """Return the weights by the name of their dimension."""
        return {dimension: getattr(self, dimension) for dimension in DIMENSIONS}


class LedgerOptions(Section):
    """Options of one ledger."""

    threshold: float | None = Field(
        None, ge=0, le=1, description="A score of this ledger below this opens an alert, instead of `alert_threshold` in `[settings]`."
    )


class LedgersOptions(Section):
    """Options of each ledger."""

    glass: LedgerOptions = Field(LedgerOptions(), description="Options of the glass ledger.")
    human: LedgerOptions = Field(LedgerOptions(), description="Options of the human ledger.")
    catalyst: LedgerOptions = Field(LedgerOptions(), description="Options of the catalyst ledger.")
    exchange: LedgerOptions = Field(LedgerOptions(), description="Options of the exchange ledger.")


class QualitySection(Section):
    """How ledgers are scored and when their alerts open. `alert_threshold` in `[settings]` holds for ledgers without their own."""

    severe_below: float = Field(HIGH_BELOW, ge=0, le=1, description="An alert whose score is below this has the severity `high`.")
    weights: WeightsOptions = Field(WeightsOptions(), description="Weights of the dimensions in the mean.")
    ledgers: LedgersOptions = Field(LedgersOptions(), description="Options of each ledger.")

    def threshold_of(self, ledger: LedgerName, default: float) -> float:
        """Return the score in [0, 1] below which a ledger alerts: its own, or the default."""
        own: LedgerOptions = getattr(self.ledgers, ledger)
        return default if own.threshold is None else own.threshold


def quality_section(settings: Settings) -> QualitySection:
    """Return the section as the configuration file of some settings has it now, without a look at the other sections.

    Raises:
        ConfigurationError: It is wrong; the message names file and line.
    """
    return lone_section(settings, SECTION, QualitySection)


def config_models() -> Mapping[str, type[BaseModel]]:
    """Return the section of the configuration."""
    return {SECTION: QualitySection}
