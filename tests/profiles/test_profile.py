import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.makers import a_profile
from safelight.core.errors import ProfileError
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.profiles.profile import Profile

SECONDS = st.floats(0, 1e6)
ROWS = st.integers(1, 40)
STEP_TIMES = st.lists(st.builds(StepTime, denoiser_rows=ROWS, seconds=SECONDS), min_size=1, max_size=4).map(tuple)
COSTS = st.builds(AdapterCosts, switch_s=SECONDS, unmerged_overhead=SECONDS, correction_overhead=SECONDS)
PROFILES = st.builds(
    Profile,
    model=st.text(max_size=20),
    device=st.text(max_size=20),
    width=st.integers(1, 4096),
    height=st.integers(1, 4096),
    step_times=STEP_TIMES,
    encode_s=SECONDS,
    decode_s=SECONDS,
    encode_picture_s=SECONDS,
    adapter_costs=st.none() | COSTS,
)
TOML = a_profile(device="cpu").to_toml()


@given(PROFILES)
def test_a_profile_reads_back_from_its_text(profile):
    assert Profile.from_toml(profile.to_toml()) == profile


def test_the_text_begins_with_its_format():
    assert TOML.startswith("format = 1\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing required field"),
        ("model = ", "TOML|Invalid value|decode"),
        (TOML.replace("format = 1", "format = 2"), "Invalid enum value 2 - at `\\$.format`"),
        (TOML.replace("width = 64", 'width = "64"'), r"Expected `int`, got `str` - at `\$\.width`"),
        (TOML.replace("width = 64", "width = 0"), "at least one pixel"),
        (TOML.replace("decode_s = ", "decoding_s = "), "unknown field `decoding_s`"),
        (a_profile(seconds=()).to_toml(), "needs step_times"),
    ],
    ids=["nothing", "no TOML", "another format", "a wrong type", "no pixels", "an unknown key", "no step times"],
)
def test_a_wrong_text_is_refused_with_the_reason(text, words):
    with pytest.raises(ProfileError, match=words):
        Profile.from_toml(text)


def test_a_profile_of_a_worker_is_what_the_worker_measured():
    costs = AdapterCosts(switch_s=0.1, unmerged_overhead=0.2, correction_overhead=0.3)
    wanted = a_profile(adapter_costs=costs)
    spec = ModelSpec(
        name="shapes-large",
        family="sd3",
        width=64,
        height=64,
        size_multiple=16,
        max_side=128,
        steps=25,
        guidance_scale=3.0,
        sampler="euler",
        samplers=("euler",),
        step_times=wanted.step_times,
        encode_s=wanted.encode_s,
        decode_s=wanted.decode_s,
        encode_picture_s=wanted.encode_picture_s,
        adapter_costs=costs,
    )
    assert Profile.from_spec(spec) == wanted


@given(ROWS)
def test_four_times_the_pixels_take_four_times_the_time(rows):
    large, own = (a_profile().tick_s(rows, width=side, height=side) for side in (128, 64))
    assert large == pytest.approx(4 * own)


def test_decoding_takes_time_in_proportion_to_pixels():
    assert a_profile().decoding_s(width=128, height=64) == pytest.approx(0.008)


def test_prompts_take_the_same_time_at_every_size_and_pictures_in_proportion_to_pixels():
    profile = a_profile()
    assert profile.encoding_s(width=128, height=64, has_source=False) == pytest.approx(0.007)
    assert profile.encoding_s(width=128, height=64, has_source=True) == pytest.approx(0.007 + 2 * 0.002)


def test_a_profile_cannot_be_changed():
    with pytest.raises(AttributeError):
        a_profile().encode_s = 1.0


def test_a_changed_copy_has_a_curve_of_its_own():
    profile = a_profile()
    assert profile.curve.seconds(1) == 0.02
    slower = msgspec.structs.replace(profile, step_times=(StepTime(denoiser_rows=1, seconds=0.5),))
    assert slower.curve.seconds(1) == 0.5
