//! The official TypeScript SDK 1.x, which speaks 2025-11-25: sessions, and the link as plain text.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Report, required } from "../shared/report.mjs";
import { legacyStory } from "../shared/legacy.mjs";
import { Story } from "../shared/story.mjs";
import { Wire } from "../shared/wire.mjs";

const url = required("MCP_URL");
const report = new Report("typescript 1.x");
const story = new Story({ report, url, repository: required("REPOSITORY"), person: required("PERSON") });

async function open() {
  const wire = new Wire();
  const client = new Client({ name: "pr-summarizer-check", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: wire.fetch });
  await client.connect(transport);
  return {
    wire,
    server: client.getServerVersion(),
    sessionId: () => transport.sessionId,
    tools: () => client.listTools(),
    call: (name, input, options) => client.callTool({ name, arguments: input }, undefined, options),
    terminate: () => transport.terminateSession(),
    close: () => client.close(),
  };
}

await report.scenario("2025-11-25", async () => {
  await legacyStory(story, open);
});
await report.scenario("protocol", async () => {
  await report.check("the server introduces itself", async () => {
    const session = await open();
    assert.equal(session.server?.name, "pr-summarizer");
    await session.close();
  });
});
report.close();
