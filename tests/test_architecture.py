"""Architecture: which package may import which, how long code may be, and what docs and metadata must say."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import safelight

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "safelight"
MODULES = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")

DATA_FOLDERS = {"models"}
DECIDING_PACKAGES = ("core", "profiles", "adapters", "control")
RANDOMNESS_AND_WORK = {"default_rng", "RandomState", "open", "print", "input"}
LONGEST_MODULE, LONGEST_FUNCTION = 500, 60


def functions(text):
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def packages():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    return folders - DATA_FOLDERS


def test_every_import_keeps_the_contracts():
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True) == 0


def test_no_module_is_longer_than_the_cap():
    assert [path for path, text in MODULES.items() if len(text.splitlines()) > LONGEST_MODULE] == []


def test_no_function_is_longer_than_the_cap():
    long = [
        f"{path.name}:{function.lineno} {function.name}"
        for path, text in MODULES.items()
        for function in functions(text)
        if function.end_lineno - function.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_no_module_is_called_utils_or_common():
    assert [path for path in MODULES if path.stem in {"util", "utils", "common", "helpers", "misc"}] == []


def test_no_benchmark_changes_where_python_finds_modules():
    programs = sorted((ROOT / "benchmarks").rglob("*.py"))
    assert [path for path in programs if "sys.path" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("package", DECIDING_PACKAGES)
def test_a_deciding_package_draws_no_luck_and_opens_no_file(package):
    calls = [
        f"{path.name}:{node.lineno} {ast.unparse(node.func)}"
        for path, text in MODULES.items()
        if path.is_relative_to(PACKAGE / package)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in RANDOMNESS_AND_WORK
    ]
    assert calls == []


def test_the_models_folder_holds_data_only():
    suffixes = {path.suffix for path in (PACKAGE / "models").rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".md", ".png", ".csv"}


def test_the_architecture_page_describes_every_package():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert {package for package in packages() if f"| `{package}` |" not in page} == set()


@pytest.mark.parametrize(
    "module", ["safelight.cli", "safelight.control", "safelight.server.app", "safelight.shapes.score"]
)
def test_torch_is_not_loaded_by(module):
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_command_line_starts_without_the_web_and_the_models():
    heavy = ("torch", "diffusers", "transformers", "fastapi", "uvicorn", "numpy", "scipy", "polars", "matplotlib")
    program = f"import sys, safelight.cli; sys.exit(str([name for name in {heavy} if name in sys.modules] or ''))"
    said = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert said.stderr.strip() == ""


def test_the_package_is_imported_without_its_client():
    program = "import sys, safelight; sys.exit(str([name for name in ('httpx2', 'PIL') if name in sys.modules] or ''))"
    said = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert said.stderr.strip() == ""


def test_the_installed_version_is_that_of_the_package():
    assert version("safelight") == safelight.__version__


def test_every_package_that_the_project_names_is_pinned():
    extras = PROJECT["project"]["optional-dependencies"].values()
    named = [requirement for group in (PROJECT["project"]["dependencies"], *extras) for requirement in group]
    names = {re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower() for requirement in named} - {"safelight"}
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in CONSTRAINTS.splitlines()}
    assert names - pinned == set()


def test_the_constraints_are_exact_versions_and_nothing_else():
    lines = [line for line in CONSTRAINTS.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_nothing_brings_torchvision_or_a_gpu_library_along():
    assert re.findall(r"(?m)^(?:torchvision|nvidia|cuda|triton).*", CONSTRAINTS) == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git checkout")
def test_git_keeps_everything_that_the_package_needs():
    asked = subprocess.run(
        ["git", "status", "--short", "--ignored", "--", "src"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    ignored = [line for line in asked.stdout.splitlines() if line.startswith("!!")]
    assert [line for line in ignored if "__pycache__" not in line] == []


def test_the_gate_can_be_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
