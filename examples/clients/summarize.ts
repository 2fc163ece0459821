/**
 * Asks a pr-summarizer for a repository's most-discussed pull requests and prints the answer, which is Markdown.
 *
 *     npm install @modelcontextprotocol/client
 *     npx tsx summarize.ts OWNER/REPOSITORY [URL]      (Node 22.18 and newer also without tsx: node summarize.ts …)
 *
 * URL       the server's address; else that in MCP_URL, else http://127.0.0.1:3000/mcp
 * MCP_KEY   what is shown as Bearer token, such as the local key of single-user mode
 * BROWSER   the program that opens the link if no account is connected yet; else the usual browser
 *
 * The answer goes to standard output, everything else to standard error. Ends with
 * 0  answered                      3  no account was connected: declined, or not within ten minutes
 * 1  refused, or it failed         4  no server there, or it does not let this client in
 * 2  wrong usage                   5  answered, but parts of it are still missing
 */
import { spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const LONGEST_CALL_MS = 310_000; // the server's own deadline is at most 300 s
const LONGEST_WAIT_MS = 600_000;
const POLL_MS = 2_000;
const MOST_FURTHER_CALLS = 3; // what one call does not finish is ready for the next
const CURED_BY_CONNECTING = ["not_connected", "reauthorization_required"];

/** Ends the program with this code and these words; `failure` is the server's word for what went wrong. */
class Ended extends Error {
  readonly code: number;
  readonly failure?: string;

  constructor(code: number, words: string, failure?: string) {
    super(words);
    this.code = code;
    this.failure = failure;
  }
}

type Carried = { connection?: string };
type Progress = { progress: number; total?: number; message?: string };

const say = (words: string) => console.error(words);

const showProgress = ({ progress, total, message }: Progress) => say(total ? `${progress}/${total} ${message}` : `${message}`);

/** The text and the data of a tool's answer. */
async function call(client: Client, name: string, input: Record<string, unknown>): Promise<{ text: string; answer: any }> {
  const options = { timeout: LONGEST_CALL_MS, onprogress: showProgress };
  const result = await client.callTool({ name, arguments: input }, options);
  const text = result.content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
  if (result.isError) throw new Ended(1, text, (result._meta?.["pr-summarizer/failure"] as any)?.code);
  return { text, answer: result.structuredContent };
}

function openBrowser(link: string) {
  say(`Open this link to connect GitHub: ${link}`);
  const usual = { darwin: "open", win32: "explorer" }[process.platform as string] ?? "xdg-open";
  const [program, ...rest] = (process.env.BROWSER || usual).split(" ");
  // Where there is no browser, the link was said.
  spawn(program, [...rest, link], { stdio: "ignore", detached: true }).on("error", () => {}).unref();
}

/** Lets the person connect an account; answers what every later call must carry. */
async function connect(client: Client, again: boolean): Promise<Carried> {
  const { text, answer } = await call(client, "connect_github", { reconnect: again });
  // Clients without sessions are known again by this value.
  const carried: Carried = answer.connection ? { connection: answer.connection } : {};
  if (answer.status === "connected") return carried;
  if (!answer.url) throw new Ended(3, text);
  openBrowser(answer.url);
  for (let waited = 0; waited < LONGEST_WAIT_MS; waited += POLL_MS) {
    await pause(POLL_MS);
    const { text, answer } = await call(client, "auth_status", carried);
    if (answer.status === "connected") {
      say(`Connected as @${answer.github_login}.`);
      return carried;
    }
    if (answer.status !== "pending") throw new Ended(3, text);
  }
  throw new Ended(3, "Nobody connected an account within ten minutes.");
}

async function summarize(url: string, repository: string): Promise<number> {
  const client = new Client({ name: "summarize.ts", version: "1" }, { versionNegotiation: { mode: "auto" } });
  const headers: HeadersInit = process.env.MCP_KEY ? { Authorization: `Bearer ${process.env.MCP_KEY}` } : {};
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  } catch (error) {
    throw new Ended(4, `${url} cannot be used: ${innermost(error)}`);
  }
  try {
    let input: Record<string, unknown> = { repository };
    let asked = await call(client, "summarize_prs", input).catch(async (refused) => {
      if (!CURED_BY_CONNECTING.includes(refused.failure)) throw refused;
      input = { repository, ...(await connect(client, refused.failure !== "not_connected")) };
      return call(client, "summarize_prs", input);
    });
    for (let calls = 0; calls < MOST_FURTHER_CALLS && !asked.answer.complete; calls += 1) {
      asked = await call(client, "summarize_prs", input);
    }
    console.log(asked.text);
    return asked.answer.complete ? 0 : 5;
  } finally {
    await client.close();
  }
}

/** What `fetch` says of the network is in the cause. */
function innermost(error: unknown): string {
  return error instanceof Error && error.cause ? innermost(error.cause) : String(error);
}

async function main(given: string[]): Promise<number> {
  if (given.length < 1 || given.length > 2 || given[0].startsWith("-")) {
    say("summarize.ts OWNER/REPOSITORY [URL]; MCP_URL, MCP_KEY and BROWSER are read from the environment.");
    return 2;
  }
  try {
    return await summarize(given[1] ?? (process.env.MCP_URL || "http://127.0.0.1:3000/mcp"), given[0]);
  } catch (error) {
    if (error instanceof Ended) {
      say(error.message);
      return error.code;
    }
    say(`The call failed: ${innermost(error)}`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
