"""Commands of this storey: agents, and the whole platform.

Not here: what they do; each command parses, calls and prints.
"""
