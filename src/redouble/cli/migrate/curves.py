"""On top of the floors: the code of delay curves, shared by the libraries' modules."""

from __future__ import annotations

from redouble.cli.migrate.draft import OURS, Cannot, number, spelled

FULL, NONE = '"full"', "None"


def constant(seconds: str) -> str:
    """Return the code of a curve of equal waits.

    Raises:
        Cannot: For a negative wait.
    """
    return f"{OURS}constant({not_negative(seconds)})"


def exponential(initial: str, factor: str, maximum: str, jitter: str) -> str:
    """Return the code of `initial * factor**(failures - 1)`, up to `maximum`, in redouble's own spelling."""
    parts = [not_negative(initial)]
    if number(factor) != 2:
        if (number(factor) or 1) <= 0:
            raise Cannot(f"its waits grow by the factor {factor}")
        parts.append(f"factor={factor}")
    parts.append(f"maximum={not_negative(maximum)}")
    if jitter != FULL:
        parts.append(f"jitter={jitter}")
    return f"{OURS}exponential({', '.join(parts)})"


def additive(most: str) -> str:
    """Return the code of a jitter that adds up to `most` seconds."""
    return f"{OURS}additive({not_negative(most)})"


def between(least: str, most: str) -> str:
    """Return the code of random waits between `least` and `most`.

    Raises:
        Cannot: Where `most` is less than `least`.
    """
    low, high = number(least), number(most)
    if low is not None and high is not None:
        if high < low:
            raise Cannot(f"its waits lie between {least} and {most}")
        width = spelled(round(high - low, 9))
    else:
        width = most if low == 0 else f"{grouped(most)} - {grouped(least)}"
    return f"{constant(least)}.jittered({additive(width)})"


def at_least(curve: str, minimum: str) -> str:
    """Return the code of a curve with a floor; the curve itself where that is 0."""
    return curve if number(minimum) == 0 else f"{grouped_curve(curve)}.at_least({not_negative(minimum)})"


def capped(curve: str, maximum: str) -> str:
    """Return the code of a curve with a cap, jitter included; the curve itself for `None`."""
    return curve if maximum == NONE else f"{grouped_curve(curve)}.capped({not_negative(maximum)})"


def in_turn(curves: list[str]) -> str:
    """Return the code of a chain of curves: the n-th gives the n-th wait, the last one all later waits.

    Each curve gets the number of all failures so far, as in tenacity's `wait_chain`.
    """
    runs: list[tuple[str, int]] = []
    for curve in curves:
        if runs and runs[-1][0] == curve:
            runs[-1] = (curve, runs[-1][1] + 1)
        else:
            runs.append((curve, 1))
    code, before = "", 0
    for place, (curve, times) in enumerate(runs):
        part = grouped_curve(curve)
        if before and not curve.startswith(f"{OURS}constant("):
            part += f".skip({before})"
        if place < len(runs) - 1:
            part += f".take({times})"
        code = f"{code}.then({part})" if code else part
        before += times
    return code


def grouped(code: str) -> str:
    """Return the code of an operand, in parentheses where a difference needs them."""
    return code if code.replace("_", "").replace(".", "").isalnum() else f"({code})"


def grouped_curve(code: str) -> str:
    """Return the code of a curve, in parentheses where a method call needs them."""
    return f"({code})" if " + " in code and not code.startswith("(") else code


def not_negative(code: str) -> str:
    """Return the code of a number of seconds unchanged.

    Raises:
        Cannot: Where the code spells a negative number.
    """
    if (number(code) or 0) < 0:
        raise Cannot(f"a number of it is negative: {code}")
    return code


def divided(code: str, by: int, times: int = 1) -> str:
    """Return the code of a number divided; for a literal, the quotient.

    >>> divided("500", 1000), divided("WAIT", 1000), divided("500", 1000, times=2)
    ('0.5', 'WAIT / 1000', '1')
    """
    value = number(code)
    if value is not None:
        return spelled(value * times / by)
    return f"{grouped(code)} * {times} / {by}" if times != 1 else f"{grouped(code)} / {by}"
