"""Great Expectations judges a row of facts. The only file that loads it, and only when called: importing it takes seconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from omc_pipeline.quality.check import Check

_own = threading.local()
"""Context and batch definition of this thread; one context shared by threads fails under parallel validations."""


def judge(checks: Sequence[Check], values: Mapping[str, float | None]) -> dict[str, bool]:
    """Judge one row of facts.

    Args:
        checks: What is expected; names are unique.
        values: The fact of each check, by its name. None fails.

    Returns:
        The verdict by check name.
    """
    if not checks:
        return {}
    batch_definition = _batch_definition()
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    suite = gx.ExpectationSuite(
        name="facts",
        expectations=[
            gxe.ExpectColumnMaxToBeBetween(
                column=check.name, min_value=check.low, max_value=check.high, severity=check.severity,
                meta={"check": check.name, "dimension": check.dimension}, description=check.description,
            )
            for check in checks
        ],
    )  # fmt: skip
    frame = pd.DataFrame([{check.name: values[check.name] for check in checks}], dtype="float64")
    batch = batch_definition.get_batch(batch_parameters={"dataframe": frame})
    result = batch.validate(suite, result_format="BOOLEAN_ONLY")
    return {one.expectation_config.meta["check"]: bool(one.success) for one in result.results}


def _batch_definition() -> Any:
    if not hasattr(_own, "batch_definition"):
        from omc_pipeline.quality import light_library  # noqa: F401, I001 before the library itself
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)  # it tells of its temporary folders
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        _own.context = context
        _own.batch_definition = (
            context.data_sources.add_pandas("facts").add_dataframe_asset("row").add_batch_definition_whole_dataframe("row")
        )
    return _own.batch_definition
