"""Floor 4. Handing an operation its timeout, in the right parameter, and never a longer one than the caller's."""

from __future__ import annotations

from redouble.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHORTEST = 0.001
"""The timeout, in seconds, of an operation without time left: to most clients 0 means another thing."""


class TimeoutAt(Record):
    """The place at which a function takes its timeout.

    Fields:
        keyword: The name of the parameter.
        position: Its place among the positional arguments; `None`: it is passed by keyword only.
        default: The function's own timeout; `None`: it has none.
    """

    keyword: str
    position: int | None = None
    default: Any = None

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the timeout with which the function was called."""
        if self.keyword in kwargs:
            return kwargs[self.keyword]
        if self.position is not None and self.position < len(args):
            return args[self.position]
        return self.default

    def put(
        self, timeout: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with another timeout, passed as the caller passed it."""
        at = self.position
        if at is not None and at < len(args):
            return (*args[:at], timeout, *args[at + 1 :]), kwargs
        return args, {**kwargs, self.keyword: timeout}


def place_of_timeout(fn: Any, keyword: str) -> TimeoutAt | None:
    """Return the place at which a function takes its timeout, by its signature; `None`: it has no such parameter."""
    from inspect import Parameter, signature

    try:
        parameters = signature(fn).parameters
    except (TypeError, ValueError):
        return TimeoutAt(keyword)  # a builtin without a signature
    found = parameters.get(keyword)
    if found is None or found.kind not in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
        takes_any = any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values())
        return TimeoutAt(keyword) if takes_any else None
    by_place = found.kind is Parameter.POSITIONAL_OR_KEYWORD
    default = None if found.default is Parameter.empty else found.default
    return TimeoutAt(keyword, list(parameters).index(keyword) if by_place else None, default)


def shortened(given: Any, seconds: float) -> Any:
    """Return a timeout of at most `seconds`: a number, or each number of a tuple; another object as it is.

    >>> shortened(30, 5.0), shortened(None, 5.0), shortened((3.05, 27), 5.0), shortened("soon", 5.0)
    (5.0, 5.0, (3.05, 5.0), 'soon')
    """
    if given is None:
        return max(seconds, SHORTEST)
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return given if given <= seconds else max(seconds, SHORTEST)
    if type(given) is tuple and all(each is None or isinstance(each, (int, float)) for each in given):
        return tuple(shortened(each, seconds) for each in given)
    return given
