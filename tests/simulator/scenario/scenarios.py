"""Scenario texts for tests."""

PROFILE = """
{ model = "m", width = 64, height = 64, encode_s = 0.1, decode_s = 0.1, step_times = [
  { denoiser_rows = 1, seconds = 0.1 }, { denoiser_rows = 8, seconds = 0.4 } ] }
"""

SMALL = f"""
[[fleet]]
name = "gpu"
count = 2
models = ["m"]

[models.m]
steps = 10
profile = {" ".join(PROFILE.split())}

[workload.arrivals]
rate_per_s = 1.0
duration_s = 20.0

[[workload.mix]]
model = "m"
"""


def changed(old, new, text=SMALL):
    """Return a scenario in which one text is replaced; it must be there."""
    assert old in text, old
    return text.replace(old, new)
