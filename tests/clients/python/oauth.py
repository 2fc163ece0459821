"""The OAuth of the official Python client `mcp` 2.x, in both eras, against a server that serves strangers."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import client as plain
import httpx2
from browser import Browser
from client import Session, Story, Wire, data, required
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from report import Report

# The client's own address on this computer. Nobody listens there: the browser stops before it.
REDIRECT = "http://127.0.0.1:47124/callback"
# A little more than the hour that an access token lives.
PAST_AN_HOUR_SECONDS = 3660
NAME = "Python client of the checks"


@dataclass
class Host:
    """What the SDK asks its host for: a place to keep things, and the person's browser."""

    browser: Browser = field(default_factory=lambda: Browser(REDIRECT))
    information: OAuthClientInformationFull | None = None
    tokens: OAuthToken | None = None
    # Where the person was sent, in order.
    asked: list[str] = field(default_factory=list)

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.information

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.information = client_info

    async def send_to_browser(self, url: str) -> None:
        self.asked.append(url)

    async def come_back(self) -> AuthorizationCodeResult:
        # Whoever is signed in to the server need not go to GitHub again.
        allow = self.browser.allow if len(self.asked) == 1 else self.browser.allow_as
        page = await asyncio.to_thread(allow, self.asked[-1], plain.PERSON)
        answer = parameters(page.url)
        assert page.url.split("?")[0] == REDIRECT, f"the way ended at {page.url.split('?')[0]}: {page.text}"
        assert answer["iss"] == plain.ORIGIN
        return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer["iss"])


def parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class Recorded(Wire):
    """Keeps the requests, too, as method and path."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        return await super().handle_async_request(request)


@asynccontextmanager
async def connect(mode: str, host: Host) -> AsyncIterator[tuple[Session, OAuthClientProvider, Recorded]]:
    wire = Recorded()
    metadata = OAuthClientMetadata(client_name=NAME, redirect_uris=[REDIRECT], token_endpoint_auth_method="none")
    provider = OAuthClientProvider(plain.URL, metadata, host, host.send_to_browser, host.come_back)
    async with httpx2.AsyncClient(transport=wire, timeout=httpx2.Timeout(30, read=60), auth=provider) as http:
        async with Client(streamable_http_client(plain.URL, http_client=http), mode=mode) as client:
            yield Session(client, wire), provider, wire


async def lives(report: Report, mode: str, host: Host, client_name: str) -> None:
    """Refused, allowed by the person in a browser, at work, refreshed, ended."""
    known = host.information
    async with connect(mode, host) as (session, provider, wire):
        story = Story(report, session)
        with report.check("a 401 leads it through both metadata documents and the person's browser to its tokens"):
            assert wire.requests[:3] == [
                "POST /mcp",
                "GET /.well-known/oauth-protected-resource/mcp",
                "GET /.well-known/oauth-authorization-server",
            ]
            asked = parameters(host.asked[0])
            assert asked["code_challenge_method"] == "S256" and asked["resource"] == plain.URL
            assert asked["scope"] == "pull_requests" and asked["redirect_uri"] == REDIRECT
            assert host.tokens and host.tokens.access_token and host.tokens.refresh_token
        if known is None:
            with report.check("it registered itself"):
                assert host.information and host.information.client_id.startswith("prs_")
                assert "POST /register" in wire.requests
        else:
            with report.check("it is known by its document and does not register"):
                assert asked["client_id"] == known.client_id
                assert "POST /register" not in wire.requests
        await story.lists_tools()
        await story.is_connected()
        await story.summarizes()
        await story.refuses_bad_input()

        with report.check("after an hour it refreshes by itself, and the person is not asked"):
            before = host.tokens
            with open(required("CLOCK"), "w") as clock:
                clock.write(f"later {PAST_AN_HOUR_SECONDS}\n")
            await until_refused(before.access_token)
            # The hour has passed on the client's clock, too; it looks at nothing else.
            provider.context.token_expiry_time = time.time() - 1
            assert data(await session.call("auth_status"))["status"] == "connected"
            assert host.tokens.access_token != before.access_token
            assert host.tokens.refresh_token != before.refresh_token, "the refresh token did not rotate"
            assert len(host.asked) == 1

        with report.check("the person finds it on their page and revokes it"):
            page = await asyncio.to_thread(host.browser.open, f"{plain.ORIGIN}/")
            assert client_name in page.text, page.text
            left = await asyncio.to_thread(host.browser.press, page, "Revoke all")
            assert "Programs that may act for you None" in left.text, left.text
            assert await status(host.tokens.access_token) == 401
        with report.check("it is refused until the person allows it once more"):
            ended = host.tokens
            assert data(await session.call("auth_status"))["status"] == "connected"
            assert len(host.asked) == 2, "the person was not asked"
            assert host.tokens.refresh_token != ended.refresh_token
        await story.showed_no_identifier()


async def until_refused(token: str) -> None:
    """The clock is put forward by another process, so the moment is waited for."""
    async with asyncio.timeout(20):
        while await status(token) != 401:
            pass


async def status(token: str) -> int:
    headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(timeout=10) as http:
        return (await http.post(plain.URL, headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})).status_code


async def main() -> int:
    report = Report("python mcp 2.x OAuth")
    document = OAuthClientInformationFull(
        client_id=required("CLIENT_DOCUMENT"), redirect_uris=[REDIRECT], token_endpoint_auth_method="none"
    )
    async with report.scenario("2026-07-28, registration"):
        await lives(report, "auto", Host(), NAME)
    async with report.scenario("2025-11-25, registration"):
        await lives(report, "legacy", Host(), NAME)
    async with report.scenario("2026-07-28, client document"):
        await lives(report, "auto", Host(information=document), "Client by its document")
    return report.close()


if __name__ == "__main__":
    plain.settle()
    sys.exit(asyncio.run(main()))
