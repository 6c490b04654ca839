"""The services of the platform: one table of what runs, how it is checked and what it needs; supervision, locks, state.

*Platform* means the running set of these services on one database. Storeys add a service by one entry point in the group
``omc.services``, and a step of the platform's start in ``omc.start_hooks``.

Not here: what a service does (each storey's own rooms), how Dagster launches runs (``omc_infra.runs``).
"""
