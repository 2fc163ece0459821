//! The OAuth of the TypeScript client 2.x, in both eras, against a server that serves strangers.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { documentChoice, documentStory, registrationStory } from "../shared/oauth.mjs";
import { Report, required } from "../shared/report.mjs";
import { Story } from "../shared/story.mjs";
import { Wire } from "../shared/wire.mjs";

const url = required("MCP_URL");
const report = new Report("typescript 2.x OAuth");
const story = new Story({ report, url, repository: required("REPOSITORY"), person: required("PERSON") });

function openIn(mode) {
  return (provider) => {
    const wire = new Wire();
    const client = new Client({ name: "pr-summarizer-check", version: "1.0.0" }, { versionNegotiation: { mode } });
    const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: wire.fetch, authProvider: provider });
    return {
      wire,
      Unauthorized: UnauthorizedError,
      connect: () => client.connect(transport),
      // The whole answer: this client checks its `iss` (RFC 9207), too.
      finish: (answer) => transport.finishAuth(answer),
      tools: () => client.listTools(),
      call: (name, input, options) => client.callTool({ name, arguments: input }, options),
      close: () => client.close(),
    };
  };
}

await report.scenario("2026-07-28, registration", () => registrationStory(story, openIn("auto")));
await report.scenario("2025-11-25, registration", () => registrationStory(story, openIn("legacy")));
await report.scenario("2026-07-28, client document", () => documentStory(story, openIn("auto")));
await report.scenario("2026-07-28, choice of a document", () => documentChoice(story, openIn("auto")));
report.close();
