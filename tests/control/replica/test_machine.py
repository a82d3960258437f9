"""What a replica asks for, event by event."""

import pytest

from control.makers import LARGE, OWN_SIDE, job, paces, spec, use
from safelight.adapters.modes import adapter_mode_named
from safelight.control.replica.config import READ_AGAIN_S, ReplicaConfig
from safelight.control.replica.effects import (
    BeginRows,
    CopyAdapter,
    Emit,
    EvictAdapter,
    FinishRows,
    Fold,
    ForgetAdapter,
    ForgetLatents,
    KeepLatents,
    ReadAdapter,
    SendPicture,
    Step,
)
from safelight.control.replica.events import (
    AdapterCopied,
    AdapterNotRead,
    AdapterRead,
    Decoded,
    Drained,
    Folded,
    LatentsKept,
    NotFolded,
    NotPrepared,
    Prepared,
    Stepped,
)
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.adapter import AdapterHandle, AdapterSpec
from safelight.core.model import AdapterCosts
from safelight.core.source import LatentsHandle
from safelight.core.work import AdapterLoaded, AdapterRefused, AddAdapter, Cancel, Failed, PutLatents, Run, Started

COSTS = AdapterCosts(switch_s=0.01, unmerged_overhead=0.5, correction_overhead=0.25)
OUTLINE, PASTEL = AdapterHandle(name="outline", generation=1), AdapterHandle(name="pastel", generation=1)


class Driver:
    """Reports one event at a time, each a second after the one before unless told when."""

    def __init__(self, **settings):
        self.paces = paces(spec(LARGE, adapter_costs=COSTS))
        self.machine = ReplicaMachine(self.paces, config=ReplicaConfig(**settings))
        self.now = 0.0

    def __call__(self, event, *, now=None):
        self.now = self.now + 1 if now is None else now
        return self.machine.handle(event, self.now)

    def know(self, handle):
        """Have an adapter added and read for the first time."""
        self(AddAdapter(handle=handle, path=handle.name))
        self(AdapterRead(handle=handle, spec=spec_of(handle)))

    def bring(self, handle):
        """Have an adapter that is being read come to the device."""
        self(AdapterRead(handle=handle, spec=spec_of(handle)))
        self(AdapterCopied(handle=handle))


def spec_of(handle, ranks=(4,)):
    return AdapterSpec(name=handle.name, kind="lora", model=LARGE, weights_bytes=100, ranks=ranks)


def stepped(*broken_ids):
    return Stepped(seconds=0.1, broken_ids=broken_ids)


def kinds(effects):
    return [type(effect.event if isinstance(effect, Emit) else effect) for effect in effects]


def lined(name="lined", **fields):
    return job(name, loras=(use("outline"),), **fields)


def test_a_tick_begins_its_rows_then_steps_then_decodes_then_sends():
    driver = Driver()
    assert driver(Run(job=job("a", steps=1))) == []
    assert driver(Drained()) == [BeginRows(jobs=(job("a", steps=1),))]
    assert kinds(driver(Prepared(request_ids=("a",), seconds=0.25))) == [Started, Step]
    assert driver(stepped())[1:] == [FinishRows(request_ids=("a",))]
    (sent,) = driver(Decoded(request_ids=("a",), seconds=0.5, prompt_tokens=(3,)))
    assert sent == SendPicture(request_id="a", compute_s=0.85, prompt_tokens=3, steps_without_loras=0)
    assert driver.machine.is_idle


def test_nothing_to_run_is_nothing_to_do():
    assert Driver()(Drained()) == []


def test_rows_that_cannot_begin_together_are_tried_one_by_one():
    driver = Driver()
    for name in "ab":
        driver(Run(job=job(name)))
    driver(Drained())
    alone = driver(NotPrepared(request_ids=("a", "b"), reason="out of memory"))
    assert alone == [BeginRows(jobs=(job("a"),)), BeginRows(jobs=(job("b"),))]
    assert kinds(driver(NotPrepared(request_ids=("a",), reason="out of memory")))[-1] is Failed
    driver(Prepared(request_ids=("b",), seconds=0.1))
    assert [effect.request_ids for effect in driver(Drained())] == [("b",)]


def ready_to_fold():
    """A driver before the first tick of a row whose LoRA is on the device."""
    driver = Driver(adapter_mode=adapter_mode_named("always-merged"))
    driver.know(OUTLINE)
    driver(Run(job=lined()))
    driver.bring(OUTLINE)
    driver(Drained())
    return driver


def test_a_composition_is_folded_once_for_all_ticks_that_want_it():
    driver = ready_to_fold()
    effects = driver(Prepared(request_ids=("lined",), seconds=0.1))
    assert effects[1:] == [Fold(model=LARGE, composition=lined().composition)]
    assert kinds(driver(Folded(model=LARGE))) == [Step]
    driver(stepped())
    assert kinds(driver(Drained())) == [Step]


def test_after_a_fold_that_failed_the_next_tick_folds_whatever_it_wants():
    driver = ready_to_fold()
    driver(Prepared(request_ids=("lined",), seconds=0.1))
    assert kinds(driver(NotFolded(model=LARGE, reason="out of memory")))[-1] is Failed
    driver(Run(job=job("plain")))
    driver(Drained())
    assert kinds(driver(Prepared(request_ids=("plain",), seconds=0.1))) == [Started, Fold]


def test_a_load_takes_from_the_read_that_is_asked_for_to_its_end_and_from_the_copy_to_its_end():
    driver = Driver()
    driver.know(OUTLINE)
    driver(Run(job=lined()), now=10.0)
    driver(AdapterRead(handle=OUTLINE, spec=spec_of(OUTLINE)), now=12.0)
    (loaded,) = driver(AdapterCopied(handle=OUTLINE), now=12.5)
    assert loaded == Emit(event=AdapterLoaded(handle=OUTLINE, seconds=2.5))


def test_weights_that_were_read_only_to_look_at_them_do_not_stay():
    driver = Driver()
    driver(AddAdapter(handle=OUTLINE, path="somewhere"))
    assert driver(AdapterRead(handle=OUTLINE, spec=spec_of(OUTLINE)))[0] == ForgetAdapter(handle=OUTLINE)


def test_an_adapter_that_its_process_did_not_read_is_read_again_later():
    driver = Driver()
    driver(AddAdapter(handle=OUTLINE, path="somewhere"))
    again = driver(AdapterNotRead(handle=OUTLINE, reason="away", is_service_lost=True))
    assert again == [ReadAdapter(handle=OUTLINE, path="somewhere", after_s=READ_AGAIN_S)]


def test_an_adapter_that_fits_nowhere_is_refused():
    driver = Driver()
    driver(AddAdapter(handle=OUTLINE, path="somewhere"))
    effects = driver(AdapterRead(handle=OUTLINE, spec=spec_of(OUTLINE, ranks=(1000,))))
    assert kinds(effects) == [ForgetAdapter, AdapterRefused]


def test_pictures_are_sent_before_weights_are_moved_for_others():
    wide = (256,)
    driver = Driver()
    for handle in (OUTLINE, PASTEL):
        driver(AddAdapter(handle=handle, path=handle.name))
        driver(AdapterRead(handle=handle, spec=spec_of(handle, wide)))
    driver(Run(job=lined(steps=1)))
    driver(Run(job=job("next", loras=(use("pastel"),))))
    for handle in (OUTLINE, PASTEL):
        driver(AdapterRead(handle=handle, spec=spec_of(handle, wide)))
    driver(AdapterCopied(handle=OUTLINE))
    driver(Drained())
    driver(Prepared(request_ids=("lined",), seconds=0.1))
    driver(stepped())
    effects = driver(Decoded(request_ids=("lined",), seconds=0.1, prompt_tokens=(3,)))
    assert [kind for kind in kinds(effects) if kind in {SendPicture, EvictAdapter, CopyAdapter}] == [
        SendPicture,
        EvictAdapter,
        CopyAdapter,
    ]


def test_a_row_that_is_cancelled_while_its_adapter_is_read_leaves_nothing_to_run():
    driver = Driver()
    driver.know(OUTLINE)
    driver(Run(job=lined(grace_steps=2)))
    driver(Cancel(request_id="lined"))
    assert driver.machine.is_idle
    assert driver(Drained()) == []


def test_the_replica_learns_from_what_it_tells():
    driver = Driver()
    driver(Run(job=job("a", steps=2)))
    driver(Drained())
    driver(Prepared(request_ids=("a",), seconds=0.1))
    twin = paces(spec(LARGE, adapter_costs=COSTS))[LARGE]
    twin.observe(driver(stepped())[0].event)
    assert driver.paces[LARGE].pace(OWN_SIDE, OWN_SIDE) == twin.pace(OWN_SIDE, OWN_SIDE) != 1


def sent(number):
    return LatentsHandle(id=f"sent{number}")


def test_latents_that_a_job_starts_from_are_not_the_oldest_any_more():
    driver = Driver(latents_bytes=200)
    for number in range(2):
        assert kinds(driver(PutLatents(handle=sent(number), file=b""))) == [KeepLatents]
        driver(LatentsKept(handle=sent(number), latents_bytes=100))
    driver(Run(job=job("a", start=sent(0))))
    effects = driver(LatentsKept(handle=sent(2), latents_bytes=100))
    assert effects[0] == ForgetLatents(handle=sent(1))


def test_latents_larger_than_all_that_may_be_kept_do_not_stay():
    effects = Driver(latents_bytes=99)(LatentsKept(handle=sent(0), latents_bytes=100))
    assert effects[0] == ForgetLatents(handle=sent(0))


def test_a_job_is_held_once():
    driver = Driver()
    driver(Run(job=job("a")))
    with pytest.raises(AssertionError, match="held already"):
        driver(Run(job=job("a")))
