"""On top of the floors: the worlds of `redouble simulate`, `storm` and `contention`, and the options that describe them."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any, NamedTuple

from redouble import RetryBudget
from redouble.cli.options import add_policy
from redouble.core import checks

if TYPE_CHECKING:
    from argparse import ArgumentParser, _ArgumentGroup, _SubParsersAction
    from collections.abc import Callable
    from typing import TypeAlias

    _Number: TypeAlias = tuple[str, Callable[[str], Any], str, str]

WINDOW = 5
"""The seconds of calls that decide whether a service has recovered."""

MOST_CALLS = 2_000_000
"""The most calls of a storm: some ten minutes of computing."""

MOST_PROCESSES = 100_000

LONGEST = 86_400
"""The most seconds of a storm: a day."""

MOST_WRITES = 20_000_000
"""The most writes of clients that contend without waits: some clients ** 2 / 4 reach the server in a trial."""

SETTINGS = ("ratio", "burst", "window", "trickle", "share")
"""The settings of a budget that can be given, besides `strict`."""


class Storm(NamedTuple):
    """The server, its outage, and the calls.

    Fields:
        load: Calls a second as a share of the capacity, > 0.
        capacity: Requests a second that the server answers.
        timeout: Seconds that a client waits for an answer.
        queue: The length of the server's queue, in seconds of work at full capacity; a request beyond it is dropped.
        start: The second in which the outage begins.
        outage: The seconds that it lasts.
        left: The share of the capacity that is left in the outage.
        duration: Seconds in which calls come.
        processes: The processes over which the calls are spread, each with a budget of its own.
        seed: Of everything that is random.
    """

    load: float = 0.8
    capacity: float = 200.0
    timeout: float = 1.0
    queue: float = 4.0
    start: float = 30.0
    outage: float = 30.0
    left: float = 0.1
    duration: int = 240
    processes: int = 1
    seed: int = 1

    @property
    def end(self) -> float:
        """The second in which the outage ends."""
        return self.start + self.outage

    def checked(self) -> Storm:
        """Return it with every number checked.

        Raises:
            TypeError: For a value that is no number.
            ValueError: For a number out of its bounds.
        """
        for name in ("load", "capacity"):
            if checks.number(name, getattr(self, name), least=0) == 0:
                raise ValueError(f"{name} must be above 0, got 0")
        checks.seconds("timeout", self.timeout, positive=True)
        checks.seconds("queue", self.queue, positive=True)
        checks.seconds("start", self.start)
        checks.seconds("outage", self.outage)
        checks.number("left", self.left, least=0, most=1)
        if checks.whole("processes", self.processes, least=1) > MOST_PROCESSES:
            raise ValueError(f"processes must not be above {MOST_PROCESSES}, got {self.processes}")
        least = int(self.end) + WINDOW + 1
        if not least <= checks.whole("duration", self.duration, least=1) <= LONGEST:
            raise ValueError(
                f"duration must be at least {least} s, {WINDOW} s beyond the end of the outage, and at most {LONGEST} s,"
                f" got {self.duration}"
            )
        if self.load * self.capacity * self.duration > MOST_CALLS:
            raise ValueError(
                f"load * capacity * duration must not be above {MOST_CALLS} calls,"
                f" got {self.load * self.capacity * self.duration:.0f}"
            )
        return self


class Contention(NamedTuple):
    """The clients and the network.

    Fields:
        clients: The number of clients, each of which writes once.
        leg: Seconds that a message takes, on average.
        spread: The standard deviation of that, in seconds.
        trials: The number of trials; the figures are means.
        seed: Of everything that is random.
    """

    clients: int = 100
    leg: float = 0.010
    spread: float = 0.002
    trials: int = 20
    seed: int = 1

    def checked(self) -> Contention:
        """Return it with every number checked.

        Raises:
            TypeError: For a value that is no number.
            ValueError: For a number out of its bounds.
        """
        checks.whole("clients", self.clients, least=1)
        checks.whole("trials", self.trials, least=1)
        checks.seconds("leg", self.leg, positive=True)
        checks.seconds("spread", self.spread)
        if self.clients**2 * self.trials > MOST_WRITES:
            raise ValueError(
                f"clients ** 2 * trials must not be above {MOST_WRITES}, got {self.clients**2 * self.trials}"
            )
        return self


def add(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add `redouble simulate`."""
    about = (
        "Show how retries treat a server on its worst day, in virtual time: the policy that the options describe runs"
        " on redouble's own controller, retry budget and curves."
    )
    parser = commands.add_parser("simulate", help="show how a policy treats a server in an outage", description=about)
    worlds = parser.add_subparsers(dest="world", required=True, metavar="WORLD")
    _add_storm(worlds)
    _add_contention(worlds)


def _add_storm(worlds: _SubParsersAction[ArgumentParser]) -> None:
    about = (
        "Calls come at random to one server, which becomes slow for a while. Shown are the load that arrives and the"
        " calls that succeed, with your policy, with the same policy without a retry budget, and without retries."
        " Options of the policy that are not given have the library's defaults."
    )
    parser = worlds.add_parser("storm", help="an outage that retries may keep alive", description=about)
    add_policy(parser)
    group = parser.add_argument_group("the retry budget")
    group.add_argument(
        "--budget",
        type=budget,
        default=RetryBudget(),
        metavar="B",
        help="default, none, or settings: ratio=0.1,burst=20,window=10,trickle=1/300,share=1/8,strict",
    )
    group.add_argument("--shared", action="store_true", help="one budget for all processes, shared through a store")
    group = parser.add_argument_group("the server and the calls")
    numbers: list[_Number] = [
        ("load", fraction, "SHARE", "calls a second, as a share of the capacity"),
        ("capacity", fraction, "N", "requests a second that the server answers"),
        ("processes", whole, "N", "processes that the calls come from, each with a budget"),
        ("timeout", fraction, "S", "seconds that a client waits for an answer"),
        ("queue", fraction, "S", "seconds of work that may wait for the server"),
        ("start", fraction, "S", "when the outage begins, in seconds"),
        ("outage", fraction, "S", "how long it lasts, in seconds"),
        ("left", fraction, "SHARE", "the share of the capacity that is left in the outage"),
        ("duration", whole, "S", "seconds in which calls come"),
    ]
    _add_numbers(group, Storm(), numbers)
    _add_output(parser)


def _add_contention(worlds: _SubParsersAction[ArgumentParser]) -> None:
    about = (
        "Clients read one row, write it if its version is still the same, and otherwise back off and begin again, until"
        " each has written once. Shown are the writes that reach the server and the time that all of them take, with"
        " your curve and with the jitters that there are. The attempts are not limited unless --attempts says so."
    )
    parser = worlds.add_parser("contention", help="clients that write one row", description=about)
    add_policy(parser)
    group = parser.add_argument_group("the clients")
    numbers: list[_Number] = [
        ("clients", whole, "N", "how many write once each"),
        ("leg", fraction, "S", "seconds that a message takes on average"),
        ("spread", fraction, "S", "the standard deviation of that"),
        ("trials", whole, "N", "how often it is played; the figures are means"),
    ]
    _add_numbers(group, Contention(), numbers)
    _add_output(parser)


def _add_numbers(group: _ArgumentGroup, default: Storm | Contention, numbers: list[_Number]) -> None:
    """Add the options that are numbers, by name, type, placeholder and help; append the default to the help."""
    for name, kind, metavar, text in numbers:
        value = getattr(default, name)
        group.add_argument(f"--{name}", type=kind, default=value, metavar=metavar, help=f"{text} (default {value:g})")


def _add_output(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the output")
    group.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default 1)")
    group.add_argument("--json", action="store_true", help="print one JSON object, with the figures of every second")
    group.add_argument("--svg", metavar="FILE", help="draw into an SVG file, too")
    group.add_argument("--png", metavar="FILE", help="draw into a PNG file, too: needs redouble[plot]")
    parser.set_defaults(parser=parser)


def fraction(text: str) -> float:
    """Parse a number, also as a fraction: `0.25` or `1/4`."""
    try:
        numerator, slash, denominator = text.partition("/")
        return float(numerator) / float(denominator) if slash else float(text)
    except (ValueError, ZeroDivisionError):
        raise ArgumentTypeError(f"must be a number such as 0.25 or 1/4, got {text!r}") from None


def whole(text: str) -> int:
    """Parse a whole number."""
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def budget(text: str) -> RetryBudget | None:
    """Parse `default`, `none`, or settings of a budget: `ratio=0.2,burst=50,strict`."""
    if text == "none":
        return None
    settings: dict[str, Any] = {}
    for part in filter(None, text.removeprefix("default").split(",")):
        name, equals, value = part.partition("=")
        if part == "strict":
            settings["strict"] = True
        elif equals and name in SETTINGS:
            settings[name] = _setting(name, value)
        else:
            raise ArgumentTypeError(
                f"must be default, none, or {', '.join(f'{each}=NUMBER' for each in SETTINGS)} and strict,"
                f" with commas between them, got {part!r}"
            )
    try:
        return RetryBudget(**settings)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _setting(name: str, text: str) -> float:
    try:
        return fraction(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{name} {error}") from None
