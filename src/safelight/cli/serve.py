"""`safelight serve`: pictures for many, over HTTP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from safelight.adapters.modes import ADAPTER_MODE_NAMES
from safelight.cli.access_options import AccessOptions
from safelight.cli.body_options import BodyOptions
from safelight.cli.cascade_options import CascadeOptions
from safelight.cli.connection_options import ConnectionOptions
from safelight.cli.console import notes
from safelight.cli.errors import Misuse
from safelight.cli.extras import need_serve_extra
from safelight.cli.log_options import LogOptions
from safelight.cli.option_groups import grouped
from safelight.cli.options import Deterministic, Device, Dtype, Models, Threads
from safelight.cli.reuse_options import ReuseOptions
from safelight.cli.worker_options import WorkerOptions
from safelight.control.policies import Policies, describe_policies, deterministic_policies_from, policies_from
from safelight.core.errors import nearest, shorten
from safelight.local.model_folders import adapter_folders, model_folders

serving = typer.Typer()

LOGS_AND_TRACES = "Logs and traces"
"""A panel of the help."""

Aliases = Annotated[
    list[str] | None,
    typer.Option("--alias", metavar="NAME=MODEL", help="A further name that requests may use for a model; repeatable."),
]
PolicyChoices = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="FAMILY=NAME",
        help="How requests are ordered, admitted, routed, batched and served, or a preset; repeatable. "
        "`--policy help` lists all.",
    ),
]
AdapterFolders = Annotated[
    list[Path] | None,
    typer.Option("--adapters", metavar="DIR", help="A folder of adapters, looked at before yours; repeatable."),
]
AdapterModeName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"Short for --policy adapter-mode=NAME: {', '.join(ADAPTER_MODE_NAMES)}."),
]
SharedControlNets = Annotated[
    bool,
    typer.Option("--controlnet-service", "--control-service", help="Keep ControlNets once, for all worker processes."),
]

Workers = Annotated[int, typer.Option(min=1, metavar="N", help="Worker processes; over several GPUs they take turns.")]
MaxWaiting = Annotated[int, typer.Option(min=1, metavar="N", rich_help_panel="Limits", help="Pictures that may wait.")]
DrainS = Annotated[
    float, typer.Option(min=0, metavar="S", rich_help_panel="Limits", help="Seconds to finish accepted work in.")
]


@serving.command(
    epilog="Examples:\n\nsafelight serve\n\nsafelight serve --workers 2 --port 9000\n\n"
    "safelight serve --model shapes-small --model path/to/a/diffusers/folder\n\n"
    "safelight serve --adapters path/to/a/folder/of/adapters\n\n"
    "safelight serve --workers 2 --controlnet-service\n\n"
    "safelight serve --reuse private --reuse-dir cache\n\n"
    "safelight serve --cascade auto=shapes-small,shapes-large\n\n"
    "safelight serve --policy throughput --policy routing=affinity\n\n"
    "SAFELIGHT_API_KEY=secret safelight serve --host 0.0.0.0\n\n"
    "safelight serve --host 0.0.0.0 --keys keys.txt"
)
@grouped
def serve(
    *,
    model: Models = None,
    adapters: AdapterFolders = None,
    workers: Workers = 1,
    device: Device = "auto",
    dtype: Dtype = "auto",
    threads: Threads = 1,
    deterministic: Deterministic = False,
    policy: PolicyChoices = None,
    adapter_mode: AdapterModeName = None,
    controlnet_service: SharedControlNets = False,
    cascades: CascadeOptions,
    alias: Aliases = None,
    liveness: WorkerOptions,
    access: AccessOptions,
    max_waiting: MaxWaiting = 256,
    bodies: BodyOptions,
    connections: ConnectionOptions,
    drain_s: DrainS = 30.0,
    reuse: ReuseOptions,
    logs: LogOptions,
) -> int:
    """Serve models over HTTP, as OpenAI's image API does; a page to try them is at the root."""
    if policy and "help" in policy:
        return _print_policies()
    policies = _policies(policy or (), adapter_mode, deterministic=deterministic)
    choices = (*(policy or ()), *(("level=as-asked",) if deterministic else ()))
    need_serve_extra()
    from safelight.local.launch import compute_options, controlnet_service_argv, worker_argv
    from safelight.server.run import serve as run_server
    from safelight.server.settings import ServerSettings

    folders = model_folders(model)
    names = _aliases(alias or (), folders)
    chosen, policies = cascades.served(folders, policies, choices, names=tuple(names))
    limits = compute_options(device=device, dtype=dtype, threads=threads, deterministic=deterministic)
    settings = ServerSettings(
        worker_argv=worker_argv(
            folders, *limits, *policies.worker_options, *chosen.worker_options, *reuse.worker_options
        ),
        workers=workers,
        controlnet_argv=controlnet_service_argv(*limits) if controlnet_service else (),
        adapters=adapter_folders(adapters or ()),
        **access.settings,
        drain_s=drain_s,
        max_waiting=max_waiting,
        connections=connections.limits,
        **bodies.settings,
        policies=policies,
        liveness=liveness.limits,
        cascades=chosen.cascades,
        aliases=names,
        **logs.settings,
        reuse=reuse.settings(has_keys=access.keys is not None),
    )
    notes.print(f"Loading {', '.join(folder.resolve().name for folder in folders)} ...")
    return run_server(settings, on_ready=lambda url: notes.print(f"Safelight is ready at {url}; Ctrl-C ends it."))


def _policies(choices: Sequence[str], adapter_mode: str | None, *, deterministic: bool) -> Policies:
    every = [*choices, *([f"adapter-mode={adapter_mode}"] if adapter_mode else ())]
    return deterministic_policies_from(every) if deterministic else policies_from(every)


def _aliases(pairs: Sequence[str], folders: Sequence[Path]) -> dict[str, str]:
    """Return model names by alias; raises Misuse for an alias without a model, or one that is a model's name."""
    models = [folder.resolve().name for folder in folders]
    aliases: dict[str, str] = {}
    for pair in pairs:
        name, _, model = pair.partition("=")
        if not name or not model:
            raise Misuse(f"--alias {shorten(pair)} is no pair; write NAME=MODEL.")
        if model not in models:
            raise Misuse(f"--alias {shorten(pair)}: no model is called {shorten(model)}; {nearest(model, models)}")
        if name in models or name in aliases:
            raise Misuse(f"--alias {shorten(pair)}: the name {shorten(name)} is taken; choose another one.")
        aliases[name] = model
    return aliases


def _print_policies() -> int:
    print(describe_policies())
    return 0
