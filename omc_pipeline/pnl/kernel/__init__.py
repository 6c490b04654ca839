"""The compiled engine: fills as 128-bit columns in, matches and lots as 128-bit columns out, equal to ``pnl.engine`` in every bit.

numba compiles it on the machine it runs on, once; whoever imports this room has not loaded numba yet, calling it does.
Not here: what the methods mean and the engine in Python integers, which is the oracle (``pnl.methods``, ``pnl.engine``); UK
share pooling, which only that engine computes; databases and files.
"""
