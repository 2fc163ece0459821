//! The suite's scenarios for authorization servers. It prints an address and waits for somebody to open it; that is a
//! scripted person here, with a GitHub account of the fake world.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { Browser } from "../shared/browser.mjs";
import { required } from "../shared/report.mjs";

const url = required("MCP_URL");
const issuer = new URL(url).origin;
const port = await freePort();
const registered = await fetch(`${issuer}/register`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ client_name: "Conformance suite", redirect_uris: [`http://127.0.0.1:${port}/callback`], token_endpoint_auth_method: "none" }),
});
assert.equal(registered.status, 201);
const { client_id: client } = await registered.json();

const suite = spawn(process.execPath, [process.argv[2], "authorization", "--url", issuer, "--client-id", client, "--resource", url, "--port", String(port)], {
  stdio: ["ignore", "pipe", "inherit"],
});
let allowed = false;
const lines = [];
createInterface({ input: suite.stdout }).on("line", async (line) => {
  console.log(line);
  lines.push(line);
  if (!allowed && line.trim().startsWith(`${issuer}/authorize?`)) {
    allowed = true;
    const page = await new Browser().allow(line.trim(), required("PERSON"));
    assert.equal(page.url.port, String(port), page.text);
  }
});
const code = await new Promise((resolve) => suite.on("close", resolve));
assert.ok(allowed, "nobody was sent to the authorization endpoint");
assert.ok(!lines.some((line) => /SKIPPED|WARNING/.test(line)), "a check was skipped, or is a warning");
process.exitCode = code;

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
