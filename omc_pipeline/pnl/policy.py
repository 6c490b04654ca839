"""What a user may choose: the method, what fees are, and what becomes of a sell of more than was held."""

from __future__ import annotations

from typing import Literal, get_args

Method = Literal["fifo", "lifo", "hifo", "lofo", "avg", "uk", "ca"]
FeePolicy = Literal["capitalise", "expense"]
"""``capitalise``: a fee raises the cost of a buy and lowers the proceeds of a sell. ``expense``: it is taken from the total."""

OversellPolicy = Literal["exclude", "zero_basis", "refuse", "short"]
"""``exclude``: match what is held, report the rest, count gain on the matched share only. ``zero_basis``: the rest is sold at
no cost, and still reported. ``refuse``: raise. ``short``: a sale of more than was held opens a position that a purchase closes; for
files, and for methods that take lots one after another."""

LotPolicy = Literal["universal", "account"]
"""``universal``: a sell may take any lot of the user. ``account``: only those that lie in its own account; transfers carry them."""

METHOD_NAMES: tuple[Method, ...] = get_args(Method)
LEDGER_METHODS: tuple[Method, ...] = tuple(name for name in METHOD_NAMES if name != "ca")
"""Those by which positions of the ledger are kept; ``ca`` looks ahead and back from each sale, and is there for files."""
FEE_POLICIES: tuple[FeePolicy, ...] = get_args(FeePolicy)
OVERSELL_POLICIES: tuple[OversellPolicy, ...] = get_args(OversellPolicy)
LEDGER_OVERSELL_POLICIES: tuple[OversellPolicy, ...] = tuple(name for name in OVERSELL_POLICIES if name != "short")
LOT_POLICIES: tuple[LotPolicy, ...] = get_args(LotPolicy)
