//! Each server to compare with answers as the load expects it: node check.mjs [NAME…]. Prints for each how it
//! answers, and fails if one does not. Install first: ./install.sh.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { setTimeout as within } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const SERVERS = {
  "typescript-1.x": ["node", "server.mjs"],
  "typescript-2.x": ["node", "server.mjs"],
  fastmcp: [".venv/bin/python", "server.py"],
};
const STATUS = {
  status: "connected",
  github_login: "octocat",
  connected_at: "2026-01-02T03:04:05Z",
  auth_mode: "session",
  github_access: "scalekit_proxy",
  verified: true,
  next_step: "Call summarize_prs with a repository.",
};
const BODY = "x".repeat(2_000);
/// Calls of the upstream that must be able to run side by side.
const AT_ONCE = 256;
/// For a server to start, to answer, or to end.
const PATIENCE_MS = 20_000;

async function port(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

async function freePort() {
  const server = createServer();
  const free = await port(server);
  server.close();
  return free;
}

/// What stands in a body, be it JSON or an event stream, and which of the two it is.
async function read(response) {
  const text = await response.text();
  const [kind] = (response.headers.get("content-type") ?? "").split(";");
  if (kind !== "text/event-stream") return { kind, message: text && JSON.parse(text) };
  const data = text.split("\n").filter((line) => line.startsWith("data:"));
  return { kind, message: JSON.parse(data.at(-1).slice(5)) };
}

class Client {
  #headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  #id = 0;
  session;
  kinds = new Set();

  constructor(url) {
    this.url = url;
  }

  async ask(method, params, more = {}) {
    const message = { jsonrpc: "2.0", method, params };
    if (!method.startsWith("notifications/")) message.id = ++this.#id;
    const headers = { ...this.#headers, ...more };
    if (this.session) headers["mcp-session-id"] = this.session;
    const response = await fetch(this.url, {
      method: "POST",
      headers,
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    this.session ??= response.headers.get("mcp-session-id") ?? undefined;
    const { kind, message: answer } = await read(response);
    if (message.id === undefined) return assert.equal(response.status, 202);
    assert.equal(response.status, 200, JSON.stringify(answer));
    assert.equal(answer.id, message.id);
    assert.equal(answer.error, undefined, JSON.stringify(answer));
    this.kinds.add(kind);
    return answer.result;
  }

  async open() {
    const result = await this.ask("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "check", version: "1.0.0" },
    });
    assert.equal(result.protocolVersion, "2025-11-25");
    this.#headers["mcp-protocol-version"] = "2025-11-25";
    await this.ask("notifications/initialized");
    return result.serverInfo;
  }

  call(name, input = {}) {
    return this.ask("tools/call", { name, arguments: input });
  }

  /// A call as 2026-07-28 has it: no session, and who asks is said in the request itself.
  async modern(name) {
    const meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "check", version: "1.0.0" },
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    const params = { name, arguments: {}, _meta: meta };
    const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": name };
    return this.ask("tools/call", params, headers);
  }
}

/// A fresh process of the server, for as long as `use` takes; it must end when told to.
async function serving(name, upstream, use) {
  const [program, file] = SERVERS[name];
  const PORT = String(await freePort());
  const child = spawn(program, [file], {
    cwd: `${HERE}${name}`,
    env: { PATH: process.env.PATH, PORT, UPSTREAM: upstream },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  try {
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const first = await Promise.race([lines.next(), within(PATIENCE_MS, { value: "nothing" }, { ref: false })]);
    assert.equal(first.value, "listening");
    await use(new Client(`http://127.0.0.1:${PORT}/mcp`));
    child.kill("SIGTERM");
    const end = await Promise.race([ended, within(PATIENCE_MS, undefined, { ref: false })]);
    assert.ok(end, "it did not end when told to");
  } finally {
    child.kill("SIGKILL");
  }
}

async function check(name, upstream) {
  await serving(name, upstream, async (client) => {
    const { name: server } = await client.open();
    const { tools } = await client.ask("tools/list");
    assert.deepEqual(tools.map((tool) => tool.name).sort(), ["auth_status", "upstream_call"]);
    for (const tool of tools) assert.equal(tool.outputSchema?.type, "object", `${tool.name} has no output schema`);
    for (const input of [{}, { connection: "c".repeat(26) }]) {
      const status = await client.call("auth_status", input);
      assert.deepEqual(status.structuredContent, STATUS);
      assert.match(status.content[0].text, /^[^\n]+$/);
    }
    // The upstream answers when all have come, so none may wait for a connection that another holds.
    const all = await Promise.all(Array.from({ length: AT_ONCE }, () => client.call("upstream_call")));
    for (const { structuredContent } of all) assert.deepEqual(structuredContent, { bytes: BODY.length });

    const session = client.session ? "named in each request" : "none";
    const modern = new Client(client.url);
    const newer = await modern.modern("auth_status").then(
      ({ structuredContent }) => (assert.deepEqual(structuredContent, STATUS), [...modern.kinds].join(", ")),
      () => "not spoken",
    );
    console.log(`${name}: ${server}, session ${session}, answers ${[...client.kinds].join(", ")}; 2026-07-28: ${newer}`);
  });
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SERVERS);
for (const name of names) {
  const waiting = [];
  const upstream = createServer((_, response) => {
    waiting.push(response);
    if (waiting.length === AT_ONCE) for (const one of waiting) one.end(BODY);
  });
  await check(name, `http://127.0.0.1:${await port(upstream)}/`);
  upstream.closeAllConnections();
  upstream.close();
}
