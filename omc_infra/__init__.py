"""Infrastructure: settings, errors, clock, logs, command line, PostgreSQL, HTTP, processes.

Not here: code that knows about coins, ledgers or models.
"""
