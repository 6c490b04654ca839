"""What agents remember, in schema ``agents``: dispatched events, sessions, evidence, model calls, briefs; and the locks on them.

Not here: the workflow's steps (``workflow``) and who starts them (``orchestration``).
"""
