"""How far the simulator's predictions are from what the live server does, at several loads.

One command does it all: it calibrates `shapes-large` on this machine, and fits the speed of workers beside a server and
a client to one live run. It finds by simulation how many requests a second two workers could serve, and for each load
serves another trace of that share of it, with two worker processes and the default policies. Then it simulates the
requests of the outcome log with the calibrated profile.

The trace has Poisson arrivals, 8 to 50 steps, one of eight LoRAs in a third of the requests, and deadlines of 6 times
the time alone. The highest load is served twice, to show how much two live runs of the same trace differ.

- `error_30`, `error_60`, `error_90`: the largest error at this load: of the mean, p50 and p95 latency as a share of
  what was measured, and of attainment as a difference.
- `spread_90`: the same between the two live runs at the highest load.
- `errors`: all of them, with signs.
- `speed`: of the fitted run, relative to the calibration.

Nothing else should run meanwhile. It takes about 20 minutes.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from safelight.profiles.profile import Profile
from safelight.traces.row import Adapter, TraceRow
from safelight.traces.synthesis.additions import captions

MODEL = "shapes-large"
WORKERS = 2
LORAS = ("neon", "night", "outline", "pastel", "rose", "spotlight", "sunset", "mint")
LORA_SHARE = 1 / 3
LORA_BYTES = 1_100_000
LORA_RANK = 16
LEAST_STEPS, MOST_STEPS = 8, 50
DEADLINE_TIMES = 6.0
MAX_WAITING = 10_000
SAFELIGHT = (sys.executable, "-m", "safelight")
JUDGED = ("latency_mean_s", "latency_p50_s", "latency_p95_s", "attainment")
URL = re.compile(r"http://\S+?(?=;|\s)")

SCENARIO = """
[[fleet]]
name = "cpu"
count = {workers}
speed = {speed}
models = ["{model}"]

[models.{model}]
profile = "profile.toml"
steps = {steps}
guidance_scale = {guidance_scale}

[[adapters]]
name = "shipped"
model = "{model}"
weights_bytes = {lora_bytes}
rank = {lora_rank}

[workload.trace]
path = "trace.jsonl"

[limits]
max_waiting = {max_waiting}

[policies]
default = "deadlines"
open = ["admission=open"]
"""


FIT_LOAD = 0.45
FIT_ROUNDS = 7
SPEEDS = (0.4, 1.6)
"""Between which the speed is looked for."""


def main() -> int:
    """Serve, simulate and compare; returns the exit status."""
    options = parsed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calibrate(options.profile, folder / "profile.toml")
        profile = Profile.from_toml((folder / "profile.toml").read_text(encoding="utf-8"))
        write_scenario(folder)
        speed = fitted_speed(folder, profile, seconds=options.seconds / 2, seed=options.seed + 1)
        write_scenario(folder, speed=speed)
        capacity = capacity_per_s(folder, profile, seed=options.seed)
        note(f"two workers serve {capacity:.3g} requests/s, simulated, at {speed:.3g} times the calibrated speed")
        report = {"simulated_capacity_per_s": round(capacity, 3), "speed": round(speed, 3), "errors": {}}
        for load in options.loads:
            percent = round(100 * load)
            write_trace(folder, profile, rate=load * capacity, seconds=options.seconds, seed=options.seed)
            note(f"serving at {percent} % for {options.seconds:g} s")
            first = served(folder, "first.jsonl")
            errors = errors_against(folder, first)
            report["errors"][str(percent)] = errors
            report[f"error_{percent}"] = worst(errors)
            note(f"  {json.dumps(errors)}")
            if load == max(options.loads):
                note("serving the same again")
                report[f"spread_{percent}"] = spread(folder, first, served(folder, "second.jsonl"))
    print(json.dumps(report) if options.json else table_of(report))
    return 0


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--loads", type=float, nargs="+", default=[0.3, 0.6, 0.9], help="shares of the capacity")
    parser.add_argument("--seconds", type=float, default=240.0, help="of arrivals at each load")
    parser.add_argument("--seed", type=int, default=1, help="of the traces")
    parser.add_argument("--profile", type=Path, help="a profile of this machine, instead of calibrating")
    return parser.parse_args()


def calibrate(given: Path | None, path: Path) -> None:
    """Measure this machine, or take a profile that was given."""
    if given is not None:
        path.write_bytes(given.read_bytes())
        return
    note(f"calibrating {MODEL}")
    subprocess.run(
        [*SAFELIGHT, "calibrate", "--model", MODEL, "--workers", str(WORKERS), "-o", str(path)],
        check=True,
        stdout=sys.stderr,
    )


def fitted_speed(folder: Path, profile: Profile, *, seconds: float, seed: int) -> float:
    """Return how fast workers are beside a server and a client, relative to their calibration.

    It is the speed with which the simulation has the mean latency of a live run, whose trace is not used again.
    """
    write_trace(folder, profile, rate=FIT_LOAD * capacity_per_s(folder, profile, seed=seed), seconds=seconds, seed=seed)
    note(f"fitting the speed for {seconds:g} s")
    log = served(folder, "fit.jsonl")
    slow, fast = SPEEDS
    for _ in range(FIT_ROUNDS):
        speed = (slow * fast) ** 0.5
        write_scenario(folder, speed=speed)
        slow, fast = (speed, fast) if errors_against(folder, log)["latency_mean_s"] > 0 else (slow, speed)
    return (slow * fast) ** 0.5


def write_scenario(folder: Path, *, speed: float = 1.0) -> None:
    """Describe the fleet of the live server."""
    text = SCENARIO.format(
        workers=WORKERS,
        speed=speed,
        model=MODEL,
        steps=MOST_STEPS,
        guidance_scale=guidance_scale(),
        lora_bytes=LORA_BYTES,
        lora_rank=LORA_RANK,
        max_waiting=MAX_WAITING,
    )
    (folder / "scenario.toml").write_text(text, encoding="utf-8")


def guidance_scale() -> float:
    """Return the default of the served model, which says how many denoiser rows a picture takes."""
    from safelight.local.model_folders import SHIPPED_MODELS  # noqa: PLC0415 - only here

    defaults = json.loads((SHIPPED_MODELS / MODEL / "safelight.json").read_text(encoding="utf-8"))
    return float(defaults["guidance_scale"])


def write_trace(folder: Path, profile: Profile, *, rate: float, seconds: float, seed: int) -> None:
    """Write requests with Poisson arrivals."""
    rng = np.random.default_rng([seed, round(1000 * rate)])
    count = max(1, rng.poisson(rate * seconds))
    times_s = np.sort(rng.uniform(0, seconds, count))
    steps = rng.integers(LEAST_STEPS, MOST_STEPS, size=count, endpoint=True)
    popularity = np.arange(1, len(LORAS) + 1) ** -1.0
    loras = rng.choice(LORAS, size=count, p=popularity / popularity.sum())
    has_lora = rng.random(count) < LORA_SHARE
    prompts = captions(200, rng)
    rows = [
        TraceRow(
            request_id=f"fidelity-{place}",
            origin="synthesized",
            arrival_s=float(times_s[place]),
            base_model=MODEL,
            loras=(Adapter(name=str(loras[place]), scale=1.0),) if has_lora[place] else (),
            prompt=prompts[place % len(prompts)],
            width=profile.width,
            height=profile.height,
            steps=int(steps[place]),
            seed=place,
            deadline_s=DEADLINE_TIMES * solo_s(profile, int(steps[place])),
        )
        for place in range(count)
    ]
    (folder / "trace.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, rows)) + b"\n")


def solo_s(profile: Profile, steps: int) -> float:
    """Return the seconds of a picture alone, with guidance."""
    size = {"width": profile.width, "height": profile.height}
    return profile.encoding_s(**size, has_source=False) + steps * profile.tick_s(2, **size) + profile.decoding_s(**size)


def capacity_per_s(folder: Path, profile: Profile, *, seed: int) -> float:
    """Return the requests per second that the workers finish when far more arrive, simulated."""
    rate = 20 * WORKERS / solo_s(profile, (LEAST_STEPS + MOST_STEPS) // 2)
    write_trace(folder, profile, rate=rate, seconds=1000 / rate, seed=seed)
    found = simulated(folder, "--policy", "open")
    return found["runs"][0]["figures"]["throughput_per_s"]


def simulated(folder: Path, *options: str) -> dict:
    """Return the document of a simulation."""
    command = [*SAFELIGHT, "simulate", str(folder / "scenario.toml"), *options, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def served(folder: Path, name: str) -> Path:
    """Serve the trace, and return the outcome log."""
    log = folder / name
    log.unlink(missing_ok=True)
    with server(log) as url:
        command = [
            *(*SAFELIGHT, "bench", "--base-url", url, "--model", MODEL, "--task", "t2i", "--send-deadlines"),
            *("--endpoint", "/v1/images/generations", "--dataset", "trace", "--dataset-path", folder / "trace.jsonl"),
            *("--num-prompts", "1000000", "--warmup-requests", "0", "--no-check", "--disable-tqdm", "--json"),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return log


@contextmanager
def server(log: Path) -> Iterator[str]:
    """Run a server of its own; gives its address."""
    command = [
        *(*SAFELIGHT, "serve", "--port", "0", "--model", MODEL, "--workers", str(WORKERS), "--outcomes", str(log)),
        *("--max-waiting", str(MAX_WAITING), "--log-level", "warning"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "ready at" in line:
                yield URL.search(line)[0]
                break
        else:
            raise SystemExit("The server did not start.")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def errors_against(folder: Path, log: Path) -> dict[str, float]:
    """Return the errors of the figures that are judged."""
    found = simulated(folder, "--against", str(log), "--policy", "default")
    errors = found["predictions"][0]["errors"]
    return {name: round(errors[name], 4) for name in JUDGED}


def worst(errors: dict[str, float]) -> float:
    """Return the largest error, whatever its sign."""
    return max(map(abs, errors.values()))


def spread(folder: Path, first: Path, second: Path) -> float:
    """Return the largest difference between two logs, relative to the first one."""
    one, two = (simulated(folder, "--against", str(log), "--policy", "default")["measured"] for log in (first, second))
    latencies = [two[name] / one[name] - 1 for name in JUDGED[:3]]
    return round(max(map(abs, [*latencies, two["attainment"] - one["attainment"]])), 4)


def table_of(report: dict) -> str:
    """Return the report as text."""
    lines = [f"{'load':>6}" + "".join(f"{name:>18}" for name in JUDGED)]
    for percent, errors in report["errors"].items():
        lines.append(f"{percent:>4} %" + "".join(f"{100 * errors[name]:>+16.1f} %" for name in JUDGED))
    lines += [f"{name}: {100 * value:.1f} %" for name, value in report.items() if name.startswith(("error_", "spread"))]
    return "\n".join(["Errors of simulated figures against measured ones:", *lines])


def note(sentence: str) -> None:
    """Say what goes on."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
