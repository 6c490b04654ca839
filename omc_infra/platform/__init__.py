"""Several processes run as one platform: who may start it, who supervises it, what an earlier one left behind.

Not here: which processes those are (the commands that start them know).
"""
