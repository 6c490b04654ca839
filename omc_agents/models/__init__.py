"""Models behind one neutral protocol, and the deterministic scripted analyst.

Not here: what they are asked (``workflow``), what they may say (``claims``), remembering what they said (``sessions``).
"""
