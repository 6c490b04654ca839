"""Whole coins of a user matched for the first time: from PostgreSQL's binary rows to columns, through the kernel, and back.

Not here: late or corrected fills, fills in other currencies, movements between accounts (``positions.position``); the kernel
itself (``pnl.kernel``). Both ways write the same rows.
"""
