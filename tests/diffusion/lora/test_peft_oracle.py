"""PEFT is the oracle: in all three modes a row is painted as PEFT's own layers would paint it alone."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer

from diffusion.jobs import composition, handle
from diffusion.lora.tiny import randomise, tiny_sd3, tiny_text_encoder, tiny_unet
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle
from safelight.diffusion.lora.bank import LoraBank
from safelight.diffusion.lora.merging import Merger
from safelight.diffusion.lora.terms import corrections
from safelight.diffusion.lora.weights import LoraWeights, LowRank

pytestmark = [
    # PEFT asks transformers in a way that is on its way out.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    # Two adapters in one network are what is tested.
    pytest.mark.filterwarnings("ignore:Already found a `peft_config` attribute:UserWarning"),
]

ROWS = 5
CLOSE = 1e-5
MAKERS = {"unet": tiny_unet, "transformer": tiny_sd3, "text_encoder": tiny_text_encoder}
ADAPTERS = {
    "unet": {
        "wide": {"r": 6, "target_modules": ["conv1", "conv", "to_q", "ff.net.0.proj", "time_emb_proj", "proj_in"]},
        "thin": {"r": 2, "target_modules": ["conv1", "conv_in", "conv_shortcut", "to_q", "to_v", "linear_1"]},
        "odd": {"r": 3, "target_modules": ["conv_out", "to_out.0"], "rank_pattern": {"conv_out": 1}},
    },
    "transformer": {
        "wide": {"r": 6, "target_modules": ["to_q", "add_k_proj", "ff.net.2", "norm1.linear"]},
        "thin": {"r": 2, "target_modules": ["to_q", "to_out.0", "pos_embed.proj", "context_embedder"]},
        "odd": {"r": 3, "target_modules": ["linear_1", "proj_out"], "rank_pattern": {"proj_out": 1}},
    },
    "text_encoder": {
        "wide": {"r": 6, "target_modules": ["q_proj", "fc1"]},
        "thin": {"r": 2, "target_modules": ["q_proj", "out_proj"]},
        "odd": {"r": 3, "target_modules": ["fc2", "v_proj"], "rank_pattern": {"fc2": 1}},
    },
}
BATCHES = [
    [composition(wide=1.0)] * ROWS,
    [
        composition(wide=1.0),
        NO_ADAPTERS,
        composition(wide=-0.5, thin=1.5, odd=0.7),
        composition(odd=2.0),
        composition(thin=-1.0),
    ],
]

scales = st.floats(-2, 2).filter(lambda scale: abs(scale) > 1e-3)
compositions = st.dictionaries(st.sampled_from(["wide", "thin", "odd"]), scales).map(lambda some: composition(**some))


def inputs_for(component):
    generator = torch.Generator().manual_seed(9)

    def noise(*shape):
        return torch.randn(ROWS, *shape, generator=generator, dtype=torch.float64)

    times = torch.tensor([10.0, 900.0, 500.0, 10.0, 300.0], dtype=torch.float64)
    match component:
        case "unet":
            return {"sample": noise(4, 8, 8), "timestep": times, "encoder_hidden_states": noise(5, 16)}
        case "transformer":
            context = {"encoder_hidden_states": noise(5, 16), "pooled_projections": noise(16)}
            return {"hidden_states": noise(4, 8, 8), "timestep": times, **context}
        case _:
            return {"input_ids": torch.randint(2, 32, (ROWS, 8), generator=generator)}


@torch.inference_mode()
def call(net, inputs):
    return net(**inputs, return_dict=False)[0]


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """A network, its twin with PEFT's layers, and the adapters in those."""

    component: str
    net: Any
    twin: Any
    loras: dict[AdapterHandle, LoraWeights]
    inputs: dict[str, torch.Tensor]

    def rows_alone(self, batch):
        """What the twin makes of each row by itself."""
        return torch.cat([self.row_alone(row, wanted) for row, wanted in enumerate(batch)])

    def row_alone(self, row, wanted):
        scales = {use.handle.name: use.scale for use in wanted.uses}
        for layer in lora_layers(self.twin).values():
            layer.enable_adapters(enabled=bool(scales))
            if scales:
                layer.set_adapter(list(scales))
            for name in scales.keys() & layer.scaling.keys():
                layer.set_scale(name, scales[name])
        return call(self.twin, {name: value[row : row + 1] for name, value in self.inputs.items()})


def lora_layers(twin):
    return {path: layer for path, layer in twin.named_modules() if isinstance(layer, LoraLayer)}


def lora_of(component, twin, name):
    layers = {path: layer for path, layer in lora_layers(twin).items() if name in layer.r}
    changes = {
        path: LowRank(down=layer.lora_A[name].weight.data, up=layer.lora_B[name].weight.data, scale=layer.scaling[name])
        for path, layer in layers.items()
    }
    return LoraWeights(parts={component: changes})


@pytest.fixture(scope="module", params=MAKERS)
def bench(request):
    component = request.param
    twin = MAKERS[component]().double()
    for name, fields in ADAPTERS[component].items():
        inject_adapter_in_model(LoraConfig(lora_alpha=5, **fields), twin, adapter_name=name)
    randomise(twin, spread=0.3)
    return Workbench(
        component=component,
        net=MAKERS[component]().double(),
        twin=twin.double().eval(),
        loras={handle(name): lora_of(component, twin, name) for name in ADAPTERS[component]},
        inputs=inputs_for(component),
    )


@pytest.fixture(scope="module")
def bank(bench):
    bank = LoraBank({bench.component: bench.net}, pages=12)
    for each, weights in bench.loras.items():
        bank.load(each, weights)
    return bank


@pytest.fixture(scope="module")
def merger(bench):
    return Merger({bench.component: bench.net})


def assert_close(got, wanted):
    assert float((got - wanted).abs().max()) <= CLOSE


@pytest.mark.parametrize("batch", BATCHES, ids=["one", "mixed"])
def test_adapters_change_what_is_painted(bench, batch):
    assert float((bench.rows_alone(batch) - call(bench.net, bench.inputs)).abs().max()) > 1000 * CLOSE


@settings(max_examples=8, deadline=None)
@given(batch=st.lists(compositions, min_size=ROWS, max_size=ROWS))
def test_unmerged_rows_of_any_compositions_are_those_of_peft(bench, bank, batch):
    with bank.applied(bank.terms(batch)):
        got = call(bench.net, bench.inputs)
    assert_close(got, bench.rows_alone(batch))


@pytest.mark.parametrize("wanted", [*BATCHES[0][:1], *BATCHES[1]])
def test_an_unmerged_row_alone_is_that_of_peft(bench, bank, wanted):
    alone = {name: value[:1] for name, value in bench.inputs.items()}
    with bank.applied(bank.terms([wanted])):
        assert_close(call(bench.net, alone), bench.row_alone(0, wanted))


@settings(max_examples=4, deadline=None)
@given(wanted=compositions)
def test_merged_rows_are_those_of_peft(bench, merger, wanted):
    merger.fold(wanted, bench.loras)
    got = call(bench.net, bench.inputs)
    merger.restore()
    assert_close(got, bench.rows_alone([wanted] * ROWS))


@settings(max_examples=6, deadline=None)
@given(batch=st.lists(compositions, min_size=ROWS, max_size=ROWS), folded=compositions)
def test_corrected_rows_are_those_of_peft(bench, bank, merger, batch, folded):
    batch[1] = folded
    merger.fold(folded, bench.loras)
    with bank.applied(bank.terms(corrections(batch, folded))):
        got = call(bench.net, bench.inputs)
    merger.restore()
    assert_close(got, bench.rows_alone(batch))
