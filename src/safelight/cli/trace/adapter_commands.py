"""Commands of `safelight trace` about adapters: their popularity, and caches for them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from safelight.cli.errors import MissingExtra, Misuse
from safelight.cli.number_lists import BYTE_UNITS, BadNumberList, NumberList
from safelight.cli.options import AsJson
from safelight.cli.trace.results import Csv, FigureFile, show, write_files
from safelight.cli.trace.trace_files import Lenient, Service, TraceFile, opened
from safelight.core.errors import nearest, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from safelight.traces.caches.lru import Integers
    from safelight.traces.caches.policy import CachePolicy
    from safelight.traces.schema import AdapterColumn
    from safelight.traces.usage import Name, Usage

adapter_questions = typer.Typer()

MOST_SIZES = 200
LARGEST_SIZE = 100_000

SIZES = NumberList(low=1, high=LARGEST_SIZE, is_whole=True, has_ranges=True, most=MOST_SIZES)
CAPACITIES = NumberList(low=1, units=BYTE_UNITS)


Kind = Annotated[Literal["loras", "controlnets"], typer.Option("--adapters", help="Which adapters caches hold.")]
Policies = Annotated[
    str | None,
    typer.Option(
        "--policies",
        metavar="NAMES",
        help="Of LRU, LFU, BELADY (the best there can be), ARC, S3FIFO, WTINYLFU, GDSF; else LRU,LFU,BELADY, "
        "or LRU with --capacities.",
    ),
]
Sizes = Annotated[str | None, typer.Option("--sizes", metavar="SIZES", help="Adapters that a cache holds; else 1-10.")]
CacheBytes = Annotated[
    str | None, typer.Option("--capacities", metavar="BYTES", help="Bytes that a cache holds, such as 2GiB,8GiB.")
]
BytesFile = Annotated[
    Path | None,
    typer.Option("--bytes", metavar="FILE", help="Sizes of adapters: CSV lines name,bytes or a JSON object."),
]
DrawBytes = Annotated[
    int | None, typer.Option("--draw-bytes", metavar="SEED", min=0, help="Draw sizes of adapters instead.")
]
Host = Annotated[
    str | None,
    typer.Option("--host", metavar="SIZE", help="What the host's memory holds, in adapters or bytes; else nothing."),
]
ByBase = Annotated[bool, typer.Option("--by-base", help="Take an adapter beside another base model for another.")]
HostSeconds = Annotated[
    float | None, typer.Option("--host-s", min=0, metavar="SECONDS", help="A load from the host's memory.")
]
FarSeconds = Annotated[float | None, typer.Option("--far-s", min=0, metavar="SECONDS", help="A load from afar.")]


def sizes_of(text: str) -> list[int]:
    """Parse numbers of adapters such as 1-10,20,50; raises BadParameter."""
    try:
        return sorted({int(number) for number in SIZES.parse(text)})
    except BadNumberList as error:
        match error.problem:
            case "range":
                reason = f"{shorten(error.part)} must run upwards, from at least 1 to at most {LARGEST_SIZE:,}."
            case "count":
                reason = f"these are more than {MOST_SIZES} sizes; give fewer, such as 1-10,20,50,100."
            case _:
                reason = f"{shorten(error.part)} is no size; give sizes such as 1-10,20,50."
        raise typer.BadParameter(reason) from None


def capacities_of(text: str) -> list[int]:
    """Parse bytes such as 1GiB,2.5GiB,800MB; raises BadParameter."""
    try:
        return sorted({int(number) for number in CAPACITIES.parse(text)})
    except BadNumberList as error:
        raise typer.BadParameter(
            f"{shorten(error.part)} is no capacity; give a number with its unit, such as 2GiB or 800MB."
        ) from None


@adapter_questions.command(
    epilog="Examples:\n\nsafelight trace popularity trace.json\n\n"
    "safelight trace popularity trace.json --service A --figure popularity.pdf --csv popularity.csv"
)
def popularity(
    trace_file: TraceFile,
    *,
    service: Service = None,
    as_json: AsJson = False,
    csv: Csv = None,
    figure: FigureFile = None,
    lenient: Lenient = False,
) -> None:
    """Report the most used ControlNets and LoRAs, and how few of them have most of the uses."""
    from safelight.traces.analyses.popularity import popularity as analyse

    show(analyse(_usages(trace_file, service, lenient=lenient)), as_json=as_json, csv=csv, figure=figure)


@adapter_questions.command(
    epilog="Examples:\n\nsafelight trace instances trace.json --figure instances.svg\n\n"
    "safelight trace instances trace.json --service A --json"
)
def instances(
    trace_file: TraceFile,
    *,
    service: Service = None,
    as_json: AsJson = False,
    csv: Csv = None,
    figure: FigureFile = None,
    lenient: Lenient = False,
) -> None:
    """Report how many different adapters each instance uses, against its number of requests."""
    from safelight.traces.analyses.instances import instances as analyse

    show(analyse(_usages(trace_file, service, lenient=lenient)), as_json=as_json, csv=csv, figure=figure)


@adapter_questions.command(
    epilog="Examples:\n\nsafelight trace adapters trace.json --service A --policy LRU --sizes 1-10\n\n"
    "safelight trace adapters trace.json --policy LFU --json"
)
def adapters(
    trace_file: TraceFile,
    *,
    service: Service = None,
    policy: Annotated[
        Literal["LRU", "LFU"], typer.Option("--policy", case_sensitive=False, help="Which adapter goes first.")
    ] = "LRU",
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="SIZES", help="Adapters that a cache holds, such as 1-10,20,50.")
    ] = "1-10",
    as_json: AsJson = False,
    csv: Csv = None,
    figure: FigureFile = None,
    lenient: Lenient = False,
) -> None:
    """Report how many adapters instances load per request, with a cache for ControlNets and one for LoRAs."""
    from safelight.traces.analyses.loading import loading
    from safelight.traces.caches.policy import LFU, LRU

    chosen = {"LRU": LRU, "LFU": LFU}[policy]
    wanted = sizes_of(sizes)
    services = _usages(trace_file, service, lenient=lenient)
    show(loading(services, policy=chosen, sizes=wanted), as_json=as_json, csv=csv, figure=figure)


@adapter_questions.command(
    epilog="Examples:\n\nsafelight trace caches trace.json --policies LRU,S3FIFO,BELADY --sizes 1-10,20,50\n\n"
    "safelight trace caches trace.json --by-base --sizes 4 --host 50 --figure caches.png\n\n"
    "safelight trace caches trace.json --capacities 2GiB,4GiB,8GiB --draw-bytes 1 --policies LRU,GDSF"
)
def caches(
    trace_file: TraceFile,
    *,
    service: Service = None,
    kind: Kind = "loras",
    policies: Policies = None,
    sizes: Sizes = None,
    capacities: CacheBytes = None,
    bytes_file: BytesFile = None,
    draw_bytes: DrawBytes = None,
    host: Host = None,
    by_base: ByBase = False,
    host_s: HostSeconds = None,
    far_s: FarSeconds = None,
    as_json: AsJson = False,
    csv: Csv = None,
    figure: FigureFile = None,
    lenient: Lenient = False,
) -> None:
    """Compare cache policies with each other and with the best there can be, in loads and in seconds of waiting."""
    from safelight.traces.analyses.caching import Caches, caching
    from safelight.traces.caches.tiers import LOAD_TIMES, LoadTimes

    in_bytes = capacities is not None
    if in_bytes and sizes is not None:
        raise Misuse("--sizes counts adapters and --capacities counts bytes; give one of them.")
    default = LOAD_TIMES[kind]
    wanted = Caches(
        adapters=kind,
        policies=_policies(policies or ("LRU" if in_bytes else "LRU,LFU,BELADY"), in_bytes=in_bytes),
        sizes=sizes_of(sizes or "1-10") if capacities is None else capacities_of(capacities),
        host_size=0 if host is None else capacities_of(host)[-1] if in_bytes else sizes_of(host)[-1],
        bytes_of=_bytes_of(kind, bytes_file, draw_bytes, in_bytes=in_bytes),
        by_base=by_base,
        times=LoadTimes(
            host_s=default.host_s if host_s is None else host_s, far_s=default.far_s if far_s is None else far_s
        ),
    )
    services = _usages(trace_file, service, lenient=lenient)
    show(caching(services, wanted), as_json=as_json, csv=csv, figure=figure)


@adapter_questions.command(
    epilog="Example:\n\nsafelight trace published trace.json -o figures --format pdf",
)
def published(
    trace_file: TraceFile,
    *,
    folder: Annotated[
        Path, typer.Option("-o", "--folder", metavar="FOLDER", help="Where files go.", show_default=False)
    ],
    form: Annotated[Literal["pdf", "png", "svg"], typer.Option("--format", help="Of the figures.")] = "svg",
    lenient: Lenient = False,
) -> None:
    """Ask what the five scripts published with the Katz trace ask, of each service; keep every table and figure."""
    from safelight.traces.analyses.published import published as analyses

    folder.mkdir(parents=True, exist_ok=True)
    services = _usages(trace_file, None, lenient=lenient)
    for name, result in analyses(services):
        write_files(result, csv=folder / f"{name}.csv", figure=folder / f"{name}.{form}")
        print(folder / f"{name}.{form}")


def _usages(path: Path, service: str | None, *, lenient: bool) -> "Sequence[Usage]":
    """Return the adapter uses of each service of a trace; raises Misuse if there are no requests."""
    from safelight.traces.errors import NoSuchService, as_bad_trace
    from safelight.traces.usage import usages

    trace = opened(path, lenient=lenient)
    try:
        requests = trace.frame if service is None else trace.of_service(service)
    except NoSuchService as error:
        raise Misuse(str(error)) from None
    with as_bad_trace(path):
        found = usages(requests)
    if not found:
        raise Misuse(f"{str(path)!r} has no requests.")
    return found


def _policies(names: str, *, in_bytes: bool) -> "Sequence[CachePolicy]":
    """Return policies by their names; libcachesim is an extra, so it is only needed for its own policies."""
    from safelight.traces.caches.policy import LIBRARY_NAMES, OWN, CountsOnly

    known: list[CachePolicy] = list(OWN)
    wanted = [name.strip().upper().replace("-", "") for name in names.split(",")]
    for name in wanted:
        if name not in (all_names := [*(policy.name for policy in OWN), *LIBRARY_NAMES]):
            raise Misuse(f"No policy is named {shorten(name)}; {nearest(name, all_names)}")
    if not set(wanted).isdisjoint(LIBRARY_NAMES):
        known += _library()
    chosen = [policy for name in dict.fromkeys(wanted) for policy in known if policy.name == name]
    for policy in chosen:
        if in_bytes and not policy.takes_bytes:
            raise Misuse(str(CountsOnly(policy.title)))
    return chosen


def _library() -> "Sequence[CachePolicy]":
    try:
        from safelight.traces.caches.library import LIBRARY
    except ModuleNotFoundError as error:
        raise MissingExtra("caches", "libcachesim") from error
    return LIBRARY


def _bytes_of(
    kind: "AdapterColumn", path: Path | None, seed: int | None, *, in_bytes: bool
) -> "Callable[[Sequence[Name]], Integers] | None":
    """Return a function that gives the bytes of adapters; None if no capacity is in bytes."""
    from safelight.traces.caches.sizes import drawn_bytes, given_bytes

    if in_bytes != ((path is None) != (seed is None)):
        raise Misuse(
            "--capacities needs the sizes of adapters, from --bytes FILE or --draw-bytes SEED, and they need it."
        )
    if path is not None:
        return lambda names: given_bytes(names, path)
    return None if seed is None else lambda names: drawn_bytes(names, kind, seed=seed)
