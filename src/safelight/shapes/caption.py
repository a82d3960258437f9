"""The caption grammar: scenes to captions, and any text to what it asks for."""

import re
from dataclasses import replace

from safelight.shapes.scene import ObjectDescription, SceneDescription
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, KNOWN_WORDS, RELATION_WORDS, SHAPES, SIZES, SYNONYMS

MAX_OBJECTS = 2


def caption_of(description: SceneDescription) -> str:
    """Return the caption of `description`, for instance `a small red star on a white background`."""
    objects = f" {description.relation or 'and'} ".join(_caption_of_object(each) for each in description.objects)
    if description.background is None:
        return objects
    return f"{objects} on a {description.background} background".lstrip()


def _caption_of_object(description: ObjectDescription) -> str:
    return " ".join(word for word in ("a", description.size, description.colour, description.shape) if word)


def known_words(text: str) -> list[str]:
    """Return the words of `text` that the grammar knows, in order, synonyms resolved."""
    words = re.findall(r"[a-z]+", text.lower())
    resolved = (SYNONYMS.get(word, word) for word in words)
    return [word for word in resolved if word in KNOWN_WORDS]


def parse(text: str) -> SceneDescription:
    """Return what a text asks for; unknown words, and objects after the second, are ignored.

    Adjectives belong to the next shape word; a ground colour belongs to the scene.
    """
    objects: list[ObjectDescription] = []
    size = colour = relation = background = None
    for word in known_words(text):
        if word in SIZES:
            size = word
        elif word in COLOURS:
            colour = word
        elif word in BACKGROUNDS:
            background = word
        elif word in RELATION_WORDS:
            relation = "above" if word == "above" else "left of"
        elif word in SHAPES and len(objects) < MAX_OBJECTS:
            objects.append(ObjectDescription(shape=word, colour=colour, size=size))
            size = colour = None
    description = SceneDescription(objects=tuple(objects), relation=relation, background=background)
    return description if len(objects) == MAX_OBJECTS else replace(description, relation=None)
