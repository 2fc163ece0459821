//! The OAuth of the official TypeScript SDK 1.x against a server that serves strangers.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { documentChoice, documentStory, registrationStory } from "../shared/oauth.mjs";
import { Report, required } from "../shared/report.mjs";
import { Story } from "../shared/story.mjs";
import { Wire } from "../shared/wire.mjs";

const url = required("MCP_URL");
const report = new Report("typescript 1.x OAuth");
const story = new Story({ report, url, repository: required("REPOSITORY"), person: required("PERSON") });

function open(provider) {
  const wire = new Wire();
  const client = new Client({ name: "pr-summarizer-check", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: wire.fetch, authProvider: provider });
  return {
    wire,
    Unauthorized: UnauthorizedError,
    connect: () => client.connect(transport),
    finish: (answer) => transport.finishAuth(answer.get("code")),
    tools: () => client.listTools(),
    call: (name, input, options) => client.callTool({ name, arguments: input }, undefined, options),
    close: () => client.close(),
  };
}

await report.scenario("registration", () => registrationStory(story, open));
await report.scenario("client document", () => documentStory(story, open));
await report.scenario("choice of a document", () => documentChoice(story, open));
report.close();
