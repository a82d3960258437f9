"""The vocabulary of the shipped models, with colours and lengths."""

from collections.abc import Mapping
from types import MappingProxyType

PICTURE_SIZE = 64
"""Side of a scene in pixels."""

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")

COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "red": (215, 38, 38),
        "orange": (245, 140, 30),
        "yellow": (250, 215, 50),
        "green": (40, 160, 70),
        "cyan": (50, 200, 220),
        "blue": (45, 85, 215),
        "purple": (135, 60, 180),
        "pink": (250, 130, 180),
    }
)

SIZES: Mapping[str, float] = MappingProxyType({"small": 6.5, "medium": 10.0, "large": 14.0})
"""Half the extent of an object, in pixels."""

BACKGROUNDS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "white": (245, 245, 245),
        "gray": (128, 128, 128),
        "black": (16, 16, 16),
        "beige": (232, 212, 170),
    }
)

RELATIONS = ("left of", "above")

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "grey": "gray",
        "tiny": "small",
        "little": "small",
        "big": "large",
        "huge": "large",
        "disc": "circle",
        "disk": "circle",
        "over": "above",
        "violet": "purple",
        "crimson": "red",
        "turquoise": "cyan",
    }
    | {f"{shape}s": shape for shape in SHAPES if shape != "cross"}
    | {"crosses": "cross"}
)
"""Synonyms."""

RELATION_WORDS = ("left", "above")
"""The words that identify each relation."""

KNOWN_WORDS = (*RELATION_WORDS, *SIZES, *COLOURS, *SHAPES, *BACKGROUNDS)
"""Every word that the shipped models know; all others are dropped before encoding."""
