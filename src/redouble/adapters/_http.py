"""On top of the floors: the parts that the adapters of all HTTP clients share. It imports none of the clients.

A `Sender` has a policy, and makes each request a retried call. The request's method, idempotency key and body decide
whether an attempt may be repeated. The adapter sends the request once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from redouble.calls.call import call_at
from redouble.control import faults
from redouble.control.around import AROUND, is_attempt, links
from redouble.control.policy import refuse_async_stop
from redouble.core import checks
from redouble.core.verdict import Verdict
from redouble.known.handed import KEY_HEADERS
from redouble.known.http_response import HttpResponse, http_response
from redouble.known.request import SAFE_METHODS, key_of, posts_without_key
from redouble.ways.policy import RetryPolicy, bind, own_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from redouble.control.policy import PolicyFields
    from redouble.core.verdict import Classification, Fault

T = TypeVar("T")


class _Answers(HttpResponse):
    """As `http_response`, except that a pending login (RFC 8628) goes to the caller, and is not waited for here."""

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        found = super().ask(subject, on_fault)
        return found if found is None or found.verdict is Verdict.TRANSIENT else None


ANSWERS = _Answers(http_response.wall)


def policy_from(policy: RetryPolicy, fields: PolicyFields, name: str) -> RetryPolicy:
    """Return the policy of an adapter, with fields as keywords; its attempts get their time limit.

    Raises:
        TypeError: When it is not a policy, or a keyword is not a field.
        ValueError: When a field breaks its rule.
    """
    if not isinstance(policy, RetryPolicy):
        raise TypeError(f"policy must be a RetryPolicy, such as redouble.retry(attempts=5), got {checks.shown(policy)}")
    policy = policy(**fields)
    return policy(timeout_as="limit", name=policy.name or name)


def say_own_retries(adapter: str, found: str, off: str) -> None:
    """Log once that a client's own retries are on beneath an adapter, and how to turn them off."""
    if faults.once("own retries", adapter, found):
        faults.warn(
            "%s: %s tries again by itself beneath redouble, so waits and requests multiply; write %s",
            adapter,
            found,
            off,
        )


class Body:
    """A request's body, with the facts needed to send it again.

    Bytes, text, and re-iterable objects are sent again as they are. A file is rewound to its first position. A body
    that can be read only once (a generator, a pipe) is not sent again once an attempt has begun to send it.

    Attributes:
        mark: An object that shows whether the body is used up, by the rules of `known.used_up`: a generator itself,
            else an iterator that moves with the body; `None`: a body that is never used up.
        is_once: Whether it can be read only once.
    """

    __slots__ = ("_at", "_begun", "_file", "is_once", "mark")

    def __init__(self, value: Any) -> None:
        self._file: Any = None
        self._at = 0
        self._begun = self.is_once = False
        self.mark: Any = None
        if value is None or isinstance(value, (bytes, str)):
            return
        at = _position(value)
        if at is not None:
            self._file, self._at, self.mark = value, at, _unmoved()
        elif hasattr(value, "read") or hasattr(value, "__next__") or hasattr(value, "__anext__"):
            self.is_once = True
            self.mark = value if type(value).__name__ in ("generator", "async_generator") else _unmoved()

    def begin(self) -> None:
        """Rewind the body for an attempt that begins to send it."""
        if self._file is not None and self._begun:
            self._file.seek(self._at)
        elif self.is_once and type(self.mark) is _ITERATOR:
            next(self.mark, None)  # redouble cannot see how far the client reads it
        self._begun = True

    def end(self) -> None:
        """Note the end of an attempt: a file that was closed meanwhile cannot be sent again."""
        if self._file is not None and getattr(self._file, "closed", False) is True:
            next(self.mark, None)


def _unmoved() -> Iterator[str]:
    return iter("-")


_ITERATOR = type(iter("-"))


def _position(value: Any) -> int | None:
    """Return the position of a file that can be rewound to it; `None` for any other object."""
    try:
        if not hasattr(value, "read") or (hasattr(value, "seekable") and not value.seekable()):
            return None
        at: int = value.tell()
        return at if callable(value.seek) and type(at) is int else None
    except Exception:  # a foreign object, which may raise any error
        return None


class _Sending:
    """The part that the sync and async senders share: the policy, bound for each kind of request."""

    __slots__ = ("_bound", "policy")

    def __init__(self, client: str, policy: RetryPolicy, fields: PolicyFields) -> None:
        policy = policy_from(policy, fields, client)
        self.policy = policy if policy.result is not None else policy(result=ANSWERS)
        own = own_of(self.policy)  # one for all requests of the adapter, of every kind
        self._bound = {
            idempotent: bind(self.policy(idempotent=idempotent), self._attempt, own)
            for idempotent in (None, True, False)
        }

    _attempt: Callable[..., Any]

    def _retried(self, request: Any, body: Body) -> Callable[..., Any]:
        """Return the sender of a request, by whether it may be repeated although it may have taken effect.

        A POST or PATCH without an idempotency key may not, unless the policy allows it, or an attempt around has taken
        a key that travels in the body. For a body that can be read only once, even such a policy checks whether it was.
        """
        idempotent = self.policy.idempotent
        if idempotent is None and posts_without_key(request):
            idempotent = _is_vouched_for()
        if body.is_once and idempotent is True:
            idempotent = False if posts_without_key(request) else None
        return self._bound[idempotent]


def _is_vouched_for() -> bool:
    """Return whether the attempt around has taken an idempotency key, which makes its requests one effect."""
    around = next(filter(is_attempt, links(AROUND.get())), None)
    return around is not None and call_at(around).tally.vouched


def _keys(request: Any) -> dict[str, str] | None:
    """Return the idempotency key of a request in the form in which redouble finds it; `None`: it has none.

    Every attempt sends the same request, and so the same key, even one that the client made.
    """
    if request.method in SAFE_METHODS:
        return None
    key = key_of(request)
    return {KEY_HEADERS[0]: key} if key else None


class Sender(_Sending):
    """Sends requests of one client in threads, each of them again until it succeeds or the policy gives up.

    Args:
        client: The adapter's name in logs, unless the policy has one.
        policy: The policy.
        fields: Changes of the policy.
    """

    __slots__ = ()

    def __init__(self, client: str, policy: RetryPolicy, fields: PolicyFields) -> None:
        super().__init__(client, policy, fields)
        refuse_async_stop(self.policy, f"adapter of {client}")

    def __call__(self, request: Any, body: Any, send: Callable[[float | None], T]) -> T:
        """Send a request.

        Args:
            request: The request, or any object with its `method` and `headers`.
            body: Its body, which may be more than bytes.
            send: Sends it once, within the seconds that it gets (`None`: without a limit of redouble's), and returns
                the answer.
        """
        sent = Body(body)
        answer: T = self._retried(request, sent)(send, sent, sent.mark, _keys(request))
        return answer

    @staticmethod
    def _attempt(
        send: Callable[[float | None], T],
        sent: Body,
        body: Any,  # noqa: ARG004  # redouble reads it, after the attempt; the keys too
        keys: Any,  # noqa: ARG004
        limit: float | None = None,
    ) -> T:
        sent.begin()
        try:
            return send(limit)
        finally:
            sent.end()


class AsyncSender(_Sending):
    """As `Sender`, for coroutines."""

    __slots__ = ()

    async def __call__(self, request: Any, body: Any, send: Callable[[float | None], Awaitable[T]]) -> T:
        """Send a request, as `Sender` does."""
        sent = Body(body)
        answer: T = await self._retried(request, sent)(send, sent, sent.mark, _keys(request))
        return answer

    @staticmethod
    async def _attempt(
        send: Callable[[float | None], Awaitable[T]],
        sent: Body,
        body: Any,  # noqa: ARG004  # as of `Sender`
        keys: Any,  # noqa: ARG004
        limit: float | None = None,
    ) -> T:
        sent.begin()
        try:
            return await send(limit)
        finally:
            sent.end()
