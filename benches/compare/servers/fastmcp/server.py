"""FastMCP, set up as its documents show for HTTP: its ASGI application in Uvicorn, with sessions and JSON answers.

Sessions are its default, and cost less for each call than `stateless_http`. It has what `pip install fastmcp`
brings: Uvicorn on asyncio, and httpx2 as the HTTP client. The level of the log is raised, so that nothing is
written for a single request.
"""

import os

import httpx2
import uvicorn
from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import BaseModel

UPSTREAM = os.environ["UPSTREAM"]

mcp = FastMCP("compare-fastmcp", version="1.0.0")
# As many connections as the load has calls at a time.
client = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=256, max_keepalive_connections=256))


class Status(BaseModel):
    """What `auth_status` answers."""

    status: str
    github_login: str
    connected_at: str
    auth_mode: str
    github_access: str
    verified: bool
    next_step: str


class Length(BaseModel):
    """What `upstream_call` answers."""

    bytes: int


@mcp.tool(output_schema=Status.model_json_schema())
async def auth_status(connection: str | None = None) -> ToolResult:
    """Says whether a GitHub account is connected."""
    return ToolResult(
        content="Connected as @octocat.",
        structured_content={
            "status": "connected",
            "github_login": "octocat",
            "connected_at": "2026-01-02T03:04:05Z",
            "auth_mode": "session",
            "github_access": "scalekit_proxy",
            "verified": True,
            "next_step": "Call summarize_prs with a repository.",
        },
    )


@mcp.tool(output_schema=Length.model_json_schema())
async def upstream_call() -> ToolResult:
    """Asks the upstream once."""
    response = await client.get(UPSTREAM)
    response.raise_for_status()
    count = len(response.content)
    return ToolResult(content=f"{count} bytes", structured_content={"bytes": count})


class Server(uvicorn.Server):
    """Says when it listens."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("listening", flush=True)


if __name__ == "__main__":
    app = mcp.http_app(path="/mcp", json_response=True)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    Server(config).run()
