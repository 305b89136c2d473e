"""The next thing is made while the one before is used."""

import threading
from contextlib import closing

import pytest

from pipeline.store.prefetch import prefetch

PATIENCE = 10  # seconds


def test_items_come_in_order():
    assert list(prefetch(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert list(prefetch(iter([]))) == []
    assert list(prefetch(iter([None, None]))) == [None, None]


def test_only_the_next_item_is_made_while_one_is_used():
    made = [threading.Event() for _ in range(4)]

    def things():
        for number, event in enumerate(made):
            event.set()
            yield number

    coming = prefetch(things())
    assert next(coming) == 0
    assert made[1].wait(PATIENCE)
    assert not made[2].is_set()
    assert next(coming) == 1
    assert made[2].wait(PATIENCE)
    assert not made[3].is_set()


def test_an_error_is_raised_at_the_items_place():
    def things():
        yield "good"
        raise ValueError("bad")

    coming = prefetch(things())
    assert next(coming) == "good"
    with pytest.raises(ValueError, match="bad"):
        next(coming)


def test_an_abandoned_prefetch_stops_and_leaves_no_thread():
    made, before = [], threading.active_count()

    def things():
        for number in range(5):
            made.append(number)
            yield number

    def use():
        with closing(prefetch(things())) as coming:
            for number in coming:
                1 / number

    with pytest.raises(ZeroDivisionError):
        use()
    assert len(made) <= 2
    assert threading.active_count() == before
