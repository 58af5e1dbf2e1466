"""The pytest plugin, alone and beside the plugins that run coroutines."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

FLAKY = "scripted(ConnectionResetError, ConnectionResetError, 'body', asynchronous=True)"


@pytest.fixture
def run_tests(pytester: pytest.Pytester) -> pytest.Pytester:
    """A directory for small test files, with the fixture in reach whether or not the plugin is installed."""
    pytester.makeconftest("from _redouble_pytest import retry_clock")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    return pytester


def test_the_fixture_is_a_fake_clock(run_tests: pytest.Pytester) -> None:
    """A test that takes `retry_clock` is on virtual time, its threads included; the next one is not."""
    run_tests.makepyfile(
        """
        from concurrent.futures import ThreadPoolExecutor
        from redouble import retry, sequence
        from redouble.control.scope import current_clock
        from redouble.testing import FakeClock, scripted

        def test_with(retry_clock):
            fetch = retry(backoff=sequence(3, 4))(scripted(ConnectionResetError, ConnectionResetError, "body"))
            with ThreadPoolExecutor() as pool:
                assert pool.submit(fetch).result() == "body"
            assert retry_clock.sleeps == [3.0, 4.0]

        def test_without():
            assert not isinstance(current_clock(), FakeClock)
        """
    )
    run_tests.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_with_pytest_asyncio(run_tests: pytest.Pytester, mode: str) -> None:
    """It holds in tests and fixtures that pytest-asyncio runs, in whatever contexts, on loops of any scope."""
    run_tests.makepyfile(
        f"""
        import asyncio, pytest, pytest_asyncio
        from redouble import retry, sequence
        from redouble.testing import scripted

        async def retried():
            return await retry(backoff=sequence(3, 4)).call({FLAKY})

        @pytest_asyncio.fixture
        async def body(retry_clock):
            yield await retried()
            await retried()
            assert retry_clock.now() == 14.0 + 60 + 7

        @pytest.mark.asyncio
        async def test_it(body, retry_clock):
            assert body == "body"
            assert retry_clock.sleeps == [3.0, 4.0]
            async with asyncio.timeout(7.5):
                await retried()
            await asyncio.sleep(60)
            assert asyncio.get_running_loop().time() == retry_clock.now() == 74.0

        @pytest.mark.asyncio(loop_scope="module")
        class TestOnOneLoop:
            async def test_with(self, retry_clock):
                await asyncio.create_task(retried())
                assert retry_clock.now() == 7.0

            async def test_without(self):
                assert asyncio.get_running_loop().time() != 7.0
                assert "time" not in vars(asyncio.get_running_loop())

            async def test_again(self, retry_clock):
                await asyncio.gather(retried(), retried())
                assert retry_clock.now() == 7.0
        """
    )
    run_tests.runpytest_inprocess("-p", "no:cacheprovider", f"--asyncio-mode={mode}").assert_outcomes(passed=4)


def test_with_anyio(run_tests: pytest.Pytester) -> None:
    """It holds in tests and fixtures that anyio's plugin runs, all in one task of its own."""
    run_tests.makepyfile(
        f"""
        import anyio, pytest
        from redouble import retry, sequence
        from redouble.testing import scripted

        @pytest.fixture(scope="module")
        def anyio_backend():
            return "asyncio"

        @pytest.fixture(scope="module")
        async def early(anyio_backend):
            yield "its task is older than the clock"

        async def retried():
            return await retry(backoff=sequence(3, 4)).call({FLAKY})

        @pytest.fixture
        async def body(early, retry_clock):
            yield await retried()
            await retried()

        @pytest.mark.anyio
        async def test_it(body, retry_clock):
            assert body == "body"
            with anyio.move_on_after(1) as scope:
                await anyio.sleep(2)
            assert scope.cancelled_caught
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(retried)
                tasks.start_soon(retried)
            assert retry_clock.now() == 15.0
            retry_clock.grace = 5
            with anyio.fail_after(3):
                await anyio.to_thread.run_sync(retry_clock.bind(lambda: retry_clock.sleep(2)))
            assert retry_clock.now() == 17.0

        @pytest.mark.anyio
        async def test_without(early):
            with anyio.fail_after(5):
                await anyio.lowlevel.checkpoint()
        """
    )
    run_tests.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_with_anyio_on_trio(run_tests: pytest.Pytester) -> None:
    """On trio the waits of redouble are virtual; with the clock among the backend's options, everything is."""
    run_tests.makepyfile(
        """
        import anyio, pytest

        @pytest.mark.anyio
        class TestOnRealTime:
            @pytest.fixture
            def anyio_backend(self):
                return "trio"

            async def test_it(self, retry_clock):
                with anyio.fail_after(60):
                    await retry_clock.sleep_async(3600)
                    await anyio.to_thread.run_sync(retry_clock.bind(lambda: retry_clock.sleep(2)))
                    await anyio.to_thread.run_sync(retry_clock.sleep, 2)
                assert retry_clock.now() == 3604.0

        @pytest.mark.anyio
        class TestOnVirtualTime:
            @pytest.fixture
            def anyio_backend(self, retry_clock):
                return "trio", {"clock": retry_clock.trio}

            @pytest.fixture
            async def early(self, anyio_backend, retry_clock):
                await anyio.sleep(3)
                yield
                await anyio.sleep(4)
                assert retry_clock.now() == 3 + 5 + 7 + 4

            async def test_it(self, early, retry_clock):
                with anyio.move_on_after(5) as scope:
                    await retry_clock.sleep_async(3600)
                assert scope.cancelled_caught
                await anyio.sleep(7)
                assert retry_clock.now() == anyio.current_time() == 15.0
        """
    )
    run_tests.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_with_pytest_trio(run_tests: pytest.Pytester) -> None:
    """It holds in tests that pytest-trio runs; a fixture that gives it `retry_clock.trio` makes everything virtual."""
    pytest.importorskip("pytest_trio")
    run_tests.makepyfile(
        """
        import pytest, trio

        @pytest.fixture
        def trio_clock(retry_clock):
            return retry_clock.trio

        @pytest.mark.trio
        async def test_on_real_time(retry_clock):
            with trio.fail_after(60):
                await retry_clock.sleep_async(3600)
            assert retry_clock.now() == 3600.0

        @pytest.mark.trio
        async def test_on_virtual_time(retry_clock, trio_clock):
            with trio.move_on_after(5) as scope:
                await retry_clock.sleep_async(3600)
            assert scope.cancelled_caught
            await trio.sleep(7)
            assert retry_clock.now() == trio.current_time() == 12.0
        """
    )
    run_tests.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
