"""What a brief may say: evidence rows, the kinds of claims they can bear, the check of each claim, and the words it gets.

Not here: reading the ledgers (``tools``), asking a model (``models``), storing (``sessions``). Everything is pure.
"""
