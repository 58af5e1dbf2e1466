"""redouble.examples.device_code against a real server of device logins; the waits are virtual."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import EventKind, Reason, outcome, override, permanent, transient
from redouble.examples.surroundings import stage
from redouble.examples.surroundings.device_server import DEVICE_CODE, TOKEN, DeviceServer
from redouble.testing import fake_time
from tests.integration.examples.by_hand import HOSTS

pytest.importorskip("httpx", reason="httpx is not installed: pip install httpx")
device_code: Any = pytest.importorskip("redouble.examples.device_code")

if TYPE_CHECKING:
    from collections.abc import Callable

Script = tuple[str | int, ...]


def cloud_at(url: str) -> Any:
    """The example's client."""
    return closing(device_code.Cloud(url))


class Login:
    """One login by the example's function, in virtual time; the error, or the token, and what else was to be seen."""

    def __init__(self, *script: str | int, stop: threading.Event | None = None, **grant: Any) -> None:
        self.codes: list[str] = []
        self.events: list[redouble.Event] = []
        self.token: str | None = None
        self.error: Exception | None = None
        self.raised: list[Exception] = []
        with DeviceServer(*script, **grant) as server, fake_time() as clock, cloud_at(server.url) as cloud:
            ask = cloud.ask
            cloud.ask = lambda grant: self.noting(ask, grant)
            with override(observers=[self.events.append]):
                try:
                    self.token = device_code.log_in(cloud, self.show, stop)
                except (device_code.CloudError, redouble.Stopped) as error:
                    self.error = error
            self.polls = server.polls()
            self.sleeps = clock.sleeps

    def show(self, grant: Any) -> None:
        """What the person is shown."""
        self.codes.append(grant.user_code)

    def noting(self, ask: Callable[[Any], str], grant: Any) -> str:
        """Ask, and remember what was raised."""
        try:
            return ask(grant)
        except Exception as error:
            self.raised.append(error)
            raise


def test_p01_approved_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """P-1: pending once, then the token; the code is shown once, before the first question."""
    login = Login("pending", "token")
    assert (login.token, login.sleeps, login.codes) == (TOKEN, [1.0], ["WDJB-MJHT"])


def test_p02_a_bad_moment_of_the_server() -> None:
    """P-2: pending, 502, 502, token."""
    login = Login("pending", 502, 502, "token")
    assert (login.token, login.sleeps) == (TOKEN, [1.0, 1.0, 1.0])


@pytest.mark.parametrize("trouble", [502, "hang up"])
def test_p03_the_seventh_failure_in_a_row(trouble: str | int, caplog: pytest.LogCaptureFixture) -> None:
    """P-3: seven questions, six waits, the seventh error itself; six lines at INFO and one WARNING."""
    caplog.set_level(logging.INFO, "redouble")
    login = Login(trouble)
    assert (login.polls, login.sleeps) == (7, [1.0] * 6)
    assert login.error is login.raised[6] and type(login.error) is device_code.CloudError
    ours = [record.levelno for record in caplog.records if record.name == "redouble"]
    assert ours == [logging.INFO] * 6 + [logging.WARNING]
    end = outcome(login.error)
    assert end is not None and end.reason is Reason.ATTEMPTS


def test_p04_waiting_for_a_person_forgives_failures() -> None:
    """P-4: six failures, pending, six failures, token: thirteen waits."""
    login = Login(*[502] * 6, "pending", *[502] * 6, "token")
    assert (login.token, login.sleeps) == (TOKEN, [1.0] * 13)


def test_p05_a_person_may_take_long() -> None:
    """P-5: a thousand times pending is no failure at all."""
    login = Login(*["pending"] * 1000, "token", expires_in=1800)
    assert login.token == TOKEN
    assert {event.failures for event in login.events if event.kind is EventKind.RETRY} == {0}


@pytest.mark.parametrize(("word", "kind"), [("denied", "DeniedError"), ("expired", "ExpiredError")])
def test_p06_an_end_is_an_end(word: str, kind: str) -> None:
    """P-6: denied and expired are raised at once, as they are."""
    login = Login("pending", word)
    assert type(login.error) is getattr(device_code, kind) and login.error is login.raised[-1]
    assert (login.sleeps, login.token, login.polls) == ([1.0], None, 2)


def test_p06_a_code_that_the_server_does_not_know() -> None:
    """P-6: rejected is raised at once, too."""
    with DeviceServer("pending") as server, fake_time() as clock, cloud_at(server.url) as cloud:
        server.grant["device_code"] = "somebody else's"
        with pytest.raises(device_code.RejectedError):
            device_code.log_in(cloud, lambda grant: None)
    assert (clock.sleeps, server.polls()) == ([], 1)


def test_p07_stopped_before_the_second_question() -> None:
    """P-7: the login was cancelled, which is another error than a denial."""
    stop = threading.Event()
    stop.set()
    login = Login("pending", stop=stop)
    assert type(login.error) is redouble.Stopped
    assert login.polls == 1


def test_p13_stopped_in_the_middle_of_a_wait() -> None:
    """P-13: whoever cancels does not wait for the end of the interval; in real time."""
    stop = threading.Event()
    with DeviceServer("pending", interval=60) as server, cloud_at(server.url) as cloud:
        timer = threading.Timer(0.1, stop.set)
        timer.start()
        with pytest.raises(redouble.Stopped):
            device_code.log_in(cloud, lambda grant: None, stop)
        timer.join()
        assert server.polls() == 1


@pytest.mark.parametrize(("given", "seconds"), [(None, 5.0), (0, 5.0), (0.2, 1.0), (7, 7.0), (7.9, 7.0)])
def test_p08_the_interval(given: float | None, seconds: float) -> None:
    """P-8: what the server says in whole seconds, 1 at least, and 5 when it says nothing."""
    assert Login("pending", "token", interval=given).sleeps == [seconds]


def test_p09_a_general_rule_first() -> None:
    """P-9: rules of which one could never be reached are refused where they are written."""
    with pytest.raises(ValueError, match=r"can never be reached for \S+\.DeniedError"):
        transient(device_code.CloudError) | permanent(device_code.DeniedError)


def test_p10_a_mint_that_failed_is_final() -> None:
    """P-10: where a 502 has used the code up, one rule makes it final at once, and a 503 is still let pass."""
    minted = permanent(device_code.CloudError, when=lambda error: error.status in (500, 502))
    rules = redouble.pending(device_code.PendingError) | minted | transient(device_code.CloudError)
    with override(on=rules):
        assert Login("pending", 502).sleeps == [1.0]
        assert Login("pending", 503, 503, "token").sleeps == [1.0, 1.0, 1.0]


def test_p11_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """P-11: the errors carry the secret code, as errors do; no line of the log and no note has it."""
    caplog.set_level(logging.DEBUG)
    login = Login("pending", "slow_down", 502, "hang up", 502)
    assert DEVICE_CODE in str(login.error)
    lines = [record.getMessage() for record in caplog.records]
    lines += getattr(login.error, "__notes__", [])
    lines += [str(outcome(login.error)) if login.error else ""]
    lines += [repr((event.classification, event.reason, event.name)) for event in login.events]
    assert any("message withheld" in line for line in lines)
    assert not [line for line in lines if DEVICE_CODE in line or TOKEN in line]


def test_p12_slower_for_good_and_never_too_late() -> None:
    """P-12: each slow_down makes the interval 5 s longer; no question is asked at the expiry."""
    assert Login("slow_down", "pending", "slow_down", "pending", "token").sleeps == [6.0, 6.0, 11.0, 11.0]
    late = Login("pending", interval=5, expires_in=10)
    assert (late.polls, late.sleeps) == (2, [5.0])
    assert late.error is not None and type(late.error) is device_code.PendingError
    end = outcome(late.error)
    assert end is not None and end.reason is Reason.DEADLINE


def test_no_server_at_all() -> None:
    """A grant that cannot be had is raised before anything is shown, and is not asked for again."""
    shown: list[Any] = []
    with cloud_at(f"http://{stage.HOST}:{stage.unused_port()}") as cloud, pytest.raises(device_code.CloudError):
        device_code.log_in(cloud, shown.append)
    assert shown == []


@pytest.mark.parametrize("host", HOSTS["device_code"])
def test_by_hand(host: str, example: Callable[[str], Any]) -> None:
    """`python -m redouble.examples.device_code`, on each host: logs in, is slowed down, denied, gives up, says no secret."""
    lines = example("device_code").run("--on", host)
    text = "\n".join(lines)
    assert text.count("logged in, with a token of 22 characters") == 2
    assert "it waited [6.0, 6.0]" in lines
    assert "DeniedError at question 2" in lines
    assert lines[-2:] == ["CloudError at question 8", f"it waited {[1.0] * 7}"]
    assert DEVICE_CODE not in text and TOKEN not in text
