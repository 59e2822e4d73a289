"""Which request comes next."""

from __future__ import annotations

import threading

import pytest

from mmpl.worker.inbox import Cancelled, Inbox, Request


@pytest.fixture
def inbox():
    return Inbox()


def test_requests_come_in_order(inbox):
    for n, do in enumerate(["open_bundle", "open_case", "segment"]):
        assert inbox.put(Request(n, do)) == []
    assert [inbox.take().id for _ in range(3)] == [0, 1, 2]


def test_of_waiting_edits_only_the_latest_is_kept_in_its_place(inbox):
    inbox.put(Request(0, "measure"))
    inbox.put(Request(1, "save"))
    assert [r.id for r in inbox.put(Request(2, "measure"))] == [0]
    assert [inbox.take().id for _ in range(2)] == [1, 2]


def test_a_new_edit_stops_the_one_that_runs(inbox):
    inbox.put(Request(0, "measure"))
    inbox.take()
    inbox.check()
    inbox.put(Request(1, "measure"))
    with pytest.raises(Cancelled):
        inbox.check()
    assert inbox.take().id == 1
    inbox.check()


def test_a_new_edit_does_not_stop_anything_else(inbox):
    inbox.put(Request(0, "segment"))
    inbox.take()
    inbox.put(Request(1, "measure"))
    inbox.check()


def test_cancel_stops_what_runs_and_drops_what_waits(inbox):
    for n, do in enumerate(["segment", "measure", "save"]):
        inbox.put(Request(n, do))
    inbox.take()
    assert [r.id for r in inbox.put(Request(3, "cancel"))] == [1, 2]
    with pytest.raises(Cancelled):
        inbox.check()
    inbox.put(Request(4, "segment"))
    assert inbox.take().id == 4
    inbox.check()


def test_cancel_with_nothing_running_harms_nothing(inbox):
    assert inbox.put(Request(0, "cancel")) == []
    inbox.put(Request(1, "segment"))
    inbox.take()
    inbox.check()


def test_a_closed_inbox_ends_the_wait_and_the_work(inbox):
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(inbox.take()))
    waiting.start()
    inbox.close()
    waiting.join(timeout=5)
    assert taken == [None]
    with pytest.raises(Cancelled):
        inbox.check()
