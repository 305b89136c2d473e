"""Prefetch items of an iterator: the next is made in a thread while the current one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
END = object()


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items in order, each made in a thread while the one before is used.

    At most one item waits. An error in making an item is raised at its place in the order.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        future = thread.submit(next, items, END)
        while (item := future.result()) is not END:
            future = thread.submit(next, items, END)
            yield item
