//! The page at `/` of one's own machine in real Chromium: connect in a second tab, ask, read the cards; the denial, the
//! link that ran out, another browser, an error, without scripts, by keyboard alone; pictures of each of its states.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { Report, required } from "../clients/shared/report.mjs";
import { launch, looksRight, watch } from "./chromium.mjs";

const ours = new URL(required("MCP_URL")).origin;
const repository = required("REPOSITORY");
const person = required("PERSON");
/** Links live 15 minutes. */
const PAST_A_LINK_SECONDS = 16 * 60;
const report = new Report("chromium, the page");
const chromium = await launch();

/** Somebody with a browser of their own, at the page. */
async function visitor(options = {}) {
  const context = await chromium.newContext({ permissions: ["clipboard-read", "clipboard-write"], ...options });
  context.setDefaultTimeout(45_000);
  const page = await context.newPage();
  const watched = watch(page, ours);
  await page.goto(`${ours}/`);
  return { context, page, watched };
}

/** Presses "Connect GitHub"; what opens is the other tab. */
async function connectTab({ context, page }) {
  const [tab] = await Promise.all([context.waitForEvent("page"), page.getByRole("button", { name: /^Connect GitHub/ }).click()]);
  await tab.getByRole("button", { name: "Connect GitHub", exact: true }).waitFor();
  return tab;
}

async function approve(tab, login) {
  await tab.getByRole("button", { name: "Connect GitHub", exact: true }).click();
  await tab.getByRole("button", { name: `Authorize as ${login}`, exact: true }).click();
  await tab.waitForURL((address) => address.origin === ours);
}

async function connected(options) {
  const somebody = await visitor(options);
  const tab = await connectTab(somebody);
  await approve(tab, person);
  await tab.close();
  await somebody.page.getByText(`@${person}`).first().waitFor();
  return somebody;
}

await report.scenario("from nothing to cards", async () => {
  const one = await visitor();
  const { page, context, watched } = one;
  await report.check("the page before anything happened", async () => {
    await page.setViewportSize({ width: 320, height: 700 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
    await looksRight(page, "page-empty");
  });
  await report.check("looking leaves no cookie behind", async () => assert.deepEqual(await context.cookies(), []));
  await report.check("the tab that connects cannot reach this page", async () => {
    one.tab = await connectTab(one);
    assert.equal(await one.tab.evaluate(() => globalThis.opener), null);
  });
  await report.check("the page waits, in words", async () => {
    await page.getByRole("status").filter({ hasText: "This page waits" }).waitFor();
    await looksRight(page, "page-waiting");
  });
  await report.check("the page notices by itself that GitHub is connected", async () => {
    await approve(one.tab, person);
    await one.tab.close();
    await page.getByRole("status").filter({ hasText: "GitHub is connected" }).waitFor();
    await page.getByText(`@${person}`).first().waitFor();
  });
  await report.check("an answer comes as cards, and the focus is led to it", async () => {
    await page.getByLabel("Repository").fill(repository);
    await page.getByRole("button", { name: "Summarize", exact: true }).click();
    await page.locator(".pr-card").first().waitFor();
    assert.equal(await page.locator(".pr-card").count(), 5);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), repository);
    await page.locator("details").first().evaluate((details) => { details.open = true; });
    await looksRight(page, "page-cards");
    await page.setViewportSize({ width: 320, height: 700 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  });
  await report.check("each card says its stage in a word, and links to its pull request", async () => {
    for (const card of await page.locator(".pr-card").all()) {
      assert.match(await card.locator(".pr-stage").first().textContent(), /\w/);
      assert.match(await card.locator("h3 a").getAttribute("href"), /^https?:\/\/[^/]+\/.+\/pull\/\d+$/);
      assert.match(await card.locator("h3 a").getAttribute("rel"), /noopener/);
    }
  });
  await report.check("the answer can be copied as Markdown", async () => {
    await page.getByRole("button", { name: "Copy as Markdown" }).click();
    await page.getByText("Copied.").waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(copied.startsWith(`# [${repository}](`), copied.slice(0, 100));
    assert.equal(copied.match(/^## \[#\d+ /gm).length, 5);
  });
  await report.check("the repository is offered the next time", async () => {
    await page.reload();
    assert.equal(await page.locator("#known option").first().getAttribute("value"), repository);
  });
  await report.check("no identifier in a page, no complaint in the console", () => watched.assertClean());
  await context.close();
});

await report.scenario("what goes wrong", async () => {
  const one = await connected();
  const { page, context, watched } = one;
  await report.check("a repository that nobody can see is told with its next step", async () => {
    await page.getByLabel("Repository").fill("lighthouse-labs/nowhere");
    await page.getByRole("button", { name: "Summarize", exact: true }).click();
    const told = page.getByRole("alert");
    await told.getByText("repository_not_found").waitFor();
    await told.getByRole("button", { name: "Try again" }).waitFor();
    assert.match(await told.textContent(), /Check the spelling/);
    await looksRight(page, "page-error");
  });
  await report.check("what is no repository is told by the server", async () => {
    await page.getByLabel("Repository").fill("no repository at all");
    await page.getByRole("button", { name: "Summarize", exact: true }).click();
    await page.getByRole("alert").getByText("invalid_repository").waitFor();
  });
  await report.check("no complaint but for the refusal", () => watched.assertClean([400]));
  await context.close();
});

await report.scenario("a person who declines", async () => {
  const one = await visitor();
  const tab = await connectTab(one);
  await report.check("the page notices", async () => {
    await tab.getByRole("button", { name: "Connect GitHub", exact: true }).click();
    await tab.getByRole("button", { name: "Cancel", exact: true }).click();
    await one.page.getByRole("alert").getByText(/declined/).waitFor();
    await looksRight(one.page, "page-declined");
  });
  await report.check("and connects with the next link", async () => {
    await tab.close();
    await approve(await connectTab(one), person);
    await one.page.getByRole("status").filter({ hasText: "GitHub is connected" }).waitFor();
  });
  await one.context.close();
});

await report.scenario("another browser", async () => {
  const one = await visitor();
  const other = await visitor();
  await report.check("a link of the page is of no use elsewhere", async () => {
    const tab = await connectTab(one);
    const response = await other.page.goto(tab.url());
    assert.equal(response.status(), 403);
    await other.page.getByText("works in that browser only").waitFor();
    await looksRight(other.page, "page-others-link");
    await approve(tab, person);
    await one.page.getByRole("status").filter({ hasText: "GitHub is connected" }).waitFor();
  });
  await report.check("and sees nothing of the other's connection", async () => {
    await other.page.goto(`${ours}/`);
    await other.page.getByRole("button", { name: "Connect GitHub" }).waitFor();
    assert.ok(!(await other.page.content()).includes(`@${person}`));
    await other.page.getByLabel("Repository").fill(repository);
    await other.page.getByRole("button", { name: "Summarize", exact: true }).click();
    await other.page.getByRole("alert").getByText("not_connected").waitFor();
    assert.equal(await other.page.evaluate(() => document.activeElement.textContent), "Connect GitHub");
  });
  await one.context.close();
  await other.context.close();
});

await report.scenario("by keyboard alone", async () => {
  const { page, context } = await connected();
  await report.check("a question and the way through its answer", async () => {
    await page.reload();
    const until = async (matches, what) => {
      for (let stops = 0; stops < 60; stops += 1) {
        await page.keyboard.press("Tab");
        const seen = await page.evaluate(() => {
          const style = getComputedStyle(document.activeElement);
          const { id, textContent } = document.activeElement;
          return { id, words: textContent.trim(), outline: style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2 };
        });
        if (!matches(seen)) continue;
        assert.ok(seen.outline, `${what} shows no focus`);
        return;
      }
      assert.fail(`Tab never came to ${what}`);
    };
    await until(({ id }) => id === "repository", "the repository");
    await page.keyboard.type(repository);
    await page.keyboard.press("Escape");
    await until(({ words }) => words === "Summarize", "the button");
    await page.keyboard.press("Enter");
    await page.locator(".pr-card").first().waitFor();
    await until(({ words }) => words === "Copy as Markdown", "copying");
    await until(({ words }) => words === "What was read", "what was read");
    await page.keyboard.press("Enter");
    await page.locator("details[open]").waitFor();
  });
  await report.check("GitHub is disconnected by its button", async () => {
    await page.getByRole("button", { name: "Disconnect GitHub" }).click();
    await page.getByRole("button", { name: "Connect GitHub" }).waitFor();
    assert.equal(await page.locator("#known option").count(), 0);
  });
  await context.close();
});

await report.scenario("without JavaScript", async () => {
  const one = await visitor({ javaScriptEnabled: false });
  await report.check("connecting works, and the answer is plain text", async () => {
    const tab = await connectTab(one);
    await tab.getByRole("button", { name: "Connect GitHub", exact: true }).click();
    await tab.getByRole("link", { name: "Go on now" }).click();
    await tab.getByRole("button", { name: `Authorize as ${person}`, exact: true }).click();
    await tab.waitForURL((address) => address.origin === ours);
    await one.page.goto(`${ours}/`);
    await one.page.getByLabel("Repository").fill(repository);
    await one.page.getByRole("button", { name: "Summarize", exact: true }).click();
    await one.page.getByRole("heading", { name: repository }).waitFor();
    assert.match(await one.page.locator("pre").textContent(), /## #\d+ /);
  });
  await one.context.close();
});

// The last one: the server's clock goes forward for everybody.
await report.scenario("a link that ran out", async () => {
  const one = await visitor();
  const tab = await connectTab(one);
  await report.check("the page notices, and says so", async () => {
    await writeFile(required("CLOCK"), `later ${PAST_A_LINK_SECONDS}\n`);
    await one.page.getByRole("alert").getByText(/expired|ran out|too late/i).waitFor();
    await looksRight(one.page, "page-expired");
  });
  await report.check("the old link says so too", async () => {
    const response = await tab.reload();
    assert.equal(response.status(), 410);
    await tab.close();
  });
  await report.check("and the next one connects", async () => {
    await approve(await connectTab(one), person);
    await one.page.getByRole("status").filter({ hasText: "GitHub is connected" }).waitFor();
  });
  await one.context.close();
});

await chromium.close();
report.close();
