"""What every dataset keeps to."""

import json

import pytest

from bench.makers import dataset_options
from safelight.bench.datasets.registry import DATASETS, load_dataset
from safelight.bench.media.shape import Shape

FILES = {
    "trace": "".join(f"Request(request_id='{n}', prompt='cat {n}', timestamp={n}.5)\n" for n in range(6)),
    "vbench": "a\nb\nc\nd\n",
    "prompts": "a\nb\nc\nd\n",
    "custom": "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in "abcd"),
}
"""A file for each dataset that reads one."""

every_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)


@pytest.fixture
def requests_of(tmp_path):
    def read(dataset, **options):
        text = FILES.get(dataset.name)
        path = None if text is None else tmp_path / "file"
        if path is not None:
            path.write_text(text)
        shape = Shape(width=64, height=64, steps=50)
        options = dataset_options(path=path and str(path), **{"shape": shape} | options)
        return load_dataset(dataset.name, options).requests

    return read


@every_dataset
@pytest.mark.parametrize("count", [1, 4])
def test_it_has_as_many_requests_as_are_wanted(dataset, count, requests_of):
    assert len(requests_of(dataset, count=count)) == count


@every_dataset
def test_no_two_requests_have_one_id(dataset, requests_of):
    names = [request.request_id for request in requests_of(dataset)]
    assert len(set(names)) == len(names)


@every_dataset
def test_every_request_has_a_prompt_and_the_shape_of_the_command_line(dataset, requests_of):
    for request in requests_of(dataset):
        assert request.prompt
        assert (request.shape.width, request.shape.height, request.shape.steps) == (64, 64, 50)


@every_dataset
def test_equal_options_give_equal_requests(dataset, requests_of):
    assert requests_of(dataset) == requests_of(dataset)


def test_no_two_datasets_have_one_name():
    assert len({dataset.name for dataset in DATASETS}) == len(DATASETS)
