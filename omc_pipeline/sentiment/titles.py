"""Score a title with VADER (Hutto and Gilbert 2014, https://github.com/cjhutto/vaderSentiment) and a lexicon of crypto words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from omc_pipeline.sentiment.lexicon import NO_LEXICON, lexicon_named

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

BULLISH, BEARISH, NEUTRAL = "bullish", "bearish", "neutral"
_FOUR_DECIMALS = Decimal("0.0001")


@dataclass(frozen=True)
class Model:
    """VADER with a lexicon; made by ``model_with``.

    Attributes:
        name: Of library and lexicon, each with its version: ``vader-3.3.2+crypto-1``.
        analyzer: Of the library.
        phrases: Finds the lexicon's phrases, which the library would take apart.
    """

    name: str
    analyzer: SentimentIntensityAnalyzer
    phrases: re.Pattern[str]

    def score(self, title: str) -> Decimal:
        """Return the sentiment of a title from -1 to 1, to four decimals; 0 where no word has one."""
        text = self.phrases.sub(lambda found: _joined(found[0]), title.replace("’", "'"))
        return Decimal(str(self.analyzer.polarity_scores(text)["compound"])).quantize(_FOUR_DECIMALS, ROUND_HALF_EVEN)


def label_of(score: Decimal, neutral_below: Decimal) -> str:
    """Return ``bullish``, ``bearish`` or ``neutral``: the sign of a score, if its size is at least ``neutral_below`` (above 0)."""
    if abs(score) < neutral_below:
        return NEUTRAL
    return BULLISH if score > 0 else BEARISH


@cache
def model_with(lexicon: str) -> Model:
    """Return the model with a lexicon, by its name.

    Raises:
        BadInputError: There is no such lexicon.
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    words = lexicon_named(lexicon).words
    analyzer = SentimentIntensityAnalyzer()
    analyzer.lexicon.update({_joined(word): valence for word, valence in words.items()})
    phrases = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True) if " " in word)
    name = f"vader-{version('vaderSentiment')}{'' if lexicon == NO_LEXICON else f'+{lexicon}'}"
    return Model(name, analyzer, re.compile(rf"\b(?:{phrases or '(?!)'})\b", re.IGNORECASE))


def _joined(phrase: str) -> str:
    return phrase.replace(" ", "_").replace("-", "_") if " " in phrase else phrase
