"""The LangGraph workflow of a session, retrieve, extract, analyse, verify, publish, and running it to its end exactly once.

Not here: reading ledgers (``tools``), the check of claims (``claims``), SQL of the sessions (``sessions``), Dagster (``orchestration``).
LangGraph is imported inside functions.
"""
