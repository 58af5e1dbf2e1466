"""Floor 3. Text of others in a log: secrets masked, one line, a sane length."""

from __future__ import annotations

import string
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble.control.masking import LONGEST_LOOKED_AT, clean, mask, tells_of_a_secret

SECRETS = st.text(string.ascii_letters + string.digits + "._~-", min_size=14, max_size=40).map("S3cr3t".__add__)

TEMPLATES = [
    "GET https://me:{}@example.org/ws?room=7 failed",
    "https://{}@github.com/me/it.git: 404",
    "https://{}:x-oauth-basic@github.com/",
    "//me:{}@db",
    "postgres://me:p@ss/{}@db:5432/x",
    "mongodb://me:{}@h1:27017,h2:27017/?w=1",
    "redis://:{}@host:6379/0",
    "Max retries exceeded with url: /fs/ws?token={} (Caused by X)",
    "Client error '401' for url 'https://x/?key={}'",
    "url='https://h?a=1&access_token={}&b=2'",
    "https://x/#id_token={}",
    "https://a/b?code={}&state=7",
    "https://a/b?auth_code={}",
    "/x;jsessionid={}?x=1",
    "https://s3/x?X-Amz-Expires=900&X-Amz-Security-Token={}",
    "https://s3/x?X-Goog-Signature={}",
    "https://acc.blob.core.windows.net/c?sv=2022&sig={}",
    "https://x?next=https%3A%2F%2Fy%3Fapi_key%3D{}",
    "https://x?accessToken={}",
    "https://x?session={}",
    "host=db user=me password='{} and more' dbname=x",
    "host=db password={}",
    "DefaultEndpointsProtocol=https;AccountKey={}==;EndpointSuffix=core",
    "Authorization: Bearer {} was refused",
]


@pytest.mark.parametrize("template", TEMPLATES)
@given(secret=SECRETS)
def test_a_secret_does_not_show(template: str, secret: str) -> None:
    """Whatever the secret is, nothing of it is left where clients put secrets."""
    shown = mask(template.format(secret))
    assert "S3cr3t" not in shown and "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8080/users/me@example.com",
        "http://[::1]:8080/x@y",
        "ssh://git@github.com/x",
        "exit code=1, key=3",
        "https://a/b?state=7&error_code=3&country_code=de&author=me&monkey=1",
        "max_tokens=4096 exceeds the limit",
        "Basic authentication failed",
        "token=",
        "HTTPConnectionPool(host='x', port=80): Read timed out. (read timeout=5)",
        "[Errno 111] Connection refused",
        "duplicate key value violates unique constraint: Key (id)=(42) already exists.",
        "",
    ],
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    """What is no secret can be read."""
    assert mask(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    """Host, path, the other parameters and the name of the secret help to find the fault."""
    text = "GET https://me:hunter2@example.org/ws?room=7&token=s3cret&x=1 failed (key='k')"
    assert mask(text) == "GET https://me:***@example.org/ws?room=7&token=***&x=1 failed (key='k')"


@given(st.one_of(st.text(), st.text("/:@?&=;#'\"%3Dtokenpwdx. ")))
def test_masking_any_text(text: str) -> None:
    """Any text can be masked; masking it again changes nothing."""
    once = mask(text)
    assert mask(once) == once


@given(st.text(max_size=400), st.integers(2, 300))
def test_cleaning_any_text(text: str, longest: int) -> None:
    """The result is one printable line of at most the given length."""
    shown = clean(text, longest)
    assert len(shown) <= longest and (shown.isprintable() or not shown) and len(shown.splitlines()) <= 1


@given(st.integers(0, 300), st.sampled_from(["https://me:{}@h", "x?token={}", "password={}"]))
def test_a_secret_that_is_cut_does_not_show(before: int, template: str) -> None:
    """Neither where the text is cut for the log, nor where the search ends, is half a secret left."""
    text = template.format("S3cr3t" * 20)
    assert "S3cr3t" not in clean("x " * before + text)
    assert "S3cr3t" not in mask("y " * (LONGEST_LOOKED_AT // 2 - before) + text)


@pytest.mark.parametrize(
    "text",
    ["//a:" * 1000, "a" * 4096, "token='" * 600, "token=" + "'" * 4000, "=%3D" * 1000, "bearer " * 600, "9" * 10**6],
)
def test_masking_hostile_text_takes_no_long_time(text: str) -> None:
    """No text makes the search quadratic: the slowest takes 20 ms here, and a second is far away."""
    began = perf_counter()
    clean(text)
    assert perf_counter() - began < 1


@pytest.mark.parametrize(
    ("name", "anywhere", "in_url"),
    [
        ("password", True, True),
        ("api-key", True, True),
        ("X-Amz-Signature", True, True),
        ("clientSecret", True, True),
        ("PHPSESSID", True, True),
        ("key", False, True),
        ("subscription-key", False, True),
        ("auth", False, True),
        ("device_code", False, True),
        ("code", False, True),
        ("error_code", False, False),
        ("max_tokens", False, False),
        ("author", False, False),
        ("keyword", False, False),
        ("design", False, False),
        ("", False, False),
    ],
)
def test_which_names_tell_of_a_secret(name: str, anywhere: bool, in_url: bool) -> None:
    """Some words tell of a secret anywhere, others in a URL only, and others only look like one."""
    assert (tells_of_a_secret(name, in_url=False), tells_of_a_secret(name, in_url=True)) == (anywhere, in_url)
