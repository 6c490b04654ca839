"""Stand-ins for the upstream APIs over real HTTP: the same paths, headers, refusals and odd shapes, with invented values.

Everything is a function of a seed and of calendar time, so two sandboxes of one seed agree, the value at an instant never
changes, and new values keep coming.

Not here: reading the answers (``sources``), asking politely (``omc_infra.http``).
"""

from omc_pipeline.sandbox.server import serving

__all__ = ["serving"]
