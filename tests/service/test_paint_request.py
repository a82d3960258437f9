"""What a call asks for, as requests for single pictures."""

import pytest

from control.makers import spec
from safelight.core.errors import InvalidParameter
from safelight.service.paint_request import PaintRequest, image_requests


@pytest.mark.parametrize("param", ["prompt", "negative_prompt"])
def test_half_a_character_is_refused(param):
    paint = PaintRequest(**{"prompt": "a red circle", param: "half \ud800"})
    with pytest.raises(InvalidParameter, match=f"{param} is .*Unicode"):
        image_requests(paint, spec(), arrived_s=0.0)
