"""The whole platform once, stage by stage: what ``omc demo`` runs and what it tells.

Not here: how it looks on a terminal (``omc_agents.commands.demo``).
"""
