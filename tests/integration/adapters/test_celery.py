"""Tasks that the broker retries: a real Redis, real workers in processes of their own, one of which is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib import util
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from redouble import Reason, constant, retry
from redouble.testing import fake_time

pytest.importorskip("celery", reason="pip install celery")
redis = pytest.importorskip("redis", reason="pip install redis")

from redouble.adapters.celery import retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
LONGEST = 40.0


class Broker(NamedTuple):
    """A Redis, and the application whose broker it is."""

    url: str
    tasks: Any
    redis: Any

    def lines(self, name: str) -> list[str]:
        """What tasks told under this name."""
        return [line.decode() for line in self.redis.lrange(f"seen:{name}", 0, -1)]


def wait_until(happened: Callable[[], Any]) -> Any:
    """Return what `happened` returns, as soon as it is true."""
    end = time.monotonic() + LONGEST
    while not (found := happened()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis on a free port, and the tasks of `celery_app`."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path_factory.mktemp("redis")) as server:
        url = f"redis://127.0.0.1:{port}/0"
        client = redis.Redis.from_url(url)

        def answers() -> bool:
            with suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        wait_until(answers)
        os.environ["REDOUBLE_TEST_REDIS"] = url
        spec = util.spec_from_file_location("celery_app", HERE / "celery_app.py")
        assert spec is not None and spec.loader is not None
        tasks = util.module_from_spec(spec)
        spec.loader.exec_module(tasks)
        yield Broker(url, tasks, client)
        tasks.app.close()
        tasks.seen.close()
        client.close()
        server.terminate()


class Worker:
    """A worker that runs one task at a time, in a process group of its own.

    It has a child (`prefork`): only such a worker takes up what another one left unacknowledged in Redis.
    """

    def __init__(self, broker: Broker) -> None:
        options = [
            "--pool=prefork",
            "--concurrency=1",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
        command = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", *options]
        environ = {
            **os.environ,
            "REDOUBLE_TEST_REDIS": broker.url,
            "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
        }
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=environ, start_new_session=True, **silent)

    def kill(self) -> None:
        """End it and its child at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def end(self) -> None:
        """End it in peace: what waits goes back to the broker."""
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def worker(broker: Broker) -> Iterator[Callable[[], Worker]]:
    """Starts workers, which end with the test."""
    started: list[Worker] = []

    def start() -> Worker:
        started.append(Worker(broker))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def test_each_attempt_is_a_delivery(broker: Broker, worker: Callable[[], Worker]) -> None:
    """Two failures, then the answer: three deliveries, no worker that waits; and a give-up is the task's own error."""
    worker()
    well = broker.tasks.flaky.delay("well", 2)
    badly = broker.tasks.flaky.delay("badly", 9)
    assert well.get(timeout=LONGEST) == "answer 3"
    with pytest.raises(ConnectionResetError, match="failure 4"):
        badly.get(timeout=LONGEST)
    assert len(broker.lines("well")) == 3 and len(broker.lines("badly")) == 4


def test_a_mistake_is_not_sent_again(broker: Broker, worker: Callable[[], Worker]) -> None:
    """A permanent error fails the task at once."""
    worker()
    with pytest.raises(ValueError, match="a mistake"):
        broker.tasks.mistaken.delay("mistaken").get(timeout=LONGEST)
    assert len(broker.lines("mistaken")) == 1


def test_a_killed_worker_s_task_goes_on_where_it_stopped(broker: Broker, worker: Callable[[], Worker]) -> None:
    """The worker is killed while the message waits; another one gets it, and makes the attempts that were left."""
    first = worker()
    result = broker.tasks.patient.delay("patient")
    wait_until(lambda: broker.lines("patient"))
    time.sleep(0.5)  # the message has come back, and waits in the worker
    first.kill()
    time.sleep(3.2)  # Redis gives it away again after 3 s
    second = worker()
    assert result.get(timeout=LONGEST) == "answer 3"
    groups = [int(line.split()[1]) for line in broker.lines("patient")]
    assert groups == [first.process.pid, second.process.pid, second.process.pid]


def test_the_deadline_spans_the_waits(broker: Broker, worker: Callable[[], Worker]) -> None:
    """Three seconds for all deliveries together: what is left shrinks from one to the next, and the last one gives up."""
    worker()
    with pytest.raises(TimeoutError, match="no answer"):
        broker.tasks.bounded.delay("bounded").get(timeout=LONGEST)
    left = [float(line.split()[1]) for line in broker.lines("bounded")]
    assert 2 <= len(left) <= 3 and left[0] <= 3 and all(b < a - 0.9 for a, b in pairwise(left))


def test_time_in_the_queue_counts(broker: Broker, worker: Callable[[], Worker]) -> None:
    """A message that no worker took for longer than the deadline gives up at its next failure."""
    first = worker()
    result = broker.tasks.bounded.delay("queued")
    wait_until(lambda: broker.lines("queued"))
    first.end()
    time.sleep(3.5)
    worker()
    with pytest.raises(TimeoutError):
        result.get(timeout=LONGEST)
    assert len(broker.lines("queued")) == 2


def test_called_as_a_function_it_waits_here(broker: Broker) -> None:
    """Without a worker the task is a retried function."""
    with fake_time() as clock:
        assert broker.tasks.flaky("here", 2) == "answer 3"
    assert clock.sleeps == [0.3, 0.3]


def test_what_has_no_place_is_refused() -> None:
    """`stop` and `attempt_timeout` are Celery's, and a policy is a policy."""
    with pytest.raises(ValueError, match="attempt_timeout has no place in a policy for tasks"):
        retrying(retry(attempt_timeout=3, backoff=constant(1)))
    with pytest.raises(TypeError, match="policy must be a RetryPolicy, got 5"):
        retrying(5)  # type: ignore[arg-type]


def test_what_celery_retries_is_told(broker: Broker, worker: Callable[[], Worker]) -> None:
    """The give-up of a task is marked: its result has redouble's note."""
    worker()
    result = broker.tasks.flaky.delay("noted", 9)
    with pytest.raises(ConnectionResetError):
        result.get(timeout=LONGEST)
    assert "gave up after 4 attempts" in result.traceback and Reason.ATTEMPTS.value in result.traceback
