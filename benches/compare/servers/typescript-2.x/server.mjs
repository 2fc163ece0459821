//! The official TypeScript SDK 2.x, set up as its documents recommend: one `createMcpHandler` for both eras of
//! the protocol, on Node's own HTTP server behind the guards that `@modelcontextprotocol/node` tells to put there.
//! There are no sessions: each request gets a server of its own. Clients up to 2025-11-25 are answered as event
//! streams, those of 2026-07-28 in JSON. A call costs less with sessions, wired by hand as in 1.x, which its
//! documents keep for servers that have them already.
import { createServer } from "node:http";
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";

const { PORT, UPSTREAM } = process.env;

// Made once, so that a server for each request need not make them.
const status = {
  description: "Says whether a GitHub account is connected.",
  inputSchema: z.object({ connection: z.string().optional() }),
  outputSchema: z.object({
    status: z.string(),
    github_login: z.string(),
    connected_at: z.string(),
    auth_mode: z.string(),
    github_access: z.string(),
    verified: z.boolean(),
    next_step: z.string(),
  }),
};
const upstream = {
  description: "Asks the upstream once.",
  inputSchema: z.object({}),
  outputSchema: z.object({ bytes: z.number().int() }),
};

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: "compare-typescript-2", version: "1.0.0" });
  server.registerTool("auth_status", status, async () => ({
    content: [{ type: "text", text: "Connected as @octocat." }],
    structuredContent: {
      status: "connected",
      github_login: "octocat",
      connected_at: "2026-01-02T03:04:05Z",
      auth_mode: "session",
      github_access: "scalekit_proxy",
      verified: true,
      next_step: "Call summarize_prs with a repository.",
    },
  }));
  server.registerTool("upstream_call", upstream, async () => {
    // Node's own fetch keeps connections alive and opens as many as are wanted at a time.
    const response = await fetch(UPSTREAM);
    if (!response.ok) throw new Error(`the upstream answered ${response.status}`);
    const bytes = (await response.arrayBuffer()).byteLength;
    return { content: [{ type: "text", text: `${bytes} bytes` }], structuredContent: { bytes } };
  });
  return server;
});
const mcp = toNodeHandler(handler);
const [hostIsSound, originIsSound] = [localhostHostValidation(), localhostOriginValidation()];

createServer((request, response) => {
  if (!hostIsSound(request, response) || !originIsSound(request, response)) return;
  if (request.url === "/mcp") mcp(request, response);
  else response.writeHead(404).end();
}).listen(Number(PORT), "127.0.0.1", () => console.log("listening"));
process.on("SIGTERM", () => process.exit(0));
