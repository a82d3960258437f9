"""Which cascades a server is told to serve."""

from pathlib import Path

import numpy as np
import pytest

from safelight.cli.cascade_options import CascadeOptions
from safelight.control.policies import policies_from
from safelight.core.errors import CascadeFileError, GateFileError, RequestError
from safelight.local.cascades import served_cascades
from safelight.profiles.cascade_file import BuiltCascade, write_cascades
from safelight.profiles.gate_file import GateCard, GateFile, write_gate

LIGHT, HEAVY = "little", "big"
DEFERRAL = ((0.0, 0.0), (0.8, 0.5), (1.0, 1.0))


@pytest.fixture
def folders(tmp_path):
    made = [tmp_path / HEAVY, tmp_path / LIGHT]
    for folder in made:
        folder.mkdir()
    return made


def gate(path, name="looker", light=LIGHT, router=None, deferral=DEFERRAL):
    card = GateCard(
        name=name,
        light=light,
        heavy=HEAVY,
        light_weights="1",
        heavy_weights="2",
        deferral=deferral,
        best_share=0.25,
        judge="scene",
        captions=1,
        auc=0.9,
        calibration_error=0.0,
    )
    write_gate(GateFile(card=card, net={"a": np.zeros(1, np.float32)}, router=router or {}), path)
    return path


def router():
    return {
        "router.embedding": np.zeros((8, 2), np.float32),
        "router.hidden_bias": np.zeros(2, np.float32),
        "router.output": np.zeros(2, np.float32),
        "router.scalars": np.array([0, 1, np.inf], np.float32),
    }


def test_a_cascade_gets_the_curve_and_the_threshold_of_its_gate(folders, tmp_path):
    file = gate(tmp_path / "gate.safetensors", router=router())
    served = served_cascades([f"auto={LIGHT},{HEAVY},{file}"], folders)
    (cascade,) = served.cascades
    assert (cascade.gate, cascade.deferral, cascade.best_share) == ("looker", DEFERRAL, 0.25)
    assert cascade.share(cascade.threshold) == pytest.approx(0.25)
    assert cascade.router.hardness("anything") == 0.5
    assert served.worker_options == ("--gate", str(file))


def test_a_cascade_file_sets_its_own_thresholds(folders, tmp_path):
    gate(tmp_path / "gate.safetensors", router=router())
    file = tmp_path / "cascades.toml"
    built = BuiltCascade(
        name="built",
        light=LIGHT,
        heavy=HEAVY,
        gate=tmp_path / "gate.safetensors",
        threshold=0.7,
        router_threshold=0.9,
        share=0.3,
        seconds=0.1,
        quality=0.9,
    )
    write_cascades([built], file)
    (cascade,) = served_cascades([str(file)], folders).cascades
    assert (cascade.name, cascade.threshold, cascade.router.threshold) == ("built", 0.7, 0.9)
    file.write_text(file.read_text().replace("threshold = 0.7", "threshold = 1.7"))
    with pytest.raises(CascadeFileError, match=r"1\.7"):
        served_cascades([str(file)], folders)


def test_a_rival_gate_has_its_own_curve(folders, tmp_path):
    own = gate(tmp_path / "own.safetensors")
    rival = gate(tmp_path / "rival.safetensors", name="rival", deferral=((0.0, 0.0), (1.0, 1.0)))
    (cascade,) = served_cascades([f"auto={LIGHT},{HEAVY},{own},{rival}"], folders).cascades
    assert (cascade.with_rival.gate, cascade.with_rival.deferral) == ("rival", ((0.0, 0.0), (1.0, 1.0)))


@pytest.mark.parametrize(
    ("choice", "error", "words"),
    [
        ("auto", RequestError, "NAME=LIGHT,HEAVY"),
        ("auto=little", RequestError, "NAME=LIGHT,HEAVY"),
        ("auto=little,,big", RequestError, "NAME=LIGHT,HEAVY"),
        ("auto=litle,big", RequestError, "did you mean 'little'"),
        ("auto=big,big", RequestError, "name two"),
        ("big=little,big", RequestError, "the name of a model"),
        ("auto=little,big,missing", GateFileError, "no such file"),
        ("auto=little,big,{foreign}", GateFileError, "trained between 'other' and 'big'"),
        ("auto=little,big,{broken}", GateFileError, "damaged"),
        ("missing.toml", CascadeFileError, "no such file"),
    ],
)
def test_what_cannot_be_served_is_refused(folders, tmp_path, choice, error, words):
    foreign = gate(tmp_path / "foreign.safetensors", light="other")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a gate")
    with pytest.raises(error, match=words):
        served_cascades([choice.format(foreign=foreign, broken=broken)], folders)


@pytest.mark.parametrize("choices", [("level=as-asked",), ("level=score-threshold",)])
def test_a_level_policy_that_cannot_use_the_cascade_is_refused(folders, choices):
    options = CascadeOptions(cascade=[f"auto={LIGHT},{HEAVY}"])
    with pytest.raises(RequestError, match="level"):
        options.served(folders, policies_from(choices), choices, names=())


def test_a_cascade_needs_no_policy_to_be_named(folders):
    options = CascadeOptions(cascade=[f"auto={LIGHT},{HEAVY}"])
    served, policies = options.served(folders, policies_from(()), (), names=())
    assert (served.cascades[0].name, policies.level.name) == ("auto", "cascade")
    nothing, plain = CascadeOptions().served([Path("x")], policies_from(()), (), names=())
    assert (nothing.cascades, plain.level.name) == ((), "as-asked")
