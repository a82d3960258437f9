"""What holds for the registry whatever is added, removed and used, in whatever order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.makers import MODEL, lora
from safelight.adapters.registry import AdapterRegistry
from safelight.core.errors import AdapterExists, UnknownAdapter

NAMES = ("outline", "pastel", "neon")
names = st.sampled_from(NAMES)


class RegistryUnderFire(RuleBasedStateMachine):
    """Against a model that keeps, for each name, the weights it means, and for each row, the weights it was given."""

    def __init__(self):
        super().__init__()
        self.registry = AdapterRegistry()
        self.meant = {}
        self.rows = []
        self.removed = set()
        self.gone = set()
        self.handed_out = set()

    def note(self, adapters):
        for adapter in adapters:
            assert adapter.handle not in self.gone, "weights go once"
            assert adapter.handle in self.removed
            self.gone.add(adapter.handle)

    @rule(name=names)
    def add(self, name):
        if name in self.meant:
            with pytest.raises(AdapterExists):
                self.registry.add(lora(name))
            return
        handle = self.registry.add(lora(name)).handle
        assert handle not in self.handed_out, "a handle means one adapter for ever"
        self.handed_out.add(handle)
        self.meant[name] = handle

    @rule(name=names)
    def remove(self, name):
        if name not in self.meant:
            with pytest.raises(UnknownAdapter):
                self.registry.remove(name)
            return
        self.removed.add(self.meant.pop(name))
        self.note(self.registry.remove(name))

    @rule(wanted=st.lists(names, min_size=1, max_size=4))
    def admit(self, wanted):
        if not set(wanted) <= set(self.meant):
            with pytest.raises(UnknownAdapter):
                self.registry.acquire(wanted, kind="lora", model=MODEL)
            return
        lease = self.registry.acquire(wanted, kind="lora", model=MODEL)
        self.rows.append((lease, {name: self.meant[name] for name in wanted}))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def leave(self, data):
        lease, _ = self.rows.pop(data.draw(st.integers(0, len(self.rows) - 1)))
        self.note(self.registry.release(lease))

    @invariant()
    def a_row_keeps_the_weights_it_was_admitted_with(self):
        for lease, bound in self.rows:
            assert {name: lease.handle(name) for name in bound} == bound
            assert self.gone.isdisjoint(bound.values())

    @invariant()
    def names_mean_what_was_added_last(self):
        assert {adapter.spec.name: adapter.handle for adapter in self.registry.registered} == self.meant

    @invariant()
    def removed_weights_stay_as_long_as_a_row_uses_them(self):
        used = {handle for _, bound in self.rows for handle in bound.values()}
        assert {adapter.handle for adapter in self.registry.draining} == self.removed & used
        assert self.gone == self.removed - used

    @invariant()
    def rows_are_counted(self):
        for handle in self.handed_out:
            assert self.registry.rows(handle) == sum(handle in bound.values() for _, bound in self.rows)


RegistryUnderFire.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestRegistryUnderFire = RegistryUnderFire.TestCase
