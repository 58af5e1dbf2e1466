"""botocore, beneath boto3, which ships no types: checked as ways_in.py is, and never run.

The methods of its clients are made at run time from descriptions, so no checker knows them without stubs such as
`boto3-stubs`; what is asserted are the functions of users, with the types that they write.
"""

from __future__ import annotations

from typing import Any, assert_type

import botocore.session  # type: ignore[import-untyped]  # ships no types

from redouble import retry


@retry(attempts=5)
def buckets(client: Any) -> list[str]:
    """List the names of the buckets."""
    return [each["Name"] for each in client.list_buckets()["Buckets"]]


def calls(region: str) -> None:
    """A function over a client, and a method of it."""
    client: Any = botocore.session.get_session().create_client("s3", region_name=region)
    assert_type(buckets(client), list[str])
    assert_type(retry.call(buckets, client), list[str])
    assert_type(retry.call(client.list_buckets), Any)
    assert_type(retry(deadline=60).call(client.get_object, Bucket="b", Key="k"), Any)
