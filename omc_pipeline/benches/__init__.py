"""Benches of the pipeline: each measures one figure beside its baseline in the same run.

Not here: what is measured.
"""
