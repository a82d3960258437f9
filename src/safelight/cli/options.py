"""Options that several commands have."""

from typing import Annotated

import typer

from safelight.cli.server_lookup import DEFAULT_SERVER

Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", metavar="NAME|DIR", help="A shipped model or a diffusers folder; repeatable."),
]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="CPU threads of one worker.")]
Device = Annotated[
    str, typer.Option(metavar="NAME", help="cpu, cuda, or cuda:1 and so on; auto takes a GPU if there is one.")
]
Dtype = Annotated[
    str, typer.Option(metavar="NAME", help="float32, bfloat16 or float16; auto is bfloat16 on a GPU, else float32.")
]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="Give the same bytes for the same request in any company; the models see one picture at a time.",
    ),
]
TrainingThreads = Annotated[int, typer.Option("--threads", min=1, metavar="N", help="CPU threads.")]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="SAFELIGHT_API_KEY", metavar="KEY", help="What clients must show: Authorization: Bearer KEY."),
]
ServerToTell = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help=f"A server to tell; else {DEFAULT_SERVER} is told if it runs."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
