"""What a user may choose: the method, what fees are, and what becomes of a sell of more than was held."""

from __future__ import annotations

from typing import Literal, get_args

Method = Literal["fifo", "lifo", "hifo", "lofo", "avg", "uk"]
FeePolicy = Literal["capitalise", "expense"]
"""``capitalise``: a fee raises the cost of a buy and lowers the proceeds of a sell. ``expense``: it is taken from the total."""

OversellPolicy = Literal["exclude", "zero_basis", "refuse"]
"""``exclude``: match what is held, report the rest, count gain on the matched share only. ``zero_basis``: the rest is sold at
no cost, and still reported. ``refuse``: raise."""

LotPolicy = Literal["universal", "account"]
"""``universal``: a sell may take any lot of the user. ``account``: only those that lie in its own account; transfers carry them."""

METHOD_NAMES: tuple[Method, ...] = get_args(Method)
FEE_POLICIES: tuple[FeePolicy, ...] = get_args(FeePolicy)
OVERSELL_POLICIES: tuple[OversellPolicy, ...] = get_args(OversellPolicy)
LOT_POLICIES: tuple[LotPolicy, ...] = get_args(LotPolicy)
