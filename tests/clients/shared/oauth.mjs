//! The life of a client that goes through OAuth: refused, allowed by the person in a browser, at work, refreshed, ended.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { Browser } from "./browser.mjs";
import { CLIENT_NAME, Provider } from "./provider.mjs";
import { required, within } from "./report.mjs";

/** The client's own address on this computer. Nobody listens there: the browser stops before it. */
const REDIRECT = "http://127.0.0.1:47123/callback";
/** How the client of the document calls itself there. */
const DOCUMENT_NAME = "Client by its document";
/** A little more than the hour that an access token lives. */
const PAST_AN_HOUR_SECONDS = 3660;
const BROWSER_SECONDS = 30;
const PATIENCE_SECONDS = 20;

/**
 * `open(provider)` answers a session that has not connected yet: `{ wire, connect(), finish(parameters), tools(), call(),
 * close() }`.
 */
export async function registrationStory(story, open) {
  const provider = new Provider({ redirect: REDIRECT });
  const first = open(provider);
  await isSentToThePerson(story, first, provider);
  await story.check("it registered itself", () => {
    assert.match(provider.kept.information.client_id, /^prs_/);
    assert.deepEqual(provider.kept.information.redirect_uris, [REDIRECT]);
    assert.equal(provider.authorizationUrl.searchParams.get("client_id"), provider.kept.information.client_id);
    assert.ok(first.wire.requests.includes("POST /register"));
  });
  await lives(story, open, provider, first, `A program on this computer that calls itself “${CLIENT_NAME}”`);
}

/**
 * The client names itself by the address of its document, which the server reads. The person is still told of a program:
 * whoever listens on this computer can point to that document, so its site vouches for nobody.
 */
export async function documentStory(story, open) {
  const address = required("CLIENT_DOCUMENT");
  const provider = new Provider({ redirect: REDIRECT, information: { client_id: address } });
  const first = open(provider);
  await isSentToThePerson(story, first, provider);
  await story.check("it is known by its document and does not register", () => {
    assert.equal(provider.authorizationUrl.searchParams.get("client_id"), address);
    assert.ok(!first.wire.requests.includes("POST /register"));
  });
  await lives(story, open, provider, first, `A program on this computer that calls itself “${DOCUMENT_NAME}”`);
}

/**
 * The SDKs offer documents at https addresses only, which this computer cannot serve under a public name. So here the
 * SDK decides for the document, and the server refuses an origin that its operator did not name.
 */
export async function documentChoice(story, open) {
  const address = "https://client.example/client.json";
  const provider = new Provider({ redirect: REDIRECT, clientMetadataUrl: address });
  const session = open(provider);
  await isSentToThePerson(story, session, provider);
  await story.check("told by the server's metadata, it offers its document instead of registering", () => {
    assert.equal(provider.authorizationUrl.searchParams.get("client_id"), address);
    assert.ok(!session.wire.requests.includes("POST /register"));
  });
  await story.check("a document of an origin that the operator did not name is refused on a page", async () => {
    const page = await new Browser({ program: REDIRECT }).open(provider.authorizationUrl);
    assert.equal(page.status, 400);
    assert.match(page.text, /not read from this address.*invalid_client/);
  });
  await session.close();
}

async function isSentToThePerson(story, session, provider) {
  await story.check("a 401 leads it through both metadata documents to the person's browser", async () => {
    await assert.rejects(within(PATIENCE_SECONDS, "connecting", session.connect()), { constructor: session.Unauthorized });
    const [refused, ...found] = session.wire.requests;
    assert.equal(refused, "POST /mcp");
    assert.deepEqual(found.slice(0, 2), ["GET /.well-known/oauth-protected-resource/mcp", "GET /.well-known/oauth-authorization-server"]);
    const asked = provider.authorizationUrl.searchParams;
    assert.equal(provider.authorizationUrl.origin, new URL(story.url).origin);
    assert.equal(asked.get("code_challenge_method"), "S256");
    assert.equal(asked.get("resource"), story.url);
    assert.equal(asked.get("redirect_uri"), REDIRECT);
    assert.equal(asked.get("scope"), "pull_requests");
  });
}

async function lives(story, open, provider, first, asker) {
  const browser = new Browser({ program: REDIRECT });
  const answer = await story.check("the person sees who asks, allows it, and the code arrives", async () => {
    const consent = await browser.open(provider.authorizationUrl);
    assert.ok(consent.text.includes(asker), consent.text);
    const page = await within(BROWSER_SECONDS, "the browser", browser.allow(provider.authorizationUrl, story.person));
    assert.equal(`${page.url.origin}${page.url.pathname}`, REDIRECT, `the way ended at ${page.url.origin}: ${page.text}`);
    assert.equal(page.url.searchParams.get("state"), provider.kept.state);
    assert.equal(page.url.searchParams.get("iss"), new URL(story.url).origin);
    return page.url.searchParams;
  });
  await story.check("the code is exchanged for tokens", async () => {
    await first.finish(answer);
    assert.equal(provider.kept.tokens.token_type, "Bearer");
    assert.ok(provider.kept.tokens.access_token && provider.kept.tokens.refresh_token);
  });
  const session = open(provider);
  await story.check("with them it is let in", () => within(PATIENCE_SECONDS, "connecting", session.connect()));
  await story.listsTools(session);
  await story.isConnected(session);
  await story.summarizes(session);
  await story.refusesBadInput(session);

  await refreshes(story, session, provider, "after an hour", async () => {
    await writeFile(required("CLOCK"), `later ${PAST_AN_HOUR_SECONDS}\n`);
  });
  await refreshes(story, session, provider, "after its access token was revoked", () => revoke(story.url, provider));

  await story.check("the person finds it on their page and revokes it", async () => {
    const page = await browser.open(new URL("/", story.url));
    assert.ok(page.text.includes(provider.kept.information.client_name ?? DOCUMENT_NAME), page.text);
    const left = await browser.press(page, "Revoke all");
    assert.match(left.text, /Programs that may act for you None/);
    assert.equal(await status(story.url, provider.kept.tokens.access_token), 401);
  });
  await story.check("it is refused and must ask the person again", async () => {
    const asked = provider.asked;
    await assert.rejects(story.call(session, "auth_status"), { constructor: session.Unauthorized });
    assert.equal(provider.asked, asked + 1);
    assert.equal(provider.kept.tokens, undefined, "the refresh token was not given up");
  });
  await story.showedNoIdentifier(session);
  await session.close();
}

/** The access token ends by `event`; the next call is answered all the same, and the person is not asked. */
async function refreshes(story, session, provider, when, event) {
  await story.check(`${when} it refreshes by itself, and the person is not asked`, async () => {
    const { asked, kept: { tokens: before } } = provider;
    await event();
    await within(PATIENCE_SECONDS, "the token's end", untilRefused(story.url, before.access_token));
    const result = await story.call(session, "auth_status");
    assert.equal(result.structuredContent.status, "connected");
    assert.notEqual(provider.kept.tokens.access_token, before.access_token);
    assert.notEqual(provider.kept.tokens.refresh_token, before.refresh_token, "the refresh token did not rotate");
    assert.equal(provider.asked, asked);
  });
}

async function revoke(url, provider) {
  const { tokens, information } = provider.kept;
  const { revocation_endpoint: endpoint } = provider.kept.discovery.authorizationServerMetadata;
  const body = new URLSearchParams({ token: tokens.access_token, token_type_hint: "access_token", client_id: information.client_id });
  const answer = await fetch(endpoint ?? new URL("/revoke", url), { method: "POST", body });
  assert.equal(answer.status, 200);
}

/** The clock is put forward by another process, so the moment is waited for. */
async function untilRefused(url, token) {
  while ((await status(url, token)) !== 401);
}

async function status(url, token) {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
    signal: AbortSignal.timeout(10_000),
  });
  await response.body?.cancel();
  return response.status;
}
