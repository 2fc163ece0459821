//! The TypeScript client 2.x over standard input and output, in both eras.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Report, required } from "../shared/report.mjs";
import { listen, server, stdioStory } from "../shared/stdio.mjs";
import { Story } from "../shared/story.mjs";

const report = new Report("typescript 2.x stdio");
const story = new Story({ report, repository: required("REPOSITORY"), person: required("PERSON") });

async function open(mode) {
  const client = new Client({ name: "pr-summarizer-check", version: "1.0.0" }, { versionNegotiation: { mode } });
  const transport = new StdioClientTransport(server());
  const wire = listen(transport);
  await client.connect(transport);
  assert.equal(client.getProtocolEra(), mode === "auto" ? "modern" : "legacy");
  return {
    wire,
    pid: transport.pid,
    tools: () => client.listTools(),
    call: (name, input, options) => client.callTool({ name, arguments: input }, options),
    close: () => client.close(),
  };
}

await report.scenario("2026-07-28", () => stdioStory(story, () => open("auto")));
await report.scenario("2025-11-25", () => stdioStory(story, () => open("legacy")));
report.close();
