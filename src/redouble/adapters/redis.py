"""On top of the floors: a retry budget for a fleet, kept by Redis or Valkey, through redis-py.

The success path of a call is one increment of an integer of the process. A retry spends a token that the process has
leased; where it has none, one script on the server (`SCRIPT`) adds the successes of the process and leases some. The
arithmetic is in `redouble.control.leases`; this module reaches the server.

A thread of the budget's own makes the requests, one at a time; one request serves all retries that wait. So

- a retry in a thread waits for at most `timeout`, even where the network, the resolver or the client hangs;
- a retry in asyncio or trio never holds up the loop: its coroutine waits for the answer before its backoff begins;
- the decision is written once, in `redouble.control.leases`, for both.

A direct call of the server would save the switch to that thread and back (some 60 us) and could keep no time limit: a socket's
timeout is one for the connection, for each read, and none for the resolver. The alternative, tokens leased in advance,
would need as many tokens as there are processes, which no burst has.

The thread begins with the first request, ends when it has been idle, and is not inherited by a fork. A process that
exits normally gives its tokens back first, so that short jobs do not drain the bucket.
"""

from __future__ import annotations

import atexit
import math
import queue
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, WeakValueDictionary

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from redouble.control.budget import BURST, RATIO, TRICKLE, WINDOW
from redouble.control.leases import IDLE, TIMEOUT, LeasedBudget, Reply
from redouble.core import checks

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.control.leases import Request
    from redouble.core.checks import Seconds

__all__ = ["FleetBudget"]

SCRIPT = """\
-- KEYS[1]: the bucket: tokens, at
-- ARGV: ratio burst window trickle | successes back need most since | milliseconds until it is full | seconds to add
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000 + ARGV[11]
local ratio, burst, window, trickle = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local need, most = tonumber(ARGV[7]), tonumber(ARGV[8])
local was = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(was[1] or ''), tonumber(was[2] or '')
if not tokens or not at then tokens, at = burst, now end
local passed = math.max(0, math.min(now - at, tonumber(ARGV[9])))
if tokens > burst then
  tokens = burst + (tokens - burst) * math.max(0, 1 - passed / window)
else
  tokens = math.min(burst, tokens + trickle * passed)
end
tokens = tokens + ratio * ARGV[5] + ARGV[6]
local leased = 0
if need > 0 and tokens >= need - 1e-9 then
  leased = math.min(tokens, most, math.max(need, math.floor(tokens / 4)))
end
tokens = tokens - leased
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'at', string.format('%.17g', now))
redis.call('PEXPIRE', KEYS[1], ARGV[10])
return {string.format('%.17g', leased), string.format('%.17g', tokens), string.format('%.17g', now)}
"""
"""`redouble.control.leases.Bucket.answer`, on the server. The last argument is 0; a test moves the clock by it."""

REST = 10.0
"""Seconds without a request after which the thread ends."""

SERVER = frozenset({
    "client_name", "credential_provider", "db", "host", "password", "path", "port", "protocol",
    "socket_keepalive", "socket_keepalive_options", "socket_type", "username",
})  # fmt: skip
"""The settings of a connection that identify its server and its user, besides those that begin with `ssl_`."""

_shared: WeakValueDictionary[Any, FleetBudget] = WeakValueDictionary()
"""Budgets that were unpickled: one object for each name, server and settings."""

_alive: WeakSet[FleetBudget] = WeakSet()
"""All budgets, for the end of the process."""


class FleetBudget(LeasedBudget):
    """A `RetryBudget` that all processes and hosts share through Redis or Valkey.

    Pass it as `budget=`, or ask it as any budget. In tokens, over all processes that give the same name, settings and
    server, and under any interleaving, while the store answers:

        granted - refunded <= burst + ratio * first_try_successes + trickle * elapsed

    The store is asked only for a retry without a leased token at hand, and not within a second after it refused. A
    first attempt never waits for it, and a retry no longer than `timeout`. Where the store fails or does not answer in
    time, the process uses a budget of its own with the same settings, `burst` and `trickle` times `share`, and tries
    the store again every 5 s, in the background. So retries are never unlimited, and *n* processes without their store
    may spend *n* times `share * burst`.

    A process that is killed takes its leases with it, at most 5 tokens, and the refunds of its last second. A bucket
    without requests is deleted when it would be full; a store that has lost its data begins with a full one.

    Under `redouble.testing.fake_time` it is a budget of the test's own, and no store is asked.

    Args:
        name: Names the bucket in the store. Its key is `redouble:budget:{name}:` and the settings, so that two
            configurations of one name are two budgets.
        client: A client of redis-py, or the URL of a server (`"redis://cache:6379/0"`, `valkey://`). Of a plain
            client, `redis.Redis` or `redis.asyncio.Redis`, only the address and the credentials are used. Another one,
            such as a `RedisCluster`, is used as it is, in a thread of the budget's own, and must be synchronous.
        ratio: Tokens that a success on the first attempt deposits, in [0, 1].
        burst: Tokens of a full bucket, >= 0, for the whole fleet.
        window: Seconds after which deposits above `burst` have faded, > 0.
        trickle: Tokens a second that are added without a success, >= 0, for the whole fleet; above 0 where `burst` is.
        strict: Whether a retry that worked keeps its token.
        share: The part of `burst` and `trickle` that this process uses while the store is away, in (0, 1].
        timeout: Seconds that a retry waits for the store, > 0.

    Raises:
        TypeError: For a value of the wrong type.
        ValueError: For a value out of its bounds.
    """

    __slots__ = ("_bell", "_client", "_offset", "_own", "_runs", "_waiting")

    def __init__(
        self,
        name: str,
        client: Any,
        *,
        ratio: float = RATIO,
        burst: float = BURST,
        window: Seconds = WINDOW,
        trickle: float = TRICKLE,
        strict: bool = False,
        share: float = 1.0,
        timeout: Seconds = TIMEOUT,
    ) -> None:
        if name is None:
            raise TypeError("name must be a string that is not empty, got None")
        super().__init__(
            name=name,
            ratio=ratio,
            burst=burst,
            window=window,
            trickle=trickle,
            strict=strict,
            share=share,
            timeout=timeout,
        )
        self._client = _checked(client)
        self._offset = 0.0  # seconds that a test adds to the time of the server
        _refuse_braces(name)
        _milliseconds(self)  # refuses here a window that could never expire
        _alive.add(self)

    def _begin(self, now: float) -> None:
        super()._begin(now)
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()  # rung when a request may be due
        self._waiting: list[threading.Event] = []  # one for each retry that waits for the next answer
        self._runs = False  # whether the thread runs; a child process does not inherit it
        self._own: _Server | None = None

    @property
    def key(self) -> str:
        """The key of the bucket in the store; the name is its hash tag, so that a cluster keeps it in one slot."""
        settings = (self.ratio, self.burst, self.window, self.trickle)
        return f"redouble:budget:{{{self.name}}}:{','.join(f'{each:.12g}' for each in settings)}"

    # The thread that makes the requests. No code waits while it holds the budget's lock: with gevent, greenlets of one
    # thread would pass it.

    def _wake(self) -> None:
        with self._lock:
            begins, self._runs = not self._runs, True
        if begins:
            name = f"redouble budget {self.name}"
            try:
                threading.Thread(target=self._work, name=name, daemon=True).start()
            except RuntimeError as error:  # no thread is left, or the interpreter is ending
                self._runs = False
                self._lose(self._clock(), error)
        self._bell.put(None)

    def _await(self, ticket: int, ends: float) -> None:
        heard = threading.Event()
        with self._lock:
            if self._served >= ticket:
                return
            self._waiting.append(heard)
        heard.wait(max(0.0, ends - self._clock()))

    def _work(self) -> None:
        """Make requests, until there is no question and no token to give back."""
        try:
            while self._waits_for_want():
                while (request := self._next(self._clock())) is not None:
                    self._make(request)
        except BaseException:  # not an error of a request: the next request gets another thread
            self._runs = False
            raise

    def _make(self, request: Request) -> None:
        sent = self._clock()
        try:
            if self._own is None:
                self._own = _Server(self)
            reply = self._own.answer(request, self._offset)
        except Exception as error:
            self._lose(self._clock(), error)
        else:
            self._answered(request, reply, sent, self._clock())
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for heard in waiting:
            heard.set()

    def _waits_for_want(self) -> bool:
        """Wait until a request may be due; return whether the thread goes on. It ends when it has been idle."""
        try:
            self._bell.get(timeout=IDLE if self._has_some() else REST)
        except queue.Empty:
            with self._lock:
                self._runs = self._has_some() or self._want > 0 or self._probing
                return self._runs
        return True

    def _has_some(self) -> bool:
        return self._hand + self._owed > 0 and not self._away

    def _give_back(self) -> None:
        """Give back the tokens at hand now; wait for it at most as long as a retry would."""
        with self._lock:
            if not self._has_some():
                return
            self._used_at = float("-inf")
            self._tickets += 1
            ticket = self._tickets
        self._wake()
        ends = self._clock() + self.timeout
        while self._served < ticket and self._clock() < ends:
            self._await(ticket, ends)

    # One for each name and server.

    def __repr__(self) -> str:
        return super().__repr__().replace("redouble.RetryBudget", "redouble.adapters.redis.FleetBudget", 1)

    def __reduce__(self) -> tuple[Any, ...]:
        if not isinstance(self._client, str):
            raise TypeError(
                f"the budget {self.name!r} was made with a client, which cannot be pickled:"
                " give it the URL of the server instead"
            )
        return _unpickled_fleet, (type(self), self._client, self._settings() | {"timeout": self.timeout})


class _Server:
    """The server, through a client of the budget's own; used by its thread alone."""

    def __init__(self, budget: FleetBudget) -> None:
        self._client = _client_of(budget._client, budget.timeout)
        self._key = budget.key
        settings = (budget.ratio, budget.burst, budget.window, budget.trickle)
        self._settings = [repr(each) for each in settings]
        self._expires = _milliseconds(budget)
        self._sha: str | None = None

    def answer(self, request: Request, offset: float = 0.0) -> Reply:
        """Run the script; it is sent once, and called by its digest from then on."""
        values = [*self._settings, *map(repr, request), self._expires, repr(offset)]
        if self._sha is not None:
            try:
                return _reply(self._client.evalsha(self._sha, 1, self._key, *values))
            except Exception as error:
                if type(error).__name__ != "NoScriptError":  # of redis-py's, or of a client like it
                    raise
        found = _reply(self._client.eval(SCRIPT, 1, self._key, *values))
        self._sha = _digest(SCRIPT)
        return found


def _reply(values: Any) -> Reply:
    return Reply(float(values[0]), float(values[1]))


def _digest(script: str) -> str:
    from hashlib import sha1

    return sha1(script.encode(), usedforsecurity=False).hexdigest()  # the digest by which servers name scripts


def _milliseconds(budget: FleetBudget) -> int:
    """Return the time without requests after which the bucket is full again, and may be deleted."""
    if budget.burst > 0 and budget.trickle == 0:
        raise ValueError(
            "trickle must be above 0 where burst is, got 0: a bucket without requests could never be forgotten"
        )
    seconds = budget.window + (budget.burst / budget.trickle if budget.burst else 0.0)
    if seconds > checks.LONGEST:
        raise ValueError(
            f"burst / trickle must not be above threading.TIMEOUT_MAX ({checks.LONGEST:.0f} s), got {seconds:g} s"
        )
    return math.ceil(seconds * 1000)


def _refuse_braces(name: str) -> None:
    if "{" in name or "}" in name:
        raise ValueError(f"name must have no braces, which name the slot in a cluster, got {checks.shown(name)}")


def _checked(client: Any) -> Any:
    """Refuse an object that cannot send the script."""
    if isinstance(client, str):
        url = f"redis{client[6:]}" if client.startswith(("valkey://", "valkeys://")) else client
        redis.ConnectionPool.from_url(url)  # refuses here a text that is not a URL
        return url
    if isinstance(client, type) or not callable(getattr(client, "evalsha", None)):
        raise TypeError(f"client must be a client of redis-py or the URL of a server, got {checks.shown(client)}")
    if _is_asynchronous(client) and _plain_connection(client) is None:
        raise TypeError(
            "client must be redis.Redis, redis.asyncio.Redis, or another client that is synchronous,"
            f" got {checks.shown(client)}: the budget asks in a thread of its own"
        )
    return client


def _is_asynchronous(client: Any) -> bool:
    return any("asyncio" in each.__module__.split(".") for each in type(client).__mro__)


def _plain_connection(client: Any) -> Any:
    """Return the synchronous kind of connection to the server of a plain client; `None` for another client."""
    if not isinstance(client, (redis.Redis, redis.asyncio.Redis)):
        return None
    return _KINDS.get(getattr(client.connection_pool, "connection_class", None))


_KINDS: dict[Any, Any] = {
    getattr(module, name): getattr(redis, name)
    for module in (redis, redis.asyncio)
    for name in ("Connection", "SSLConnection", "UnixDomainSocketConnection")
}


def _client_of(given: Any, timeout: float) -> Any:
    """Return a client to the same server that fails fast: with the budget's time limit, and without retries."""
    limits: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "max_connections": 1,
        **_UNNAMED,
    }
    if isinstance(given, str):
        pool = redis.ConnectionPool.from_url(given, **limits)
    elif (kind := _plain_connection(given)) is None:
        return given
    else:
        told = given.connection_pool.connection_kwargs
        kept = {each: value for each, value in told.items() if each in SERVER or each.startswith("ssl_")}
        pool = redis.ConnectionPool(connection_class=kind, **kept, **limits)
    return redis.Redis(connection_pool=pool)


_UNNAMED: dict[str, Any] = (
    {"driver_info": None} if hasattr(redis, "driver_info") else {"lib_name": None, "lib_version": None}
)
"""Keeps redis-py from sending its name: the look-up of its version takes 40 ms, most of a first retry's time."""


def _unpickled_fleet(cls: Callable[..., FleetBudget], url: str, settings: dict[str, Any]) -> FleetBudget:
    """Return the budget of another process in this one, the same object each time."""
    key = cls, url, tuple(sorted(settings.items()))
    made = cls(client=url, **settings)
    return _shared.setdefault(key, made)


def _give_all_back() -> None:
    for budget in list(_alive):
        budget._give_back()


atexit.register(_give_all_back)
