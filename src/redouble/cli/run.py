"""On top of the floors: `redouble run -- COMMAND`, which retries a command when its exit code may pass."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from redouble import EventKind, Reason, current_attempt, known_errors, transient
from redouble.cli import options
from redouble.cli.chart import style_of
from redouble.control.events import record_fields
from redouble.core import checks

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from redouble import Event, RetryPolicy
    from redouble.cli.processes import Job

TIMED_OUT = 124
"""The exit code after the deadline, as in timeout(1)."""

CANNOT_RUN, NOT_FOUND = 126, 127
"""The exit codes of shells for a command that cannot be started."""

COLOURS = {EventKind.RETRY: 33, EventKind.SUCCESS: 32, EventKind.GIVE_UP: 31}
"""The colours of a retry, a success and a give-up: yellow, green, red."""


def run(chosen: Namespace) -> int:
    """Run the command with the chosen retries; return the exit code."""
    parser: ArgumentParser = chosen.parser
    if os.name != "posix":
        parser.error("redouble run needs the process groups and signals of POSIX")
    from redouble.cli.processes import Job

    job = Job(chosen.argv, search=chosen.on_output is not None)
    tellers = None if chosen.quiet else [Teller(as_json=chosen.json)]
    try:
        limit = checks.seconds_or_none("attempt_timeout", chosen.attempt_timeout, positive=True)
        policy = options.policy_of(chosen)
    except (TypeError, ValueError) as error:  # redouble's own messages name argument, rule and value
        parser.error(str(error))
    policy = policy(on=rules(chosen), stop=job.stop, observers=tellers, name=chosen.argv[0])
    with job.signals():
        return code_of(policy, partial(attempt, job, limit), job)


def attempt(job: Job, limit: float | None) -> None:
    """Run the command once, within `limit` and the time left."""
    under_way = current_attempt()
    left = None if under_way is None else under_way.remaining
    code, output = job.run(min((each for each in (limit, left) if each is not None), default=None))
    if code:
        raise subprocess.CalledProcessError(code, job.command, output)


def rules(chosen: Namespace) -> Any:
    """Return the rules for retrying: from the options, else from the table of programs."""
    codes, regex = chosen.on, chosen.on_output

    def asked(error: subprocess.CalledProcessError) -> bool:
        return (codes is not None and error.returncode in codes) or (
            regex is not None and regex.search(error.output) is not None
        )

    if codes is None and regex is None:
        return known_errors
    return [transient(subprocess.CalledProcessError, when=asked), subprocess.TimeoutExpired]


def code_of(policy: RetryPolicy, operation: Callable[[], None], job: Job) -> int:
    """Call the operation with the policy; return the exit code of its end."""
    try:
        policy.call(operation)
    except subprocess.CalledProcessError as error:
        code = 128 - error.returncode if error.returncode < 0 else error.returncode
    except subprocess.TimeoutExpired:
        code = TIMED_OUT
    except FileNotFoundError:
        code = NOT_FOUND
    except OSError:
        code = CANNOT_RUN
    else:
        return 0
    return code if job.ended_by is None else 128 + job.ended_by


class Teller:
    """An observer that prints a line on stderr for each failed attempt, and for a success after one.

    Args:
        as_json: Whether a line is a JSON object.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._colours = not as_json and style_of(sys.stderr).colours

    def __call__(self, event: Event) -> None:
        if self._as_json:
            line = json.dumps({**record_fields(event), "exit_code": exit_code(event.error)})
        else:
            line = f"redouble: {event.name}: {told(event)}"
        if self._colours:
            line = f"\033[{COLOURS[event.kind]}m{line}\033[0m"
        with suppress(OSError):  # the reader of stderr may be gone; the command goes on
            print(line, file=sys.stderr, flush=True)


def exit_code(error: BaseException | None) -> int | None:
    """Return the exit code on an error, negative for a signal."""
    return error.returncode if isinstance(error, subprocess.CalledProcessError) else None


def told(event: Event) -> str:
    """Return the outcome of an attempt, and the next step."""
    of = "" if event.limit is None else f" of {event.limit}"
    if event.kind is EventKind.SUCCESS:
        return f"attempt {event.attempt}{of} succeeded, after {event.elapsed:.1f} s"
    failed = f"attempt {event.attempt}{of} {how(event.error)}"
    if event.delay is not None:
        return f"{failed}; trying again in {event.delay:.3g} s"
    code = exit_code(event.error)
    if event.reason is Reason.PERMANENT and code is not None and code > 0:
        return f"{failed}, which is not known to pass; --on {code} would run it again"
    return f"{failed}; gave up: {event.reason.value if event.reason else 'no reason given'}"


def how(error: BaseException | None) -> str:
    """Return the failure of an attempt in words."""
    if isinstance(error, subprocess.CalledProcessError):
        if error.returncode >= 0:
            return f"exited with {error.returncode}"
        return f"was ended by {signal_name(-error.returncode)}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"was ended, after {error.timeout:.3g} s"
    return f"could not be started: {error}"


def signal_name(number: int) -> str:
    """Return the name of a signal, such as `SIGKILL`."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
