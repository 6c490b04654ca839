"""How a session looks at the ledgers: named tools with typed arguments, bound to one user and one knowledge time.

Not here: SQL of the ledgers (``omc_pipeline.ledgers.read``), deciding which tool to call (``workflow``).
"""
