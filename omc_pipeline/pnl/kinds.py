"""What can happen to a holding, in as few words as possible; the word stands on the fill, everything else follows from it.

``trade``      bought or sold, for money or for another coin.
``staking`` .. earned: a lot at market value, and an income entry of as much.
``deposit``    came from outside: a lot at the cost it states, or else at market value, which is reported.
``withdrawal`` left for outside, at cost: nothing is realized.
``transfer``   moved between own accounts: the lots go along, and nothing is realized. A fee taken in kind is a disposal.
``fee``        a fee alone, also one that a trade paid in a third coin: a disposal at market value.
``rebate``     the same the other way round: coins that a venue gave back, at market value.
"""

from __future__ import annotations

from typing import Literal, get_args

IncomeKind = Literal["interest", "staking", "airdrop", "hardfork", "wages"]
Kind = Literal["trade", "deposit", "withdrawal", "transfer", "fee", "rebate"] | IncomeKind

INCOME_KINDS: frozenset[str] = frozenset(get_args(IncomeKind))
KINDS: frozenset[str] = INCOME_KINDS | {"trade", "deposit", "withdrawal", "transfer", "fee", "rebate"}
AT_COST: frozenset[str] = frozenset({"withdrawal", "transfer"})
"""Disposals whose proceeds are the cost of what they take."""
