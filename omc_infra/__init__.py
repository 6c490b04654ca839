"""What the code runs on: settings, errors, clock, logs, command line, PostgreSQL, HTTP, processes.

Not here: anything that knows of coins, ledgers or models.
"""
