"""Flags of a load, which several commands of `safelight bench` share; most are those of vLLM-Omni's benchmark."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from safelight.bench.datasets.json_text import MOST

_LOAD, _SERVER, _ANSWER, _TIMES = "Load", "Server", "What is judged", "Times"


def _flag(group: str, *names: str, help: str, **more: Any) -> Any:  # noqa: A002, ANN401 - as typer calls them
    return typer.Option(*names, help=help, rich_help_panel=group, **more)


@dataclass(frozen=True, kw_only=True)
class LoadFlags:
    """What the flags say."""

    base_url: Annotated[str | None, _flag(_SERVER, metavar="URL", help="The server; over --host and --port.")] = None
    host: Annotated[str, _flag(_SERVER, metavar="NAME", help="The server's host.")] = "localhost"
    port: Annotated[int, _flag(_SERVER, metavar="N", help="The server's port.")] = 8091
    model: Annotated[str, _flag(_SERVER, metavar="NAME", help="Put into every request as it is.")] = "default"
    endpoint: Annotated[
        str | None,
        _flag(
            _SERVER,
            metavar="PATH",
            help="/v1/chat/completions, /v1/images/generations, "
            "/v1/images/generations?stream, /v1/images/edits or /v1/videos; else by task.",
        ),
    ] = None
    backend: Annotated[
        str | None, _flag(_SERVER, metavar="NAME", hidden=True, help="vllm-omni or openai, in place of an endpoint.")
    ] = None
    api_key: Annotated[
        str | None,
        _flag(_SERVER, envvar="SAFELIGHT_API_KEY", metavar="KEY", help="Sent as Authorization: Bearer KEY."),
    ] = None
    header: Annotated[
        list[str] | None, _flag(_SERVER, metavar="NAME:VALUE", help="Sent with every request; repeatable.")
    ] = None
    extra_body: Annotated[
        str | None, _flag(_SERVER, metavar="JSON", help="An object whose fields are put into every request.")
    ] = None
    insecure: Annotated[bool, _flag(_SERVER, "--insecure", help="Take any certificate.")] = False
    timeout: Annotated[
        float, _flag(_SERVER, metavar="S", help="Longest time of a request, with its retries, or its job.")
    ] = 900.0
    connect_timeout: Annotated[float, _flag(_SERVER, metavar="S", help="Longest time to connect.")] = 10.0
    connections: Annotated[int, _flag(_SERVER, min=0, metavar="N", help="Connections at once; 0 is any number.")] = 0
    retries: Annotated[
        int, _flag(_SERVER, min=0, metavar="N", help="Send a request again when there is no room (429, 502 to 504).")
    ] = 0

    task: Annotated[str, _flag(_LOAD, metavar="NAME", help="t2i, i2i, ti2i, it2i, t2v, i2v, ti2v or v2v.")] = "t2v"
    dataset: Annotated[str, _flag(_LOAD, metavar="NAME", help="trace, random, vbench, prompts, custom or shapes.")] = (
        "vbench"
    )
    dataset_path: Annotated[
        str | None,
        _flag(
            _LOAD,
            metavar="FILE",
            help="The dataset; a trace may be a list with commas and wildcards. Trace and vbench have published ones.",
        ),
    ] = None
    num_prompts: Annotated[int, _flag(_LOAD, min=1, metavar="N", help="How many requests.")] = 10
    width: Annotated[int | None, _flag(_LOAD, min=1, max=MOST, metavar="N", help="In pixels; over a trace's.")] = None
    height: Annotated[int | None, _flag(_LOAD, min=1, max=MOST, metavar="N", help="In pixels; over a trace's.")] = None
    num_frames: Annotated[int | None, _flag(_LOAD, min=1, max=MOST, metavar="N", help="Of videos.")] = None
    fps: Annotated[int | None, _flag(_LOAD, min=1, max=MOST, metavar="N", help="Of videos.")] = None
    num_inference_steps: Annotated[
        int | None, _flag(_LOAD, min=1, max=MOST, metavar="N", help="Where the dataset tells none.")
    ] = 50
    seed: Annotated[
        int | None,
        _flag(
            _LOAD,
            min=0,
            max=2**63 - 1,
            metavar="N",
            help="Of every picture, and of the load: arrivals, prompts and shapes.",
        ),
    ] = None
    enable_negative_prompt: Annotated[
        bool, _flag(_LOAD, "--enable-negative-prompt", help="Give every request one.")
    ] = False
    random_request_config: Annotated[
        str | None, _flag(_LOAD, metavar="JSON", help="A list of shapes with weights, for --dataset random.")
    ] = None
    num_input_images: Annotated[
        int, _flag(_LOAD, min=1, metavar="N", help="White pictures to start from, for tasks that do.")
    ] = 1
    input_image: Annotated[
        list[Path] | None,
        _flag(_LOAD, metavar="FILE", help="PNG, JPEG or WebP to start from, in their place; repeatable."),
    ] = None
    input_video: Annotated[Path | None, _flag(_LOAD, metavar="FILE", help="MP4 to start from, for v2v.")] = None
    control_image: Annotated[
        list[str] | None,
        _flag(
            _LOAD,
            metavar="NAME=FILE",
            help="What a ControlNet gets, in place of a request's own picture or the first to start from; repeatable.",
        ),
    ] = None
    bot_task: Annotated[str | None, _flag(_LOAD, metavar="NAME", help="A field of /v1/images/edits.")] = None
    video_json: Annotated[bool, _flag(_LOAD, "--video-json", help="Put video jobs as JSON, not as forms.")] = False
    adapters: Annotated[
        bool, _flag(_LOAD, "--adapters/--no-adapters", help="Ask for a trace's LoRAs and ControlNets.")
    ] = True
    lora_dir: Annotated[
        str | None,
        _flag(
            _LOAD,
            metavar="DIR",
            help="The server's folder of LoRAs: sends vLLM-Omni's lora, with the path DIR/NAME, in place of "
            "Safelight's loras.",
        ),
    ] = None
    lenient: Annotated[bool, _flag(_LOAD, "--lenient", help="Leave out requests of a trace that cannot be read.")] = (
        False
    )

    request_rate: Annotated[
        float | None, _flag(_TIMES, metavar="X", help="Requests per second; inf, or neither rate nor times: at once.")
    ] = None
    arrivals: Annotated[
        str | None,
        _flag(
            _TIMES,
            metavar="NAME",
            help="constant, poisson, gamma, bursty or trace; by default a trace's "
            "own times unless there is a rate, else poisson, or gamma with --burstiness.",
        ),
    ] = None
    burstiness: Annotated[
        float | None,
        _flag(
            _TIMES,
            metavar="X",
            help="Shape of gamma arrivals, as in vllm bench serve: 1 is poisson, less comes in bursts.",
        ),
    ] = None
    speed: Annotated[float, _flag(_TIMES, metavar="X", help="A trace's times pass so fast.")] = 1.0
    max_concurrency: Annotated[
        int | None, _flag(_TIMES, min=1, metavar="N", help="Requests in flight at most: a closed loop.")
    ] = None
    repeats: Annotated[
        int,
        _flag(
            _TIMES,
            min=1,
            metavar="N",
            help="Run the load so often, with new arrivals each time; capacity stops once a rate is sure.",
        ),
    ] = 1
    warmup_requests: Annotated[
        int, _flag(_TIMES, min=0, metavar="N", help="Of each distinct shape, before the clock starts.")
    ] = 1
    warmup_num_inference_steps: Annotated[int, _flag(_TIMES, min=1, metavar="N", help="Steps of warm-ups.")] = 2
    warmup_concurrency: Annotated[int, _flag(_TIMES, min=1, metavar="N", help="Warm-ups at once.")] = 1

    slo: Annotated[bool, _flag(_ANSWER, "--slo", help="Estimate deadlines for requests that have none.")] = False
    slo_scale: Annotated[float, _flag(_ANSWER, metavar="X", help="Deadlines are X times the estimate.")] = 3.0
    slo_estimator: Annotated[
        str, _flag(_ANSWER, metavar="NAME", help="omni: vLLM-Omni's; fit: fixed costs apart from those of steps.")
    ] = "omni"
    slo_ms: Annotated[
        float | None, _flag(_ANSWER, metavar="MS", help="The deadline of every request that has none.")
    ] = None
    send_deadlines: Annotated[
        bool, _flag(_ANSWER, "--send-deadlines", help="Tell the server, as Safelight reads it.")
    ] = False
    check: Annotated[bool, _flag(_ANSWER, "--check/--no-check", help="Open every picture.")] = True
    save_dir: Annotated[Path | None, _flag(_ANSWER, metavar="DIR", help="Save every picture and video there.")] = None
    return_stage_metrics: Annotated[
        bool, _flag(_ANSWER, "--return-stage-metrics", help="Ask for times of stages; chat only.")
    ] = False
    disable_tqdm: Annotated[bool, _flag(_ANSWER, "--disable-tqdm", help="Show no progress.")] = False

    @property
    def files(self) -> Sequence[str]:
        """What is read."""
        pictures = [*(self.input_image or ()), *([self.input_video] if self.input_video else [])]
        return [*(self.dataset_path or "").split(","), *map(str, pictures)]


def with_load_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command whose first parameter is `flags: LoadFlags` all of its flags on the command line."""
    hints = get_type_hints(LoadFlags, include_extras=True)
    names = {field.name for field in dataclasses.fields(LoadFlags)}
    own = [each for name, each in inspect.signature(command).parameters.items() if name != "flags"]
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(LoadFlags)
    ]

    def run(**given: Any) -> Any:  # noqa: ANN401 - whatever the command takes and gives
        flags = LoadFlags(**{name: value for name, value in given.items() if name in names})
        return command(flags=flags, **{name: value for name, value in given.items() if name not in names})

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    vars(run)["__signature__"] = inspect.Signature([*own, *shared])
    run.__annotations__ = {each.name: each.annotation for each in [*own, *shared]}
    return run
