"""The settings of a load, as the command line states them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """The flags of `safelight bench` under their own names; most are those of vLLM-Omni's benchmark.

    `safelight.cli.bench.flags` describes each of them.
    """

    base_url: str | None = None
    host: str = "localhost"
    port: int = 8091
    model: str = "default"
    endpoint: str | None = None
    backend: str | None = None
    api_key: str | None = None
    header: list[str] | None = None
    extra_body: str | None = None
    insecure: bool = False
    timeout: float = 900.0
    connect_timeout: float = 10.0
    connections: int = 0
    retries: int = 0
    task: str = "t2v"
    dataset: str = "vbench"
    dataset_path: str | None = None
    num_prompts: int = 10
    width: int | None = None
    height: int | None = None
    num_frames: int | None = None
    fps: int | None = None
    num_inference_steps: int | None = 50
    seed: int | None = None
    enable_negative_prompt: bool = False
    random_request_config: str | None = None
    num_input_images: int = 1
    input_image: list[Path] | None = None
    input_video: Path | None = None
    control_image: list[str] | None = None
    bot_task: str | None = None
    video_json: bool = False
    adapters: bool = True
    lora_dir: str | None = None
    lenient: bool = False
    request_rate: float | None = None
    arrivals: str | None = None
    burstiness: float | None = None
    speed: float = 1.0
    max_concurrency: int | None = None
    repeats: int = 1
    warmup_requests: int = 1
    warmup_num_inference_steps: int = 2
    warmup_concurrency: int = 1
    slo: bool = False
    slo_scale: float = 3.0
    slo_estimator: str = "omni"
    slo_ms: float | None = None
    send_deadlines: bool = False
    check: bool = True
    save_dir: Path | None = None
    return_stage_metrics: bool = False
    disable_tqdm: bool = False

    @property
    def input_files(self) -> Sequence[str]:
        """Paths of all files that are read; an element may be empty or have wildcards."""
        pictures = [*(self.input_image or ()), *([self.input_video] if self.input_video else [])]
        return [*(self.dataset_path or "").split(","), *map(str, pictures)]
