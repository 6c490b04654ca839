"""Documents behind events: read into numbered passages, and from these into typed facts. Pure: bytes in, passages and facts out.

A filing, an exhibit, an announcement or a proposal becomes paragraphs and table rows (``reader``), each with what a person sees
around it: the heading above, the columns' heads, the scale that a table states once for all its numbers. A fact (``facts``) is
always carried by characters of one passage; rules find some (``rules``), models others, and both are held against the passage
by the same verifier (``verify``).

Not here: fetching documents (``collection``), what a brief makes of facts (``omc_agents.claims``).
"""
