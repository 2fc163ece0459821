//! What every client must live through, whatever its SDK: the checks of connect, status and summarize.
//! A `session` is what a client program gives us: `{ wire, call(name, arguments, options), tools(), close() }`.
import assert from "node:assert/strict";
import { Browser } from "./browser.mjs";
import { within } from "./report.mjs";

const TOOLS = ["auth_status", "connect_github", "disconnect_github", "summarize_prs"];
/** Hosts give up on a tool after about a minute; the server promises 45 s. */
const CALL_SECONDS = 50;
const BROWSER_SECONDS = 30;

export const text = (result) => result.content.filter((part) => part.type === "text").map((part) => part.text).join("\n");
export const failureCode = (result) => result._meta?.["pr-summarizer/failure"]?.code;

export class Story {
  constructor({ report, url, repository, person }) {
    this.report = report;
    this.repository = repository;
    this.person = person;
    this.at(url);
  }

  /** Where the server's pages are; over standard input and output its first link tells. */
  at(url) {
    this.url = url;
    this.connectPrefix = url ? `${new URL(url).origin}/connect/` : "http://127.0.0.1:";
  }

  check(name, body) {
    return this.report.check(name, body);
  }

  call(session, name, input = {}, options = {}) {
    return within(CALL_SECONDS, name, session.call(name, input, options));
  }

  async listsTools(session) {
    await this.check("lists the four tools, each described, typed and annotated", async () => {
      const { tools } = await session.tools();
      assert.deepEqual(tools.map((tool) => tool.name).sort(), TOOLS);
      for (const tool of tools) {
        assert.ok(tool.description?.length > 20, `${tool.name} has no description`);
        assert.equal(tool.inputSchema.additionalProperties, false, `${tool.name} takes unknown arguments`);
        assert.equal(tool.outputSchema?.type, "object", `${tool.name} has no output schema`);
        for (const hint of ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]) {
          assert.equal(typeof tool.annotations?.[hint], "boolean", `${tool.name} lacks ${hint}`);
        }
      }
    });
  }

  async isNotConnected(session, input = {}) {
    await this.check("auth_status says not connected", async () => {
      const result = await this.call(session, "auth_status", input);
      assert.ok(!result.isError, text(result));
      assert.notEqual(result.structuredContent.status, "connected");
      assert.ok(!result.structuredContent.github_login, "somebody else's login shows");
    });
  }

  async refusesToSummarize(session, input = {}) {
    await this.check("summarize_prs refuses with a link and says what to do next", async () => {
      const result = await this.call(session, "summarize_prs", { repository: this.repository, ...input });
      assert.equal(result.isError, true, text(result));
      assert.ok(text(result).includes(this.connectPrefix), `no link in: ${text(result)}`);
      assert.match(text(result), /^Next: /m);
      assert.equal(failureCode(result), "not_connected");
      assert.equal(result.structuredContent, undefined, "an error must not carry structured content");
    });
  }

  /** Asks for the link in the plain way and answers what connect_github said. */
  async asksForLink(session, input = {}) {
    return this.check("connect_github answers a link in text and data", async () => {
      const result = await this.call(session, "connect_github", input);
      assert.ok(!result.isError, text(result));
      const { status, url, expires_at } = result.structuredContent;
      assert.equal(status, "authorization_required");
      assert.ok(url.startsWith(this.connectPrefix), `a link of another place: ${new URL(url).origin}`);
      assert.ok(text(result).includes(url), "the link is missing in the text");
      assert.ok(Date.parse(expires_at) > Date.now(), `expires_at ${expires_at} has passed`);
      return result.structuredContent;
    });
  }

  async approves(link, person = this.person) {
    await this.check(`the browser opens the link and approves as ${person}`, async () => {
      const browser = new Browser();
      const page = await within(BROWSER_SECONDS, "the browser", browser.approve(link, person));
      assert.equal(page.status, 200, page.text);
      assert.ok(page.text.includes(person), `the last page does not name ${person}: ${page.text}`);
      assert.equal(page.url.origin, new URL(this.url).origin, "the way ends on another site");
      assert.ok(!/(state|auth_request_id)=/.test(page.url.search), "the last address still holds the state");
      assert.ok(!page.html.includes("usr_"), "a page shows an identifier");
    });
  }

  async isConnected(session, input = {}, person = this.person) {
    await this.check(`auth_status says connected as ${person}`, async () => {
      const result = await this.call(session, "auth_status", input);
      assert.ok(!result.isError, text(result));
      assert.equal(result.structuredContent.status, "connected", text(result));
      assert.equal(result.structuredContent.github_login, person);
      assert.ok(text(result).includes(person), "the text does not stand alone");
    });
  }

  async summarizes(session, input = {}) {
    await this.check("summarize_prs reports progress and answers the most-discussed first", async () => {
      const progress = [];
      const result = await this.call(session, "summarize_prs", { repository: this.repository, ...input }, {
        onprogress: (update) => progress.push(update.progress),
      });
      assert.ok(!result.isError, text(result));
      assert.ok(progress.length >= 1, "no progress came");
      assert.deepEqual(progress, [...progress].sort((a, b) => a - b), "progress went backwards");
      const digests = result.structuredContent.pull_requests;
      assert.ok(digests.length >= 1 && digests.length <= 5, `${digests.length} digests`);
      const order = digests.map(({ number, discussion }) => ({ number, comments: discussion.conversation_comments + discussion.review_comments }));
      const sorted = [...order].sort((a, b) => b.comments - a.comments || b.number - a.number);
      assert.deepEqual(order, sorted, "not ordered by discussion");
      for (const digest of digests) {
        assert.ok(digest.summary?.length > 0, `#${digest.number} has no summary (${digest.summary_status})`);
        assert.ok(text(result).includes(`#${digest.number}`) && text(result).includes(digest.url), `the text lacks #${digest.number}`);
      }
      assert.ok(!text(result).trimStart().startsWith("{"), "the text is a copy of the JSON");
    });
  }

  async refusesBadInput(session, input = {}) {
    await this.check("an unknown argument gets a clear refusal", async () => {
      const said = await this.call(session, "summarize_prs", { repository: this.repository, reposytory: "x", ...input }).then(
        (result) => (assert.equal(result.isError, true, "it was accepted"), text(result)),
        (error) => (assert.equal(error.code, -32602, String(error)), error.message),
      );
      assert.match(said, /reposytory/, "the refusal does not name the argument");
    });
    await this.check("a malformed repository gets a clear refusal", async () => {
      const result = await this.call(session, "summarize_prs", { repository: "not a repository", ...input });
      assert.equal(result.isError, true);
      assert.equal(failureCode(result), "invalid_repository");
      assert.match(text(result), /^Next: /m);
    });
  }

  async livesThroughCancellation(session, input = {}) {
    await this.check("a call cancelled at its first progress ends, and the next call is answered", async () => {
      const abort = new AbortController();
      // Another limit than before, so that no answer of a moment ago can be served before the cancellation.
      const call = session.call("summarize_prs", { repository: this.repository, limit: 3, ...input }, {
        signal: abort.signal,
        onprogress: () => abort.abort(new Error("the person changed their mind")),
      });
      await assert.rejects(within(CALL_SECONDS, "the cancelled call", call), /changed their mind|abort|cancel/i);
      const status = await this.call(session, "auth_status", input);
      assert.equal(status.structuredContent.status, "connected");
    });
  }

  async disconnects(session, input = {}) {
    await this.check("disconnect_github unlinks", async () => {
      const result = await this.call(session, "disconnect_github", input);
      assert.ok(!result.isError, text(result));
      assert.equal(result.structuredContent.status, "not_connected");
      const status = await this.call(session, "auth_status", input);
      assert.equal(status.structuredContent.status, "not_connected");
    });
  }

  async showedNoIdentifier(...sessions) {
    await this.check("no answer of the server ever held an identifier", () => {
      for (const session of sessions) {
        assert.ok(session.wire.received.length > 0, "nothing was recorded");
        assert.ok(!session.wire.received.includes("usr_"), "usr_ came over the wire");
      }
    });
  }
}
