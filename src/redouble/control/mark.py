"""Floor 3. The mark that a retried call leaves on the user's error: how its retries ended, and during which attempts.

Plain data under one name of the error's `__dict__`, so that it is pickled with it; left out where a class refuses it.
"""

from __future__ import annotations

from time import monotonic

from redouble.control.around import AROUND, BEGAN, NAME, is_attempt, links, named, number_of
from redouble.control.outcome import GaveUp, Reason
from redouble.core.causes import causes, leaves
from redouble.core.raw import probe, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from redouble.control.around import Link, Node

MARK = "_redouble_outcome"

NOWHERE = -1
"""The number of an attempt that has no link in the chain, as those of a `BackoffController`."""


def outcome(error: BaseException) -> GaveUp | None:
    """Return how the retries of this error ended.

    Args:
        error: An error that came out of a retried call.

    Returns:
        A `GaveUp`; `None` when no retry gave up on this error, which is also so for an error that was PERMANENT on the
        first attempt (it is left untouched).

    >>> from redouble import outcome, retry
    >>> from redouble.testing import fake_time, scripted
    >>> with fake_time():
    ...     try:
    ...         retry(attempts=2).call(scripted(ConnectionResetError, ConnectionResetError))
    ...     except ConnectionResetError as error:
    ...         print(outcome(error).reason, outcome(error).attempts)
    Reason.ATTEMPTS 2
    """
    data = read(error)
    if data is None:
        return None
    try:
        history = tuple((name, times) for name, times in data["history"])
        end = Reason[data["reason"]], data["attempts"], data["elapsed"], data["name"], data["hint"]
        return GaveUp(*end, history, data["limit"])
    except (KeyError, TypeError, ValueError):
        return None  # somebody else's data under our name, or the end of a scope alone


def read(error: object) -> dict[str, Any] | None:
    """The mark of an error, as data; `None` where there is none."""
    try:
        data = getattr(error, MARK, None)
    except Exception:  # a class that guards its attributes
        return None
    return data if type(data) is dict else None


def mark_answer(answer: object, end: GaveUp, own: Link) -> None:
    """Write on an HTTP answer that is returned how its retries ended, for a retry around; not on any other value."""
    if whole(probe(answer, "status_code")) is not None or whole(probe(answer, "status")) is not None:
        mark(answer, end, end.attempts > 1, own)


def mark(
    error: object,
    end: GaveUp,
    retried: bool,
    own: Link | None = None,
    bound: Node | None = None,
    advice: str = "",
) -> None:
    """Write on the error how its retries ended: data for `outcome`, and one PEP 678 note where it tells something.

    Args:
        error: The user's error, or an HTTP answer, which bears no note; a class that refuses attributes is left as it is.
        end: The decision.
        retried: Whether there was a second attempt.
        own: The link of the call that gives up.
        bound: The bound around the call that ended it, if one did.
        advice: What to write instead, for the end of the note.
    """
    before = read(error) or {}
    inner = before if end.reason is Reason.NESTED else {}  # who gave up on it is whoever did so first
    try:
        data: dict[str, Any] = {
            "reason": end.reason.name,
            "attempts": end.attempts,
            "elapsed": end.elapsed,
            "name": end.name,
            "hint": end.hint,
            "history": end.history,
            "limit": end.limit,
            "at": monotonic(),
            "began": monotonic() if own is None else own[BEGAN],
            "around": _around(inner, own),
            "bound": inner.get("bound") if bound is None else named(bound),
        }
        if retried or end.reason not in (Reason.PERMANENT, Reason.ATTEMPTS):
            data["root"] = inner.get("root") or inner.get("note")
            text = f"{end} ({data['root']})" if data["root"] else str(end)
            data["note"] = f"{text}; {advice}" if advice else text
        setattr(error, MARK, data)  # first, so that a note is added to what can bear its mark alone
        if isinstance(error, BaseException):
            _replace_note(error, before.get("note"), data.get("note"))
    except Exception:  # the class guards its attributes: the error matters, the mark does not
        return


def mark_bound(error: BaseException, bound: Node) -> None:
    """Write on an error of ours which scope or watchdog it stands for."""
    setattr(error, MARK, {"bound": named(bound), "at": monotonic()})


def ended_by(error: BaseException, number: int) -> bool:
    """Whether the bound of that number ended the call that raised this error, or an error beneath it."""
    return any((read(each) or {}).get("bound") == number for each in _related(error))


def ended_around(error: BaseException, among: Iterable[Node], since: float) -> bool:
    """Return whether a scope or a watchdog around a call ended what the attempt called: then nothing within tries again.

    The one place that decides whose end an error is. A scope within the attempt is not among those around the call: its
    end is a failure of the attempt like any other.

    Args:
        error: What the attempt raised.
        among: The bounds and watchdogs around the call.
        since: When the attempt began: what ended something before that does not count.
    """
    numbers = [node[NAME] for node in among if node[NAME]]
    if not numbers:
        return False
    marks = (read(each) or {} for each in _related(error))
    return any(data.get("bound") in numbers and data.get("at", 0.0) >= since for data in marks)


def unmark(error: BaseException) -> None:
    """Take the mark off an error, which from here on is one as any other."""
    try:
        error.__dict__.pop(MARK, None)
    except Exception:
        return


def given_up_during(error: object, since: float, number: int) -> bool:
    """Whether an inner retry gave up on this error, on a cause or on a leaf of it, during the attempt at hand.

    So it did on an HTTP answer that an inner retry returned as it was, and on an error that was made of such an answer.

    As PERMANENT does not count: for that one retry the error was beyond its rules, for this one it need not be.

    Args:
        error: What the attempt raised, or the answer that it returned.
        since: When the attempt began, by `time.monotonic`.
        number: The number of its link; a mark names the attempts that were around it. Where it names none (it was made
            in a thread of a pool, a greenlet, another process), the time at which that retry began decides: one that
            began before the attempt is not beneath it, such as that of another caller who awaits the same task.
    """
    for each in _related(error) if isinstance(error, BaseException) else (error,):
        data = read(each)
        if data is not None and data.get("reason") not in (None, Reason.PERMANENT.name) and _is_of(data, since, number):
            return True
    return False


def _is_of(data: dict[str, Any], since: float, number: int) -> bool:
    around, began = data.get("around"), data.get("began")
    in_time = isinstance(began, float) and began >= since
    if type(around) is not tuple or not around:
        return in_time
    if number == NOWHERE:  # within the same attempt, if any, and since it began
        mine = _numbers_around(None)
        return in_time and bool(mine) and mine[0] in around
    return number in around


def _numbers_around(own: Link | None) -> tuple[int, ...]:
    """The numbers of the attempts around the call that gives up."""
    return tuple(number_of(link) for link in links(AROUND.get()) if link is not own and is_attempt(link))


def _around(inner: dict[str, Any], own: Link | None) -> tuple[int, ...]:
    """The attempts around who gave up first and around who does now; none where this one has none around it.

    Then it is at the bottom of a thread of a pool, and who is around that only time can tell.
    """
    mine = _numbers_around(own)
    return (*(inner.get("around") or ()), *mine) if mine else ()


def _replace_note(error: BaseException, old: str | None, new: str | None) -> None:
    notes = getattr(error, "__notes__", None)
    if old is not None and isinstance(notes, list) and old in notes:
        notes.remove(old)
    if new is not None:
        error.add_note(new)


def _related(error: BaseException) -> Iterator[Any]:
    """Yield an error, its causes, the leaves of groups, and the answers that these tell of, which bear marks too."""
    for link in causes(error):
        yield link
        yield from _answers_of(link)
        if isinstance(link, BaseExceptionGroup):
            for leaf in leaves(link) or ():
                yield from causes(leaf)


def _answers_of(error: BaseException) -> Iterator[Any]:
    """Yield what an HTTP client's error keeps of the answer that it was made of."""
    if type(error).__module__ != "builtins":  # the most common errors keep nothing: spare them the search
        for name in ("response", "request_info"):
            found = probe(error, name)
            if found is not None:
                yield found
