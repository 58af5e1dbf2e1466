"""Floor 3. The argument names of other retry libraries, and redouble's: the advice in errors about unknown fields."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

LIBRARIES = {
    "tenacity": {
        "stop_after_attempt": "`attempts=`",
        "stop_after_delay": "`deadline=`",
        "stop_any": "`attempts=` and `deadline=`: whichever comes first",
        "wait": "`backoff=`",
        "wait_fixed": "`backoff=constant(seconds)`",
        "wait_random": "`backoff=constant(0).jittered(additive(seconds))`",
        "wait_exponential": "`backoff=exponential(initial, factor=, maximum=)`",
        "wait_random_exponential": "`backoff=exponential(initial)`, which has full jitter",
        "wait_chain": "`backoff=first.take(n).then(second)`",
        "retry": "`on=` for errors, `result=` for values",
        "reraise": "nothing: the operation's own error is always raised",
        "before": "`observers=` with `kinds = {EventKind.ATTEMPT}`",
        "after": "`observers=`",
        "before_sleep": "`observers=`",
        "retry_error_callback": "an `except` around the call",
        "retry_error_cls": "`with gave_up_as(MyError):`",
        "sleep": "`clock=`",
    },
    "stamina": {
        "timeout": "`deadline=` for all attempts together, or `attempt_timeout=` for one",
        "wait_initial": "`backoff=exponential(initial)`",
        "wait_max": "`backoff=exponential(maximum=)`",
        "wait_jitter": "`backoff=exponential(jitter=additive(seconds))`",
        "wait_exp_base": "`backoff=exponential(factor=)`",
    },
    "backoff": {
        "wait_gen": "`backoff=`",
        "exception": "`on=`",
        "predicate": "`result=` for values, `on=` for errors",
        "max_tries": "`attempts=`",
        "max_time": "`deadline=`",
        "giveup": "`on=permanent(when=...) | known_errors`",
        "jitter": "`backoff=exponential(jitter=)`",
        "on_backoff": "`observers=`",
        "on_giveup": "`observers=`",
        "on_success": "`observers=`",
        "raise_on_giveup": "nothing: the operation's own error is always raised",
        "logger": "`observers=[log_retries(logger)]`",
        "base": "`backoff=exponential(factor=)`",
        "interval": "`backoff=constant(seconds)`",
    },
    "retrying": {
        "stop_max_attempt_number": "`attempts=`",
        "stop_max_delay": "`deadline=`, in seconds",
        "wait_exponential_multiplier": "`backoff=exponential(initial)`",
        "wait_exponential_max": "`backoff=exponential(maximum=)`",
        "wait_incrementing_start": "`backoff=linear(initial, step=)`",
        "wait_incrementing_increment": "`backoff=linear(initial, step=)`",
        "retry_on_exception": "`on=`",
        "retry_on_result": "`result=`",
    },
    "urllib3": {
        "total": "`attempts=`, which counts the first one too",
        "backoff_factor": "`backoff=exponential(initial)`",
        "status_forcelist": "nothing: known_errors knows the statuses of clients; `result=http_response` judges answers",
        "allowed_methods": "`idempotent=`",
    },
    "others": {
        "exceptions": "`on=`",
        "exception_types": "`on=`",
        "errors": "`on=`",
        "catch": "`on=`",
        "retry_on": "`on=`",
        "on_exception": "`on=`",
        "on_error": "`on=`",
        "expected_exceptions": "`on=`",
        "tries": "`attempts=`",
        "max_attempts": "`attempts=`",
        "max_retries": "`attempts=`, which counts the first one too",
        "max_retry": "`attempts=`, which counts the first one too",
        "num_retries": "`attempts=`, which counts the first one too",
        "retries": "`attempts=`, which counts the first one too",
        "times": "`attempts=`",
        "delay": "`backoff=constant(seconds)`",
        "max_delay": "`backoff=exponential(maximum=)`",
        "on_retry": "`observers=`",
        "on_failure": "`observers=`",
        "callback": "`observers=`",
        "fallback": "an `except` around the call",
        "default": "an `except` around the call",
        "max_elapsed": "`deadline=`",
    },
}
"""Each library's argument names, and redouble's; a name that several libraries have stands with the first."""

WORDS = {word: ours for words in LIBRARIES.values() for word, ours in words.items()}


def answered(word: str, fields: Collection[str] = ()) -> str:
    """Return the advice about an unknown field, as the end of an error message; empty when there is none.

    Args:
        word: The name that the user wrote.
        fields: The names of all fields, one of which the user may have misspelt.

    >>> answered("max_tries"), answered("atempts", ["attempts", "on"])
    ('; write `attempts=`', '; write `attempts=`')
    """
    ours = WORDS.get(word)
    if ours is None:
        from difflib import get_close_matches  # loaded late: only for misspelt fields

        ours = next((f"`{field}=`" for field in get_close_matches(word, fields, 1, 0.8)), None)
    return "" if ours is None else f"; write {ours}"
