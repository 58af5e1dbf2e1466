"""Floor 3. The waits of curves: read safely, and the curves of rules counted apart from the policy's."""

from __future__ import annotations

from redouble.control import faults
from redouble.core import checks
from redouble.core.backoff import CEILING, Backoff, _Called

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def safe_delay(curve: Backoff, failures: int, previous: float | None, draw: float) -> float | None:
    """Return a curve's wait; a user's curve that raises or returns no duration is logged once and counts as ended."""
    try:
        return sane(curve, curve.delay(failures, previous, draw))
    except Exception as error:
        return ended(curve, error)


def sane(curve: Backoff, wait: Any) -> float | None:
    """Return a curve's answer as a float in [0, `CEILING`]; `None` when the curve has ended or failed."""
    if wait is None:
        return None
    try:
        seconds = float(wait)
        if 0.0 <= seconds <= CEILING:
            return seconds
        raise ValueError(f"a delay must be in [0, {CEILING:.0f}] s, got {wait!r}")
    except Exception as error:
        return ended(curve, error)


def ended(curve: Backoff, error: Exception) -> float | None:
    """Report a curve that failed, and return `None`: it counts as ended."""
    faults.report("curve", _written(curve), error, "it counts as ended")
    return None


def _written(curve: Backoff) -> object:
    """Return the user's part of a curve, for a log line: a function, or the class of the innermost curve."""
    within: Any = curve
    while type(within).__module__.startswith("redouble.") and isinstance(getattr(within, "curve", None), Backoff):
        within = within.curve
    return within.function if isinstance(within, _Called) else type(within)


class OwnCurves:
    """The positions of the rules' own curves: each counts the failures since the last success that it answered."""

    __slots__ = ("_restored", "_states", "total")

    def __init__(self) -> None:
        self.total: int = 0
        self._states: dict[tuple[object, Backoff], tuple[int, float | None]] = {}
        self._restored: dict[str, tuple[int, float | None]] = {}

    def next(self, curve: Backoff, draw: float, rule: object = None) -> float | None:
        """Return the next wait of a rule's curve; rules with equal curves still count apart."""
        self.total += 1
        try:
            key = rule, curve
            if key in self._states:
                count, previous = self._states[key]
            else:
                count, previous = self._restored.pop(_text(*key), (0, None)) if self._restored else (0, None)
            wait = safe_delay(curve, count + 1, previous, draw)
            self._states[key] = count + 1, wait
        except Exception as error:  # a user's curve that cannot be hashed or shown
            return ended(curve, error)
        return wait

    def plain(self) -> dict[str, list[Any]]:
        """Return the counts by the text of their rule and curve, for a snapshot."""
        states = {_text(*key): state for key, state in self._states.items()} | self._restored
        return {text: list(state) for text, state in states.items()}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> OwnCurves | None:
        """Restore the counts from a snapshot; `None` where it has none."""
        if not plain:
            return None
        curves = cls()
        for text, (count, previous) in plain.items():
            least, before = checks.whole("count", count, least=0), checks.seconds_or_none("previous", previous)
            curves._restored[text] = least, before
        curves.total = sum(count for count, _ in curves._restored.values())
        return curves


def _text(rule: object, curve: Backoff) -> str:
    shown = checks.shown(curve, 1000)
    return shown if rule is None else f"{checks.shown(rule, 1000)}: {shown}"
