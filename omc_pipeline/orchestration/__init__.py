"""The one room of the pipeline that knows Dagster: assets, checks, jobs, schedules, and how failures are told.

Not here: how anything is collected, judged or computed; assets call the plain functions of the other rooms.
"""
