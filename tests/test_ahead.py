import threading

import pytest

from pipeline.store.ahead import ahead


def test_items_come_in_their_order_and_the_next_is_made_while_one_is_in_use():
    made = threading.Event()

    def items():
        yield 1
        made.set()
        yield 2

    coming = ahead(items())
    assert next(coming) == 1
    assert made.wait(10)  # nobody has asked for the second
    assert list(coming) == [2]


def test_an_error_reaches_whoever_asks_for_the_item():
    def items():
        yield 1
        raise OSError("disk")

    coming = ahead(items())
    assert next(coming) == 1
    with pytest.raises(OSError, match="disk"):
        next(coming)
