"""On top of the floors: `redouble simulate`, which shows the load that a policy puts on a server in trouble.

Two worlds in virtual time: `storm`, an outage that retries may keep alive, and `contention`, clients that write one
row. The worlds themselves are in `redouble.cli.storm` and `redouble.cli.contention`; this module runs and shows them.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from redouble import constant, exponential, retry
from redouble.cli import figure, options
from redouble.cli.chart import Progress, Series, Span, bars, strips, style_of
from redouble.cli.contention import ConflictError, Work, contend
from redouble.cli.output import say
from redouble.cli.storm import Course, clients_of, run
from redouble.cli.worlds import Contention, Storm

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from redouble import RetryBudget, RetryPolicy


def show(chosen: Namespace) -> None:
    """Simulate the world of the arguments, print it, and draw it into files.

    Raises:
        TypeError: For a value of the wrong kind.
        ValueError: For a value out of its bounds, and for a file that cannot be written.
    """
    if chosen.png is not None:
        figure.need_matplotlib()  # fail before the work, not after it
    if chosen.world == "storm":
        _show_storm(chosen)
    else:
        _show_contention(chosen)


# The storm.


class Played(NamedTuple):
    """The course of a storm with one policy."""

    label: str
    course: Course


def _show_storm(chosen: Namespace) -> None:
    storm = Storm(*(getattr(chosen, name) for name in Storm._fields)).checked()
    policy = options.policy_of(chosen)(on=TimeoutError)
    plans = [("yours", policy, chosen.budget)]
    if chosen.budget is not None:
        plans.append(("without budget", policy, None))
    plans.append(("no retry", retry(attempts=1, on=TimeoutError), None))
    rows = []
    for label, each, shared_by in plans:
        with Progress(label) as progress:
            course = run(storm, clients_of(storm, each, shared_by, shared=chosen.shared), progress)
        rows.append(Played(label, course))
    written = figure.save(_storm_figure(storm, rows), chosen.svg, chosen.png)
    if chosen.json:
        say(json.dumps(_storm_data(storm, chosen, rows)))
        return
    style = style_of(sys.stdout)
    say("\n".join([*_about_storm(storm, chosen), "", *_storm_table(storm, rows)]))
    span = Span("outage", storm.start, storm.end)
    for panel in _panels(rows):
        say("\n".join(["", *strips(panel.title, panel.series, span, style)]))
    _say_written(written)


def _about_storm(storm: Storm, chosen: Namespace) -> list[str]:
    """Return the lines that introduce a storm."""
    processes = "one process" if storm.processes == 1 else f"{storm.processes} processes"
    shared = ", which share it" if chosen.shared and chosen.budget is not None and storm.processes > 1 else ""
    return [
        f"{storm.load * storm.capacity:g} calls/s from {processes} to a server that answers {storm.capacity:g}/s;"
        f" for {storm.outage:g} s it answers {storm.capacity * storm.left:g}/s.",
        f"policy: {shown(options.policy_of(chosen))}",
        f"budget: {_written(chosen.budget)}{shared}",
    ]


def _written(budget: RetryBudget | None) -> str:
    """Return a budget as code."""
    return "none" if budget is None else repr(budget).removeprefix("redouble.")


def shown(policy: RetryPolicy) -> str:
    """Return the policy as code."""
    return repr(policy).replace("redouble.RetryPolicy", "retry", 1)


def _storm_table(storm: Storm, rows: Sequence[Played]) -> list[str]:
    """Return a line for each policy."""
    lines = [
        f"{'':<16}{'attempts per call':>20}{'calls that succeed':>22}",
        f"{'':<16}{'outage':>10}{'after':>10}{'outage':>12}{'after':>10}  recovers",
    ]
    for label, course in rows:
        found = _figures(storm, course)
        recovers = "never" if course.recovered is None else f"after {course.recovered} s"
        lines.append(
            f"{label:<16}{found['amplification_outage']:>10.2f}{found['amplification_after']:>10.2f}"
            f"{found['success_outage']:>12.1%}{found['success_after']:>10.1%}  {recovers}"
        )
    return lines


def _figures(storm: Storm, course: Course) -> dict[str, Any]:
    """Return the figures of a course that the table shows."""
    return {
        "amplification_outage": round(course.amplification(storm.start, storm.end), 4),
        "amplification_after": round(course.amplification(storm.end, storm.duration), 4),
        "success_outage": round(course.success(storm.start, storm.end), 4),
        "success_after": round(course.success(storm.end, storm.duration), 4),
        "recovered_after": course.recovered,
    }


def _storm_data(storm: Storm, chosen: Namespace, rows: Sequence[Played]) -> dict[str, Any]:
    """Return the whole result as plain data."""
    return {
        "storm": storm._asdict(),
        "policy": shown(options.policy_of(chosen)),
        "budget": _written(chosen.budget),
        "shared": chosen.shared,
        "runs": [
            {"name": label, **_figures(storm, course), "load": course.load, "goodput": course.good}
            for label, course in rows
        ],
    }


def _panels(rows: Sequence[Played]) -> list[figure.Panel]:
    return [
        figure.Panel("load: attempts per second", [Series(label, course.load) for label, course in rows]),
        figure.Panel("goodput: calls that succeed, per second", [Series(label, course.good) for label, course in rows]),
    ]


def _storm_figure(storm: Storm, rows: Sequence[Played]) -> figure.Figure:
    title = f"An outage of {storm.outage:g} s at {storm.load:.0%} load"
    return figure.Figure(title, _panels(rows), Span("outage", storm.start, storm.end))


# The contention.


STRATEGIES = {
    "no wait": constant(0),
    "no jitter": exponential(0.01, maximum=2, jitter=None),
    "equal": exponential(0.01, maximum=2, jitter="equal"),
    "full": exponential(0.01, maximum=2, jitter="full"),
    "decorrelated": exponential(0.005, maximum=2, jitter="decorrelated"),
}
"""The strategies that AWS compared, with their base of 5 ms and their cap of 2 s: the first ceiling is 10 ms there."""


def _show_contention(chosen: Namespace) -> None:
    model = Contention(*(getattr(chosen, name) for name in Contention._fields)).checked()
    yours = _patient(chosen)
    policies = {"yours": yours} | {
        label: retry(attempts=None, on=ConflictError, backoff=curve) for label, curve in STRATEGIES.items()
    }
    rows: list[tuple[str, Work]] = []
    for label, policy in policies.items():
        with Progress(label) as progress:
            rows.append((label, contend(model, policy(on=ConflictError), progress)))
    written = figure.save(_contention_figure(model, rows), chosen.svg, chosen.png)
    if chosen.json:
        runs = [{"name": label, **work._asdict()} for label, work in rows]
        say(json.dumps({"contention": model._asdict(), "policy": shown(yours), "runs": runs}))
        return
    say(f"{model.clients} clients write one row, once each; means of {model.trials} trials.\npolicy: {shown(yours)}\n")
    say("\n".join(_contention_table(rows)))
    style = style_of(sys.stdout)
    for panel, unit in zip(_contention_figure(model, rows).panels, ("", " ms"), strict=True):
        heights = [(series.label, series.values[0]) for series in panel.series]
        say("\n".join(["", panel.title, *bars(heights, unit, style)]))
    _say_written(written)


def _patient(chosen: Namespace) -> RetryPolicy:
    """Return the policy of the options, without limits that they do not set."""
    if chosen.attempts is options.NOT_GIVEN and chosen.deadline is options.NOT_GIVEN:
        chosen.attempts = None
    return options.policy_of(chosen)


def _contention_table(rows: Sequence[tuple[str, Work]]) -> list[str]:
    some = any(work.gave_up for _, work in rows)
    lines = [f"{'':<14}{'writes':>10}{'time':>12}{'gave up' if some else '':>12}".rstrip()]
    for label, work in rows:
        gave_up = f"{work.gave_up:>12.1f}" if some else ""
        lines.append(f"{label:<14}{work.calls:>10.0f}{work.seconds * 1000:>9.0f} ms{gave_up}")
    return lines


def _contention_figure(model: Contention, rows: Sequence[tuple[str, Work]]) -> figure.Figure:
    panels = [
        figure.Panel("writes that reach the server", [Series(label, [work.calls]) for label, work in rows]),
        figure.Panel("ms until all have written", [Series(label, [work.seconds * 1000]) for label, work in rows]),
    ]
    return figure.Figure(f"{model.clients} clients write one row", panels)


def _say_written(paths: Sequence[str]) -> None:
    for path in paths:
        say(f"\nwritten: {path}")
