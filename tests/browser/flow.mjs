//! The linking flow in real Chromium, over three sites, as a person sees it: every step under our headers, the denial,
//! the wrong browser, no JavaScript, narrow and wide, light and dark.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Report, required, within } from "../clients/shared/report.mjs";
import { launch, looksRight, watch } from "./chromium.mjs";

const url = required("MCP_URL");
const person = required("PERSON");
const ours = new URL(url).origin;
const report = new Report("chromium");
const chromium = await launch();

/** A client without sessions: its handle is the whole of who it is. */
const client = new Client({ name: "Lighthouse assistant", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));

const call = async (name, input = {}) => (await within(50, name, client.callTool({ name, arguments: input }))).structuredContent;

/** A fresh link with the handle that it is for, from a real call. */
async function freshLink() {
  const { url: link, connection, status } = await call("connect_github");
  assert.equal(status, "authorization_required");
  return { link, connection };
}

async function statusOf(connection) {
  return (await call("auth_status", { connection })).status;
}

/** A person with a browser of their own. */
async function newPerson(options = {}) {
  const context = await chromium.newContext(options);
  context.setDefaultTimeout(45_000);
  const page = await context.newPage();
  return { context, page, watched: watch(page, ours) };
}

/** From our page to GitHub's. */
async function goToGitHub(page, link) {
  await page.goto(link);
  await page.getByRole("button", { name: "Connect GitHub", exact: true }).click();
  await page.waitForURL(/\/login\/oauth\/authorize/);
}

async function approve(page, login) {
  await page.getByRole("button", { name: `Authorize as ${login}`, exact: true }).click();
  await page.waitForURL((address) => address.origin === ours);
  await page.waitForLoadState("load");
}

/**
 * Takes the callback's address away before our server sees it, as from a copied address bar. Playwright's own routes see
 * only the first request of a chain of redirects, Chromium's protocol sees each.
 */
async function takeCallback(page) {
  const session = await page.context().newCDPSession(page);
  const taken = new Promise((resolve) => {
    session.on("Fetch.requestPaused", async ({ requestId, request }) => {
      await session.send("Fetch.failRequest", { requestId, errorReason: "Aborted" });
      resolve(request.url);
    });
  });
  await session.send("Fetch.enable", { patterns: [{ urlPattern: "*/user/verify*", requestStage: "Request" }] });
  return { taken };
}

/** Waits until the person sees these words. */
async function shows(page, words) {
  await page.getByText(words).first().waitFor({ timeout: 10_000 });
}

await report.scenario("home", async () => {
  const { context, page, watched } = await newPerson();
  await report.check("the front page of a machine's own server", async () => {
    await page.goto(`${ours}/`);
    await looksRight(page, "home-loopback");
  });
  await report.check("no identifier in a page, no complaint in the console", () => watched.assertClean());
  await context.close();
});

await report.scenario("A32 an honest person", async () => {
  const { link, connection } = await freshLink();
  const { context, page, watched } = await newPerson();
  const sites = new Set();
  page.on("framenavigated", (frame) => frame === page.mainFrame() && sites.add(new URL(frame.url()).hostname));
  page.on("response", (response) => response.request().isNavigationRequest() && sites.add(new URL(response.url()).hostname));

  await report.check("the connect page shows its button, and looking changes nothing", async () => {
    const response = await page.goto(link);
    assert.equal(response.status(), 200);
    await page.reload();
    assert.notEqual(await statusOf(connection), "connected");
    await page.getByRole("button", { name: "Connect GitHub", exact: true }).waitFor();
    await looksRight(page, "connect");
  });
  await report.check("the page names the client that asks", () => shows(page, "Lighthouse assistant"));
  await report.check("the button leads to GitHub under our headers", async () => {
    await page.getByRole("button", { name: "Connect GitHub", exact: true }).click();
    await page.waitForURL(/\/login\/oauth\/authorize/);
  });
  await report.check(`consent leads back to a page that names ${person}`, async () => {
    await approve(page, person);
    await shows(page, person);
    assert.doesNotMatch(new URL(page.url()).search, /state=|auth_request_id=/);
    await looksRight(page, "connected");
  });
  await report.check("the way crossed three sites", () => {
    assert.ok(sites.size >= 3, `only ${[...sites].join(", ")}; start the server with --several-sites`);
  });
  await report.check("the agent sees the connection", async () => assert.equal(await statusOf(connection), "connected"));
  await report.check("going back and reloading connects nothing twice and breaks nothing", async () => {
    await page.reload();
    await shows(page, person);
    // The link has done its work: 410.
    await page.goto(link);
    assert.equal(await statusOf(connection), "connected");
  });
  await report.check("no identifier in a page, no complaint in the console", () => watched.assertClean([410]));
  await context.close();
});

await report.scenario("denial", async () => {
  const { link, connection } = await freshLink();
  const { context, page, watched } = await newPerson();
  await report.check("a person who cancels at GitHub is told that nothing was connected", async () => {
    await goToGitHub(page, link);
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.waitForURL((address) => address.origin === ours);
    await shows(page, /nothing was connected/i);
    await looksRight(page, "declined");
  });
  await report.check("the agent is not connected", async () => assert.notEqual(await statusOf(connection), "connected"));
  await report.check("no identifier in a page, no complaint in the console", () => watched.assertClean([400, 403]));
  await context.close();
});

await report.scenario("A02 another browser", async () => {
  const { link, connection } = await freshLink();
  const honest = await newPerson();
  const stranger = await newPerson();
  let callback;
  await report.check("the callback of one browser, opened in another, is refused", async () => {
    const { taken } = await takeCallback(honest.page);
    await goToGitHub(honest.page, link);
    await honest.page.getByRole("button", { name: `Authorize as ${person}`, exact: true }).click({ noWaitAfter: true });
    callback = await within(20, "the way back to our callback", taken);
    const response = await stranger.page.goto(callback);
    assert.equal(response.status(), 403);
    await shows(stranger.page, /another browser/i);
    await looksRight(stranger.page, "another-browser");
  });
  await report.check("that burned the flow: its own browser is refused too", async () => {
    const own = await honest.context.newPage();
    const response = await own.goto(callback);
    assert.ok(response.status() >= 400, `answered ${response.status()}`);
    assert.ok(!(await own.content()).includes(`Connected as @${person}`), "it connected after all");
  });
  await report.check("nobody is connected", async () => assert.notEqual(await statusOf(connection), "connected"));
  await honest.context.close();
  await stranger.context.close();
});

await report.scenario("no JavaScript", async () => {
  const { link, connection } = await freshLink();
  const { context, page } = await newPerson({ javaScriptEnabled: false });
  await report.check("link, button and consent work without JavaScript", async () => {
    await goToGitHub(page, link);
    await approve(page, person);
    await shows(page, person);
    assert.equal(await statusOf(connection), "connected");
  });
  await context.close();
});

await report.scenario("two tabs", async () => {
  const [one, two] = [await freshLink(), await freshLink()];
  const { context, page } = await newPerson();
  const other = await context.newPage();
  await report.check("two links in two tabs of one browser both succeed", async () => {
    await goToGitHub(page, one.link);
    await goToGitHub(other, two.link);
    await approve(page, person);
    await approve(other, person);
    assert.equal(await statusOf(one.connection), "connected");
    assert.equal(await statusOf(two.connection), "connected");
  });
  await context.close();
});

await report.scenario("a link that is none", async () => {
  const { context, page, watched } = await newPerson();
  await report.check("an unknown link says so, and looks like the rest", async () => {
    const response = await page.goto(`${ours}/connect/AAAAAAAAAAAAAAAAAAAAAAAAAA`);
    assert.ok([404, 410].includes(response.status()), `answered ${response.status()}`);
    await looksRight(page, "unknown-link");
  });
  await report.check("no identifier in a page, no complaint in the console", () => watched.assertClean([404, 410]));
  await context.close();
});

await client.close();
await chromium.close();
report.close();
