"""On top of the floors: `redouble demo`, which gets an answer from a flaky service by each way to retry.

It prints every attempt as it happens. It takes some five seconds, mostly waits that the service asks for.
"""

from __future__ import annotations

import logging
from time import monotonic
from traceback import format_exception_only
from typing import TYPE_CHECKING

from redouble import exponential, log_retries, retry
from redouble.cli.output import say
from redouble.cli.service import ANSWER, FlakyService
from redouble.cli.ways import WAYS

if TYPE_CHECKING:
    from redouble import Event
    from redouble.cli.ways import Way

DEADLINE = 5.0
ATTEMPTS = 4
SHORT_HINT = 200
"""The milliseconds that the service asks for after the first two ways, so that the demo does not take too long."""

logger: logging.Logger = logging.getLogger("redouble.demo")
logger.addHandler(logging.NullHandler())  # the demo prints the lines of the log itself

POLICY = retry(attempts=ATTEMPTS, deadline=DEADLINE, backoff=exponential(0.05, jitter="equal"))


def demo(*, down: bool) -> int:
    """Run the demo; return 1 as the exit code unless every way got the answer."""
    say(introduction(down=down))
    say(row("way in", "attempt", "wait", "left", "what happened"))
    began = monotonic()
    errors = [take(name, way, down=down, patient=place < 2) for place, (name, way) in enumerate(WAYS.items())]
    took = monotonic() - began
    failed = [error for error in errors if error is not None]
    if not failed:
        say(f"\nAll {len(errors)} ways in got the answer, {ANSWER}. It took {took:.1f} s.")
        return 0
    say(f"\n{len(failed)} of {len(errors)} ways in failed. It took {took:.1f} s. This is the error of the last one:\n")
    say("".join(format_exception_only(failed[-1])).rstrip())
    return 1


def serve(port: int) -> int:
    """Serve the flaky service for other programs, until Ctrl-C; return 1 as the exit code where the port is taken."""
    try:
        with FlakyService(port=port, again=True) as service:
            say(f"A flaky service at {service.url} (Ctrl-C ends it). Of three requests it resets one,")
            say("answers one with 503 and Retry-After: 1, and answers the third.")
            service.serve()
    except OSError as error:
        say(f"cannot serve on port {port}: {error}")
        return 1
    return 0


def introduction(*, down: bool) -> str:
    """Return the introduction to the demo."""
    if down:
        return "A service that is down and stays down: nothing listens on its port.\n"
    return (
        "A flaky service on a free port of this machine, begun anew for each way in: nothing listens,\n"
        "then it resets a connection, then it answers 503 with Retry-After, then it works.\n"
    )


def take(name: str, way: Way, *, down: bool, patient: bool) -> Exception | None:
    """Take one way to a fresh service; return the error in which it ended, or `None`.

    Args:
        name: The name of the way.
        way: The function that gets the answer.
        down: Whether the service never comes up.
        patient: Whether the service asks for a whole second.
    """
    with FlakyService(None if patient else SHORT_HINT) as service:

        def tell(event: Event) -> None:
            first = event.attempt == 1
            say(row(name if first else "", *cells(event)))
            if event.reason is not None:
                say(row("", "", "", "", f"gave up: {event.reason.value}"))
            if first and not down:
                service.boot()

        policy = POLICY(observers=[tell, log_retries(logger)])
        try:
            answer = way(policy, service.url)
        except Exception as error:
            return error
    return None if answer == ANSWER else ValueError(f"the answer was {answer!r}")


def cells(event: Event) -> tuple[str, str, str, str]:
    """Return an event as the attempt's number, the wait, the time left, and the outcome."""
    wait = "" if event.delay is None else f"{event.delay:.2f} s"
    return str(event.attempt), wait, f"{DEADLINE - event.elapsed:.2f} s", happened(event)


def happened(event: Event) -> str:
    """Return the verdict on an attempt, and its reason."""
    judged = event.classification
    if judged is None:
        return "success"
    text = f"{judged.verdict.value}: {judged.reason}"
    if judged.retry_after is not None:
        text += f", asks for {judged.retry_after:g} s"
    return text


def row(name: str, attempt: str, wait: str, left: str, what: str) -> str:
    """Return one line of the table."""
    return f"{name:<20}  {attempt:<7}  {wait:>6}  {left:>6}  {what}"
