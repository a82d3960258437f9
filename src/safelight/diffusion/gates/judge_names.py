"""Judges by name, as command lines have them."""

from pathlib import Path
from typing import Final

from safelight.core.errors import InvalidParameter, RequestError, nearest
from safelight.diffusion.gates.clip_judge import LEAST, ClipJudge
from safelight.diffusion.gates.judges import Judge, SceneJudge

NAMES: Final = (SceneJudge.name, ClipJudge.name)


def load_judge(name: str, *, least: float = LEAST) -> Judge:
    """Return the judge `scene`, or `clip:FOLDER` for a CLIP model that accepts pictures of CLIPScore `least`.

    Raises:
        RequestError: if there is no such judge, or it needs a folder.
        ModelFolderError: if the folder holds no CLIP model.
    """
    kind, _, folder = name.partition(":")
    match kind, folder:
        case SceneJudge.name, "":
            return SceneJudge()
        case SceneJudge.name, _:
            raise RequestError("The judge 'scene' reads no folder; name it alone.")
        case ClipJudge.name, "":
            raise RequestError("The judge 'clip' needs a CLIP model; name it as clip:FOLDER.")
        case ClipJudge.name, _:
            if not 0 <= least <= 1:
                raise InvalidParameter("least", least, "the CLIPScore of a good picture is from 0 to 1")
            judge = ClipJudge(folder=Path(folder), least=least)
            _ = judge.encoders
            return judge
    raise RequestError(f"No judge is called {kind!r}; {nearest(kind, NAMES)}")
