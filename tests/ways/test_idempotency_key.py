"""Idempotency keys: the same in every attempt of a call, and what makes an attempt safe to repeat."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Reason, constant, idempotency_key, outcome, retry

if TYPE_CHECKING:
    pass

policy = retry(backoff=constant(1), idempotent=False, budget=None)
LOST = ConnectionResetError("perhaps done")


pytestmark = pytest.mark.usefixtures("clock")


def paying(times: int, value: str | None = None) -> tuple[Any, list[str]]:
    """A function that takes a key, and whose answer is lost so many times."""
    keys: list[str] = []

    @policy
    def pay() -> str:
        keys.append(idempotency_key(value))
        if len(keys) <= times:
            raise LOST
        return keys[-1]

    return pay, keys


def test_a_key_makes_an_attempt_safe_to_repeat() -> None:
    """A failure that may have taken effect is retried, and every attempt sends the same key."""
    pay, keys = paying(2)
    assert pay() == keys[0] and keys == [keys[0]] * 3
    assert pay() != keys[0]  # another call, another effect


def test_an_attempt_without_a_key_is_not_safe() -> None:
    """The word of one attempt is not that of the next."""
    taken = 0

    @policy
    def pay() -> None:
        nonlocal taken
        taken += 1
        if taken == 1:
            idempotency_key()
        raise ConnectionResetError("perhaps done")

    with pytest.raises(ConnectionResetError) as caught:
        pay()
    end = outcome(caught.value)
    assert taken == 2 and end is not None and end.reason is Reason.UNSAFE


def test_a_value_is_handed_back_and_vouched_for() -> None:
    """A key that belongs to what is done needs no other."""
    pay, keys = paying(2, "order-7")
    assert pay() == "order-7" and keys == ["order-7"] * 3


def test_outside_of_a_call_each_key_is_fresh() -> None:
    """There is nothing that it would have to be the same for."""
    assert idempotency_key() != idempotency_key()
    assert idempotency_key("order-7") == "order-7"


def test_an_inner_call_keeps_its_key_in_every_attempt_of_the_outer() -> None:
    """The key is that of the outermost call, and of the names between."""
    keys: list[str] = []

    @policy(name="charge")
    def charge() -> None:
        keys.append(idempotency_key())

    @retry(on=KeyError, backoff=constant(1), idempotent=True, budget=None)
    def order() -> None:
        charge()
        if len(keys) < 3:
            raise KeyError("not yet")

    order()
    assert len(keys) == 3 and len(set(keys)) == 1


def test_two_inner_calls_of_one_name_have_to_give_values() -> None:
    """One key for two effects would lose one of them."""

    @policy(name="charge")
    def charge(value: str | None) -> str:
        return idempotency_key(value)

    @retry
    def order(*values: str | None) -> list[str]:
        return [charge(value) for value in values]

    assert order("a", "b") == ["a", "b"]
    with pytest.raises(RuntimeError, match="two retried calls of charge ask for an idempotency key within one attempt"):
        order(None, None)


def test_calls_of_other_names_have_other_keys() -> None:
    """Charging and shipping are two effects."""
    charge, ship = (policy(name=name)(lambda: idempotency_key()) for name in ("charge", "ship"))
    one, other = retry.call(lambda: (charge(), ship()))
    assert one != other


def test_it_travels_into_tasks_and_threads() -> None:
    """The key may be made where the context was copied to."""
    keys: list[str] = []

    @policy
    async def pay() -> None:
        keys.append(await asyncio.to_thread(idempotency_key))
        if len(keys) < 3:
            raise LOST

    asyncio.run(pay())
    assert len(keys) == 3 and len(set(keys)) == 1


@pytest.mark.parametrize(("value", "kind"), [(7, TypeError), ("", ValueError), (b"k", TypeError)])
def test_a_value_that_is_no_key_is_refused(value: Any, kind: type[Exception]) -> None:
    """By name, rule and value."""
    with pytest.raises(kind, match="value must be a string"):
        idempotency_key(value)
