"""Benches of the whole platform: latency and soak.

Not here: what is measured.
"""
