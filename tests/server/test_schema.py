"""The OpenAPI document is exact: what it allows is served, what it forbids is refused, and nothing breaks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.live_server import web

EXAMPLES = 15

# No schema can tell that a key was used before with another body: 422 is right for such a request. Nor can one tell
# that the bytes of a form's files are pictures, or how many they are times n: there, 400 is right too.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "422", "429"]

[[operations]]
include-name = "POST /v1/images/edits"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "404", "422", "429"]
"""

HOOKS = Path(__file__).with_name("picture_format.py")
"""What makes pictures where the schema wants them."""


@pytest.mark.timeout(240)
def test_schemathesis_finds_nothing_to_complain_about(quick, tmp_path):
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    argv = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{quick.url}/openapi.json"]
    options = ["--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"]
    hooked = os.environ | {"SCHEMATHESIS_HOOKS": HOOKS.stem, "PYTHONPATH": str(HOOKS.parent)}
    report = subprocess.run([*argv, *options], capture_output=True, text=True, check=False, cwd=tmp_path, env=hooked)
    assert report.returncode == 0, report.stdout + report.stderr


def test_the_document_names_what_is_served(http):
    fields = http.get("/openapi.json").json()["components"]["schemas"]["GenerationRequest"]["properties"]
    assert fields["model"]["anyOf"][0]["enum"] == ["null-large", "null-small"]
    assert fields["sampler"]["anyOf"][0]["enum"] == ["ddim", "dpm++2m", "euler"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_loads_code_from_elsewhere(quick, path):
    assert web.get(quick.url + path).status_code == 404
