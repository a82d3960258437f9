"""Reasons why a similar prompt is another picture: cosines of prompts do not see them (argument in docs/reuse.md)."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from safelight.latents.words import folded_words, normalized, word_set, words_of

COLOURS: Final = word_set(
    "red green blue yellow orange purple violet pink black white grey gray brown cyan magenta turquoise teal beige "
    "gold golden silver crimson scarlet maroon navy indigo lavender lilac lime olive azure ivory khaki mauve mint "
    "peach rose salmon tan amber aqua blond blonde brunette colorful colourful colorless colourless monochrome dark "
    "light bright pale"
)
COUNTS: Final = word_set(
    "one two three four five six seven eight nine ten eleven twelve dozen single double triple pair couple trio both "
    "few several many multiple hundred hundreds thousand thousands lone solo crowd group single-handed"
)
SHAPES: Final = word_set(
    "circle square triangle rectangle star hexagon pentagon octagon diamond ellipse oval cross heart ring sphere cube "
    "cylinder cone pyramid disc disk round circular triangular rectangular spherical cubic crescent arrow spiral line "
    "dot torus prism trapezoid parallelogram"
)
RELATIONS: Final = word_set(
    "left right above below over under underneath beneath behind before front between beside next inside outside "
    "within around near far top bottom middle center centre centred centered upper lower through across against along "
    "facing up down in on into onto off upon"
)
SIZES: Final = word_set(
    "small big large tiny huge little giant tall short long wide narrow thin thick miniature enormous gigantic"
)
NEGATIONS: Final = word_set(
    "no not none never without nothing nobody neither nor isn't aren't don't doesn't hasn't empty except minus"
)

_NUMBER: Final = re.compile(r"\d+")
_QUOTED: Final = re.compile(r"\"([^\"]*)\"|(?<!\w)'([^']+)'(?!\w)")
_SENTENCE: Final = re.compile(r"[.!?:;]\s+")

Terms = tuple[str, ...]


def _listed(*lists: frozenset[str]) -> Callable[[str], Terms]:
    known = frozenset[str]().union(*lists)

    def terms(prompt: str) -> Terms:
        return tuple(singular for word in folded_words(prompt) if (singular := _known(word, known)))

    return terms


def _known(word: str, known: frozenset[str]) -> str:
    """Return a word that is listed, or the listed word of which it is the plural; else an empty text."""
    for form in (word, word.removesuffix("s"), word.removesuffix("es")):
        if form in known:
            return form
    return ""


def _counts(prompt: str) -> Terms:
    return tuple(
        word if _NUMBER.search(word) else listed
        for word in folded_words(prompt)
        if (listed := _known(word, COUNTS)) or _NUMBER.search(word)
    )


def _names(prompt: str) -> Terms:
    """Return words with capitals but at the beginning of a sentence, where any word has one."""
    sentences = [words_of(sentence) for sentence in _SENTENCE.split(normalized(prompt))]
    inner = (word for words in sentences for word in words[1:])
    first = (words[0] for words in sentences if words and not words[0][1:].islower() and len(words[0]) > 1)
    return (*(word for word in inner if word[0].isupper()), *(word for word in first if word[0].isupper()))


def _quoted(prompt: str) -> Terms:
    found: Iterable[tuple[str, ...]] = _QUOTED.findall(normalized(prompt))
    return tuple("".join(groups).strip() for groups in found)


RULES: Final[tuple[tuple[str, Callable[[str], Terms]], ...]] = (
    ("colours", _listed(COLOURS)),
    ("counts", _counts),
    ("shapes", _listed(SHAPES)),
    ("relations", _listed(RELATIONS)),
    ("sizes", _listed(SIZES)),
    ("negation", _listed(NEGATIONS)),
    ("names", _names),
    ("quoted text", _quoted),
)


def veto(prompt: str, earlier: str) -> str | None:
    """Return what differs in kind between two prompts, such as `colours`, or None if no rule speaks against reuse.

    Terms are compared in their order, so that two objects that swap their colours differ too. The answer is the same
    if the prompts are swapped.
    """
    return next((name for name, terms in RULES if terms(prompt) != terms(earlier)), None)
