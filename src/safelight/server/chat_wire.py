"""Wire types of `POST /v1/chat/completions` in the shape that vLLM-Omni's and SGLang's benchmark clients use."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from safelight.server.fields import Name, Pictures, Side
from safelight.server.wire import PaintOptions, Provenance

MAX_MESSAGES = 100
MAX_PARTS = 100


class ChatOptions(PaintOptions):
    """Options of the picture: at the top level of a chat request or in its `extra_body`, each in one place only."""

    width: Annotated[Side | None, Field(description="Pixels; goes together with height.")] = None
    height: Annotated[Side | None, Field(description="Pixels; goes together with width.")] = None


class TextPart(BaseModel):
    """A part of a message; pictures as input are not served."""

    model_config = ConfigDict(strict=True)

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message; the text of the last one from the user is the prompt."""

    model_config = ConfigDict(strict=True)

    role: Annotated[str, Field(min_length=1, max_length=64)]
    content: Annotated[str | Annotated[list[TextPart], Field(max_length=MAX_PARTS)] | None, Field()] = None

    @property
    def text(self) -> str:
        """All text of the message."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or ())


class ChatRequest(ChatOptions):
    """Body of `POST /v1/chat/completions`; fields that only language models know are tolerated."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    model: Annotated[Name | None, Field(description="A served model; the first one when it is left out.")] = None
    n: Annotated[Pictures | None, Field(description="How many choices, with one picture each; 1 when left out.")] = None
    stream: Annotated[Literal[False] | None, Field(description="Streams are served by /v1/images/generations.")] = None
    extra_body: Annotated[ChatOptions | None, Field(description="The options, as some clients nest them.")] = None


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
