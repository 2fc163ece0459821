"""Asks a pr-summarizer for a repository's most-discussed pull requests and prints the answer, which is Markdown.

    pip install mcp
    python summarize.py OWNER/REPOSITORY [URL]

URL       the server's address; else that in MCP_URL, else http://127.0.0.1:3000/mcp
MCP_KEY   what is shown as Bearer token, such as the local key of single-user mode
BROWSER   the program that opens the link if no account is connected yet; else the usual browser

The answer goes to standard output, everything else to standard error. Ends with
0  answered                      3  no account was connected: declined, or not within ten minutes
1  refused, or it failed         4  no server there, or it does not let this client in
2  wrong usage                   5  answered, but parts of it are still missing
"""

import asyncio
import os
import shlex
import subprocess
import sys
import webbrowser
from contextlib import AsyncExitStack

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

LONGEST_CALL_SECONDS = 310  # the server's own deadline is at most 300
LONGEST_WAIT_SECONDS = 600
POLL_SECONDS = 2
MOST_FURTHER_CALLS = 3  # what one call does not finish is ready for the next
CURED_BY_CONNECTING = ("not_connected", "reauthorization_required")


class Ended(Exception):
    """Ends the program with this code and these words."""

    def __init__(self, code, words, failure=None):
        super().__init__(words)
        self.code = code
        self.failure = failure  # the server's word for what went wrong


def say(words):
    print(words, file=sys.stderr, flush=True)


async def show_progress(done, total, message):
    say(f"{done:g}/{total:g} {message}" if total else message)


async def call(client, tool, arguments):
    """The text and the data of a tool's answer."""
    async with asyncio.timeout(LONGEST_CALL_SECONDS):
        result = await client.call_tool(tool, arguments, progress_callback=show_progress)
    text = "\n".join(part.text for part in result.content if part.type == "text")
    if result.is_error:
        raise Ended(1, text, ((result.meta or {}).get("pr-summarizer/failure") or {}).get("code"))
    return text, result.structured_content


def open_browser(link):
    say(f"Open this link to connect GitHub: {link}")
    if command := os.environ.get("BROWSER"):
        subprocess.Popen([*shlex.split(command), link], stdout=subprocess.DEVNULL)
    else:
        webbrowser.open(link)


async def connect(client, again):
    """Lets the person connect an account; answers what every later call must carry."""
    text, answer = await call(client, "connect_github", {"reconnect": again})
    # Clients without sessions are known again by this value.
    carried = {"connection": answer["connection"]} if "connection" in answer else {}
    if answer["status"] == "connected":
        return carried
    if "url" not in answer:
        raise Ended(3, text)
    open_browser(answer["url"])
    for _ in range(LONGEST_WAIT_SECONDS // POLL_SECONDS):
        await asyncio.sleep(POLL_SECONDS)
        text, answer = await call(client, "auth_status", carried)
        if answer["status"] == "connected":
            say(f"Connected as @{answer['github_login']}.")
            return carried
        if answer["status"] != "pending":
            raise Ended(3, text)
    raise Ended(3, "Nobody connected an account within ten minutes.")


async def summarize(url, repository):
    key = os.environ.get("MCP_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx2.Timeout(10, read=LONGEST_CALL_SECONDS)
    async with AsyncExitStack() as open_until_the_end:
        enter = open_until_the_end.enter_async_context
        try:
            http = await enter(httpx2.AsyncClient(headers=headers, timeout=timeout))
            client = await enter(Client(streamable_http_client(url, http_client=http)))
        except Exception as error:
            raise Ended(4, f"{url} cannot be used: {innermost(error)!r}")
        arguments = {"repository": repository}
        try:
            text, answer = await call(client, "summarize_prs", arguments)
        except Ended as refused:
            if refused.failure not in CURED_BY_CONNECTING:
                raise
            arguments |= await connect(client, again=refused.failure != "not_connected")
            text, answer = await call(client, "summarize_prs", arguments)
        for _ in range(MOST_FURTHER_CALLS):
            if answer["complete"]:
                break
            text, answer = await call(client, "summarize_prs", arguments)
        print(text)
        return 0 if answer["complete"] else 5


def innermost(error):
    """What tasks that run together raise arrives as a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main():
    given = sys.argv[1:]
    if len(given) not in (1, 2) or given[0].startswith("-"):
        say(__doc__)
        return 2
    url = given[1] if len(given) == 2 else os.environ.get("MCP_URL") or "http://127.0.0.1:3000/mcp"
    try:
        return asyncio.run(summarize(url, given[0]))
    except Exception as raised:
        error = innermost(raised)
        if isinstance(error, Ended):
            say(error)
            return error.code
        say(f"The call failed: {error!r}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
