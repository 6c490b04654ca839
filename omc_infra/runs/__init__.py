"""Dagster's instance of this platform: its folder, its variables, and the runs an ended platform left unfinished.

Not here: assets, jobs and sensors (each storey's ``orchestration``).
"""
