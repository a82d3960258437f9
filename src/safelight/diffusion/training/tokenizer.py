"""The tokenizer of the embedded models: one token a known word, all other words dropped.

Dropping and synonyms are part of the tokenizer file itself, so that a stock diffusers pipeline reads
free text just as Safelight does.
"""

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from safelight.shapes.vocabulary import KNOWN_WORDS, SYNONYMS

MAX_TOKENS = 12
START, END = "<start>", "<end>"


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer; prompts become `<start> words <end>`, padded with `<end>` to `MAX_TOKENS`."""
    vocabulary = {word: index for index, word in enumerate((START, END, *KNOWN_WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=END))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex("[^a-z]+"), " "),
            *(normalizers.Replace(Regex(rf"\b{said}\b"), meant) for said, meant in SYNONYMS.items()),
            normalizers.Replace(Regex(rf"\b(?!(?:{'|'.join(KNOWN_WORDS)})\b)[a-z]+\b"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(token, vocabulary[token]) for token in (START, END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token=END, model_max_length=MAX_TOKENS
    )
