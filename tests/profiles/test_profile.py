import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.makers import a_profile
from safelight.core.errors import ProfileError
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.profiles.parts import LevelQuality, LoadTime, LoadTimes, Memory, SimilarityQuality, SizeTimes, Spread
from safelight.profiles.profile import Profile

SIDES = st.integers(1, 4096)
SECONDS = st.floats(0, 1e6)
ROWS = st.integers(1, 40)
STEP_TIMES = st.lists(
    st.builds(StepTime, denoiser_rows=ROWS, seconds=SECONDS),
    min_size=1,
    max_size=4,
    unique_by=lambda time: time.denoiser_rows,
).map(tuple)
SLOW_TIMES = st.sampled_from([(StepTime(denoiser_rows=41, seconds=1e6),), (StepTime(denoiser_rows=50, seconds=2e6),)])
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
    extrapolates=st.booleans(),
    sizes=st.lists(st.builds(SizeTimes, width=SIDES, height=SIDES, step_times=SLOW_TIMES), max_size=2).map(tuple),
    spread=st.builds(Spread, step=st.floats(0, 1), load=st.floats(0, 1)),
    memory=st.none() | st.builds(Memory, weights_bytes=st.integers(0, 1 << 40)),
    loads=st.builds(LoadTimes, disk=st.builds(LoadTime, constant_s=SECONDS, s_per_byte=SECONDS)),
    deferral=st.sampled_from([(), ((0.0, 0.1), (0.5, 0.9))]),
).filter(
    lambda profile: len({(each.width, each.height) for each in (profile, *profile.sizes)}) == 1 + len(profile.sizes)
)
TOML = a_profile(device="cpu").to_toml()


@given(PROFILES)
def test_a_profile_reads_back_from_its_text(profile):
    assert Profile.from_toml(profile.to_toml()) == profile


def test_the_text_begins_with_its_format():
    assert TOML.startswith("format = 2\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing required field"),
        ("model = ", "It is not TOML"),
        (TOML.replace("format = 2", "format = 3"), "It is of format 3; this version reads 1 and 2"),
        (TOML.replace("width = 64", 'width = "64"'), r"Expected `int`, got `str` - at `\$\.width`"),
        (TOML.replace("width = 64", "width = 0"), "at least one pixel"),
        (
            TOML.replace("decode_s = ", "decoding_s = "),
            "unknown field `decoding_s`; the nearest|unknown field `decoding_s`.*decode_s",
        ),
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


def measured(*sides, **changes):
    """A profile that was measured at 64x64 and at squares of further sides, twice as slow at twice the pixels."""
    times = {
        side: tuple(StepTime(denoiser_rows=rows, seconds=rows * side * side / 4096) for rows in (1, 2, 8))
        for side in (64, *sides)
    }
    sizes = tuple(SizeTimes(width=side, height=side, step_times=times[side]) for side in sides)
    return a_profile(step_times=times[64], sizes=sizes, extrapolates=False, **changes)


@pytest.mark.parametrize("side", [64, 96, 128])
@pytest.mark.parametrize("rows", [1, 2, 8])
def test_what_was_measured_is_given_back(side, rows):
    assert measured(96, 128).tick_s(rows, width=side, height=side) == pytest.approx(rows * side * side / 4096)


@given(rows=st.integers(1, 8), width=st.integers(64, 128), height=st.integers(64, 128))
def test_between_measured_sizes_time_is_between_theirs(rows, width, height):
    profile = measured(96, 128)
    seconds = profile.tick_s(rows, width=width, height=height)
    assert profile.tick_s(rows, width=64, height=64) <= seconds <= profile.tick_s(rows, width=128, height=128)


@given(width=st.integers(64, 128), height=st.integers(64, 128))
def test_more_rows_never_take_less_time(width, height):
    profile = measured(96, 128)
    seconds = [profile.tick_s(rows, width=width, height=height) for rows in range(1, 9)]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize(("rows", "side"), [(9, 64), (1, 32), (1, 160), (12, 100)])
def test_what_lies_beyond_the_measurements_is_refused_with_what_is_there(rows, side):
    words = f"no measured call of {rows} rows of {side}x{side}; measured are 1 to 8 rows of 64x64; 1 to 8 rows of 128"
    with pytest.raises(ProfileError, match=words):
        measured(128).tick_s(rows, width=side, height=side)


def test_a_profile_that_says_so_extrapolates():
    profile = msgspec.structs.replace(measured(128), extrapolates=True)
    assert profile.tick_s(1, width=256, height=256) == pytest.approx(16)


def test_a_file_extrapolates_only_if_it_says_so():
    text = TOML.replace("extrapolates = true\n", "")
    assert not Profile.from_toml(text).extrapolates


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deferral": ((0.0, 0.5), (0.5, 0.4))}, "`deferral` falls from 0.5 at 0 to 0.4 at 0.5"),
        ({"deferral": ((0.5, 0.1), (0.5, 0.4))}, "`deferral` goes back from 0.5 to 0.5"),
        ({"deferral": ((0.0, 0.5), (0.5, 1.5))}, "`deferral` has a share above 1"),
        ({"encode_s": float("nan")}, "`encode_s` is nan"),
        ({"decode_s": -1.0}, "`decode_s` is -1.0; it must not be negative"),
        ({"step_times": (StepTime(denoiser_rows=1, seconds=1.0),) * 2}, "two times for 1 rows"),
        ({"step_times": (StepTime(denoiser_rows=0, seconds=1.0),)}, "a call without rows"),
        ({"mix_quality": ((0.0, float("inf")),)}, "`mix_quality.*` is inf"),
    ],
)
def test_figures_that_cannot_be_are_refused_by_their_key(changes, words):
    with pytest.raises(ProfileError, match=words):
        Profile.from_toml(a_profile(**changes).to_toml())


def test_a_file_of_format_1_is_read():
    assert Profile.from_toml(TOML.replace("format = 2", "format = 1")) == a_profile(device="cpu")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sizes": (SizeTimes(width=64, height=64, step_times=a_profile().step_times),)}, "`sizes` has 64x64 twice"),
        ({"quality": (LevelQuality(steps=4, first_step=4, quality=1.0),)}, "`quality.0.` skips 4 of 4 steps"),
        ({"quality": (LevelQuality(steps=4, quality=1.0),) * 2}, "`quality` has 4 steps from step 0 on twice"),
        ({"similarity": (SimilarityQuality(steps=4, first_step=1, curve=()),)}, "`similarity.0..curve` has no points"),
    ],
)
def test_entries_that_say_nothing_or_twice_are_refused(changes, words):
    with pytest.raises(ProfileError, match=words):
        Profile.from_toml(a_profile(**changes).to_toml())


def test_a_number_beyond_all_bounds_is_refused():
    text = TOML + "\n[memory]\nweights_bytes = 1" + "0" * 400 + "\n"
    with pytest.raises(ProfileError, match=r"`memory\.weights_bytes` is too large"):
        Profile.from_toml(text)


def test_decoding_takes_time_between_that_of_measured_sizes():
    sizes = (SizeTimes(width=128, height=128, step_times=a_profile().step_times, decode_s=0.3),)
    profile = a_profile(sizes=sizes, decode_s=0.1, extrapolates=False)
    assert profile.decoding_s(width=128, height=128) == 0.3
    assert 0.1 < profile.decoding_s(width=96, height=96) < 0.3


@pytest.mark.parametrize("has_source", [True, False])
def test_work_beside_steps_beyond_the_measurements_is_refused(has_source):
    profile = a_profile(extrapolates=False)
    with pytest.raises(ProfileError, match=r"no measured `decode_s` at 128x128"):
        profile.decoding_s(width=128, height=128)
    if has_source:
        with pytest.raises(ProfileError, match=r"no measured `encode_picture_s` at 128x128"):
            profile.encoding_s(width=128, height=128, has_source=True)
    else:
        assert profile.encoding_s(width=128, height=128, has_source=False) == profile.encode_s


def times_of(*rows, seconds=0.1):
    return tuple(StepTime(denoiser_rows=count, seconds=seconds * count) for count in rows)


def test_a_controlnet_over_rows_or_at_a_size_that_was_not_measured_is_refused():
    times = (StepTime(denoiser_rows=1, seconds=0.1), StepTime(denoiser_rows=8, seconds=0.2))
    profile = a_profile(controlnet_times=times, extrapolates=False)
    assert profile.controlnet_s(8, width=64, height=64) == 0.2
    for rows, side in ((9, 64), (1, 32), (1, 128)):
        with pytest.raises(ProfileError, match=f"no measured ControlNet in a call of {rows} rows of {side}x{side}"):
            profile.controlnet_s(rows, width=side, height=side)
    with pytest.raises(ProfileError, match=r"no measured ControlNet in a call of 1 rows.*measured are 2 to 8 rows"):
        msgspec.structs.replace(profile, controlnet_times=times_of(2, 8)).controlnet_s(1, width=64, height=64)
    size = SizeTimes(width=128, height=128, step_times=times_of(1, 8), controlnet_times=times_of(1, 8, seconds=0.7))
    with_sizes = msgspec.structs.replace(profile, sizes=(size,))
    assert with_sizes.controlnet_s(1, width=128, height=128) == 0.7
    assert 0.1 < with_sizes.controlnet_s(1, width=96, height=96) < 0.7


def test_start_pictures_and_controlnets_that_were_never_measured_are_refused_or_estimated():
    profile = a_profile(encode_picture_s=None, extrapolates=False)
    with pytest.raises(ProfileError, match="no measured start picture"):
        profile.encoding_s(width=64, height=64, has_source=True)
    with pytest.raises(ProfileError, match="no measured ControlNet"):
        profile.controlnet_s(2, width=64, height=64)
    estimated = msgspec.structs.replace(profile, extrapolates=True)
    assert estimated.encoding_s(width=64, height=64, has_source=True) == estimated.encode_s


@given(pictures=st.integers(1, 20))
def test_several_pictures_in_one_call_take_less_time_than_one_by_one(pictures):
    profile = a_profile(decode_s=0.01, decode_batch=((1, 0.01), (4, 0.02), (8, 0.04)))
    together = profile.decoding_s(width=64, height=64, pictures=pictures)
    assert together <= pictures * 0.01
    assert together >= profile.decoding_s(width=64, height=64, pictures=max(1, pictures - 1)) * (pictures != 1) - 0.03
    assert a_profile(decode_s=0.01).decoding_s(width=64, height=64, pictures=pictures) == pytest.approx(pictures * 0.01)


def test_more_pixels_never_take_less_time_and_times_that_fall_to_a_quarter_are_refused():
    noisy = SizeTimes(width=128, height=128, step_times=times_of(1, 8, seconds=0.09))
    profile = a_profile(step_times=times_of(1, 8), sizes=(noisy,), extrapolates=False)
    assert profile.tick_s(8, width=128, height=128) == pytest.approx(0.8)
    assert Profile.from_toml(profile.to_toml()) == profile
    fallen = msgspec.structs.replace(noisy, step_times=times_of(1, 8, seconds=0.02))
    with pytest.raises(ProfileError, match=r"`sizes\[0\].step_times` falls from 0.1 s at 64x64 to 0.02 s at 128x128"):
        Profile.from_toml(msgspec.structs.replace(profile, sizes=(fallen,)).to_toml())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[sizes]]\nwidth = 9\nheight = 9\nstep_time = []", "step_times"),
        ("[memory]\nweight_bytes = 9", "weights_bytes"),
        ("[loads.disk]\ns_per_bytes = 9", "s_per_byte"),
    ],
)
def test_an_unknown_key_inside_is_refused_with_the_nearest_one(text, words):
    with pytest.raises(ProfileError, match=f"did you mean '{words}'"):
        Profile.from_toml(TOML + "\n" + text)


def test_quality_between_measured_levels_is_between_theirs_and_beyond_them_unknown():
    levels = ((4, 0, 0.6), (8, 0, 0.9), (8, 2, 0.8), (8, 4, 0.4))
    quality = tuple(LevelQuality(steps=steps, first_step=first, quality=value) for steps, first, value in levels)
    profile = a_profile(quality=quality)
    for steps, first, value in levels:
        assert profile.quality_of(steps=steps, first_step=first) == value
    assert profile.quality_of(steps=6) == pytest.approx(0.75)
    assert profile.quality_of(steps=8, first_step=3) == pytest.approx(0.6)
    assert [profile.quality_of(steps=steps) for steps in (3, 9)] == [None, None]
    assert profile.quality_of(steps=6, first_step=2) is None
    assert profile.quality_of(steps=8, first_step=5) is None


@given(likeness=st.floats(-1, 1), more=st.floats(0, 1))
def test_a_picture_from_a_more_similar_one_is_no_worse(likeness, more):
    curves = ((2, ((0.4, 0.7), (1.0, 0.9))), (4, ((0.4, 0.3), (1.0, 0.8))))
    profile = a_profile(
        quality=(LevelQuality(steps=8, quality=0.9),),
        similarity=tuple(SimilarityQuality(steps=8, first_step=first, curve=curve) for first, curve in curves),
    )
    for first_step in (0, 1, 2, 3, 4):
        far, near = (profile.quality_from(each, steps=8, first_step=first_step) for each in (likeness, likeness + more))
        assert 0.3 <= far <= near <= 0.9
    assert profile.quality_from(likeness, steps=8, first_step=5) is None
