"""anthropic, which is typed: checked as ways_in.py is, and never run."""

from __future__ import annotations

from typing import assert_type

import anthropic
from anthropic.types import Message, MessageTokensCount

from redouble import retry


@retry(attempts=5, deadline=120, timeout_as="timeout")
def answer(client: anthropic.Anthropic, question: str, *, timeout: float | None = None) -> Message:
    """Ask a model, with what is left of the deadline as the timeout."""
    return client.messages.create(
        model="claude", max_tokens=100, messages=[{"role": "user", "content": question}], timeout=timeout
    )


@retry(attempts=5)
async def answer_async(client: anthropic.AsyncAnthropic, question: str) -> Message:
    """Ask a model in a coroutine."""
    return await client.messages.create(
        model="claude", max_tokens=100, messages=[{"role": "user", "content": question}]
    )


def calls(client: anthropic.Anthropic) -> None:
    """Calls of the client itself; `create` has an overload for each way to stream."""
    assert_type(answer(client, "why?"), Message)
    assert_type(retry.call(client.messages.count_tokens, model="claude", messages=[]), MessageTokensCount)
    assert_type(retry.call(lambda: client.messages.create(model="claude", max_tokens=1, messages=[])), Message)
    assert_type(retry.call(client.messages.create, model="claude", max_tokens=1, messages=[]), Message)  # ty: ignore[type-assertion-failure]  # it binds no single overload


async def awaited(client: anthropic.AsyncAnthropic) -> None:
    """The same in coroutines."""
    assert_type(await answer_async(client, "why?"), Message)
    assert_type(await retry.call(client.messages.count_tokens, model="claude", messages=[]), MessageTokensCount)
    assert_type(await retry.call(client.messages.create, model="claude", max_tokens=1, messages=[]), Message)  # ty: ignore[type-assertion-failure]  # it binds no single overload
