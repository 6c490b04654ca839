"""The Dagster UI behind a guard: which requests may come in, who is logged in, what may be asked.

Not here: what the UI shows (Dagster's own app, served unchanged) and who starts it (the table of services).
"""
