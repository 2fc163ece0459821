"""The official Python client `mcp` 2.x over standard input and output, in both eras."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import client as checks
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from report import Report


class Pipe:
    """Stands where the HTTP checks look at the wire: nobody passes a handle over a pipe."""

    session_id = "the pipe"


def server() -> StdioServerParameters:
    with open(checks.required("STDIO_ENV"), encoding="utf-8") as lines:
        env = dict(line.rstrip("\n").split("=", 1) for line in lines)
    return StdioServerParameters(command=checks.required("PROGRAM"), args=["stdio"], env=env)


@asynccontextmanager
async def connect(mode: str) -> AsyncIterator[checks.Session]:
    with open(os.devnull, "w", encoding="utf-8") as log:
        async with Client(stdio_client(server(), errlog=log), mode=mode) as client:
            yield checks.Session(client, Pipe())


async def story(report: Report, mode: str) -> None:
    # The first link tells where the pages are.
    checks.ORIGIN = checks.CONNECT = "http://127.0.0.1:"
    async with connect(mode) as session:
        mine = checks.Story(report, session)
        await mine.lists_tools()
        await mine.is_not_connected()
        link = await mine.asks_for_link()
        checks.ORIGIN = "{0.scheme}://{0.netloc}".format(urlsplit(link))
        checks.CONNECT = f"{checks.ORIGIN}/connect/"
        await mine.refuses_to_summarize()
        await mine.approves(link)
        await mine.is_connected()
        await mine.summarizes()
        await mine.refuses_bad_input()
        await mine.lives_through_cancellation()
    async with connect(mode) as later:
        again = checks.Story(report, later)
        await again.is_connected()
        await again.disconnects()


async def main() -> int:
    report = Report("python mcp 2.x stdio")
    async with report.scenario("2026-07-28"):
        await story(report, "auto")
    async with report.scenario("2025-11-25"):
        await story(report, "legacy")
    return report.close()


if __name__ == "__main__":
    checks.REPOSITORY, checks.PERSON = checks.required("REPOSITORY"), checks.required("PERSON")
    sys.exit(asyncio.run(main()))
