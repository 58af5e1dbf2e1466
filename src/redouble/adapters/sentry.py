"""Retries as Sentry breadcrumbs: `retry(observers=[Breadcrumbs()])`. Needs `pip install redouble[sentry]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sentry_sdk

from redouble.control.events import EventKind, describe, record_fields

if TYPE_CHECKING:
    from redouble import Event

__all__ = ["Breadcrumbs"]

LEVELS = {EventKind.GIVE_UP: "warning", EventKind.PARKED: "warning"}


class Breadcrumbs:
    """An observer that leaves a breadcrumb per retry, give-up, and change of a connection.

    An error that Sentry reports later then shows the retries before it. A breadcrumb has the category `retry`, the line
    of the log (secrets in URLs are masked), and the event's fields as its data.

    >>> from redouble import retry
    >>> policy = retry(observers=[Breadcrumbs()])
    """

    def __call__(self, event: Event) -> None:
        data = {name: value for name, value in record_fields(event).items() if value is not None}
        level = LEVELS.get(event.kind, "info")
        sentry_sdk.add_breadcrumb(type="default", category="retry", level=level, message=describe(event), data=data)
