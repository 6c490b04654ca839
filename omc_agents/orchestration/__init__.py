"""The agents' side of Dagster: the sensor over the outbox and the job it starts. The only room of this storey that knows Dagster.

Not here: anything that works without Dagster; dispatch and batches are plain functions of ``sessions`` and ``workflow``.
"""
