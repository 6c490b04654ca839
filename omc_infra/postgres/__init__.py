"""PostgreSQL: a server in a folder, or one of your own; its database, its five roles, its migrations.

Not here: what the tables hold. Each storey brings its own revisions, found by the entry point group ``omc.migrations``.
"""
