"""kafka-python, which ships no types: checked as ways_in.py is, and never run.

Its classes are `Any` to mypy, so what is asserted are the functions of users, with the types that they write.
"""

from __future__ import annotations

from typing import Any, assert_type

import kafka  # type: ignore[import-untyped]  # ships no types

from redouble import retry


@retry(attempts=5, idempotent=True)
def send(producer: Any, topic: str, value: bytes) -> int:
    """Send, and wait for the broker's answer, so that its failure is one of the attempt."""
    return int(producer.send(topic, value).get(timeout=10).offset)


def calls(servers: list[str]) -> None:
    """A producer that is opened, and what is sent over it."""
    with retry(deadline=60).connect(kafka.KafkaProducer, bootstrap_servers=servers) as producer:
        assert_type(send(producer, "topic", b"value"), int)
        assert_type(retry.call(send, producer, "topic", value=b"value"), int)
