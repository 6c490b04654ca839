"""The only package of the pipeline that uses Dagster: assets, checks, jobs, schedules, translation of errors.

Not here: collecting, checking and computing; assets call plain functions of the other packages.
"""
