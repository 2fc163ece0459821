//! The TypeScript client 2.x in both eras: 2026-07-28 with and without URL elicitation, and 2025-11-25.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { legacyStory } from "../shared/legacy.mjs";
import { elicitationStory, linkStory } from "../shared/modern.mjs";
import { Report, required } from "../shared/report.mjs";
import { Story } from "../shared/story.mjs";
import { Wire } from "../shared/wire.mjs";

const url = required("MCP_URL");
const report = new Report("typescript 2.x");
const story = new Story({ report, url, repository: required("REPOSITORY"), person: required("PERSON") });

/** With `answer` the client declares URL elicitation and answers each request with what `answer` resolves to. */
async function open(mode, answer) {
  const wire = new Wire();
  const capabilities = answer ? { elicitation: { url: {} } } : {};
  const client = new Client({ name: "pr-summarizer-check", version: "1.0.0" }, { capabilities, versionNegotiation: { mode } });
  if (answer) client.setRequestHandler("elicitation/create", async ({ params }) => ({ action: await answer(params) }));
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: wire.fetch });
  await client.connect(transport);
  assert.equal(client.getProtocolEra(), mode === "auto" ? "modern" : "legacy");
  return {
    wire,
    protocolVersion: client.getNegotiatedProtocolVersion(),
    sessionId: () => transport.sessionId,
    tools: () => client.listTools(),
    call: (name, input, options) => client.callTool({ name, arguments: input }, options),
    terminate: () => transport.terminateSession(),
    close: () => client.close(),
  };
}

await report.scenario("2026-07-28, link", () => linkStory(story, () => open("auto")));
await report.scenario("2026-07-28, elicitation", () => elicitationStory(story, (answer) => open("auto", answer)));
await report.scenario("2025-11-25", () => legacyStory(story, () => open("legacy")));
report.close();
