"""Clients of one service each, whose errors do not show the request: each as a callable of the server's address."""

# ruff: noqa: D103  # the services are listed in `SERVICES`, by names that say which they are

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.clients.clients import BODY, PATH, need


def kubernetes(url: str) -> Any:
    api = need("kubernetes.client", "kubernetes")
    settings = api.Configuration()
    settings.host, settings.retries = url, False
    return api.CoreV1Api(api.ApiClient(settings)).create_namespaced_pod("orders", {})


def slack(url: str, call: str = "chat_postMessage", **given: Any) -> Any:
    sdk = need("slack_sdk", "slack_sdk")
    client = sdk.WebClient("none", base_url=url + "/", retry_handlers=[])
    return getattr(client, call)(**(given or {"channel": "c", "text": "hello"}))


def stripe(url: str) -> Any:
    sdk = need("stripe", "stripe")
    client = sdk.StripeClient("sk_none", base_addresses={"api": url}, max_network_retries=0)
    return client.v1.charges.create({"amount": 1, "currency": "eur"})


def google_client(url: str) -> Any:
    http, httplib2 = need("googleapiclient.http", "google-api-python-client"), need("httplib2", "httplib2")
    return http.HttpRequest(httplib2.Http(), lambda response, content: content, url, method="POST", body="{}").execute()


def httplib2(url: str) -> Any:
    return need("httplib2", "httplib2").Http().request(url + PATH, "POST", body="{}")


def curl(url: str) -> Any:
    with need("curl_cffi.requests", "curl_cffi").Session() as session:
        return session.post(url + PATH, data=BODY)


def curl_async(url: str) -> Any:
    requests = need("curl_cffi.requests", "curl_cffi")

    async def exchange() -> Any:
        async with requests.AsyncSession() as session:
            return await session.post(url + PATH, data=BODY)

    return asyncio.run(exchange())


def httpcore(url: str) -> Any:
    return need("httpcore", "httpcore").request("POST", url + PATH, content=BODY)


def influx(url: str, query: bool = False) -> Any:
    module = need("influxdb_client", "influxdb-client")
    client = module.InfluxDBClient(url, token="none", org="o", retries=False)
    if query:
        return client.query_api().query("x")
    from influxdb_client.client.write_api import SYNCHRONOUS

    return client.write_api(write_options=SYNCHRONOUS).write("b", "o", "m f=1")


def aiobotocore(url: str, service: str = "sqs", call: str = "send_message", **given: Any) -> Any:
    session = need("aiobotocore.session", "aiobotocore").get_session()
    settings = need("aiobotocore.config", "aiobotocore").AioConfig(retries={"total_max_attempts": 1})
    given = given or {"QueueUrl": url + "/orders", "MessageBody": "hello"}
    where = {"region_name": "eu-west-1", "endpoint_url": url, "config": settings}

    async def exchange() -> Any:
        async with session.create_client(service, aws_access_key_id="a", aws_secret_access_key="b", **where) as client:
            return await getattr(client, call)(**given)

    return asyncio.run(exchange())


def sendgrid(url: str) -> Any:
    return need("sendgrid", "sendgrid").SendGridAPIClient("none", host=url).client.mail.send.post(request_body={})


def niquests(url: str) -> Any:
    return need("niquests", "niquests").post(url + PATH, data=BODY)


def stripe_module(url: str) -> Any:
    sdk = need("stripe", "stripe")
    sdk.api_key, sdk.api_base, sdk.max_network_retries = "sk_none", url, 0
    return sdk.Charge.create(amount=1, currency="eur")


SERVICES = (
    *(kubernetes, slack, stripe, stripe_module, google_client, httplib2, curl, curl_async, httpcore, influx),
    *(aiobotocore, sendgrid, niquests),
)
