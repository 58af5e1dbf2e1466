"""openai, which is typed: checked as ways_in.py is, and never run."""

from __future__ import annotations

from typing import assert_type

import openai
from openai.pagination import AsyncPage, SyncPage
from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion

from redouble import retry


@retry(attempts=5, deadline=120, timeout_as="timeout")
def answer(client: openai.OpenAI, question: str, *, timeout: float | None = None) -> str | None:
    """Ask a model, with what is left of the deadline as the timeout."""
    done = client.chat.completions.create(
        model="gpt", messages=[{"role": "user", "content": question}], timeout=timeout
    )
    return done.choices[0].message.content


@retry(attempts=5)
async def answer_async(client: openai.AsyncOpenAI, question: str) -> str:
    """Ask a model in a coroutine."""
    return (await client.responses.create(model="gpt", input=question)).output_text


def calls(client: openai.OpenAI) -> None:
    """Calls of the client itself; `create` has an overload for each way to stream."""
    assert_type(answer(client, "why?"), str | None)
    assert_type(retry.call(client.models.list), SyncPage[Model])
    assert_type(retry.call(client.embeddings.create, model="e", input="text"), CreateEmbeddingResponse)
    assert_type(retry.call(lambda: client.chat.completions.create(model="gpt", messages=[])), ChatCompletion)
    assert_type(retry.call(client.chat.completions.create, model="gpt", messages=[]), ChatCompletion)  # ty: ignore[type-assertion-failure]  # it binds no single overload
    with retry(deadline=60).connect(openai.OpenAI, max_retries=0) as opened:
        assert_type(opened, openai.OpenAI)


async def awaited(client: openai.AsyncOpenAI) -> None:
    """The same in coroutines."""
    assert_type(await answer_async(client, "why?"), str)
    assert_type(await retry.call(client.models.list), AsyncPage[Model])
    assert_type(await retry.call(lambda: client.chat.completions.create(model="gpt", messages=[])), ChatCompletion)
    assert_type(await retry.call(client.chat.completions.create, model="gpt", messages=[]), ChatCompletion)  # ty: ignore[type-assertion-failure]  # it binds no single overload
