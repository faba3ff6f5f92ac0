"""Waiting for what others do."""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

Value = TypeVar("Value")


def wait_for(what: str, condition: Callable[[], Value | None], seconds: float = 20, every: float = 1) -> Value:
    """Return the first true value of a condition.

    It is looked at again after a tenth of the time that has passed, though not sooner than after 20 ms: what takes a
    moment is seen at once, and what takes minutes is not slowed down by being looked at.

    Args:
        what: what is waited for, for the error.
        condition: what to look at; its errors end the wait.
        seconds: how long to wait. The default suits what only a fault makes slow.
        every: the longest time between two looks, in seconds.

    Raises:
        TimeoutError: if there was no true value in time.
    """
    started = time.monotonic()
    while not (value := condition()):
        passed = time.monotonic() - started
        if passed > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(min(max(0.02, passed / 10), every))
    return value


def wait_until_none(what: str, find: Callable[[], Iterable[str]], seconds: float = 20, every: float = 1) -> None:
    """Return when nothing is found any more; fail with what still is after so many seconds."""
    found: list[str] = []

    def none() -> bool:
        found[:] = find()
        return not found

    try:
        wait_for(what, none, seconds, every)
    except TimeoutError as error:
        raise AssertionError(f"{error}: {'; '.join(found)}") from error
