//! The story of a client that starts the program itself: the machine has one person, whatever the process.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { required } from "./report.mjs";

/** Clients wait so long for a program to end by itself before they send it a signal. */
const CLIENT_PATIENCE_MS = 2_000;

/** How to start the program in the quickstart's world. */
export function server() {
  const lines = readFileSync(required("STDIO_ENV"), "utf8").trim().split("\n");
  const env = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
  return { command: required("PROGRAM"), args: ["stdio"], env, stderr: "pipe" };
}

/** What came over the pipe. To be listened to before the client connects. */
export function listen(transport) {
  const wire = { received: "" };
  transport.onmessage = (message) => {
    wire.received += JSON.stringify(message);
  };
  // A pipe that nobody empties would stop the program.
  transport.stderr?.resume();
  return wire;
}

/** `open()` starts a process of its own. */
export async function stdioStory(story, open) {
  story.at(undefined);
  const first = await story.check("starts the program", open);
  await story.listsTools(first);
  await story.isNotConnected(first);
  const { url } = await story.asksForLink(first);
  story.at(url);
  await story.refusesToSummarize(first);
  await story.approves(url);
  await story.isConnected(first);
  await story.summarizes(first);
  await story.refusesBadInput(first);
  await story.livesThroughCancellation(first);

  const second = await story.check("a second window starts a process of its own", async () => {
    const session = await open();
    assert.notEqual(session.pid, first.pid);
    return session;
  });
  await story.isConnected(second);
  await story.disconnects(second);
  await story.refusesToSummarize(first);
  await story.showedNoIdentifier(first, second);
  await story.check("the program ends with its client, before any signal", async () => {
    for (const session of [first, second]) {
      const begun = performance.now();
      await session.close();
      assert.throws(() => process.kill(session.pid, 0), { code: "ESRCH" });
      assert.ok(performance.now() - begun < CLIENT_PATIENCE_MS, "it had to be told");
    }
  });
}
