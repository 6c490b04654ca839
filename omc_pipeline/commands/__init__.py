"""The pipeline's commands of ``omc``: read arguments and files, call a room, print its answer.

Not here: anything that thinks; each command loads the rooms it needs when it runs.
"""
