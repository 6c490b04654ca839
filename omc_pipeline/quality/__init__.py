"""Whether what was collected can be trusted: suites of checks, scores in [0, 1], alerts.

PostgreSQL computes one row of facts per source over a bounded recent window; Great Expectations judges that row; ``score``
weighs the verdicts; ``store`` keeps them. Great Expectations and pandas are imported by ``judge`` when it is called.

Not here: refusing single rows while parsing (``sources``), and turning checks into asset checks (``orchestration``).
"""

from omc_pipeline.quality.check import CheckSpec
from omc_pipeline.quality.report import Alert, CheckOutcome, LedgerQuality, QualityReport
from omc_pipeline.quality.run import run_source_checks, run_suites
from omc_pipeline.quality.suite import check_specs

__all__ = ["Alert", "CheckOutcome", "CheckSpec", "LedgerQuality", "QualityReport", "check_specs", "run_source_checks", "run_suites"]
