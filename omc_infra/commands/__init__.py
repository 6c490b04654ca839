"""Commands of the ground floor: the database, the running platform; each a ``click.Command`` found by an entry point."""
