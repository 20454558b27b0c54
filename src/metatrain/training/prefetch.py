"""Batches made ahead of the step that needs them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def prefetched(
    make: Callable[[Item], Made], items: Iterable[Item], num_workers: int
) -> Iterator[Made]:
    """``map(make, items)``, in the same order, made by threads that run ahead.

    :param num_workers: threads; with 0 each is made when it is asked for
    """
    if num_workers == 0:
        yield from map(make, items)
        return
    with ThreadPoolExecutor(num_workers) as pool:
        ahead: deque = deque()
        for item in items:
            ahead.append(pool.submit(make, item))
            if len(ahead) > num_workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
