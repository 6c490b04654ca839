"""The sentiment of titles: a lexicon of crypto words, a scorer, and the coins that a title names.

Not here: where titles come from and where scores go (``omc_pipeline.sources``).
"""
