"""gRPC's interceptors, by a server in this process: grpc and grpc.aio."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

grpc = pytest.importorskip("grpc", reason="grpcio is not installed: pip install grpcio")

from grpc import aio  # after the skip

from redouble import Reason, constant, deadline, outcome, retry
from redouble.adapters.grpc import RetryInterceptor, interceptors
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

AT_ONCE = retry(backoff=constant(0))
ALONE = [("grpc.enable_retries", 0)]
UNAVAILABLE, PERMISSION_DENIED = "UNAVAILABLE", "PERMISSION_DENIED"


class Service(grpc.GenericRpcHandler):  # type: ignore[misc,name-defined]
    """Fails as often as it is told, then answers; a stream of answers is `1 2 3`, and may break after the first."""

    def __init__(self) -> None:
        self.fail: list[str] = []
        self.breaks = self.hangs = False
        self.trailers: tuple[tuple[str, str], ...] = ()
        self.seen: list[bytes] = []
        self.timeouts: list[float | None] = []

    def play(self, *codes: str, breaks: bool = False, hangs: bool = False, trailers: Any = ()) -> None:
        """Fail so from now on, and forget what was seen."""
        self.fail, self.breaks, self.hangs, self.trailers = list(codes), breaks, hangs, trailers
        self.seen.clear()
        self.timeouts.clear()

    def service(self, details: Any) -> Any:
        """Know four methods, by their kind."""
        kinds = {
            "/test/unary_unary": grpc.unary_unary_rpc_method_handler(self.one),
            "/test/stream_unary": grpc.stream_unary_rpc_method_handler(self.one_of_many),
            "/test/unary_stream": grpc.unary_stream_rpc_method_handler(self.many),
            "/test/stream_stream": grpc.stream_stream_rpc_method_handler(self.many_of_many),
        }
        return kinds.get(details.method)

    def one(self, request: bytes, context: Any) -> bytes:
        """One answer to one request."""
        self.seen.append(request)
        self.timeouts.append(context.time_remaining())
        if self.hangs:
            done = threading.Event()
            context.add_callback(done.set)
            done.wait(10)
        if self.fail:
            context.set_trailing_metadata(self.trailers)
            context.abort(grpc.StatusCode[self.fail.pop(0)], "as told")
        return b"answer to " + request

    def one_of_many(self, requests: Iterator[bytes], context: Any) -> bytes:
        """One answer to all requests."""
        return self.one(b" ".join(requests), context)

    def many(self, request: bytes, context: Any) -> Iterator[bytes]:
        """Three answers."""
        self.one(request, context)
        yield b"1"
        if self.breaks:
            context.abort(grpc.StatusCode.UNAVAILABLE, "after the first")
        yield from (b"2", b"3")

    def many_of_many(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """Three answers to all requests."""
        yield from self.many(b" ".join(requests), context)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Service, str]]:
    """The service, and where it is."""
    service = Service()
    server = grpc.server(ThreadPoolExecutor(8), handlers=(service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service, f"127.0.0.1:{port}"
    server.stop(None).wait(5)


@pytest.fixture
def service(served: tuple[Service, str]) -> Service:
    """The service, which answers."""
    served[0].play()
    return served[0]


@contextmanager
def opened(address: str, *args: Any, **fields: Any) -> Iterator[Any]:
    """A channel with the interceptor."""
    with grpc.insecure_channel(address, options=ALONE) as channel:
        yield grpc.intercept_channel(channel, RetryInterceptor(*args, **fields))


def by_async(address: str, kind: str, request: Any, *args: Any, timeout: float | None = 10, **fields: Any) -> Any:
    """Make a call on asyncio; what comes is an answer, or a list of them."""

    async def main() -> Any:
        async with aio.insecure_channel(address, options=ALONE, interceptors=interceptors(*args, **fields)) as channel:
            call = getattr(channel, kind)(f"/test/{kind}")(request, timeout=timeout)
            return [each async for each in call] if kind.endswith("stream") else await call

    return asyncio.run(main())


def by_threads(address: str, kind: str, request: Any, *args: Any, timeout: float | None = 10, **fields: Any) -> Any:
    """The same in this thread."""
    with opened(address, *args, **fields) as channel:
        call = getattr(channel, kind)(f"/test/{kind}")(request, timeout=timeout)
        return list(call) if kind.endswith("stream") else call


@pytest.fixture(params=[by_threads, by_async])
def make(request: pytest.FixtureRequest, served: tuple[Service, str]) -> Any:
    """Makes a call of a kind."""

    def call(kind: str, asked: Any, *args: Any, **fields: Any) -> Any:
        return request.param(served[1], kind, asked, *args, **fields)

    return call


THREE = [b"1", b"2", b"3"]


def test_a_call_is_made_again(service: Service, make: Any) -> None:
    """What is UNAVAILABLE twice is asked for three times, with the waits of the policy."""
    service.play(UNAVAILABLE, UNAVAILABLE)
    with fake_time(draw=0.5) as clock:
        assert make("unary_unary", b"it") == b"answer to it"
    assert clock.sleeps == [0.05, 0.1]


def test_a_call_is_given_up(service: Service, make: Any) -> None:
    """After three attempts the last error is raised: gRPC's own, with how its retries ended."""
    service.play(*[UNAVAILABLE] * 9)
    with pytest.raises(grpc.RpcError) as caught:
        make("unary_unary", b"it", AT_ONCE)
    told = outcome(caught.value)
    assert told is not None
    assert (told.reason, told.attempts, told.name) == (Reason.ATTEMPTS, 3, "grpc")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(service.seen) == 3


def test_what_does_not_pass_is_not_asked_for_again(service: Service, make: Any) -> None:
    """PERMISSION_DENIED is the answer."""
    service.play(PERMISSION_DENIED)
    with pytest.raises(grpc.RpcError):
        make("unary_unary", b"it")
    assert len(service.seen) == 1


def test_the_servers_pushback_is_waited_for(service: Service, make: Any) -> None:
    """A trailer `grpc-retry-pushback-ms` says when to come back."""
    service.play(UNAVAILABLE, trailers=(("grpc-retry-pushback-ms", "7000"),))
    with fake_time(draw=0.5) as clock:
        make("unary_unary", b"it")
    assert clock.sleeps == [pytest.approx(7.35)]


def test_what_may_have_been_done_is_not_repeated_where_the_policy_says_so(service: Service, make: Any) -> None:
    """GRPC has no methods that tell: `idempotent=False` leaves what is UNAVAILABLE alone."""
    service.play(UNAVAILABLE)
    with pytest.raises(grpc.RpcError):
        make("unary_unary", b"it", idempotent=False)
    assert len(service.seen) == 1


def test_a_stream_of_answers_is_opened_again_before_its_first(service: Service, make: Any) -> None:
    """Two failures, then the whole stream."""
    service.play(UNAVAILABLE, UNAVAILABLE)
    assert make("unary_stream", b"it", AT_ONCE) == THREE
    assert len(service.seen) == 3


def test_a_stream_of_answers_is_not_opened_again_after_its_first(service: Service, make: Any) -> None:
    """What breaks in the middle is the caller's: an answer was handed out already."""
    service.play(breaks=True)
    with pytest.raises(grpc.RpcError, match="after the first"):
        make("unary_stream", b"it", AT_ONCE)
    assert len(service.seen) == 1


@pytest.mark.parametrize(("kind", "expected"), [("stream_unary", b"answer to a b"), ("stream_stream", THREE)])
def test_a_list_of_requests_is_sent_again(service: Service, make: Any, kind: str, expected: Any) -> None:
    """A list can be iterated over anew, so all of it goes out in each attempt."""
    service.play(UNAVAILABLE, UNAVAILABLE)
    assert make(kind, [b"a", b"b"], AT_ONCE) == expected
    assert service.seen == [b"a b"] * 3


@pytest.mark.parametrize("kind", ["stream_unary", "stream_stream"])
def test_an_iterator_of_requests_is_sent_once(service: Service, make: Any, kind: str) -> None:
    """An iterator is used up, so the call is made once."""
    service.play(UNAVAILABLE)
    with pytest.raises(grpc.RpcError):
        make(kind, iter([b"a", b"b"]), AT_ONCE)
    assert len(service.seen) == 1


def test_an_attempt_is_cut_and_never_longer(service: Service, make: Any) -> None:
    """`attempt_timeout` is the deadline that the server sees, where the caller's own is not shorter."""
    make("unary_unary", b"it", attempt_timeout=2)
    make("unary_unary", b"it", attempt_timeout=60, timeout=2)
    assert all(0 < each <= 2.5 for each in service.timeouts if each is not None)
    assert len(service.timeouts) == 2


def test_a_call_that_hangs_is_cut_by_a_deadline_around(service: Service, make: Any) -> None:
    """A `deadline` scope ends the call, and its attempts, in time."""
    service.play(hangs=True)
    began = time.monotonic()
    with pytest.raises((grpc.RpcError, TimeoutError)), deadline(0.3):
        make("unary_unary", b"it", AT_ONCE)
    assert time.monotonic() - began < 5


def test_a_retry_around_does_not_multiply(service: Service, make: Any) -> None:
    """Three attempts of the interceptor, and no more of the retry around."""
    service.play(*[UNAVAILABLE] * 9)
    with pytest.raises(grpc.RpcError) as caught:
        AT_ONCE.call(make, "unary_unary", b"it", AT_ONCE)
    told = outcome(caught.value)
    assert told is not None
    assert told.reason is Reason.NESTED
    assert len(service.seen) == 3


def test_a_call_made_as_a_future_is_made_once(
    service: Service,
    served: tuple[Service, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`.future()` returns at once, and is not retried; the log says so."""
    monkeypatch.setattr("redouble.control.faults._said", set())  # it is said once
    service.play(UNAVAILABLE)
    with opened(served[1], AT_ONCE) as channel:
        future = channel.unary_unary("/test/unary_unary").future(b"it")
        with pytest.raises(grpc.RpcError):
            future.result(5)
    assert len(service.seen) == 1
    assert any("made with .future() is not retried" in record.getMessage() for record in caplog.records)


def test_a_stream_has_all_that_a_call_has(service: Service, served: tuple[Service, str]) -> None:
    """Metadata, the code and `cancel` are those of the call whose answers come."""
    service.play(UNAVAILABLE)
    with opened(served[1], AT_ONCE) as channel:
        call = channel.unary_stream("/test/unary_stream")(b"it")
        assert list(call) == THREE
        assert call.code() is grpc.StatusCode.OK
        assert not call.is_active()
        service.play()
        other = channel.unary_stream("/test/unary_stream")(b"it")
        assert next(other) == b"1"
        other.cancel()
        with pytest.raises(AttributeError):
            other._no_such_thing  # noqa: B018
    assert len(service.seen) == 1


def test_with_call_has_the_call_that_succeeded(service: Service, served: tuple[Service, str]) -> None:
    """`with_call` returns the answer, and the call that brought it."""
    service.play(UNAVAILABLE)
    with opened(served[1], AT_ONCE) as channel:
        answer, call = channel.unary_unary("/test/unary_unary").with_call(b"it")
    assert answer == b"answer to it"
    assert call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_cancellation_passes(service: Service, served: tuple[Service, str], kind: str) -> None:
    """A task that is cancelled in an attempt, or in a wait, ends, and the call with it."""
    service.play(UNAVAILABLE)

    async def main() -> None:
        made = interceptors(backoff=constant(30))
        async with aio.insecure_channel(served[1], options=ALONE, interceptors=made) as channel:

            async def ask() -> Any:
                call = getattr(channel, kind)(f"/test/{kind}")(b"it")
                return [each async for each in call] if kind == "unary_stream" else await call

            task = asyncio.create_task(ask())
            while not service.seen:  # a thread, which has no event of asyncio's
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert len(service.seen) == 1


def test_an_async_stream_of_requests_is_sent_once(service: Service, make: Any, served: tuple[Service, str]) -> None:
    """An async generator is used up as well, and so is what is written call by call."""

    async def requests() -> AsyncIterator[bytes]:
        yield b"a"

    service.play(UNAVAILABLE)
    with pytest.raises(grpc.RpcError):
        by_async(served[1], "stream_unary", requests(), AT_ONCE)
    assert len(service.seen) == 1


def test_what_is_no_policy_is_refused() -> None:
    """By name, where the interceptor is made."""
    with pytest.raises(TypeError, match="policy must be a RetryPolicy"):
        RetryInterceptor(3)
    with pytest.raises(TypeError, match="policy must be a RetryPolicy"):
        interceptors(3)
