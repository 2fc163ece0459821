"""The official Python client `mcp` 2.x in both eras: 2026-07-28 with and without URL elicitation, and 2025-11-25."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import mcp_types as types
from browser import Browser
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from report import Report

CALL_SECONDS = 50
TOOLS = ["auth_status", "connect_github", "disconnect_github", "summarize_prs"]


class Wire(httpx2.AsyncHTTPTransport):
    """Keeps the text of every answer, errors and streams included, and the session that the server named."""

    def __init__(self) -> None:
        super().__init__()
        self.received = bytearray()
        self.session_id: str | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        self.session_id = response.headers.get("mcp-session-id", self.session_id)
        response.stream = _Recorded(response.stream, self.received)
        return response


class _Recorded(httpx2.AsyncByteStream):
    def __init__(self, inner: Any, received: bytearray) -> None:
        self._inner, self._received = inner, received

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            self._received += part
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class Session:
    client: Client
    wire: Wire

    async def call(self, name: str, arguments: dict[str, Any] | None = None, **options: Any) -> types.CallToolResult:
        async with asyncio.timeout(CALL_SECONDS):
            return await self.client.call_tool(name, arguments or {}, **options)


@asynccontextmanager
async def connect(mode: str, elicitation: Any = None) -> AsyncIterator[Session]:
    wire = Wire()
    async with httpx2.AsyncClient(transport=wire, timeout=httpx2.Timeout(30, read=60)) as http:
        transport = streamable_http_client(URL, http_client=http)
        async with Client(transport, mode=mode, elicitation_callback=elicitation) as client:
            yield Session(client, wire)


def text(result: types.CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, types.TextContent))


def data(result: types.CallToolResult) -> dict[str, Any]:
    assert not result.is_error, text(result)
    assert result.structured_content is not None, "no structured content"
    return result.structured_content


def failure_code(result: types.CallToolResult) -> str | None:
    return ((result.meta or {}).get("pr-summarizer/failure") or {}).get("code")


@dataclass
class Story:
    """The checks; `handle` is what a client without sessions passes along."""

    report: Report
    session: Session
    handle: dict[str, str] = field(default_factory=dict)

    def check(self, name: str) -> Any:
        return self.report.check(name)

    async def lists_tools(self) -> None:
        with self.check("lists the four tools, each described, typed and annotated"):
            tools = (await self.session.client.list_tools()).tools
            assert sorted(tool.name for tool in tools) == TOOLS
            for tool in tools:
                assert len(tool.description or "") > 20, f"{tool.name} has no description"
                assert tool.input_schema.get("additionalProperties") is False, f"{tool.name} takes unknown arguments"
                assert (tool.output_schema or {}).get("type") == "object", f"{tool.name} has no output schema"
                hints = tool.annotations
                assert hints and hints.read_only_hint is not None and hints.destructive_hint is not None

    async def is_not_connected(self) -> None:
        with self.check("auth_status says not connected"):
            status = data(await self.session.call("auth_status", self.handle))
            assert status["status"] != "connected" and not status.get("github_login"), status["status"]

    async def refuses_to_summarize(self) -> None:
        with self.check("summarize_prs refuses with a link and says what to do next"):
            result = await self.session.call("summarize_prs", {"repository": REPOSITORY, **self.handle})
            assert result.is_error and result.structured_content is None
            assert CONNECT in text(result), text(result)
            assert re.search(r"^Next: ", text(result), re.M), text(result)
            assert failure_code(result) == "not_connected"

    async def asks_for_link(self) -> str:
        with self.check("connect_github answers a link in text and data"):
            result = await self.session.call("connect_github", self.handle)
            answer = data(result)
            assert answer["status"] == "authorization_required"
            assert answer["url"].startswith(CONNECT) and answer["url"] in text(result)
        if self.session.wire.session_id is None:
            with self.check("the answer holds a handle for the calls to come"):
                assert re.fullmatch(r"con_[\w-]{20,}", answer["connection"])
                self.handle = {"connection": answer["connection"]}
        return answer["url"]

    async def approves(self, link: str) -> None:
        with self.check(f"the browser opens the link and approves as {PERSON}"):
            await approve(link)

    async def is_connected(self) -> None:
        with self.check(f"auth_status says connected as {PERSON}"):
            result = await self.session.call("auth_status", self.handle)
            assert data(result)["status"] == "connected", text(result)
            assert data(result)["github_login"] == PERSON and PERSON in text(result)

    async def summarizes(self) -> None:
        with self.check("summarize_prs reports progress and answers the most-discussed first"):
            progress: list[float] = []

            async def note(value: float, total: float | None, message: str | None) -> None:
                progress.append(value)

            arguments = {"repository": REPOSITORY, **self.handle}
            result = await self.session.call("summarize_prs", arguments, progress_callback=note)
            digests = data(result)["pull_requests"]
            assert progress and progress == sorted(progress), f"progress {progress}"
            assert 1 <= len(digests) <= 5
            keys = [
                (d["discussion"]["conversation_comments"] + d["discussion"]["review_comments"], d["number"])
                for d in digests
            ]
            assert keys == sorted(keys, reverse=True), f"not ordered by discussion: {keys}"
            for digest in digests:
                assert digest["summary"], f"#{digest['number']} has no summary"
                assert f"#{digest['number']}" in text(result) and digest["url"] in text(result)
            assert not text(result).lstrip().startswith("{"), "the text is a copy of the JSON"

    async def refuses_bad_input(self) -> None:
        with self.check("an unknown argument gets a clear refusal"):
            try:
                result = await self.session.call("summarize_prs", {"repository": REPOSITORY, "reposytory": 1, **self.handle})
                assert result.is_error
                said = text(result)
            except MCPError as error:
                assert error.error.code == -32602, error
                said = error.error.message
            assert "reposytory" in said, said

    async def lives_through_cancellation(self) -> None:
        with self.check("a call cancelled at its first progress ends, and the next call is answered"):
            begun = asyncio.Event()

            async def note(value: float, total: float | None, message: str | None) -> None:
                begun.set()

            # Another limit than before, so that no answer of a moment ago can be served before the cancellation.
            arguments = {"repository": REPOSITORY, "limit": 3, **self.handle}
            call = asyncio.create_task(self.session.call("summarize_prs", arguments, progress_callback=note))
            async with asyncio.timeout(CALL_SECONDS):
                await begun.wait()
            call.cancel()
            try:
                await call
            except asyncio.CancelledError:
                pass
            assert data(await self.session.call("auth_status", self.handle))["status"] == "connected"

    async def disconnects(self) -> None:
        with self.check("disconnect_github unlinks"):
            assert data(await self.session.call("disconnect_github", self.handle))["status"] == "not_connected"
            assert data(await self.session.call("auth_status", self.handle))["status"] == "not_connected"

    async def showed_no_identifier(self) -> None:
        with self.check("no answer of the server ever held an identifier"):
            assert self.session.wire.received and b"usr_" not in self.session.wire.received


async def approve(link: str) -> None:
    page = await asyncio.to_thread(Browser().approve, link, PERSON)
    assert page.status == 200 and PERSON in page.text, f"{page.status}: {page.text}"
    assert page.url.startswith(ORIGIN) and "state=" not in page.url, "the last address is wrong"
    assert "usr_" not in page.html, "a page shows an identifier"


async def connect_status_summarize(story: Story) -> None:
    await story.lists_tools()
    await story.is_not_connected()
    await story.refuses_to_summarize()
    link = await story.asks_for_link()
    await story.is_not_connected()
    await story.approves(link)
    await story.is_connected()
    await story.summarizes()
    await story.refuses_bad_input()
    await story.lives_through_cancellation()


async def legacy(report: Report) -> None:
    async with connect("legacy") as first, connect("legacy") as second:
        with report.check("two sessions, two ids"):
            assert first.client.protocol_version < "2026"
            assert first.wire.session_id and second.wire.session_id != first.wire.session_id
        mine, other = Story(report, first), Story(report, second)
        await connect_status_summarize(mine)
        await other.is_not_connected()
        await other.refuses_to_summarize()
        await mine.disconnects()
        await mine.showed_no_identifier()
        await other.showed_no_identifier()


async def modern(report: Report) -> None:
    async with connect("auto") as first, connect("auto") as second:
        with report.check("connects without a session"):
            assert first.client.protocol_version == "2026-07-28"
            assert first.wire.session_id is None
        mine, other = Story(report, first), Story(report, second)
        await connect_status_summarize(mine)
        await other.is_not_connected()
        await other.asks_for_link()
        await other.is_not_connected()
        await mine.showed_no_identifier()
    async with connect("auto") as later:
        again = Story(report, later, mine.handle)
        await again.is_connected()
        await again.disconnects()
        await again.refuses_to_summarize()


async def elicitation(report: Report) -> None:
    asked: list[types.ElicitRequestURLParams] = []

    async def answer(_context: Any, params: Any) -> types.ElicitResult:
        asked.append(params)
        await approve(params.url)
        return types.ElicitResult(action="accept")

    async with connect("auto", answer) as session:
        story = Story(report, session)
        with report.check("connect_github asks through URL elicitation and ends connected"):
            result = data(await session.call("connect_github"))
            assert len(asked) == 1 and asked[0].mode == "url" and asked[0].url.startswith(CONNECT)
            assert result["status"] == "connected" and result["github_login"] == PERSON, result["status"]
            story.handle = {"connection": result["connection"]}
        await story.is_connected()
        await story.summarizes()
        await story.disconnects()
        await story.showed_no_identifier()


async def main() -> int:
    report = Report("python mcp 2.x")
    async with report.scenario("2026-07-28, link"):
        await modern(report)
    async with report.scenario("2026-07-28, elicitation"):
        await elicitation(report)
    async with report.scenario("2025-11-25"):
        await legacy(report)
    return report.close()


def required(name: str) -> str:
    """A setting of the run; without it there is nothing to test."""
    if value := os.environ.get(name):
        return value
    sys.exit(f"{name} is not set. Start a server with: cargo run --example quickstart -- --serve")


def settle() -> None:
    """Reads the settings of the run."""
    global URL, REPOSITORY, PERSON, ORIGIN, CONNECT
    URL, REPOSITORY, PERSON = required("MCP_URL"), required("REPOSITORY"), required("PERSON")
    ORIGIN = "{0.scheme}://{0.netloc}".format(urlsplit(URL))
    CONNECT = f"{ORIGIN}/connect/"


if __name__ == "__main__":
    settle()
    sys.exit(asyncio.run(main()))
