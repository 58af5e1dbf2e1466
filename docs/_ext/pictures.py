"""Draws the pictures of the documentation as SVG, out of what redouble itself does: `{picture} NAME` places one.

The numbers come from policies, previews and calls that are played in virtual time; only places, colours and words are
written here. `docs/_static/redouble.css` has the colours, in both themes.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from redouble import (
    Reason,
    constant,
    exponential,
    fibonacci,
    known_errors,
    linear,
    log_retries,
    proportional,
    retry,
    transient,
)
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redouble import Backoff, Event, RetryPolicy
    from redouble.types import PreviewRow


# Elements of SVG.


def element(name: str, text: str = "", **attributes: Any) -> str:
    """Return an element; `class_` and `text_anchor` are written `class` and `text-anchor`."""
    written = (
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(str(_short(value)))}" for key, value in attributes.items()
    )
    return f"<{name}{''.join(written)}>{text}</{name}>"


def _short(value: object) -> object:
    return round(value, 2) if isinstance(value, float) else value


def write(x: float, y: float, words: str, class_: str = "text", anchor: str = "start") -> str:
    """Write words from (or to, or around) a place."""
    return element("text", escape(words), x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """Draw a line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def box(x: float, y: float, width: float, height: float, class_: str, **data: float) -> str:
    """Draw a rectangle, with the numbers that it stands for."""
    return element("rect", "", x=x, y=y, width=width, height=height, rx=3, class_=class_, **data)


def drawing(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    """Return a whole drawing, as wide as its column and never so small that it cannot be read."""
    return element(
        "svg",
        f"<title>{escape(title)}</title>{''.join(parts)}",
        viewBox=f"0 0 {width} {height}",
        role="img",
        style=f"max-width: {1.25 * width:.0f}px; min-width: {min(width, 0.95 * width):.0f}px",
    )


# The waits of curves, with the range that jitter draws from.

HIGHEST = 21.0
"""The seconds at the top of a panel."""

WAITS = 8
"""How many waits a panel shows at most."""


def curves() -> list[tuple[str, RetryPolicy]]:
    """Return a policy for each curve, with the code that makes it."""
    made: list[tuple[str, Backoff]] = [
        ("exponential(1)", exponential(1)),
        ('linear(1, step=2).jittered("full")', linear(1, step=2).jittered("full")),
        ('fibonacci(1).jittered("full")', fibonacci(1).jittered("full")),
        ('constant(5).jittered("full")', constant(5).jittered("full")),
    ]
    return [(code, retry(deadline=30, backoff=curve)) for code, curve in made]


def jitters() -> list[tuple[str, RetryPolicy]]:
    """Return a policy for each jitter of one curve, with the code of the curve."""
    return [
        ("exponential(1, jitter=None)", retry(deadline=30, backoff=exponential(1, jitter=None))),
        ('exponential(1, jitter="full")', retry(deadline=30, backoff=exponential(1, jitter="full"))),
        ('exponential(1, jitter="equal")', retry(deadline=30, backoff=exponential(1, jitter="equal"))),
        ("… jitter=proportional(0.2))", retry(deadline=30, backoff=exponential(1, jitter=proportional(0.2)))),
    ]


def panels(policies: Sequence[tuple[str, RetryPolicy]]) -> str:
    """Draw each policy beside the others, all on one scale."""
    return "".join(panel(code, policy.preview(WAITS)) for code, policy in policies)


def panel(code: str, rows: Sequence[PreviewRow]) -> str:
    """Draw the waits of one policy: a bar from the shortest to the longest, and a mark at the typical one."""
    left, top, bottom, slot = 30, 30, 160, 34
    width = left + WAITS * slot + 6

    def height(seconds: float) -> float:
        return bottom - seconds / HIGHEST * (bottom - top)

    parts = [write(left, 16, code, "code")]
    for seconds in (0, 5, 10, 15, 20):
        parts += [
            line(left, height(seconds), width - 6, height(seconds), "grid"),
            write(left - 6, height(seconds) + 4, f"{seconds}", "quiet", "end"),
        ]
    for row in rows:
        x = left + (row.attempt - 1) * slot
        tall = max(2.0, height(row.earliest) - height(row.latest))
        parts += [
            box(
                *(x + 7, height(row.latest), slot - 14, tall, "past" if row.past_deadline else "band"),
                data_earliest=row.earliest,
                data_latest=row.latest,
            ),
            line(x + 4, height(row.typical), x + slot - 4, height(row.typical), "typical"),
            write(x + slot / 2, bottom + 16, f"{row.attempt}", "quiet", "middle"),
        ]
        if row.past_deadline:
            parts.append(line(x + 1, top, x + 1, bottom, "limit"))
    return drawing(f"The waits of {code}, in seconds", width, bottom + 24, parts)


# One call on a time line.

DEADLINE = 8.0


class Span(NamedTuple):
    """A part of a played call: an attempt, a wait, or a wait that was refused."""

    kind: str
    began: float
    ended: float
    words: str


class Busy(Exception):  # noqa: N818  # as a reader would name it
    """Stands for a 429 with `Retry-After: 2`."""


def policy_of_the_line() -> RetryPolicy:
    """Return the policy of the calls on the time line."""
    busy = transient(Busy, retry_after=2)
    return retry(on=busy | known_errors, deadline=DEADLINE, backoff=exponential(1), observers=None)


def play(*attempts: tuple[float, Exception | None]) -> list[Span]:
    """Play a call in virtual time: each attempt takes so many seconds, and raises the error or succeeds."""
    spans: list[Span] = []
    script = iter(attempts)
    with fake_time(draw=0.5) as clock:

        def operation() -> None:
            began = clock.now()
            seconds, error = next(script)
            clock.advance(seconds)
            words = "answer" if error is None else "429" if isinstance(error, Busy) else _brief(error)
            spans.append(Span("answer" if error is None else "failure", began, clock.now(), words))
            if error is not None:
                raise error

        def note(event: Event) -> None:
            if event.delay is not None:
                by = "Retry-After" if event.delay_by == "server" else "waits"
                spans.append(Span("wait", clock.now(), clock.now() + event.delay, f"{by} {event.delay:g} s"))
            elif event.reason is Reason.DEADLINE:
                refused = policy.backoff.delay(event.failures, None, 0.5) or 0.0
                spans.append(Span("refused", clock.now(), clock.now() + refused, f"gives up: {refused:g} s more"))

        silent = log_retries(_silent())
        policy = policy_of_the_line()(observers=[note, silent])
        with suppress(OSError, Busy):
            policy.call(operation)
    return spans


def _silent() -> logging.Logger:
    """Return a logger that drops all: what is drawn belongs into no log."""
    logger = logging.getLogger("redouble.pictures")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


def _brief(error: Exception) -> str:
    return type(error).__name__.removesuffix("Error").removeprefix("Connection").lower()


def success() -> list[Span]:
    """Return a call that succeeds after a reset, a timeout and a 429."""
    return play((0.4, ConnectionResetError()), (0.8, TimeoutError()), (0.3, Busy()), (0.5, None))


def defeat() -> list[Span]:
    """Return a call that gives up, since the next wait would end after the deadline."""
    return play(*[(0.4, ConnectionRefusedError())] * 9)


def timeline() -> str:
    """Draw both calls above one axis, with the deadline."""
    left, right, bottom = 12.0, 668.0, 190.0
    scale = (right - left) / 10

    def at(seconds: float) -> float:
        return left + seconds * scale

    parts = [line(left, bottom, right, bottom, "axis")]
    for second in range(11):
        parts += [
            line(at(second), bottom, at(second), bottom + 5, "axis"),
            write(at(second), bottom + 20, f"{second} s", "quiet", "middle"),
        ]
    for y, spans in ((54.0, success()), (134.0, defeat())):
        for span in spans:
            parts += list(_drawn(span, at, y))
    parts += [
        line(at(DEADLINE), 12, at(DEADLINE), bottom, "limit"),
        write(at(DEADLINE) + 6, 22, f"deadline={DEADLINE:g}", "code"),
    ]
    return drawing("Two retried calls on a time line", 680, 216, parts)


def _drawn(span: Span, at: Callable[[float], float], y: float) -> Iterator[str]:
    x, width = at(span.began), at(span.ended) - at(span.began)
    data = {"data_began": span.began, "data_ended": span.ended}
    if span.kind in {"wait", "refused"}:
        yield box(x, y + 9, width, 6, span.kind, **data)
        words = span.words if width > 90 else span.words.split(maxsplit=1)[1]
        middle = x + min(width, 120) / 2  # of a wait that was refused, clear of the deadline
        yield write(middle if span.kind == "refused" else x + width / 2, y + 38, words, "quiet", "middle")
    else:
        yield box(x, y, width, 24, span.kind, **data)
        yield write(x + width / 2, y - 7, span.words, "small", "middle")


# Three levels of retries above each other.

LEVELS = ("job", "query", "request")


def calls(nested: str) -> list[list[int]]:
    """Play three nested functions, all retried, against a server that is down.

    Returns:
        For each level, a number a call: which call of the level above made it.
    """
    made: list[list[int]] = [[], [], []]
    policy = retry(nested="multiply" if nested == "multiply" else "once", budget=None, observers=None)

    @policy
    def job() -> None:
        made[0].append(0)
        query()

    @policy
    def query() -> None:
        made[1].append(len(made[0]) - 1)
        request()

    @policy
    def request() -> None:
        made[2].append(len(made[1]) - 1)
        raise ConnectionResetError("the server is down")

    with fake_time(draw=0.5), suppress(ConnectionResetError):
        job()
    return made


def nesting() -> str:
    """Draw the calls with and without the rule that they do not multiply."""
    return _tree('nested="once", the default', calls("once")) + _tree('nested="multiply"', calls("multiply"))


def _tree(code: str, made: Sequence[Sequence[int]]) -> str:
    left, width, top, step = 76.0, 344, 52.0, 48.0
    places = _places(made, left + 8, width - 8.0)
    parts = [write(8, 16, code, "code")]
    for level, (upper, lower) in enumerate(pairwise(places), start=1):
        y = top + level * step
        parts += [line(upper[parent], y - step, x, y, "branch") for x, parent in zip(lower, made[level], strict=True)]
    for level, (name, row) in enumerate(zip(LEVELS, places, strict=True)):
        y = top + level * step
        parts.append(write(8, y + 4, f"{name} {len(row)}", "quiet"))
        parts += [element("circle", cx=x, cy=y, r=4.5, class_="failure" if level == 2 else "call") for x in row]
    count = f"{len(made[2])} requests to a server that is down"
    parts.append(write(width / 2, top + 2 * step + 32, count, "text", "middle"))
    return drawing(f"{code}: {count}", width, int(top + 2 * step + 44), parts)


def _places(made: Sequence[Sequence[int]], left: float, right: float) -> list[list[float]]:
    """Place the lowest calls at equal distances, and each other call above the middle of those that it made."""
    count = len(made[-1])
    places = [[left + (right - left) * (number + 0.5) / count for number in range(count)]]
    for level in range(len(made) - 1, 0, -1):
        beneath, parents = places[0], made[level]
        groups = [
            [x for x, parent in zip(beneath, parents, strict=True) if parent == number]
            for number in range(len(made[level - 1]))
        ]
        places.insert(0, [sum(group) / len(group) for group in groups])
    return places


# The order of the decision.

QUESTIONS: tuple[tuple[str, Reason | str], ...] = (
    ("Is it no Exception: Ctrl-C, a cancellation?", "it passes, untouched"),
    ("Is the result one that no rule objects to?", "it is returned"),
    ("Do the rules say pending?", "it asks again later"),
    ("Do the rules say permanent, or nothing?", Reason.PERMANENT),
    ("Has a retry beneath given up on this error?", Reason.NESTED),
    ("Perhaps done, and not safe to repeat?", Reason.UNSAFE),
    ("Is `stop` set?", Reason.STOPPED),
    ("Was it the last of `attempts`?", Reason.ATTEMPTS),
    ("Has the backoff curve ended?", Reason.CURVE),
    ("Does the server ask for too long a wait?", Reason.HINT),
    ("Would the wait end after the deadline?", Reason.DEADLINE),
    ("Does the retry budget refuse?", Reason.BUDGET),
)
"""The questions that follow an attempt, in their order, and the answer that a yes leads to."""


def decision() -> str:
    """Draw the questions beneath each other, and beside each of them its end."""
    row, top, middle, width = 38, 44, 320, 500
    parts = [write(8, 20, "An attempt has ended.", "text")]
    for place, (question, end) in enumerate(QUESTIONS):
        y = top + place * row
        words = f"Reason.{end.name}" if isinstance(end, Reason) else end
        parts += [
            line(20, y - 12, 20, y - 4, "branch"),
            box(8, y - 4, middle - 16, 28, "question"),
            write(18, y + 15, question.replace("`", ""), "small"),
            line(middle - 8, y + 10, middle + 26, y + 10, "branch"),
            write(middle + 8, y + 6, "yes", "quiet", "middle"),
            write(middle + 32, y + 15, words, "code" if isinstance(end, Reason) else "small"),
        ]
    y = top + len(QUESTIONS) * row
    parts += [
        line(20, y - 12, 20, y - 4, "branch"),
        box(8, y - 4, middle - 16, 28, "answer"),
        write(18, y + 15, "It waits, and tries again.", "small"),
    ]
    return drawing("The order of the decision after an attempt", width, y + 32, parts)


PICTURES: dict[str, Callable[[], str]] = {
    "curves": lambda: panels(curves()),
    "jitters": lambda: panels(jitters()),
    "timeline": timeline,
    "nesting": nesting,
    "decision": decision,
}
"""What `{picture}` may name."""
