"""The flags of a load, which several commands of `safelight bench` share."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from safelight.bench.datasets.json_text import MOST
from safelight.bench.load.settings import LoadSettings

_LOAD, _SERVER, _ANSWER, _TIMES = "Load", "Server", "What is judged", "Times"


def _flag(group: str, *names: str, help: str, **more: Any) -> Any:  # noqa: A002, ANN401 - as typer calls them
    return typer.Option(*names, help=help, rich_help_panel=group, **more)


FLAGS: Mapping[str, Any] = {
    "base_url": _flag(_SERVER, metavar="URL", help="The server; over --host and --port."),
    "host": _flag(_SERVER, metavar="NAME", help="The server's host."),
    "port": _flag(_SERVER, metavar="N", help="The server's port."),
    "model": _flag(_SERVER, metavar="NAME", help="Put into every request as it is."),
    "endpoint": _flag(_SERVER, metavar="PATH", help="{endpoints}; else by task."),
    "backend": _flag(_SERVER, metavar="NAME", hidden=True, help="vllm-omni or openai, in place of an endpoint."),
    "api_key": _flag(_SERVER, envvar="SAFELIGHT_API_KEY", metavar="KEY", help="Sent as Authorization: Bearer KEY."),
    "header": _flag(_SERVER, metavar="NAME:VALUE", help="Sent with every request; repeatable."),
    "extra_body": _flag(_SERVER, metavar="JSON", help="An object whose fields are put into every request."),
    "insecure": _flag(_SERVER, "--insecure", help="Take any certificate."),
    "timeout": _flag(_SERVER, metavar="S", help="Longest time of a request, with its retries, or its job."),
    "connect_timeout": _flag(_SERVER, metavar="S", help="Longest time to connect."),
    "connections": _flag(_SERVER, min=0, metavar="N", help="Connections at once; 0 is any number."),
    "retries": _flag(_SERVER, min=0, metavar="N", help="Send a request again when there is no room (429, 502 to 504)."),
    "task": _flag(_LOAD, metavar="NAME", help="t2i, i2i, ti2i, it2i, t2v, i2v, ti2v or v2v."),
    "dataset": _flag(_LOAD, metavar="NAME", help="{datasets}."),
    "dataset_path": _flag(
        _LOAD,
        metavar="FILE",
        help="The dataset; a trace may be a list with commas and wildcards. Trace and vbench have published ones.",
    ),
    "num_prompts": _flag(_LOAD, min=1, metavar="N", help="How many requests."),
    "width": _flag(_LOAD, min=1, max=MOST, metavar="N", help="In pixels; over a trace's."),
    "height": _flag(_LOAD, min=1, max=MOST, metavar="N", help="In pixels; over a trace's."),
    "num_frames": _flag(_LOAD, min=1, max=MOST, metavar="N", help="Of videos."),
    "fps": _flag(_LOAD, min=1, max=MOST, metavar="N", help="Of videos."),
    "num_inference_steps": _flag(_LOAD, min=1, max=MOST, metavar="N", help="Where the dataset has none."),
    "seed": _flag(
        _LOAD,
        min=0,
        max=2**63 - 1,
        metavar="N",
        help="Of every picture, and of the load: arrivals, prompts and shapes.",
    ),
    "enable_negative_prompt": _flag(_LOAD, "--enable-negative-prompt", help="Give every request one."),
    "random_request_config": _flag(_LOAD, metavar="JSON", help="A list of shapes with weights, for --dataset random."),
    "num_input_images": _flag(_LOAD, min=1, metavar="N", help="White pictures to start from, for tasks that do."),
    "input_image": _flag(_LOAD, metavar="FILE", help="PNG, JPEG or WebP to start from, in their place; repeatable."),
    "input_video": _flag(_LOAD, metavar="FILE", help="MP4 to start from, for v2v."),
    "control_image": _flag(
        _LOAD,
        metavar="NAME=FILE",
        help="What a ControlNet gets, in place of a request's own picture or the first to start from; repeatable.",
    ),
    "bot_task": _flag(_LOAD, metavar="NAME", help="A field of /v1/images/edits."),
    "video_json": _flag(_LOAD, "--video-json", help="Put video jobs as JSON, not as forms."),
    "adapters": _flag(_LOAD, "--adapters/--no-adapters", help="Ask for a trace's LoRAs and ControlNets."),
    "lora_dir": _flag(
        _LOAD,
        metavar="DIR",
        help="The server's folder of LoRAs: sends vLLM-Omni's lora, with the path DIR/NAME, in place of "
        "Safelight's loras.",
    ),
    "lenient": _flag(_LOAD, "--lenient", help="Leave out requests of a trace that cannot be read."),
    "request_rate": _flag(_TIMES, metavar="X", help="Requests per second; inf, or neither rate nor times: at once."),
    "arrivals": _flag(
        _TIMES,
        metavar="NAME",
        help="constant, poisson, gamma, bursty or trace; by default a trace's own times unless there is a rate, "
        "else poisson, or gamma with --burstiness.",
    ),
    "burstiness": _flag(
        _TIMES, metavar="X", help="Shape of gamma arrivals, as in vllm bench serve: 1 is poisson, less comes in bursts."
    ),
    "speed": _flag(_TIMES, metavar="X", help="A trace's times pass so fast."),
    "max_concurrency": _flag(_TIMES, min=1, metavar="N", help="Requests in flight at most: a closed loop."),
    "repeats": _flag(
        _TIMES,
        min=1,
        metavar="N",
        help="Run the load so often, with new arrivals each time; capacity stops once a rate is sure.",
    ),
    "warmup_requests": _flag(_TIMES, min=0, metavar="N", help="Of each distinct shape, before the clock starts."),
    "warmup_num_inference_steps": _flag(_TIMES, min=1, metavar="N", help="Steps of warm-ups."),
    "warmup_concurrency": _flag(_TIMES, min=1, metavar="N", help="Warm-ups at once."),
    "slo": _flag(_ANSWER, "--slo", help="Estimate deadlines for requests that have none."),
    "slo_scale": _flag(_ANSWER, metavar="X", help="Deadlines are X times the estimate."),
    "slo_estimator": _flag(
        _ANSWER, metavar="NAME", help="omni: vLLM-Omni's; fit: fixed costs apart from those of steps."
    ),
    "slo_ms": _flag(_ANSWER, metavar="MS", help="The deadline of every request that has none."),
    "send_deadlines": _flag(_ANSWER, "--send-deadlines", help="Send deadlines too, as Safelight reads them."),
    "check": _flag(_ANSWER, "--check/--no-check", help="Open every picture."),
    "save_dir": _flag(_ANSWER, metavar="DIR", help="Save every picture and video there."),
    "return_stage_metrics": _flag(_ANSWER, "--return-stage-metrics", help="Ask for times of stages; chat only."),
    "disable_tqdm": _flag(_ANSWER, "--disable-tqdm", help="Show no progress."),
}
"""The option of each field of `LoadSettings`. A `{family}` in a help text stands for the names of its members."""


def with_load_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command whose first parameter is `settings: LoadSettings` all of `FLAGS` on the command line."""
    hints = get_type_hints(LoadSettings)
    names = {field.name for field in dataclasses.fields(LoadSettings)}
    own = [each for name, each in inspect.signature(command).parameters.items() if name != "settings"]
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[hints[field.name], FLAGS[field.name]],
        )
        for field in dataclasses.fields(LoadSettings)
    ]

    def run(**given: Any) -> Any:  # noqa: ANN401 - whatever the command takes and gives
        settings = LoadSettings(**{name: value for name, value in given.items() if name in names})
        return command(settings=settings, **{name: value for name, value in given.items() if name not in names})

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    vars(run)["__signature__"] = inspect.Signature([*own, *shared])
    run.__annotations__ = {each.name: each.annotation for each in [*own, *shared]}
    return run


class LoadCommand(TyperCommand):
    """A command with `FLAGS`; its help lists the members of families, installed ones among them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer does not export their types
        """Write the help; raises ExtensionError if an installed member cannot be loaded."""
        _list_members(self.params)
        super().format_help(ctx, formatter)


class LoadGroup(TyperGroup):
    """A group with `FLAGS`; its help lists the members of families, installed ones among them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer does not export their types
        """Write the help; raises ExtensionError if an installed member cannot be loaded."""
        _list_members(self.params)
        super().format_help(ctx, formatter)


def _list_members(parameters: Iterable[Any]) -> None:
    from safelight.bench.datasets.registry import datasets
    from safelight.bench.endpoints.registry import endpoints

    members = {
        "{datasets}": _listed([dataset.name for dataset in datasets()]),
        "{endpoints}": _listed([endpoint.name for endpoint in endpoints()]),
    }
    for parameter in parameters:
        for family, names in members.items():
            if family in (getattr(parameter, "help", None) or ""):
                parameter.help = parameter.help.replace(family, names)


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
