//! Every page of a server for strangers, looked at: axe-core and the checks of `looksRight` on each, and the person's page
//! worked by keyboard alone. The pictures, 390 and 1280 pixels wide, light and dark, go to the folder of SCREENSHOTS
//! (`just pictures FOLDER`) or the one given as argument.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { Report, required } from "../clients/shared/report.mjs";
import { launch, looksRight } from "./chromium.mjs";
import { agent, press, register, signIn, site } from "./people.mjs";

const ours = new URL(required("MCP_URL")).origin;
// Nobody else of the run is this person, so the clients on their page are those of this file.
const person = "tomasz-k";
const report = new Report("chromium, pages");
const chromium = await launch();
const client = await site({ "/callback": "<!DOCTYPE html><title>arrived</title>" });
const callback = client.at("127.0.0.1", "/callback");

async function newPage() {
  const context = await chromium.newContext();
  context.setDefaultTimeout(45_000);
  return context.newPage();
}

/** Tab until the button with these words has the focus, seen by its outline; then Enter. */
async function pressByKeyboard(page, name) {
  for (let stops = 0; stops < 40; stops += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      return { words: element.textContent.trim(), outline: style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2 };
    });
    if (focused.words !== name) continue;
    assert.ok(focused.outline, `${name} shows no focus`);
    await page.keyboard.press("Enter");
    return;
  }
  assert.fail(`Tab never came to “${name}”`);
}

async function allow(page, registered, button) {
  await page.goto(registered.authorize);
  await press(page, button);
  await press(page, `Authorize as ${person}`);
  await page.waitForURL(/\/callback\?/);
  return page.url();
}

/** Longer than a link lives. */
const PAST_A_LINK_SECONDS = 16 * 60;

const page = await newPage();
const desk = await register(ours, "Lighthouse assistant", callback);
const editor = await register(ours, "Cursor", "cursor://anysphere.cursor-mcp/oauth/callback");
const other = await register(ours, "Harbour notes", callback);
const web = await register(ours, "Claude", "https://claude.ai/api/mcp/auth_callback");

await report.scenario("before anybody is known", async () => {
  await report.check("home", async () => {
    await page.goto(`${ours}/`);
    await looksRight(page, "home-signed-out");
  });
  for (const [name, { authorize }] of Object.entries({ loopback: desk, scheme: editor, site: web })) {
    await report.check(`consent, ${name}`, async () => {
      await page.goto(authorize);
      await looksRight(page, `consent-${name}`);
    });
  }
  for (const [name, path] of Object.entries({
    "not-found": "/nowhere", "unknown-link": `/connect/${"A".repeat(26)}`, "bad-request": "/authorize?client_id=nobody",
    "connected-nobody": "/connected", "bad-callback": "/user/verify?state=unknown&auth_request_id=1",
  })) {
    await report.check(name, async () => {
      await page.goto(`${ours}${path}`);
      await looksRight(page, name);
    });
  }
});

await report.scenario("a person with two clients", async () => {
  const acting = await agent(ours, desk, await allow(page, desk, "Allow and go on to GitHub"));
  const second = await agent(ours, other, await allow(page, other, "Use another GitHub account"));
  await report.check("consent, signed in", async () => {
    await page.goto(desk.authorize);
    await looksRight(page, "consent-signed-in");
  });
  await report.check("connect", async () => {
    const { url } = await acting.call("connect_github", { reconnect: true });
    await page.goto(url);
    await looksRight(page, "connect-repair");
  });
  await report.check("a link that ran out of time", async () => {
    const { url } = await acting.call("connect_github", { reconnect: true });
    await writeFile(required("CLOCK"), `later ${PAST_A_LINK_SECONDS}\n`);
    const response = await page.goto(url);
    assert.equal(response.status(), 410);
    await looksRight(page, "expired-link");
  });
  await report.check("the person's page", async () => {
    await page.goto(`${ours}/`);
    await looksRight(page, "person");
    assert.equal(await page.getByRole("listitem").count(), 2);
  });
  await report.check("one client is revoked by keyboard, in words", async () => {
    await page.goto(`${ours}/`);
    await pressByKeyboard(page, "Revoke");
    await page.getByRole("status").filter({ hasText: "revoked" }).waitFor();
    assert.equal(await page.getByRole("listitem").count(), 1);
    await looksRight(page, "person-one-revoked");
  });
  await report.check("all are revoked by keyboard, in words", async () => {
    await page.goto(`${ours}/`);
    await pressByKeyboard(page, "Revoke all");
    await page.getByRole("status").filter({ hasText: "revoked" }).waitFor();
    assert.equal(await page.getByRole("listitem").count(), 0);
  });
  await report.check("GitHub is disconnected by keyboard, in words", async () => {
    await page.goto(`${ours}/`);
    await pressByKeyboard(page, "Disconnect GitHub");
    await page.getByRole("status").filter({ hasText: "disconnected" }).waitFor();
    await looksRight(page, "person-disconnected");
  });
  await report.check("everything is deleted by keyboard, in words", async () => {
    await signInAgain();
    await pressByKeyboard(page, "Delete everything about me");
    await page.getByRole("status").filter({ hasText: "deleted" }).waitFor();
    await page.getByRole("button", { name: "Sign in with GitHub" }).waitFor();
    await looksRight(page, "person-deleted");
  });
  await report.check("signing out by keyboard, in words", async () => {
    await signIn(page, ours, person);
    await pressByKeyboard(page, "Sign out");
    await page.getByRole("status").filter({ hasText: "signed out" }).waitFor();
  });
  await acting.close();
  await second.close();
});

async function signInAgain() {
  await page.goto(`${ours}/`);
  await press(page, "Connect GitHub");
  await press(page, `Authorize as ${person}`);
  await page.waitForURL(`${ours}/`);
}

client.close();
await chromium.close();
report.close();
