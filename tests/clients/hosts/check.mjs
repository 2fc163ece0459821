//! The redirect forms of well-known hosts: each registers as its host does, and the code goes to exactly the address that
//! the host asked for, where it can be exchanged. The browser stops before that address; nothing leaves this computer.
//!
//! The registrations are rebuilt from public reports of what these hosts send: the metadata that matters to a server is
//! there, their names and all redirect URIs of one request as they send them together.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Browser } from "../shared/browser.mjs";
import { Report, required, within } from "../shared/report.mjs";

const url = required("MCP_URL");
const person = required("PERSON");
const CODE_GRANT = { grant_types: ["authorization_code", "refresh_token"], response_types: ["code"] };
const PUBLIC = { ...CODE_GRANT, token_endpoint_auth_method: "none" };
const CURSOR = {
  ...PUBLIC,
  client_name: "Cursor",
  redirect_uris: ["cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"],
};
const VS_CODE = {
  ...PUBLIC,
  client_name: "Visual Studio Code",
  client_uri: "https://code.visualstudio.com",
  application_type: "native",
  redirect_uris: [
    "https://insiders.vscode.dev/redirect",
    "https://vscode.dev/redirect",
    "http://localhost/",
    "http://127.0.0.1/",
    "http://localhost:33418/",
    "http://127.0.0.1:33418/",
  ],
};
/** Asks for a secret; this server issues none and says so (RFC 7591 section 3.2.1), so it stays a public client. */
const CLAUDE = { ...CODE_GRANT, token_endpoint_auth_method: "client_secret_post", client_name: "Claude", scope: "pull_requests" };

const HOSTS = [
  { name: "Claude", registration: { ...CLAUDE, redirect_uris: ["https://claude.ai/api/mcp/auth_callback"] }, redirect: "https://claude.ai/api/mcp/auth_callback" },
  { name: "Claude, new address", registration: { ...CLAUDE, redirect_uris: ["https://claude.com/api/mcp/auth_callback"] }, redirect: "https://claude.com/api/mcp/auth_callback" },
  { name: "VS Code, its usual port", registration: VS_CODE, redirect: "http://127.0.0.1:33418/" },
  { name: "VS Code, another port", registration: VS_CODE, redirect: "http://127.0.0.1:58231/" },
  { name: "VS Code, in the web", registration: VS_CODE, redirect: "https://vscode.dev/redirect" },
  { name: "VS Code Insiders, in the web", registration: VS_CODE, redirect: "https://insiders.vscode.dev/redirect" },
  { name: "Cursor, its own scheme", registration: CURSOR, redirect: CURSOR.redirect_uris[0] },
  { name: "Cursor, agents in the web", registration: CURSOR, redirect: CURSOR.redirect_uris[1] },
  { name: "Cursor, on loopback", registration: CURSOR, redirect: CURSOR.redirect_uris[2] },
  {
    name: "Claude Code, without a resource",
    registration: { ...PUBLIC, client_name: "Claude Code (prs)", application_type: "native", redirect_uris: ["http://localhost:3118/callback"] },
    redirect: "http://localhost:52817/callback",
    namesResource: false,
  },
  {
    name: "Codex",
    registration: { ...PUBLIC, client_name: "Codex", application_type: "native", redirect_uris: ["http://127.0.0.1:37819/callback/x7Kq"] },
    redirect: "http://127.0.0.1:37819/callback/x7Kq",
  },
];
const BROWSER_SECONDS = 30;

const report = new Report("redirect forms");
const metadata = await (await fetch(new URL("/.well-known/oauth-authorization-server", url))).json();
for (const host of HOSTS) await report.scenario(host.name, () => comesHome(host));
await report.scenario("an address that no host has", () => refuses());
report.close();

async function comesHome({ registration, redirect, namesResource = true }) {
  const client = await report.check("registers", async () => {
    const answer = await register(registration);
    assert.equal(answer.status, 201, await answer.clone().text());
    const client = await answer.json();
    assert.equal(client.token_endpoint_auth_method, "none");
    assert.equal(client.client_secret, undefined);
    assert.deepEqual(client.redirect_uris, registration.redirect_uris);
    return client;
  });
  const request = ask(client, redirect, namesResource);
  const code = await report.check(`the code goes to ${redirect}`, async () => {
    const page = await within(BROWSER_SECONDS, "the browser", new Browser({ program: redirect }).allow(request.url, person));
    assert.ok(page.address?.startsWith(redirect), `the way ended at ${page.url.origin}: ${page.text}`);
    // Compared as text: what stands before the answer is the address as the host wrote it.
    assert.equal(page.address.split("?")[0], redirect);
    assert.deepEqual([...page.url.searchParams.keys()].sort(), ["code", "iss", "state"]);
    assert.equal(page.url.searchParams.get("state"), request.state);
    assert.equal(page.url.searchParams.get("iss"), metadata.issuer);
    return page.url.searchParams.get("code");
  });
  const tokens = await report.check("the code is exchanged with that address only", async () => {
    const form = { grant_type: "authorization_code", code, client_id: client.client_id, code_verifier: request.verifier, ...request.resource };
    const answer = await post(metadata.token_endpoint, { ...form, redirect_uri: redirect });
    assert.equal(answer.status, 200, await answer.clone().text());
    return answer.json();
  });
  await report.check("the token opens /mcp", async () => {
    assert.equal(tokens.token_type, "Bearer");
    assert.equal(await statusWith(tokens.access_token), 200);
  });
}

async function refuses() {
  await report.check("a code is not exchanged at another address", async () => {
    const client = await (await register(VS_CODE)).json();
    const redirect = "https://vscode.dev/redirect";
    const request = ask(client, redirect, true);
    const page = await new Browser({ program: redirect }).allow(request.url, person);
    const form = { grant_type: "authorization_code", code: page.url.searchParams.get("code"), client_id: client.client_id, code_verifier: request.verifier };
    const answer = await post(metadata.token_endpoint, { ...form, redirect_uri: "http://127.0.0.1:33418/" });
    assert.equal(answer.status, 400);
    assert.equal((await answer.json()).error, "invalid_grant");
  });
  await report.check("a foreign site cannot register", async () => {
    const answer = await register({ ...PUBLIC, client_name: "Claude", redirect_uris: ["https://claude.example/api/mcp/auth_callback"] });
    assert.equal(answer.status, 400);
    assert.equal((await answer.json()).error, "invalid_redirect_uri");
  });
  await report.check("nobody is sent to an address that was not registered", async () => {
    const client = await (await register({ ...CLAUDE, redirect_uris: ["https://claude.ai/api/mcp/auth_callback"] })).json();
    for (const redirect of ["https://claude.com/api/mcp/auth_callback", "https://claude.ai/api/mcp/auth_callback/", "http://127.0.0.1:33418/"]) {
      const page = await new Browser({ program: redirect }).open(ask(client, redirect, true).url);
      assert.equal(page.status, 400, redirect);
      assert.ok(!page.html.includes(redirect), "the page links to it");
    }
  });
}

function register(registration) {
  return fetch(metadata.registration_endpoint, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(registration),
  });
}

function ask(client, redirect, namesResource) {
  const [verifier, state] = [randomBytes(32).toString("base64url"), randomBytes(16).toString("base64url")];
  const resource = namesResource ? { resource: url } : {};
  const address = new URL(metadata.authorization_endpoint);
  address.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: redirect,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    state,
    ...resource,
  });
  return { url: address, verifier, state, resource };
}

function post(endpoint, form) {
  return fetch(endpoint, { method: "POST", body: new URLSearchParams(form) });
}

async function statusWith(token) {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "host", version: "1" } } }),
  });
  await response.body?.cancel();
  return response.status;
}
