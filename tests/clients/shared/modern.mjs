//! The stories of a client without sessions (2026-07-28): a handle stands for the person, and a client that declares
//! URL elicitation is asked through it.
import assert from "node:assert/strict";
import { Browser } from "./browser.mjs";
import { within } from "./report.mjs";
import { text } from "./story.mjs";

/** A handle that looks right and was never issued. */
const FORGED = `con_${"A".repeat(43)}`;

/** The client declares no elicitation: the link comes as text. `open()` starts a client of its own. */
export async function linkStory(story, open) {
  const first = await story.check("connects without a session", async () => {
    const session = await open();
    assert.equal(session.protocolVersion, "2026-07-28");
    assert.equal(session.wire.sessionId, undefined, "a 2026-07-28 answer names a session");
    return session;
  });
  await story.listsTools(first);
  await story.isNotConnected(first);
  await story.refusesToSummarize(first);
  const { url, connection } = await story.asksForLink(first);
  await story.check("the answer holds a handle for the calls to come", () => assert.match(connection ?? "", /^con_[\w-]{20,}$/));
  await story.isNotConnected(first, { connection });
  await story.approves(url);
  await story.isConnected(first, { connection });
  await story.summarizes(first, { connection });
  await story.refusesBadInput(first, { connection });
  await story.livesThroughCancellation(first, { connection });

  const second = await open();
  await story.isNotConnected(second);
  const other = await story.asksForLink(second);
  await story.check("a second client gets a handle of its own", () => assert.notEqual(other.connection, connection));
  await story.isNotConnected(second, { connection: other.connection });
  await story.isConnected(first, { connection });
  await first.close();

  const later = await open();
  await story.isConnected(later, { connection });
  await story.check("a handle that was never issued opens nothing", async () => {
    const result = await story.call(later, "auth_status", { connection: FORGED });
    assert.notEqual(result.structuredContent?.status, "connected");
    assert.ok(!text(result).includes(story.person), "the answer names a person");
  });
  await story.disconnects(later, { connection });
  await story.refusesToSummarize(later, { connection });
  await story.showedNoIdentifier(first, second, later);
  await second.close();
  await later.close();
}

/**
 * The client declares URL elicitation: the person is asked beside the model, and the same call ends connected.
 * `open(answer)` starts a client that answers each elicitation with `answer({ mode, url, message })`.
 */
export async function elicitationStory(story, open) {
  const asked = [];
  const session = await open(async (request) => {
    asked.push(request);
    await within(30, "the browser", new Browser().approve(request.url, story.person));
    return "accept";
  });
  const { connection } = await story.check("connect_github asks through URL elicitation and ends connected", async () => {
    const result = await story.call(session, "connect_github");
    assert.equal(asked.length, 1, `asked ${asked.length} times`);
    assert.equal(asked[0].mode, "url");
    assert.ok(asked[0].url.startsWith(story.connectPrefix), "a link of another place");
    assert.ok(asked[0].message.length > 10, "the person is not told why");
    assert.ok(!result.isError, text(result));
    assert.equal(result.structuredContent.status, "connected", text(result));
    assert.equal(result.structuredContent.github_login, story.person);
    return result.structuredContent;
  });
  await story.check("the answer holds a handle for the calls to come", () => assert.match(connection ?? "", /^con_[\w-]{20,}$/));
  await story.isConnected(session, { connection });
  await story.summarizes(session, { connection });
  await story.disconnects(session, { connection });

  let declined = 0;
  const unwilling = await open(async () => {
    declined += 1;
    return "decline";
  });
  await story.check("a person who declines is asked once and not connected", async () => {
    const result = await story.call(unwilling, "connect_github");
    assert.equal(declined, 1, `asked ${declined} times`);
    assert.notEqual(result.structuredContent?.status, "connected");
    assert.ok(text(result).length > 0, "the agent is told nothing");
  });
  await story.showedNoIdentifier(session, unwilling);
  await session.close();
  await unwilling.close();
}
