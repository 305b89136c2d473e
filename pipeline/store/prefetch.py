"""Make things in a thread while those before them are used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
END = object()


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """The items in their order, each made in a thread while the one before is used.

    At most one waits. An error in making one is raised where it would have come.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(next, items, END)
        while (item := coming.result()) is not END:
            coming = thread.submit(next, items, END)
            yield item
