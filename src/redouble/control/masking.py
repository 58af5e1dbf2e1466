"""Floor 3. Makes foreign text fit for a log: masks secrets, replaces control characters, cuts it to a sane length.

It knows the places where clients put secrets into messages: user info and parameters of URLs, `name=value` pairs, and
`Authorization` schemes. A secret anywhere else needs the user's own `redact=`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

MASK = "***"
LONGEST_MESSAGE = 200
LONGEST_LOOKED_AT = 4096
"""Characters that are searched for secrets; the rest of a longer text is dropped."""

LONGEST_USER = 19
"""The longest user name in a URL that is shown; a longer one is a token, as in `https://ghp_0123...@github.com`."""

TELLING = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "signature",
    "credential",
    "jwt",
    "apikey",
    "accesskey",
    "accountkey",
    "authkey",
    "privatekey",
    "sharedkey",
    "sessionid",
    "sessid",
    "authorization",
]
"""Words that mark a secret anywhere in a name, after `-`, `_` and `.` are removed from it."""

IN_URLS = frozenset(["key", "sig", "sign", "auth", "session", "sess", "sid", "pass", "pw", "pin", "otp", "hmac", "sas"])
"""Words that mark a secret in the name of a URL's parameter; elsewhere they have too many meanings (`exit code=1`)."""

CODES = frozenset(
    [
        "access",
        "auth",
        "authorization",
        "device",
        "invite",
        "login",
        "mfa",
        "otp",
        "recovery",
        "security",
        "user",
        "verification",
    ]
)
"""Words before `code` that make it a secret; `error_code=3` is not one. A `code` alone is OAuth's."""

_USER_INFO = r"//(?P<user>[^\s:/?#@\[]*):(?!\d{1,5}(?:[/?#,;'\")\s]|$))\S*@"
_TOKEN_AS_USER = rf"//[^\s:/?#@\[]{{{LONGEST_USER + 1},}}@"
_SCHEME = r"(?i)\b(bearer|basic|token)(\s+)(?=\S*\d)[\w.~+/=-]{12,}"
_NAME = r"(?P<before>[?&;#]|%3[Ff]|%26)?(?P<name>[\w.\-\[\]%$]{1,64}?)(?:=|%3[Dd])"
_VALUE = r"""'[^']*'|"[^"]*"|[^\s&"<>]+?(?=['\])},.;:]{0,4}(?:[\s&"<>]|$))"""
_WORD = r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])"


def clean(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Return the text masked, on one line, without control characters, and cut to `longest` characters."""
    masked = mask(text)
    shown = printable(masked[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def printable(text: str) -> str:
    """Replace each control character and line break by a space, so that no log line can be forged."""
    return "".join(char if char.isprintable() else " " for char in text)


def mask(text: str) -> str:
    """Replace everything that looks like a secret by `***`.

    >>> mask("GET https://me:hunter2@example.org/ws?room=7&token=s3cret failed")
    'GET https://me:***@example.org/ws?room=7&token=*** failed'
    """
    import re  # loaded late: it is slow to import, and most programs never log a line

    text = _bounded(text)
    text = re.sub(_USER_INFO, _without_password, text)
    text = re.sub(_TOKEN_AS_USER, f"//{MASK}@", text)
    text = re.sub(_SCHEME, rf"\1\2{MASK}", text)
    return "".join(_pieces(text))


def _bounded(text: str) -> str:
    """Cut a long text, and drop its last word if that may be half a secret, which would not look like one."""
    if len(text) <= LONGEST_LOOKED_AT:
        return text
    head, space, last = text[:LONGEST_LOOKED_AT].rpartition(" ")
    return f"{head}{space}{last if last.isalnum() else ''}…"


def _without_password(found: re.Match[str]) -> str:
    user = found["user"]
    return f"//{user if len(user) <= LONGEST_USER else MASK}:{MASK}@"


def _pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces, with the values of secret names masked.

    It searches for names, not for pairs: in `url='https://host?token=...'` the secret pair is within the value of
    another pair.
    """
    import re

    values = re.compile(_VALUE)
    shown = 0
    for found in re.finditer(_NAME, text):
        if found.start() >= shown and tells_of_a_secret(found["name"], in_url=found["before"] is not None):
            value = values.match(text, found.end())
            if value is not None:
                yield text[shown : found.end()] + MASK
                shown = value.end()
    yield text[shown:]


def tells_of_a_secret(name: str, in_url: bool) -> bool:
    """Tell whether a name says that its value is a secret.

    >>> [tells_of_a_secret(name, in_url=True) for name in ("accessToken", "X-Amz-Signature", "code", "max_tokens", "author")]
    [True, True, True, False, False]
    """
    import re

    joined = re.sub(r"[-_.\[\]]", "", name).lower()
    if re.search(r"token(?!s)", joined) or any(word in joined for word in TELLING):
        return True
    words = [word.lower() for word in re.findall(_WORD, name)]
    is_code = words[-1:] == ["code"] and (len(words) == 1 or words[-2] in CODES)
    return in_url and (is_code or not IN_URLS.isdisjoint(words))
