"""When an XR is looked at again: by the time since it changed, not by how often it was looked at."""

from __future__ import annotations

from bridge.sync.intake import Of
from bridge.sync.ledger import Ledger

OF = Of("cache", "team-a", "orders")


def test_an_xr_that_has_changed_is_looked_at_each_second_and_then_ever_more_seldom():
    ledger, looks, now = Ledger(), [], 100.0
    again = ledger.look_again(OF, now, changed=True)
    while again is not None:
        looks.append(again)
        now += again
        again = ledger.look_again(OF, now, changed=False)
    assert looks == [1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.5, 6.75, 10.125, 15.1875, 22.78125]
    assert ledger.look_again(OF, now + 1.0, changed=False) is None


def test_hints_that_bring_nothing_make_no_look_later():
    ledger = Ledger()
    ledger.look_again(OF, 100.0, changed=True)
    assert [ledger.look_again(OF, 100.0 + tenth / 10, changed=False) for tenth in range(9)] == [1.0] * 9


def test_what_never_changed_since_the_process_began_is_not_looked_at():
    assert Ledger().look_again(OF, 5.0, changed=False) is None


def test_what_is_steered_is_told_once():
    ledger = Ledger()
    ledger.steer("cache")
    assert [ledger.steered("cache"), ledger.steered("cache"), ledger.steered("other")] == [True, False, False]
