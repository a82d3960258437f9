"""Published files of datasets, by task: downloaded once to the user's cache."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Self

from safelight.bench.datasets.digest import sha256_of_files
from safelight.bench.datasets.fetching import Limits, NotFetched, fetch
from safelight.bench.errors import BadLoad
from safelight.bench.formatting import without_credentials
from safelight.bench.requests import Task
from safelight.core.errors import SafelightError
from safelight.reports.atomic_files import write_atomically
from safelight.reports.errors import CannotWrite

Site = Literal["hub", "github"]

SITES: Mapping[Site, str] = {"hub": "https://huggingface.co", "github": "https://raw.githubusercontent.com"}
TRUE = {"1", "ON", "YES", "TRUE"}
"""Values that huggingface_hub reads as true."""

SILENCE_S = 30.0
LONGEST_S = 600.0


@dataclass(frozen=True, kw_only=True)
class File:
    """A published file.

    Attributes:
        site: where it is published.
        path: appended to the site's address.
        most_bytes: its largest size.
    """

    site: Site
    path: str
    most_bytes: int

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name


_TRACES, _TRACE_BYTES = "datasets/asukaqaqzz/Dit_Trace/resolve/main", 64 << 20
_VBENCH, _VBENCH_BYTES = "Vchitect/VBench/master", 4 << 20
_SUBJECTS = File(
    site="github",
    path=f"{_VBENCH}/prompts/prompts_per_dimension/subject_consistency.txt",
    most_bytes=_VBENCH_BYTES,
)
_FROM_PICTURES = File(
    site="github", path=f"{_VBENCH}/vbench2_beta_i2v/vbench2_i2v_full_info.json", most_bytes=_VBENCH_BYTES
)
PUBLISHED: Mapping[tuple[str, Task], File] = {
    ("trace", "t2i"): File(site="hub", path=f"{_TRACES}/sd3_trace.txt", most_bytes=_TRACE_BYTES),
    ("trace", "t2v"): File(site="hub", path=f"{_TRACES}/cogvideox_trace.txt", most_bytes=_TRACE_BYTES),
    ("vbench", "t2i"): _SUBJECTS,
    ("vbench", "t2v"): _SUBJECTS,
    ("vbench", "v2v"): _SUBJECTS,
    ("vbench", "i2i"): _FROM_PICTURES,
    ("vbench", "ti2i"): _FROM_PICTURES,
    ("vbench", "it2i"): _FROM_PICTURES,
    ("vbench", "i2v"): _FROM_PICTURES,
    ("vbench", "ti2v"): _FROM_PICTURES,
}
"""The files of vLLM-Omni's benchmark, but only the prompts of VBench-I2V, without its pictures."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where published files come from, and where they are cached.

    Attributes:
        sites: the addresses of the sites.
        cache: a folder, created when needed; None if the user has no home folder.
        is_offline: whether downloads are forbidden.
        silence_s: the longest time without a byte.
        longest_s: the longest time of a download.
    """

    sites: Mapping[Site, str]
    cache: Path | None
    is_offline: bool = False
    silence_s: float = SILENCE_S
    longest_s: float = LONGEST_S

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Return the sources that XDG_CACHE_HOME, HF_ENDPOINT and HF_HUB_OFFLINE set."""
        hub = environ.get("HF_ENDPOINT", "").rstrip("/") or SITES["hub"]
        return cls(
            sites={**SITES, "hub": hub},
            cache=_cache(environ),
            is_offline=environ.get("HF_HUB_OFFLINE", "").upper() in TRUE,
        )


def _cache(environ: Mapping[str, str]) -> Path | None:
    named = Path(environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():  # the specification has others passed over
        return named / "safelight"
    try:
        return Path.home() / ".cache" / "safelight"
    except RuntimeError:
        return None


@dataclass(frozen=True, kw_only=True)
class CachedFile:
    """A published file in the cache, and a note for the user."""

    path: Path
    note: str


def cached_file(
    dataset: str, task: Task, sources: Sources, *, check: Callable[[Path, str], object], otherwise: str
) -> CachedFile:
    """Return the published file of a task from the cache, and download it first if needed.

    Args:
        dataset: a name in `PUBLISHED`.
        task: the task of the load.
        sources: sites and cache.
        check: called with a downloaded file and its name; raises SafelightError if it is not such a dataset.
        otherwise: a sentence that says what the user can do without the file.

    Raises:
        BadLoad: if there is no such file, or the download fails; then no partial file stays behind.
    """
    file = PUBLISHED.get((dataset, task))
    if file is None:
        tasks = " and ".join(task for name, task in PUBLISHED if name == dataset)
        raise BadLoad(f"No {dataset} is published for --task {task}, only for {tasks}. {otherwise}")
    if sources.cache is None:
        raise BadLoad(f"There is no home folder to keep {file.name} in; set XDG_CACHE_HOME. {otherwise}")
    path, url = sources.cache / "datasets" / dataset / file.name, f"{sources.sites[file.site]}/{file.path}"
    try:
        is_new = not path.is_file()
        if is_new:
            _download(path, file, url, sources, check)
        origin = f"fetched {without_credentials(url)} to {path}" if is_new else f"the dataset is {path}, fetched before"
        return CachedFile(path=path, note=f"{origin} ({path.stat().st_size:,} bytes, sha256 {sha256_of_files([path])})")
    except NotFetched as reason:
        raise BadLoad(
            f"--dataset {dataset} names no file, and {without_credentials(url)} could not be fetched: {reason}. "
            f"{otherwise}"
        ) from None
    except (CannotWrite, OSError) as error:
        raise BadLoad(
            f"{file.name} cannot be kept in the cache: {error}. "
            f"Set XDG_CACHE_HOME to a folder where there is room, and which can be written. {otherwise}"
        ) from None


def _download(path: Path, file: File, url: str, sources: Sources, check: Callable[[Path, str], object]) -> None:
    if sources.is_offline:
        raise NotFetched("HF_HUB_OFFLINE is set")
    limits = Limits(most_bytes=file.most_bytes, silence_s=sources.silence_s, longest_s=sources.longest_s)

    def fill(to: Path) -> None:
        fetch(url, to, limits)
        try:
            check(to, file.name)
        except SafelightError as error:
            raise NotFetched(f"what came is not that file: {error}".rstrip(".")) from None

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, fill)
