"""Floor 1. Rules that libraries register for their own exceptions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Rule, Verdict, classify, known_errors, permanent, register, transient
from redouble.known import registered
from redouble.known.dispatch import Known
from redouble.known.row import CACHE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Whatever a test registers is gone after it."""
    before = registered.state
    yield
    registered.state = before


def made(name: str, module: str = "mylib.errors", *bases: type[Exception]) -> type[Exception]:
    """An exception class of a library."""
    return type(name, bases or (Exception,), {"__module__": module})


def verdict_of(error: Exception) -> Verdict:
    """What the default rule makes of an error."""
    return classify(error).verdict


def test_a_registered_rule_is_asked() -> None:
    """What a library says of its own exceptions holds for everybody's default."""
    busy = made("Busy")
    assert verdict_of(busy()) is P
    register(transient(busy, applied=False, retry_after=3), package="mylib")
    found = classify(busy())
    assert (found.verdict, found.applied, found.retry_after) == (T, False, 3.0)
    assert found.reason == "by the rule transient(mylib.Busy)"


def test_it_can_be_taken_out_again() -> None:
    """The handle unregisters, at once also for types that were met, and again does no harm."""
    busy = made("Busy")
    unregister = register(busy, package="mylib")
    assert verdict_of(busy()) is T
    unregister()
    assert verdict_of(busy()) is P
    unregister()
    assert registered.state.pairs == ()


def test_types_met_before_are_asked_anew() -> None:
    """A type that was judged before the registration is judged anew after it, and so for each further one."""
    busy = made("Busy", "mylib", TimeoutError)
    assert verdict_of(busy()) is T
    register(permanent(busy), package="mylib")
    assert verdict_of(busy()) is P
    register(transient(busy), package="mylib")
    assert verdict_of(busy()) is T


def test_only_errors_of_the_package_are_asked_about() -> None:
    """The rule of one package hears of no other package's errors, nor of values."""
    heard: list[Any] = []
    register(heard.append, package="mylib")
    classify(made("Busy", "other")())
    classify(made("Busy", "mylibrary")())
    known_errors.ask(type("Value", (), {"__module__": "mylib"})())
    assert heard == []
    error = made("Busy", "mylib")()
    classify(error)
    assert heard == [error]


def test_a_subclass_of_a_users_own_is_of_the_package_too() -> None:
    """Some class of the MRO must come from the package, wherever the subclass is from."""
    busy = made("Busy")
    register(transient(busy), package="mylib")
    assert verdict_of(made("MyBusy", "__main__", busy)()) is T


def test_it_comes_before_the_tables() -> None:
    """A library outranks what redouble inherits from builtins, and what it knows of that library by itself."""
    locked = made("Locked", "mylib", ConnectionError)
    assert verdict_of(locked()) is T
    register(permanent(locked), package="mylib")
    assert verdict_of(locked()) is P
    late = made("ReadTimeout", "requests.exceptions")
    assert verdict_of(late()) is T
    register(permanent(late), package="requests")
    assert verdict_of(late()) is P


def test_a_rule_without_opinion_leaves_it_to_the_tables() -> None:
    """What the rule does not judge goes on to the tables, as if nothing were registered."""
    register(transient(made("Busy")), package="mylib")
    assert verdict_of(made("Lost", "mylib", ConnectionResetError)()) is T
    assert verdict_of(made("Odd", "mylib")()) is P
    assert verdict_of(ConnectionResetError()) is T


def test_a_users_rule_stands_in_front() -> None:
    """`permanent(mylib.Busy) | known_errors` is asked from left to right."""
    busy = made("Busy")
    register(transient(busy), package="mylib")
    assert classify(busy(), permanent(busy) | known_errors).verdict is P


def test_every_known_rule_asks() -> None:
    """A `Known` with a clock of its own knows what is registered as well."""
    busy = made("Busy")
    register(transient(busy), package="mylib")
    assert Known(lambda: 0.0).ask(busy()) is not None


def test_errors_beneath_a_clients_are_asked_about() -> None:
    """Also where a table looks beneath a client's error, and along causes."""
    root = made("Root", "mylib")
    outer = made("NetworkError", "httpx")()
    outer.__cause__ = root()
    register(permanent(root), package="mylib")
    assert classify(outer).reason == "by the rule permanent(mylib.Root) under httpx.NetworkError"
    assert verdict_of(outer) is P
    plain = ValueError()
    plain.__cause__ = root()
    assert "mylib.Root" in classify(plain).reason


def test_the_nearest_class_speaks_first_then_the_latest() -> None:
    """Of several packages the one of the nearest class is asked first, of several rules the latest one."""
    base = made("Base", "below")
    busy = made("Busy", "above", base)
    register(permanent(base), package="below")
    register(transient(base), package="above")
    assert verdict_of(busy()) is T
    register(permanent(base), package="above")
    assert verdict_of(busy()) is P


def test_the_same_again_changes_nothing() -> None:
    """A module that is imported twice registers once; its order stays."""
    busy = made("Busy")
    register(transient(busy), package="mylib")
    register(permanent(busy), package="mylib")
    before = registered.state
    again = register(transient(busy), package="mylib")
    assert registered.state is before
    again()
    assert [rule.label for _, rule in registered.state.pairs] == ["permanent(mylib.Busy)"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rule", "package", "kind", "message"),
    [
        (5, "mylib", TypeError, "rule must be a rule"),
        (int, "mylib", TypeError, "takes exception types"),
        (KeyError, 5, TypeError, "package must be the name of a top package, got 5"),
        (KeyError, "my.lib", ValueError, "without dots, got 'my.lib'"),
        (KeyError, "", ValueError, "without dots, got ''"),
        (KeyError, "my-lib", ValueError, "without dots"),
        (
            KeyError,
            "builtins",
            ValueError,
            "must not be 'builtins', whose classes are in the MRO of everybody's errors",
        ),
        (known_errors, "mylib", ValueError, "must not contain known_errors"),
        (transient(KeyError) | known_errors, "mylib", ValueError, "must not contain known_errors"),
    ],
)
def test_what_is_refused(rule: Any, package: Any, kind: type[Exception], message: str) -> None:
    """A slip is refused where it is written, and nothing is registered."""
    with pytest.raises(kind, match=message):
        register(rule, package=package)
    assert registered.state.pairs == ()


def test_a_fault_in_it_is_no_opinion() -> None:
    """A rule that raises is heard of by who asked, and the tables go on."""
    heard: list[str] = []
    lost = made("Lost", "mylib", ConnectionResetError)
    register(lambda _: 1 / 0, package="mylib")

    def on_fault(rule: Rule, fault: Exception) -> None:
        heard.append(type(fault).__name__)

    assert known_errors.ask(lost(), on_fault) is not None
    outer = made("NetworkError", "httpx")()
    outer.__cause__ = lost()
    assert known_errors.ask(outer, on_fault) is not None
    assert heard == ["ZeroDivisionError"] * 2


def test_a_rule_that_asks_known_errors_of_the_same_error_comes_to_an_end() -> None:
    """A rule that hands its error back in a circle still gets an answer."""
    lost = made("Lost", "mylib", ConnectionResetError)
    register(known_errors.ask, package="mylib")
    found = known_errors.ask(lost())
    assert found is not None
    assert (found.verdict, found.reason) == (T, "mylib.Lost")


def test_a_package_of_the_standard_library() -> None:
    """A rule for the errors of smtplib is asked as any other."""
    gone = made("SMTPServerDisconnected", "smtplib", OSError)
    register(permanent(gone), package="smtplib")
    assert classify(gone()).reason == "by the rule permanent(smtplib.SMTPServerDisconnected)"


def test_hostile_classes_are_nobodys() -> None:
    """A class whose metaclass refuses to be hashed is not asked about, and nothing is raised."""

    class Unhashable(type):
        def __hash__(cls) -> int:
            raise RuntimeError("no")

    register(lambda _: True, package="mylib")
    hostile = Unhashable("Busy", (Exception,), {"__module__": "mylib"})
    assert known_errors.ask(hostile()) is None


def test_the_cache_of_types_is_bounded() -> None:
    """A program that makes classes for ever does not fill the memory."""
    register(lambda _: None, package="mylib")
    for number in range(CACHE_SIZE + 2):
        known_errors.ask(made(f"E{number}")())
    assert len(registered.state.by_type) <= CACHE_SIZE


def test_threads_that_register_lose_nothing() -> None:
    """Rules that are registered from many threads at once are all there, and all can go."""
    handles: list[Callable[[], None]] = []

    def work(number: int) -> None:
        for each in range(20):
            handles.append(register(made(f"E{number}x{each}"), package="mylib"))
            classify(ConnectionResetError())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registered.state.pairs) == 80
    for handle in handles:
        handle()
    assert registered.state.pairs == ()
