"""Wire types of `POST /v1/chat/completions` in the format of vLLM-Omni's and SGLang's benchmark clients."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field

from safelight.server.wire.fields import Name, PictureData, Pictures, Prompt, Side, Strength
from safelight.server.wire.images import STRENGTH
from safelight.server.wire.options import PaintOptions
from safelight.server.wire.provenance import Provenance

MAX_MESSAGES = 100
MAX_PARTS = 100


OtherRole = Literal["system", "developer", "assistant", "tool", "function"]


class ChatOptions(PaintOptions):
    """Options of the picture: at the top level of a chat request or in its `extra_body`, each in one place only."""

    width: Annotated[Side | None, Field(description="In pixels; the model's own when left out.")] = None
    height: Annotated[Side | None, Field(description="In pixels; the model's own when left out.")] = None
    strength: Annotated[Strength | None, Field(description=f"Of a picture in the message. {STRENGTH}")] = None


class TextPart(BaseModel):
    """A text part of a message."""

    model_config = ConfigDict(strict=True)

    type: Literal["text"]
    text: Prompt


class SentPicture(BaseModel):
    """A picture in a message, always inline."""

    model_config = ConfigDict(strict=True)

    url: Annotated[PictureData, Field(description="PNG, JPEG or WebP as a data URL.")]


class PicturePart(BaseModel):
    """A part of a message: a picture to start from."""

    model_config = ConfigDict(strict=True)

    type: Literal["image_url"]
    image_url: SentPicture


Part = Annotated[TextPart | PicturePart, Field(discriminator="type")]


def _of_type(kind: str) -> dict[str, object]:
    return {"type": "object", "required": ["type"], "properties": {"type": {"const": kind}}}


_SOME_TEXT_AND_AT_MOST_ONE_PICTURE = {
    "allOf": [
        {"contains": _of_type("text")},
        {"contains": _of_type("image_url"), "minContains": 0, "maxContains": 1},
    ]
}


def _check_has_text(parts: list[Part]) -> list[Part]:
    if not any(isinstance(part, TextPart) for part in parts):
        raise ValueError("there should be a part of type 'text' that says what to paint")
    return parts


class UserMessage(BaseModel):
    """What to paint."""

    model_config = ConfigDict(strict=True)

    role: Literal["user"]
    content: (
        Prompt
        | Annotated[
            list[Part],
            Field(min_length=1, max_length=MAX_PARTS, json_schema_extra=_SOME_TEXT_AND_AT_MOST_ONE_PICTURE),
            AfterValidator(_check_has_text),
        ]
    )

    @property
    def text(self) -> str:
        """All text of the message."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def pictures(self) -> tuple[str, ...]:
        """All pictures of the message, as data URLs."""
        if isinstance(self.content, str):
            return ()
        return tuple(part.image_url.url for part in self.content if isinstance(part, PicturePart))


class OtherMessage(BaseModel):
    """A message of another role; it is ignored."""

    role: OtherRole


def _check_no_stream(is_stream: bool) -> bool:  # noqa: FBT001 - pydantic calls it like that
    if is_stream:
        raise ValueError("streams are served by /v1/images/generations")
    return is_stream


NoStream = Annotated[
    bool,
    Field(description="Streams are served by /v1/images/generations.", json_schema_extra={"const": False}),
    AfterValidator(_check_no_stream),
]


def _check_has_user_message(messages: list[UserMessage | OtherMessage]) -> list[UserMessage | OtherMessage]:
    if not any(isinstance(message, UserMessage) for message in messages):
        raise ValueError("there should be a message of role 'user' that says what to paint")
    return messages


_FROM_A_USER = {"contains": {"type": "object", "required": ["role"], "properties": {"role": {"const": "user"}}}}


class ChatRequest(ChatOptions):
    """Body of `POST /v1/chat/completions`; fields of language models are accepted and ignored."""

    INPUTS: ClassVar[tuple[str, ...]] = (*ChatOptions.INPUTS, "messages", "extra_body")

    messages: Annotated[
        list[Annotated[UserMessage | OtherMessage, Field(discriminator="role")]],
        FailFast(),
        Field(
            min_length=1,
            max_length=MAX_MESSAGES,
            description="The last message of the user is the prompt.",
            json_schema_extra=_FROM_A_USER,
        ),
        AfterValidator(_check_has_user_message),
    ]
    model: Annotated[Name | None, Field(description="A served model; the first one when it is left out.")] = None
    n: Annotated[Pictures | None, Field(description="How many choices, with one picture each; 1 when left out.")] = None
    stream: NoStream | None = None
    extra_body: Annotated[ChatOptions | None, Field(description="The options, as some clients nest them.")] = None

    @property
    def last_user_message(self) -> UserMessage:
        """The message that is the prompt."""
        return next(message for message in reversed(self.messages) if isinstance(message, UserMessage))


class ImageUrl(BaseModel):
    """Where a picture is: always a PNG data URL."""

    url: str


class StageDurations(BaseModel):
    """Seconds of the request's stages."""

    queue: float
    diffusion: float


class ImagePart(BaseModel):
    """The picture, as part of a message."""

    type: Literal["image_url"] = "image_url"
    image_url: ImageUrl
    stage_durations: StageDurations


class ChatAnswer(BaseModel):
    """The message that carries the picture."""

    role: Literal["assistant"] = "assistant"
    content: list[ImagePart]


class Choice(BaseModel):
    """One picture."""

    index: int
    message: ChatAnswer
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class ChatUsage(BaseModel):
    """Tokens, counted as in `POST /v1/images/generations`."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatMetrics(BaseModel):
    """What a benchmark client reads."""

    stage_durations: StageDurations


class ChatResponse(BaseModel):
    """Answer of `POST /v1/chat/completions`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    metrics: ChatMetrics
    safelight: Provenance
