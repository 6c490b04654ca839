"""Profit and loss of plain trades, exact to the last digit: amounts, trades, lots, methods, results.

Not here: files, databases, clocks, Dagster; whose trades they are and where they are kept lives in ``positions``.
"""
