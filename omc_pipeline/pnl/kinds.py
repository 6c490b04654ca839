"""What can happen to a holding, in as few words as possible; the word stands on the fill, everything else follows from it.

``trade``      bought or sold, for money or for another coin.
``staking`` .. earned: a lot at market value, and an income entry of as much.
``deposit``    came from outside: a lot at the cost it states, or else at market value, which is reported.
``withdrawal`` left for outside, at cost: nothing is realized.
``transfer``   moved between own accounts: the lots go along, and nothing is realized. A fee taken in kind is a disposal.
``fee``        a fee alone, also one that a trade paid in a third coin: a disposal at market value.
``rebate``     the same the other way round: coins that a venue gave back, at market value.
``gift``       given away or received: a disposal or a lot at market value, no income.
``donate``     given to a charity: a disposal at market value.
``lost``, ``stolen``  gone without anything in return: a disposal for nothing.
``dust``       a rest too small to sell, written off: a disposal for what it states, else for nothing.
``migrate``    a pair: out of one asset and into another that takes its place; cost and dates go along, nothing is realized.
``negligible`` a pair: a claim that a coin is worth nothing; a sale and a purchase at the stated value outside all matching rules.
"""

from __future__ import annotations

from typing import Literal, get_args

IncomeKind = Literal["interest", "staking", "airdrop", "hardfork", "wages", "mining"]
LossKind = Literal["lost", "stolen", "dust"]
Kind = (
    Literal["trade", "deposit", "withdrawal", "transfer", "fee", "rebate", "gift", "donate", "migrate", "negligible"]
    | IncomeKind
    | LossKind
)

INCOME_KINDS: frozenset[str] = frozenset(get_args(IncomeKind))
LOSS_KINDS: frozenset[str] = frozenset(get_args(LossKind))
KINDS: frozenset[str] = (
    INCOME_KINDS | LOSS_KINDS | {"trade", "deposit", "withdrawal", "transfer", "fee", "rebate", "gift", "donate", "migrate", "negligible"}
)
LEAVING: frozenset[str] = LOSS_KINDS | {"withdrawal", "fee", "donate"}
"""Kinds that only take coins away."""
BOTH_WAYS: frozenset[str] = frozenset({"trade", "transfer", "gift", "migrate", "negligible"})
AT_COST: frozenset[str] = frozenset({"withdrawal", "transfer", "migrate"})
"""Disposals whose proceeds are the cost of what they take."""
PAIRED: frozenset[str] = frozenset({"migrate", "negligible"})
"""Kinds that are told by two rows: what left, and what took its place."""
