"""How prompts are split into words."""

import re
import unicodedata
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_QUOTES: Final = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a", "'") | dict.fromkeys("\u201c\u201d\u201e\xab\xbb", '"')
)


def normalized(text: str) -> str:
    """Return a text in one Unicode form, with straight quotation marks."""
    return unicodedata.normalize("NFKC", text).translate(_QUOTES)


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list that is written as one text."""
    return frozenset(text.split())


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a prompt as they are written, in order, without punctuation."""
    return tuple(_WORD.findall(normalized(text)))


def folded_words(text: str) -> tuple[str, ...]:
    """Return the words of a prompt without regard to case, in order."""
    return tuple(word.casefold() for word in words_of(text))
