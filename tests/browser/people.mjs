//! The people of an `oauth` server: browsers of their own, an MCP client that acts for them, and a site that means harm.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer, request as send } from "node:http";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { within } from "../clients/shared/report.mjs";

const VERIFIER = "a-verifier-of-at-least-forty-three-characters-0";
const CHALLENGE = createHash("sha256").update(VERIFIER).digest("base64url");

/** A site on a free port of this machine. It answers `pages[path]`: HTML, or a function of request and response. */
export async function site(pages = {}) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push({ method: request.method, url: request.url, headers: request.headers });
    const answer = pages[request.url.split("?")[0]];
    if (typeof answer === "function") return answer(request, response);
    response.writeHead(answer ? 200 : 404, { "content-type": "text/html; charset=utf-8" });
    response.end(answer ?? "");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return { asked, pages, port, at: (host, path) => `http://${host}:${port}${path}`, close: () => server.close() };
}

/** Another name for the server at `origin`: a proxy that passes everything on, and notes what came. */
export function passThrough(origin) {
  const { host, hostname, port } = new URL(origin);
  const pass = (request, response) => {
    const { method, url: path } = request;
    const passed = send({ hostname, port, method, path, headers: { ...request.headers, host } }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(passed);
  };
  return site(new Proxy({}, { get: () => pass }));
}

/** An MCP client that has registered itself. */
export async function register(ours, name, redirect) {
  const response = await fetch(`${ours}/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_name: name, redirect_uris: [redirect], token_endpoint_auth_method: "none" }),
  });
  assert.equal(response.status, 201);
  const { client_id: id } = await response.json();
  const query = new URLSearchParams({
    response_type: "code", client_id: id, redirect_uri: redirect, state: "the-clients-own",
    code_challenge: CHALLENGE, code_challenge_method: "S256", resource: `${ours}/mcp`,
  });
  return { id, redirect, authorize: `${ours}/authorize?${query}` };
}

/** Turns the code in `address` into tools that act for whoever allowed it. */
export async function agent(ours, client, address) {
  const code = new URL(address, client.redirect).searchParams.get("code");
  assert.ok(code, "no code arrived");
  const form = { grant_type: "authorization_code", code, client_id: client.id, redirect_uri: client.redirect, code_verifier: VERIFIER };
  const response = await fetch(`${ours}/token`, { method: "POST", body: new URLSearchParams(form) });
  assert.equal(response.status, 200);
  const { access_token: token } = await response.json();
  const mcp = new Client({ name: "Lighthouse assistant", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await mcp.connect(new StreamableHTTPClientTransport(new URL(`${ours}/mcp`), { requestInit }));
  const call = async (name, input = {}) => (await within(50, name, mcp.callTool({ name, arguments: input }))).structuredContent;
  return { call, close: () => mcp.close() };
}

/** Presses a button by its words, once the page that has it is there. */
export async function press(page, name) {
  await page.getByRole("button", { name, exact: true }).click();
}

/** The person's page, signed in as `login`. */
export async function signIn(page, ours, login) {
  await page.goto(`${ours}/`);
  await press(page, "Sign in with GitHub");
  await press(page, `Authorize as ${login}`);
  await page.waitForURL(`${ours}/`);
  await page.getByText(`@${login}`).first().waitFor();
}
