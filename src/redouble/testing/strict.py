"""On top of the floors: reported faults, which otherwise only reach the log, as the failure of a test."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from redouble.control import faults

if TYPE_CHECKING:
    from collections.abc import Callable


class FaultsHeard:
    """Collects the faults reported while it listens: a rule, an observer, a curve, a clock or a stop that raises.

    Args:
        concerns_us: Tells whether a fault concerns this listener; called where the fault is reported.
    """

    def __init__(self, concerns_us: Callable[[], bool]) -> None:
        self._concerns_us = concerns_us
        self._lock = threading.Lock()
        self._heard: list[tuple[str, BaseException]] = []

    def listen(self) -> None:
        """Start listening."""
        faults.listeners.append(self._hear)

    def _hear(self, line: str, error: BaseException) -> None:
        if self._concerns_us():
            with self._lock:
                self._heard.append((line, error))

    def stop(self) -> None:
        """Stop listening."""
        faults.listeners.remove(self._hear)

    def fail(self, leaving: Exception | None = None) -> None:
        """Raise an error that names all faults heard, if there are any.

        Args:
            leaving: The exception of the block; `None`: it raised none.

        Raises:
            AssertionError: Its cause is the block's exception, or the first fault.
        """
        heard, self._heard = self._heard, []
        if heard:
            lines = "".join(f"\n- {line}" for line in dict.fromkeys(line for line, _ in heard))
            raise AssertionError(f"under fake_time(strict=True) {_reports(len(heard))}:{lines}") from (
                heard[0][1] if leaving is None else leaving
            )


def _reports(number: int) -> str:
    return "this was reported" if number == 1 else f"this was reported, {number} times in all"
