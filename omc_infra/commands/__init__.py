"""Commands of this package; each is a ``click.Command`` found by an entry point.

Not here: what they do (``postgres``).
"""
