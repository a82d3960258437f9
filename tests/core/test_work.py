"""What a job knows of where another worker left off."""

from safelight.core.adapter import AdapterUse
from safelight.core.request import ImageRequest
from safelight.core.work import Job, PausedRow

REQUEST = ImageRequest(
    id="a",
    model="m",
    prompt="x",
    width=64,
    height=64,
    steps=9,
    guidance_scale=1.0,
    sampler="euler",
    seed=1,
    arrived_s=0.0,
    loras=(AdapterUse(name="outline", scale=1.0),),
    grace_steps=4,
)


def paused(**fields):
    return Job(request=REQUEST, paused=PausedRow(steps_run=3, file=b"", **fields))


def test_a_row_goes_on_as_it_was_computed():
    assert paused().as_paused == REQUEST
    assert paused(lacks_loras=True).as_paused.loras == ()
