"""Floor 3. The mark that a retried call leaves on the user's error: the end of its retries, and the attempts around it.

The mark is plain data under one name of the error's `__dict__`, so it is pickled with the error. An error whose class
refuses attributes has none.
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
"""The number of an attempt without a link in the chain, such as one of a `BackoffController`."""


def outcome(error: BaseException) -> GaveUp | None:
    """Return how the retries of an error ended: the reason, the number of attempts, the elapsed time.

    Args:
        error: An exception that came out of a retried call.

    Returns:
        A `GaveUp`; `None` when no retry gave up on this error. An error that was PERMANENT on the first attempt has
        none either: it is left untouched.

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
        return None  # other data under this name, or only the end of a scope


def read(error: object) -> dict[str, Any] | None:
    """Return the mark of an error, as data; `None` when there is none."""
    try:
        data = getattr(error, MARK, None)
    except Exception:  # a class that guards its attributes
        return None
    return data if type(data) is dict else None


def mark_answer(answer: object, end: GaveUp, own: Link) -> None:
    """Write the end of its retries on a returned HTTP response, for an outer retry; skip other values."""
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
    """Write the end of its retries on an error: data for `outcome` and, where it helps, one PEP 678 note.

    Args:
        error: The user's error, or an HTTP response (it gets no note). One that refuses attributes is left unchanged.
        end: The decision.
        retried: `True` when there was a second attempt.
        own: The link of the call that gives up.
        bound: The bound around the call that ended it, if one did.
        advice: A hint at a better way to write the call, for the end of the note.
    """
    before = read(error) or {}
    inner = before if end.reason is Reason.NESTED else {}  # the first call that gave up is the one to name
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
        setattr(error, MARK, data)  # first, so that an error that refuses the mark gets no note either
        if isinstance(error, BaseException):
            _replace_note(error, before.get("note"), data.get("note"))
    except Exception:  # the class guards its attributes: the error matters, the mark does not
        return


def mark_bound(error: BaseException, bound: Node) -> None:
    """Write the scope or watchdog that ended the call on an error that redouble raises."""
    setattr(error, MARK, {"bound": named(bound), "at": monotonic()})


def ended_by(error: BaseException, number: int) -> bool:
    """Return whether the bound of that number ended the call that raised this error, or one of its causes."""
    return any((read(each) or {}).get("bound") == number for each in _related(error))


def ended_around(error: BaseException, among: Iterable[Node], since: float) -> bool:
    """Return whether a scope or watchdog around a call ended the attempt's inner call; then the call must not retry.

    Only this function decides it. A scope within the attempt is not around the call: its end is a failure of the
    attempt like any other.

    Args:
        error: The error of the attempt.
        among: The bounds and watchdogs around the call.
        since: When the attempt began; an earlier end does not count.
    """
    numbers = [node[NAME] for node in among if node[NAME]]
    if not numbers:
        return False
    marks = (read(each) or {} for each in _related(error))
    return any(data.get("bound") in numbers and data.get("at", 0.0) >= since for data in marks)


def unmark(error: BaseException) -> None:
    """Remove the mark from an error, so that it is judged like any other."""
    try:
        error.__dict__.pop(MARK, None)
    except Exception:
        return


def given_up_during(error: object, since: float, number: int) -> bool:
    """Return whether an inner retry gave up on this error, a cause or a leaf of it, during the current attempt.

    An HTTP response that an inner retry returned after giving up counts too, and so does an error made of it. A give-up
    as PERMANENT does not count: the inner retry's rules may be narrower than those of this one.

    Args:
        error: The error of the attempt, or the response that it returned.
        since: When the attempt began, by `time.monotonic`.
        number: The number of the attempt's link; a mark names the attempts around it. A mark without any was made in a
            pool's thread, a greenlet or another process. Then the time decides: a retry that began before the attempt
            is not within it, such as one of another caller that awaits the same task.
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
    if number == NOWHERE:  # without a link of its own, the same outer attempt and the time decide
        mine = _numbers_around(None)
        return in_time and bool(mine) and mine[0] in around
    return number in around


def _numbers_around(own: Link | None) -> tuple[int, ...]:
    """Return the numbers of the attempts around the call that gives up."""
    return tuple(number_of(link) for link in links(AROUND.get()) if link is not own and is_attempt(link))


def _around(inner: dict[str, Any], own: Link | None) -> tuple[int, ...]:
    """Return the attempts around the call that gave up first and around this one; none if this one has none.

    Then the call is the outermost one in a pool's thread, and only the time can tell the attempts around that thread.
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
    """Yield an error, its causes, the leaves of groups, and their HTTP responses: each may bear a mark."""
    for link in causes(error):
        yield link
        yield from _answers_of(link)
        if isinstance(link, BaseExceptionGroup):
            for leaf in leaves(link) or ():
                yield from causes(leaf)


def _answers_of(error: BaseException) -> Iterator[Any]:
    """Yield the response, or the request info, that an HTTP client's error keeps."""
    if type(error).__module__ != "builtins":  # the most common errors keep none: spare them the search
        for name in ("response", "request_info"):
            found = probe(error, name)
            if found is not None:
                yield found
