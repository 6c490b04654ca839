"""Dagster's instance of this platform, and how its runs are started: forked from a warm server, or in a process of their own.

``launcher`` is what Dagster sees and ``routing`` decides; ``client`` and ``protocol`` reach the server of ``warm_server``,
``serving`` and ``children``; ``worker`` is what a run's process does. ``code_servers`` serves the code locations.

Not here: assets, jobs and sensors (each storey's ``orchestration``).
"""
