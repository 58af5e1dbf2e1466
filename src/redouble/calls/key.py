"""Floor 4. A key by which a server knows that a request comes again, the same in every attempt of a call."""

from __future__ import annotations

from redouble.calls.call import call_at
from redouble.control.around import AROUND, is_attempt, links, new_number
from redouble.control.keys import checked, fresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.calls.call import Call


def idempotency_key(value: str | None = None) -> str:
    """Return an idempotency key for the request of this attempt, and let the attempt count as safe to repeat.

    It does not matter how the key travels: in a header, a body, a column. One attempt has one effect.

    Args:
        value: A key that belongs to the thing that is done, such as `f"order-{order.id}"`: it is handed back, and
            vouched for. `None`: a key is made for the outermost retried call around; it is the same in every attempt of
            that call and of the retried calls between. Outside of a retried call it is a fresh one each time.

    Raises:
        TypeError, ValueError: When `value` is no text, or an empty one.
        RuntimeError: When two retried calls of the same name ask for a key within one attempt of the outermost call:
            they would get one key for two effects, so each has to give a value.

    Source: draft-ietf-httpapi-idempotency-key-header (a key is unique to the request, and reused when it is repeated).

    >>> from redouble import idempotency_key, retry
    >>> from redouble.testing import fake_time
    >>> keys = []
    >>> @retry
    ... def pay():
    ...     keys.append(idempotency_key())
    ...     if len(keys) < 3:
    ...         raise ConnectionResetError("perhaps paid")
    >>> with fake_time():
    ...     pay()
    >>> len(keys), len(set(keys))
    (3, 1)
    """
    value = checked(value)
    around = [call_at(link) for link in links(AROUND.get()) if is_attempt(link)]
    if around:
        around[0].tally.vouched = True
    if value is not None:
        return value
    return _of_calls(around) if around else fresh()


def _of_calls(around: list[Call]) -> str:
    """The key of the outermost call and of the names of those beneath it."""
    asking, outermost = around[0], around[-1]
    names = tuple(call.tally.name for call in around[:-1])
    if asking.serial == 0:
        asking.serial = new_number()
    now = outermost.tally.attempt
    if outermost.keys is None:
        outermost.keys = {}
    key, attempt, serial = outermost.keys.get(names) or (fresh(), now, asking.serial)
    if attempt == now and serial != asking.serial:
        raise RuntimeError(
            f"two retried calls of {asking.tally.name or 'one name'} ask for an idempotency key within one attempt, and"
            ' would get the same one: give each a value, such as idempotency_key(f"order-{order.id}")'
        )
    outermost.keys[names] = key, now, asking.serial
    return key
