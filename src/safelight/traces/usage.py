"""Which adapters each service's requests name, as whole numbers: what analyses of adapters count and caches replay."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from safelight.traces.schema import AdapterColumn

Codes = npt.NDArray[np.uint32]
Name = str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Coded:
    """A column of names, each by its index in `names`; the name None stands for null.

    Attributes:
        codes: (values,)
        names: sorted, null last.
    """

    codes: Codes
    names: Sequence[Name]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lists:
    """A column with a list of names for each request.

    Attributes:
        lengths: (requests,), 0 also where the list is null.
        ids: all lists, one behind the other.
    """

    lengths: Codes
    ids: Coded


@dataclass(frozen=True, kw_only=True, eq=False)
class Usage:
    """The requests of one service, in order of arrival; those of one moment stand as in the trace.

    Attributes:
        service: its name, or None for requests that tell none.
        instances: (requests,)
        base_models: (requests,)
    """

    service: Name
    instances: Coded
    base_models: Coded
    controlnets: Lists
    loras: Lists

    @property
    def requests(self) -> int:
        """How many requests there are, with or without adapters."""
        return len(self.instances.codes)

    @property
    def title(self) -> str:
        """The service for people to read."""
        return "all requests" if self.service is None else f"service {self.service}"

    @property
    def subject(self) -> str:
        """The service at the beginning of a sentence."""
        return "The trace" if self.service is None else f"Service {self.service}"

    def lists(self, adapters: AdapterColumn) -> Lists:
        """Return the lists of one kind of adapter."""
        return self.loras if adapters == "loras" else self.controlnets


def usages(requests: pl.LazyFrame) -> list[Usage]:
    """Return the usage of each service of a canonical trace, sorted by name; null comes last."""
    facts = requests.select(
        *(pl.col(name).cast(_category()) for name in ("service", "instance", "base_model")),
        pl.col("arrival_s"),
        *(pl.col(name).list.len().fill_null(0).alias(name) for name in ("controlnets", "loras")),
    ).collect(engine="streaming")
    if (facts["arrival_s"].diff() < 0).any():
        return usages(requests.sort("arrival_s", maintain_order=True, nulls_last=True))
    services = _coded(facts["service"])
    ids = {name: _coded(_flat(requests, name)) for name in ("controlnets", "loras")}
    instances, base_models = _coded(facts["instance"]), _coded(facts["base_model"])
    lengths = {name: facts[name].to_numpy() for name in ids}
    return [
        Usage(
            service=name,
            instances=_part(instances, here),
            base_models=_part(base_models, here),
            **{
                column: Lists(lengths=lengths[column][here], ids=_part(ids[column], np.repeat(here, lengths[column])))
                for column in ids
            },
        )
        for name, here in ((name, services.codes == code) for code, name in enumerate(services.names))
    ]


def _category() -> pl.Categorical:
    return pl.Categorical(pl.Categories.random())


def _flat(requests: pl.LazyFrame, column: str) -> pl.Series:
    """Return the names of all adapters, request after request."""
    lists = requests.select(column).filter(pl.col(column).list.len() > 0)
    names = lists.select(pl.col(column).explode().struct.field("name").cast(_category()))
    return names.collect(engine="streaming").to_series()


def _coded(column: pl.Series) -> Coded:
    """Number a categorical column's names in their order."""
    distinct = pl.DataFrame({"name": column.unique()}).with_columns(code=pl.col("name").to_physical())
    distinct = distinct.with_columns(pl.col("name").cast(pl.String)).sort("name", nulls_last=True)
    unknown = int(distinct["code"].max() or 0) + 1  # type: ignore[arg-type]
    places = np.zeros(unknown + 1, np.uint32)
    places[distinct["code"].fill_null(unknown).to_numpy()] = np.arange(len(distinct), dtype=np.uint32)
    codes = places[column.to_physical().fill_null(unknown).to_numpy()]
    return Coded(codes=codes, names=distinct["name"].to_list())


def _part(column: Coded, here: npt.NDArray[np.bool_]) -> Coded:
    """Return some of a column's values, and only the names that are among them."""
    codes = column.codes[here]
    is_used = np.bincount(codes, minlength=len(column.names)) > 0
    places = np.cumsum(is_used, dtype=np.uint32) - np.uint32(1)
    names = [name for name, used in zip(column.names, is_used, strict=True) if used]
    return Coded(codes=places[codes] if len(codes) else codes, names=names)
