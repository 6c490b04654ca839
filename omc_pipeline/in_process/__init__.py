"""Run the pipeline's jobs in the calling process, one after another: at the start of the platform, and in the demo.

Not here: the jobs themselves (``omc_pipeline.orchestration``), runs that Dagster launches (``omc_infra.runs``).
"""
