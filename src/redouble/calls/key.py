"""Floor 4. Idempotency keys, by which a server recognises a repeated request: the same in every attempt of a call."""

from __future__ import annotations

from redouble.calls.call import call_at
from redouble.control.around import AROUND, is_attempt, links, new_number
from redouble.control.keys import checked, fresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.calls.call import Call


def idempotency_key(value: str | None = None) -> str:
    """Return an idempotency key for the request of this attempt, and mark the attempt as safe to repeat.

    The key may travel in any way: in a header, a body, a column. One attempt may have one effect.

    Args:
        value: A key that names the effect, such as `f"order-{order.id}"`; it is returned as it is. `None`: a key is
            made for the outermost retried call around the caller; it is the same in every attempt of that call and of
            the retried calls between. Outside of a retried call, each key is a fresh one.

    Raises:
        TypeError, ValueError: When `value` is not a string, or an empty one.
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
    """Return the key that the outermost call keeps for the names of the calls beneath it."""
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
