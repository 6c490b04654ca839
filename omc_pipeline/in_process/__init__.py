"""The pipeline's jobs run in the process that asks, one after another: at the platform's start, and in the demonstration.

Not here: the jobs themselves (``omc_pipeline.orchestration``), runs that Dagster launches (``omc_infra.runs``).
"""
