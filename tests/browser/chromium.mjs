//! Debian's Chromium as a person's browser: the sites of the test resolve to this machine, nothing else does.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";

const SCREENSHOTS = process.argv[2] || process.env.SCREENSHOTS || "target/screenshots";
const WIDTHS = [390, 1280];
const SCHEMES = ["light", "dark"];

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    headless: true,
    args: [
      // CI runs as root, where Chromium's sandbox does not start; it visits nothing but our own test sites.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.localhost 127.0.0.1, EXCLUDE 127.0.0.1, MAP * ~NOTFOUND",
    ],
  });
}

/** Listens to one tab. `assertClean` fails when the browser refused or complained about anything on our own pages. */
export function watch(page, ours) {
  const complaints = [];
  let pages = 0;
  page.on("console", (message) => {
    // What another site's page complains about (the fake GitHub has no icon, say) is not ours; a refused form or style is.
    const { url } = message.location();
    if (!url.startsWith(ours) && !/Content Security Policy/i.test(message.text())) return;
    if (["error", "warning"].includes(message.type())) complaints.push({ from: url, text: message.text() });
  });
  page.on("pageerror", (error) => complaints.push({ from: page.url(), text: String(error) }));
  page.on("response", async (response) => {
    if (!response.url().startsWith(ours) || !response.request().isNavigationRequest()) return;
    pages += 1;
    const headers = response.headers();
    for (const name of ["content-security-policy", "referrer-policy", "x-content-type-options", "cache-control"]) {
      if (!headers[name]) complaints.push({ from: response.url(), text: `no ${name}` });
    }
    const html = await response.text().catch(() => "");
    if (html.includes("usr_")) complaints.push({ from: response.url(), text: "the page shows an identifier" });
  });
  return {
    /** `expected`: statuses of our pages that Chromium reports in its console by nature. */
    assertClean(expected = []) {
      assert.ok(pages > 0, "no page of ours was seen");
      const unexpected = complaints
        .filter(({ text }) => !expected.some((status) => text.includes(`status of ${status}`)))
        .map(({ from, text }) => `${text} (${from.split("?")[0]})`);
      assert.deepEqual(unexpected, []);
    },
  };
}

/** Looks at the page at each width in each colour scheme: nothing overflows, nothing overlaps, text can be read. */
export async function looksRight(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 });
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-${width}-${colorScheme}.png`), fullPage: true, animations: "disabled" });
      const faults = await page.evaluate(findFaults);
      assert.deepEqual(faults, [], `${name} at ${width} px, ${colorScheme}`);
    }
    assert.deepEqual(await violations(page), [], `${name}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: null });
}

/** What axe-core, all rules, finds wrong. It comes in by the debugger, so the page's policy need not let it. */
async function violations(page) {
  await page.evaluate(axe.source);
  // The buttons that are dim in their first second are judged as they are afterwards.
  await page.evaluate(() => document.getAnimations().forEach((animation) => animation.finish()));
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** Runs in the page. Boxes of text and controls may lie inside one another, but not across each other. */
function findFaults() {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`wider than the window: ${root.scrollWidth} > ${root.clientWidth}`);
  if (!document.title) faults.push("no title");
  if (!root.lang) faults.push("no language");
  if (!document.querySelector("h1")) faults.push("no heading");
  const leaves = [...document.body.querySelectorAll("h1,h2,h3,p,li,button,a,input:not([type=hidden]),dt,dd,small,label")]
    .filter((element) => element.getClientRects().length > 0 && element.checkVisibility())
    .map((element) => ({ element, box: element.getBoundingClientRect() }));
  if (leaves.length === 0) faults.push("nothing is visible");
  const called = ({ element }) => `<${element.localName}> ${element.textContent.trim().slice(0, 30)}`;
  for (const [index, one] of leaves.entries()) {
    for (const other of leaves.slice(index + 1)) {
      if (one.element.contains(other.element) || other.element.contains(one.element)) continue;
      const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
      // Two lines of one paragraph's links share a pixel or two; more is an overlap.
      if (across > 2 && down > 2) faults.push(`${called(one)} overlaps ${called(other)}`);
    }
  }
  for (const leaf of leaves) {
    const ratio = contrast(leaf.element);
    if (leaf.element.textContent.trim() && ratio < 4.5) faults.push(`${called(leaf)} has a contrast of ${ratio.toFixed(1)}`);
  }
  return faults;

  /** WCAG's contrast of an element's text against the first painted background behind it. */
  function contrast(element) {
    const text = rgb(getComputedStyle(element).color);
    let behind = element;
    while (behind && rgb(getComputedStyle(behind).backgroundColor).alpha === 0) behind = behind.parentElement;
    // Nothing painted: the canvas, which follows the colour scheme that the page says it supports.
    const dark = matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(root).colorScheme.includes("dark");
    const ground = behind ? rgb(getComputedStyle(behind).backgroundColor) : dark ? { r: 18, g: 18, b: 18 } : { r: 255, g: 255, b: 255 };
    const [high, low] = [luminance(text), luminance(ground)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  }

  /** Whatever notation the style uses, a canvas turns it into bytes. */
  function rgb(color) {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return { r, g, b, alpha };
  }

  function luminance({ r, g, b }) {
    const [x, y, z] = [r, g, b].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  }
}
