"""Commands of the ground floor: the database; each a ``click.Command`` found by an entry point.

Not here: what they do (``postgres``).
"""
