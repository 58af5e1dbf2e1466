"""The tasks that the workers of test_celery.py run; what happens is told in lists of the broker's Redis."""

from __future__ import annotations

import os
import time
from typing import Any

import redis
from celery import Celery

from redouble import constant, remaining, retry
from redouble.adapters.celery import retrying

URL = os.environ["REDOUBLE_TEST_REDIS"]
app = Celery("tasks", broker=URL, backend=URL)
app.conf.update(
    broker_transport_options={"visibility_timeout": 3},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    result_expires=60,
)
seen = redis.Redis.from_url(URL)


def tell(name: str, *what: Any) -> int:
    """Add a line; return how many there are."""
    return int(seen.rpush(f"seen:{name}", " ".join(map(str, what))))


@app.task(bind=True, acks_late=True)
@retrying(retry(attempts=4, deadline=60, backoff=constant(0.3)))
def flaky(self: Any, name: str, failures: int) -> str:
    """Fail some times, then answer."""
    number = tell(name, "attempt", os.getpgrp())
    if number <= failures:
        raise ConnectionResetError(f"failure {number}")
    return f"answer {number}"


@app.task(bind=True, acks_late=True)
@retrying(retry(attempts=10, deadline=3, backoff=constant(1)))
def bounded(self: Any, name: str) -> None:
    """Fail for ever, within a deadline."""
    tell(name, "left", remaining(), time.time())
    raise TimeoutError("no answer")


@app.task(bind=True, acks_late=True)
@retrying(retry(attempts=5, deadline=600, backoff=constant(2)))
def patient(self: Any, name: str) -> str:
    """Fail twice, with waits in which the worker can be killed."""
    number = tell(name, "attempt", os.getpgrp())
    if number <= 2:
        raise ConnectionRefusedError("down")
    return f"answer {number}"


@app.task(bind=True)
@retrying(retry(attempts=5))
def mistaken(self: Any, name: str) -> None:
    """Make a mistake."""
    tell(name, "attempt")
    raise ValueError("a mistake")
