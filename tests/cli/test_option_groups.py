"""A dataclass of options is one argument of a command, and several options on the command line."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from safelight.cli.body_options import BodyOptions
from safelight.cli.option_groups import grouped
from safelight.server.settings import ServerSettings


@dataclass(frozen=True, kw_only=True)
class Size:
    width: Annotated[int, typer.Option(min=1, help="How wide it is.")] = 3
    height: Annotated[int, typer.Option(min=1, help="How high it is.")] = 4


@pytest.fixture
def app():
    app = typer.Typer()

    @app.command()
    @grouped
    def paint(*, colour: Annotated[str, typer.Option()] = "red", size: Size) -> None:
        """Paint something."""
        print(colour, size.width * size.height)

    return app


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "red 12\n"), (["--height", "5"], "red 15\n"), (["--colour", "blue"], "blue 12\n")]
)
def test_options_of_a_group_are_those_of_the_command(app, arguments, said):
    assert CliRunner().invoke(app, arguments).output == said


def test_help_lists_the_options_of_a_group(app):
    text = CliRunner().invoke(app, ["--help"]).output
    assert "How wide it is." in text
    assert "Paint something." in text


def test_a_value_out_of_bounds_is_refused(app):
    assert CliRunner().invoke(app, ["--width", "0"]).exit_code == 2


def test_the_limits_of_bodies_are_those_of_a_server_unless_set():
    plain = ServerSettings(worker_argv=())
    assert ServerSettings(worker_argv=(), **BodyOptions().settings) == plain
