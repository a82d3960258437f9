import pytest

from adapters.makers import controlnet, lora
from safelight.adapters.capacity import AdapterCapacity
from safelight.core.errors import AdapterTooLarge, TooManyAdapters

CAPACITY = AdapterCapacity(host_bytes=350, device_ranks=16, device_controlnets=1)


def test_loras_of_a_row_may_fill_the_bank():
    CAPACITY.check([lora("a", rank=4), lora("b", rank=12)])


def test_controlnets_take_no_pages():
    CAPACITY.check([lora(rank=16), controlnet()])


def test_an_adapter_larger_than_host_memory_is_refused():
    with pytest.raises(AdapterTooLarge, match=r"'huge' has 0\.0 MB"):
        CAPACITY.check([lora("huge", weights_bytes=351)])


def test_a_lora_of_more_ranks_than_the_bank_has_pages_is_refused():
    with pytest.raises(AdapterTooLarge, match=r"'outline' has rank 17, .* at most rank 16"):
        CAPACITY.check([lora(rank=17)])


def test_a_controlnet_is_refused_where_none_has_a_place():
    with pytest.raises(AdapterTooLarge, match=r"'edges' has the size of a ControlNet.* make room for larger ones"):
        AdapterCapacity(host_bytes=350, device_ranks=16, device_controlnets=0).check([controlnet()])


def test_loras_that_find_no_pages_together_are_refused_with_how_many_would():
    with pytest.raises(TooManyAdapters, match="loras names 3 adapters; a picture may have at most 2"):
        CAPACITY.check([lora("a", rank=16), lora("b", rank=4), lora("c", rank=4)])


def test_more_controlnets_than_places_are_refused():
    with pytest.raises(TooManyAdapters, match="controlnets names 2 adapters; a picture may have at most 1"):
        CAPACITY.check([controlnet("edges"), controlnet("depth")])


def test_adapters_that_take_too_much_memory_together_are_refused():
    with pytest.raises(AdapterTooLarge, match=r"'a \+ b'"):
        CAPACITY.check([lora("a", weights_bytes=200), lora("b", weights_bytes=200)])
