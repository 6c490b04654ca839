"""The data: sources, ledgers, quality, profit and loss, the sandbox upstreams, and the Dagster location that runs them.

Not here: language models, sessions, briefs.
"""
