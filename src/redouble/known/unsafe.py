"""Floor 2. What to write where a failure was not retried because repeating it may do the thing twice."""

from __future__ import annotations

from redouble.core.verdict import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.known.request import Sent


def advice_unsafe(
    error: BaseException | None,
    idempotent: bool | None,
    sent: Sent | None = None,
    used: str | None = None,
) -> str:
    """The end of the note of `UNSAFE`: what was seen, and what to write so that this failure is retried.

    Args:
        error: What was raised; `None`: it was a result.
        idempotent: The policy's field.
        sent: What was seen of the requests; `None`: it was not looked for, or the method is not to be seen.
        used: The argument that is used up, as `used_up` names it; `None`: none is.

    >>> advice_unsafe(TimeoutError(), None, used="body")
    'body is used up: hand in a function that makes it, or write idempotent=True if it is rewound'
    >>> advice_unsafe(TimeoutError(), False)
    'it may have been done: write idempotent=True if it can be done twice, or transient(TimeoutError, applied=False) if it \
was surely not done'
    """
    if used is not None:
        return f"{used} is used up: hand in a function that makes it, or write idempotent=True if it is rewound"
    return f"{_seen(idempotent, sent)}: {', or '.join(_ways(error, idempotent))}"


def _seen(idempotent: bool | None, sent: Sent | None) -> str:
    if idempotent is False:
        return "it may have been done"
    if sent is None or not sent.unsafe:
        return "it may have been done, and no method is seen that can be repeated"
    return "a POST or PATCH was sent, " + ("under a key that is not yours" if sent.keys else "without a key")


def _ways(error: BaseException | None, idempotent: bool | None) -> list[str]:
    ways = ["write idempotent=True if it can be done twice"]
    if idempotent is None:
        ways.append("send redouble.idempotency_key(value) along")
    if error is not None:
        ways.append(f"transient({type_name(type(error))}, applied=False) if it was surely not done")
    return ways
