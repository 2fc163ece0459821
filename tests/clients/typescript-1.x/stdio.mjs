//! The official TypeScript SDK 1.x over standard input and output, as Claude Desktop and others start servers.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { Report, required } from "../shared/report.mjs";
import { listen, server, stdioStory } from "../shared/stdio.mjs";
import { Story } from "../shared/story.mjs";

const report = new Report("typescript 1.x stdio");
const story = new Story({ report, repository: required("REPOSITORY"), person: required("PERSON") });

async function open() {
  const client = new Client({ name: "pr-summarizer-check", version: "1.0.0" });
  const transport = new StdioClientTransport(server());
  const wire = listen(transport);
  await client.connect(transport);
  return {
    wire,
    pid: transport.pid,
    tools: () => client.listTools(),
    call: (name, input, options) => client.callTool({ name, arguments: input }, undefined, options),
    close: () => client.close(),
  };
}

await report.scenario("2025-11-25", () => stdioStory(story, open));
report.close();
