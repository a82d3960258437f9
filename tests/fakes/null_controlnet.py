"""A ControlNet service that has no ControlNets: ready at once, and there until its input ends."""

from safelight.core.frames import frame
from safelight.core.work import Ready
from safelight.worker.process import claim_output, commands

if __name__ == "__main__":
    events = claim_output()
    events.write(frame(Ready(models=(), max_denoiser_rows=0)))
    for _ in commands():
        pass
