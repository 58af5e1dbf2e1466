"""Floor 3. The chain of links, and the bounds around a call."""

from __future__ import annotations

import os
import sys
from contextvars import Context, copy_context
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from redouble.control import around
from redouble.control.around import (
    AROUND,
    NODE,
    WHO,
    bounds_of,
    close_link,
    first_live,
    innermost,
    is_attempt,
    leave_bound,
    left_around,
    left_of,
    links,
    new_bound,
    new_link,
    number_of,
    open_link,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Attempting:
    """What the link of an attempt stands for."""

    is_attempt = True


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def fresh(test: Callable[[], None]) -> Callable[[], None]:
    """Run a test in a context of its own, in which nothing is around."""

    def run() -> None:
        Context().run(test)

    run.__doc__ = test.__doc__
    run.__name__ = test.__name__
    return run


def whos() -> list[Any]:
    """What stands around the caller, innermost first."""
    return [link[WHO] for link in links(AROUND.get())]


# Links.


@fresh
def test_nothing_is_around_at_first() -> None:
    """A context begins with no link, and with no bound."""
    assert innermost() is None and whos() == [] and left_around() == inf


@fresh
def test_links_are_found_from_the_inside_out() -> None:
    """The one that was opened last is the innermost."""
    one, two = open_link("one"), open_link("two")
    assert innermost() is two and whos() == ["two", "one"]
    close_link(two)
    assert innermost() is one and AROUND.get() is one
    close_link(one)
    assert AROUND.get() is None


@fresh
def test_a_link_that_ends_out_of_turn_is_passed_over() -> None:
    """Its end takes it out wherever it stands, and leaves the others as they are."""
    one, two, three = open_link("one"), open_link("two"), open_link("three")
    close_link(two)
    assert whos() == ["three", "one"]
    close_link(one)
    assert whos() == ["three"]
    close_link(three)
    assert AROUND.get() is None


@fresh
def test_a_link_ends_once() -> None:
    """A second end changes nothing, also when others have been opened meanwhile."""
    one = open_link("one")
    close_link(one)
    two = open_link("two")
    close_link(one)
    assert whos() == ["two"]
    close_link(two)


@fresh
def test_a_link_that_ended_elsewhere_is_over_here() -> None:
    """A copied context sees the end, and brings nothing back."""
    one = open_link("one")
    copied = copy_context()
    close_link(one)
    assert copied.run(whos) == [] and copied.run(innermost) is None


@fresh
def test_a_chain_does_not_grow_by_what_has_ended() -> None:
    """A link that opens stands on the first open one, so that what has ended is let go."""
    one = open_link("one")
    for _ in range(3):
        ended = open_link("ended")
        ended[WHO] = None  # as the end in another context leaves it
    two = open_link("two")
    assert two[around.OUTER] is one


def test_what_an_attempt_is() -> None:
    """Attempts are told from scopes by what their links stand for."""
    assert is_attempt(new_link(Attempting(), None))
    assert not is_attempt(new_link(object(), None)) and not is_attempt(new_link(None, None))


def test_a_number_is_given_once() -> None:
    """A link has the same number whenever it is asked, and no other link has it."""
    one, two = new_link("one", None), new_link("two", None)
    assert number_of(one) == number_of(one) != number_of(two)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_numbers_of_another_process() -> None:
    """A forked process gives other numbers, although it counts on from the same one."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(around.new_number()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    ours = around.new_number()
    assert theirs != ours and theirs >> 40 == child and ours >> 40 == os.getpid()


# Bounds.


def bounded(clock: Hand, *seconds: float) -> list[Any]:
    """Links with bounds that end after so many seconds, the first the outermost; each is left open."""
    found = []
    for each in seconds:
        link = open_link("scope")
        link[NODE] = new_bound(first_live(link[NODE]), clock, clock() + each)
        found.append(link)
    return found


@fresh
def test_the_least_of_the_bounds_counts() -> None:
    """What is left is the least of all bounds around, below 0 when it has passed."""
    clock = Hand()
    bounded(clock, 5.0, 9.0)
    assert left_around() == 5.0
    clock.time = 6.0
    assert left_around() == -1.0


@fresh
def test_a_bound_that_was_left_in_time_bounds_nothing() -> None:
    """It holds for no call any more, whenever that began."""
    clock = Hand()
    (link,) = bounded(clock, 5.0)
    began_beneath = open_link("call")
    leave_bound(link[NODE])
    assert bounds_of(began_beneath) == [] and left_of(link[NODE]) == inf
    leave_bound(link[NODE])
    assert left_around() == inf


@fresh
def test_a_bound_that_expired_holds_for_what_had_begun() -> None:
    """It goes on bounding the calls that began beneath it, and no later one; leaving it again changes nothing."""
    clock = Hand()
    (link,) = bounded(clock, 5.0)
    began_beneath = open_link("call")
    clock.time = 6.0
    for _ in range(2):
        leave_bound(link[NODE])
        assert bounds_of(began_beneath) == [link[NODE]] and left_around() == -1.0
    later = new_link("later", began_beneath)
    while later[around.BEGAN] <= link[NODE][around.CLOSED]:
        later = new_link("later", began_beneath)  # a clock that moves in coarse steps
    assert bounds_of(later) == []


@fresh
def test_bounds_that_ended_are_left_out_of_new_chains() -> None:
    """A scope that opens stands on the first bound that still holds."""
    clock = Hand()
    outer, inner = bounded(clock, 9.0, 5.0)
    leave_bound(inner[NODE])
    assert first_live(inner[NODE]) is outer[NODE]
    leave_bound(outer[NODE])
    assert first_live(inner[NODE]) is None


@fresh
def test_a_link_is_small() -> None:
    """A decorated function that succeeds pays for one list of five places."""
    assert sys.getsizeof(new_link(None, None)) <= 120
