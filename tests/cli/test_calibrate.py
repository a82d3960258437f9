"""`safelight calibrate`, on the small shipped model."""

import pytest

from profiles.makers import a_profile
from safelight.cli.main import main
from safelight.oneshot.calibration import mean_of
from safelight.profiles.profile import Profile


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    path = tmp_path_factory.mktemp("profiles") / "p.toml"
    assert main(["calibrate", "--model", "shapes-small", "-o", str(path)]) == 0
    return Profile.from_toml(path.read_text())


def test_a_profile_has_three_sizes_and_up_to_32_rows(calibrated):
    assert len(calibrated.sizes) == 2
    assert [time.denoiser_rows for time in calibrated.step_times] == [1, 2, 4, 8, 16, 32]
    assert not calibrated.extrapolates


def test_everything_that_takes_time_was_measured(calibrated):
    assert min(calibrated.encode_s, calibrated.decode_s, calibrated.encode_picture_s) > 0
    assert calibrated.adapter_costs.switch_s > 0
    assert calibrated.restore_s > 0
    assert min(calibrated.loads.disk.seconds(1_000_000), calibrated.loads.host.seconds(1_000_000)) > 0
    assert calibrated.model_loads.disk.s_per_byte > 0
    assert calibrated.memory.weights_bytes > 1e6


def test_memory_of_calls_and_of_decoding_was_measured(calibrated):
    pixels = 3 * calibrated.width * calibrated.height
    assert calibrated.memory.picture_bytes > pixels
    assert 1e4 < calibrated.memory.row_bytes < 1e8


def test_several_pictures_at_once_were_measured(calibrated):
    assert [count for count, _ in calibrated.encode_batch] == [count for count, _ in calibrated.decode_batch]
    assert calibrated.prompts_s(16) < 16 * calibrated.encode_s


def test_a_profile_names_the_machine_and_the_versions(calibrated):
    assert "1 thread a worker" in calibrated.device
    assert "torch" in calibrated.source


def test_a_model_that_is_not_there_is_refused_with_the_nearest_one(capfd):
    assert main(["calibrate", "--model", "shapes-larg"]) == 2
    assert "shapes-large" in capfd.readouterr().err


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(capfd, tmp_path):
    assert main(["calibrate", "--model", "shapes-small", "-o", str(tmp_path / "no" / "p.toml")]) == 2
    assert "There is no folder" in capfd.readouterr().err


def test_two_models_are_refused_since_a_profile_is_of_one(capfd):
    assert main(["calibrate", "--model", "shapes-small", "--model", "shapes-large"]) == 2
    assert "a profile is of one" in capfd.readouterr().err


def test_a_folder_that_is_no_model_is_refused_in_its_own_words(capfd, tmp_path):
    assert main(["calibrate", "--model", str(tmp_path), "--json"]) == 1
    assert "model_index.json" in capfd.readouterr().err


def test_processes_side_by_side_give_the_mean_of_their_figures():
    mean = mean_of([a_profile(encode_s=0.1), a_profile(encode_s=0.3)])
    assert mean == a_profile(encode_s=pytest.approx(0.2))
