//! The story of a client with sessions (2025-11-25 and older): the session is the person's, and dies with DELETE.
import assert from "node:assert/strict";

/** `open()` starts a session of its own. */
export async function legacyStory(story, open) {
  const first = await story.check("opens a session", async () => {
    const session = await open();
    assert.ok(session.sessionId(), "the server gave no session id");
    return session;
  });
  await story.listsTools(first);
  await story.isNotConnected(first);
  await story.refusesToSummarize(first);
  const { url } = await story.asksForLink(first);
  await story.approves(url);
  await story.isConnected(first);
  await story.summarizes(first);
  await story.refusesBadInput(first);
  await story.livesThroughCancellation(first);

  const second = await open();
  await story.check("a second session has an id of its own", () => assert.notEqual(second.sessionId(), first.sessionId()));
  await story.isNotConnected(second);
  await story.refusesToSummarize(second);
  await story.isConnected(first);

  await story.disconnects(first);
  await story.refusesToSummarize(first);
  await story.showedNoIdentifier(first, second);

  await story.check("after DELETE the session answers 404, and the other one lives", async () => {
    const id = first.sessionId();
    await first.terminate();
    assert.equal(await statusOfSession(story.url, id), 404);
    assert.equal(await statusOfSession(story.url, second.sessionId()), 200);
  });
  await story.check("a session that never was answers 404", async () => {
    assert.equal(await statusOfSession(story.url, "00000000-0000-4000-8000-000000000000"), 404);
  });
  await first.close();
  await second.close();
}

/** The HTTP status of a ping in that session. */
async function statusOfSession(url, sessionId) {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-session-id": sessionId,
      "mcp-protocol-version": "2025-11-25",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
    signal: AbortSignal.timeout(10_000),
  });
  await response.body?.cancel();
  return response.status;
}
