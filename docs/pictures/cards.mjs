//! Pictures the page at / with the cards of an answer: node docs/pictures/cards.mjs FILE
import { required } from "../../tests/clients/shared/report.mjs";
import { launch } from "../../tests/browser/chromium.mjs";

const chromium = await launch();
const context = await chromium.newContext({ viewport: { width: 900, height: 1080 }, colorScheme: "light" });
const page = await context.newPage();
await page.goto(new URL("/", required("MCP_URL")).href);
const [tab] = await Promise.all([context.waitForEvent("page"), page.getByRole("button", { name: /^Connect GitHub/ }).click()]);
await tab.getByRole("button", { name: "Connect GitHub", exact: true }).click();
await tab.getByRole("button", { name: `Authorize as ${required("PERSON")}`, exact: true }).click();
await page.getByText(`@${required("PERSON")}`).first().waitFor();
await tab.close();
await page.getByLabel("Repository").fill(required("REPOSITORY"));
await page.getByRole("button", { name: "Summarize", exact: true }).click();
await page.locator(".pr-card").first().waitFor();
await page.evaluate(() => {
  document.activeElement?.blur();
  document.querySelector(".pr-head").scrollIntoView();
});
await page.screenshot({ path: process.argv[2], animations: "disabled" });
await chromium.close();
