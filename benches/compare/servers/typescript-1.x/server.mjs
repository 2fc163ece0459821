//! The official TypeScript SDK 1.x, set up as its example `jsonResponseStreamableHttp`: Express, a session
//! with one server for as long as it lasts, and answers as one JSON body. Of the set-ups that its documents
//! show this one costs least for each call: the stateless one registers every tool anew for every request.
import { randomUUID } from "node:crypto";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { isInitializeRequest } from "@modelcontextprotocol/sdk/types.js";
import * as z from "zod/v4";

const { PORT, UPSTREAM } = process.env;

function server() {
  const server = new McpServer({ name: "compare-typescript-1", version: "1.0.0" });
  server.registerTool(
    "auth_status",
    {
      description: "Says whether a GitHub account is connected.",
      inputSchema: { connection: z.string().optional() },
      outputSchema: {
        status: z.string(),
        github_login: z.string(),
        connected_at: z.string(),
        auth_mode: z.string(),
        github_access: z.string(),
        verified: z.boolean(),
        next_step: z.string(),
      },
    },
    async () => ({
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
    }),
  );
  server.registerTool(
    "upstream_call",
    {
      description: "Asks the upstream once.",
      inputSchema: {},
      outputSchema: { bytes: z.number().int() },
    },
    async () => {
      // Node's own fetch keeps connections alive and opens as many as are wanted at a time.
      const response = await fetch(UPSTREAM);
      if (!response.ok) throw new Error(`the upstream answered ${response.status}`);
      const bytes = (await response.arrayBuffer()).byteLength;
      return { content: [{ type: "text", text: `${bytes} bytes` }], structuredContent: { bytes } };
    },
  );
  return server;
}

const app = createMcpExpressApp();
const sessions = new Map();
const refuse = (response, status, code, message) =>
  response.status(status).json({ jsonrpc: "2.0", error: { code, message }, id: null });

app.post("/mcp", async (request, response) => {
  const id = request.headers["mcp-session-id"];
  let transport = sessions.get(id);
  if (!transport && !id && isInitializeRequest(request.body)) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      enableJsonResponse: true,
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    transport.onclose = () => sessions.delete(transport.sessionId);
    await server().connect(transport);
  }
  if (transport) return transport.handleRequest(request, response, request.body);
  if (id) return refuse(response, 404, -32001, "Session not found");
  return refuse(response, 400, -32000, "Bad Request: No valid session ID provided");
});
app.delete("/mcp", async (request, response) => {
  const transport = sessions.get(request.headers["mcp-session-id"]);
  if (!transport) return refuse(response, 404, -32001, "Session not found");
  return transport.handleRequest(request, response);
});
app.get("/mcp", (_, response) => response.status(405).set("Allow", "POST, DELETE").send("Method Not Allowed"));

app.listen(Number(PORT), "127.0.0.1", (error) => {
  if (error) throw error;
  console.log("listening");
});
process.on("SIGTERM", () => process.exit(0));
