"""The command itself."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safelight.cli.console import notes
from safelight.cli.errors import INTERRUPTED, Misuse
from safelight.cli.options import AsJson
from safelight.cli.output_files import check_output_files

if TYPE_CHECKING:
    from safelight.simulator.results.documents import RunResult, SimulationDocument
    from safelight.simulator.results.fidelity import FidelityDocument
    from safelight.simulator.running.plan import SimulationPlan

simulating = typer.Typer()

ScenarioFile = Annotated[
    Path, typer.Argument(metavar="SCENARIO", help="A scenario file, as of docs/simulator.md.", show_default=False)
]
PolicyNames = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="NAME|CHOICES",
        help="Simulate this choice only: a name of the scenario, or choices of `serve --policy` with commas between "
        "them, such as order=arrival,routing=affinity; repeatable, for several side by side.",
    ),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option("--seed", min=0, metavar="N", help="Instead of the scenario's seeds; repeatable."),
]
Loads = Annotated[
    list[float] | None,
    typer.Option("--load", metavar="X", help="Multiple of the workload's rate, instead of the scenario's; repeatable."),
]
Jobs = Annotated[int, typer.Option(min=1, metavar="N", help="Processes that runs are divided among.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report page.")]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against",
        metavar="LOG",
        help="Simulate the requests of an outcome log of `safelight serve` instead of the scenario's workload, and "
        "print predicted figures beside measured ones.",
    ),
]
Outcomes = Annotated[
    Path | None,
    typer.Option(
        "--outcomes",
        metavar="FILE|DIR",
        help="Write the outcome of each request as a trace; with several runs, into a folder, one file each.",
    ),
]


@simulating.command(
    epilog="Examples:\n\nsafelight simulate scenarios/quickstart.toml\n\n"
    "safelight simulate scenarios/quickstart.toml --json\n\n"
    "safelight simulate scenarios/quickstart.toml --seed 1 --seed 2 --seed 3 --jobs 2 --html report.html\n\n"
    "safelight simulate scenarios/quickstart.toml --policy deadlines --policy order=arrival,admission=open\n\n"
    "safelight simulate scenarios/quickstart.toml --policy throughput --seed 1 --outcomes outcomes.jsonl\n\n"
    "safelight simulate mine.toml --against served.jsonl"
)
def simulate(
    scenario: ScenarioFile,
    *,
    policy: PolicyNames = None,
    seed: Seeds = None,
    load: Loads = None,
    jobs: Jobs = 1,
    as_json: AsJson = False,
    html: Html = None,
    outcomes: Outcomes = None,
    against: Against = None,
) -> int:
    """Simulate a fleet under a workload, by the decision code of the server, in virtual time.

    All numbers are simulated. Ctrl-C ends early, and keeps the runs that are done and the part of the present one.
    """
    from safelight.cli.simulate.display import shown_progress
    from safelight.cli.simulate.interruption import interruption
    from safelight.simulator.results.fidelity import fidelity_of
    from safelight.simulator.running.against import replay_of
    from safelight.simulator.running.plan import plan_of
    from safelight.simulator.running.runs import run_all
    from safelight.simulator.scenario.scenario import read_scenario

    read, measured = read_scenario(scenario), None
    if against is not None:
        if load:
            raise Misuse("--load cannot be beside --against: a log has been measured at its own rate.")
        replay = replay_of(read, against)
        read, measured = replay.scenario, replay.measured
    plan = plan_of(read, path=scenario, policies=policy, seeds=seed, loads=load)
    paths = _outcome_paths(outcomes, plan)
    check_output_files([path for path in (html, *paths) if path is not None], inputs=[scenario, against or ""])
    with interruption() as stop:
        with shown_progress(len(plan.keys)) as on_progress:
            runs = run_all(plan, jobs=jobs, outcomes=paths, stop=stop, on_progress=on_progress)
        results = runs.results
        if runs.error is not None and not results:
            raise runs.error
        document = plan.document(results)
        if html is not None:
            _write_page(html, document, results, scenario)
        if measured is None or against is None:
            _show(document, as_json=as_json)
        else:
            _show_fidelity(fidelity_of(document, measured, log=against.name), as_json=as_json)
    if document.is_complete:
        return 0
    complete = sum(result.is_complete for result in results)
    if runs.error is not None:
        notes.print(f"{complete} of {len(plan.keys)} runs are complete", soft_wrap=True)
        raise runs.error
    notes.print(f"[yellow]interrupted[/yellow]: {complete} of {len(plan.keys)} runs are complete", soft_wrap=True)
    return INTERRUPTED


def _outcome_paths(outcomes: Path | None, plan: "SimulationPlan") -> list[Path]:
    """Return the file of each run's outcome log; makes the folder for several."""
    if outcomes is None:
        return []
    if len(plan.keys) == 1 and not outcomes.is_dir():
        return [outcomes]
    if outcomes.exists() and not outcomes.is_dir():
        raise Misuse(
            f"--outcomes names the file {str(outcomes)!r}, and there are {len(plan.keys)} runs; name a folder, or "
            "choose one run with --policy, --load and --seed."
        )
    outcomes.mkdir(exist_ok=True)
    names = [key.file_stem for key in plan.keys]
    return [
        outcomes / (f"{name}.jsonl" if names.count(name) == 1 else f"{name}-run{number}.jsonl")
        for number, name in enumerate(names, 1)
    ]


def _write_page(path: Path, document: "SimulationDocument", results: "Sequence[RunResult]", scenario: Path) -> None:
    from safelight.simulator.results.page import write_page

    write_page(path, document, results, command=f"safelight simulate {shlex.quote(str(scenario))} --json")


def _show(document: "SimulationDocument", *, as_json: bool) -> None:
    from safelight.cli.simulate.display import print_tables

    if as_json:
        _print_json(document)
    else:
        print_tables(document)


def _show_fidelity(document: "FidelityDocument", *, as_json: bool) -> None:
    from safelight.cli.simulate.display import print_fidelity

    if as_json:
        _print_json(document)
    else:
        print_fidelity(document)


def _print_json(document: "SimulationDocument | FidelityDocument") -> None:
    import msgspec

    print(msgspec.json.encode(document).decode())
