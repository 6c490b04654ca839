"""The ledgers as tools for MCP clients: read-only, for one user, each row with its reference, its age and its ledger's score.

Not here: how rows are read (``omc_agents.tools``, ``omc_pipeline.ledgers.read``) and what sessions are (``omc_agents.sessions``).
"""
