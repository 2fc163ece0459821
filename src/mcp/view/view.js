// The card inside an MCP host: shows what the tools answered, connects and refreshes through the host.
// Speaks the protocol of MCP Apps (SEP-1865): JSON-RPC by postMessage with the window around this one.
"use strict";

const PROTOCOL = "2026-01-26";
const FAILURE = "pr-summarizer/failure";
/** Failures that connecting an account cures. */
const CURED_BY_CONNECTING = ["not_connected", "authorization_expired", "authorization_declined", "reauthorization_required", "browser_mismatch"];
/** How often, and how long, it is asked whether the account is connected by now; in milliseconds. */
const ASK_EVERY = 3_000;
const ASK_FOR = 15 * 60_000;
/** How often an answer that was not complete is asked for again by itself. */
const COMPLETIONS = 3;

const page = Object.fromEntries(["said", "cards", "connect", "refresh", "address"].map((id) => [id, document.getElementById(id)]));
const waiting = new Map();
let host = {};
let lastId = 0;
let asked = null;
let connection = null;
let link = null;
let completions = 0;
let isBusy = false;

function send(message) {
  window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
}

function request(method, params) {
  lastId += 1;
  const id = lastId;
  send({ id, method, params });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

window.addEventListener("message", ({ source, data }) => {
  if (source !== window.parent || data?.jsonrpc !== "2.0") return;
  if (data.method === undefined) return settle(data);
  const known = Object.hasOwn(told, data.method) ? told[data.method] : undefined;
  if (data.id === undefined) return known?.(data.params ?? {});
  if (known) return send({ id: data.id, result: known(data.params ?? {}) ?? {} });
  send({ id: data.id, error: { code: -32601, message: "There is no such method here." } });
});

function settle({ id, result, error }) {
  const open = waiting.get(id);
  waiting.delete(id);
  if (error) open?.reject(new Error(error.message ?? "The host refused."));
  else open?.resolve(result ?? {});
}

/** What the host tells and asks. */
const told = {
  "ui/notifications/tool-input": ({ arguments: input }) => {
    // Only summarize_prs takes a repository.
    if (input?.repository) asked = input;
    connection = input?.connection ?? connection;
    say(asked ? `Reading ${asked.repository}…` : "Asking…");
  },
  "ui/notifications/tool-result": (result) => show(result),
  "ui/notifications/tool-cancelled": () => say("The call was cancelled."),
  "ui/notifications/host-context-changed": (context) => follow(context),
  "ui/resource-teardown": () => ({}),
  ping: () => ({}),
};

/** Light or dark, fonts and colours as the host has them. */
function follow({ theme, styles }) {
  const root = document.documentElement;
  if (theme) root.style.colorScheme = theme;
  for (const [name, value] of Object.entries(styles?.variables ?? {})) {
    if (name.startsWith("--") && typeof value === "string") root.style.setProperty(name, value);
  }
}

function say(words, isFault = false) {
  page.said.textContent = words;
  page.said.classList.toggle("fault", isFault);
  page.said.hidden = words === "";
}

/** Shows a tool's result, whichever tool's it is. */
function show(result) {
  const data = result.structuredContent;
  const text = (result.content ?? []).filter(({ type }) => type === "text").map((part) => part.text).join("\n");
  // Only what the server says of itself: a digest's text is made of what strangers wrote.
  const isOurs = result.isError === true || typeof data?.status === "string";
  const said = (pattern) => (isOurs ? pattern.exec(text)?.[1] : undefined);
  connection = data?.connection ?? said(/^Connection: (con_[A-Za-z0-9_-]+) \(pass it as/m) ?? connection;
  link = (isOurs ? data?.url : undefined) ?? said(/^Link for the user: (\S+)$/m) ?? null;
  if (result.isError) return showFailure(result, text);
  if (Array.isArray(data?.pull_requests)) return showDigest(data);
  if (typeof data?.status === "string") return showStatus(data);
  say(text);
}

function showFailure(result, text) {
  const code = result._meta?.[FAILURE]?.code;
  // Hosts may keep `_meta` to themselves; then the link tells.
  const isCured = link !== null || CURED_BY_CONNECTING.includes(code);
  // What comes after the first line is for the agent, and so is the whole where the button does it.
  say(isCured ? text.split("\n", 1)[0] : text, true);
  offer(isCured, asked !== null);
}

function showDigest(digest) {
  page.cards.replaceChildren(Cards.renderDigest(digest, { open: openLink }));
  say(digest.complete ? "" : "Some summaries are still being written.");
  offer(false, asked !== null);
  if (!digest.complete && completions < COMPLETIONS) {
    completions += 1;
    summarize();
  }
}

function showStatus({ status, github_login: login, next_step: next }) {
  const words = {
    connected: `Connected to GitHub${login ? ` as @${login}` : ""}.`,
    pending: "The link is waiting for you in a browser.",
    expired: "GitHub no longer lets this connection in.",
    blocked: next,
  };
  say(words[status] ?? "No GitHub account is connected.", status === "blocked");
  offer(!["connected", "blocked"].includes(status), asked !== null);
}

/** Shows the buttons that can do something now: both need a host that passes calls on. */
function offer(connecting, refreshing) {
  const canCall = host.hostCapabilities?.serverTools !== undefined;
  page.connect.hidden = !(connecting && canCall);
  page.refresh.hidden = !(refreshing && canCall && !connecting);
  page.address.hidden = true;
}

function call(name, input) {
  return request("tools/call", { name, arguments: connection ? { ...input, connection } : { ...input } });
}

/** Runs one thing at a time, with the buttons out of reach meanwhile. */
async function alone(work) {
  if (isBusy) return;
  isBusy = true;
  for (const button of [page.connect, page.refresh]) button.disabled = true;
  try {
    await work();
  } catch (error) {
    say(`The host did not let this through: ${error.message}`, true);
  } finally {
    isBusy = false;
    for (const button of [page.connect, page.refresh]) button.disabled = false;
  }
}

async function summarize() {
  let result = null;
  await alone(async () => {
    if (!asked) return;
    say(`Reading ${asked.repository}…`);
    result = await call("summarize_prs", asked);
  });
  if (result === null) return;
  tellModel(result);
  // Not before: a card that is not complete asks again from here.
  show(result);
}

/** The conversation shall know what its person sees now. A convenience: hosts may refuse it. */
function tellModel({ isError, content }) {
  if (!isError && host.hostCapabilities?.updateModelContext) {
    request("ui/update-model-context", { content }).catch(() => {});
  }
}

async function connect() {
  let isConnected = false;
  await alone(async () => {
    // The link that came with the failure, once: a host whose agent can be asked questions gets no other answer to
    // connect_github than such a question, and cannot put it for a card.
    let url = link;
    link = null;
    if (!url) {
      say("Asking for a link…");
      const result = await call("connect_github", {});
      show(result);
      isConnected = result.structuredContent?.status === "connected";
      url = link;
    }
    if (!url) return;
    say("Finish in your browser; this card goes on by itself.");
    await openLink(url);
    isConnected = await untilConnected();
  });
  if (isConnected) await summarize();
}

/** Whether the account is connected in time. */
async function untilConnected() {
  for (const end = Date.now() + ASK_FOR; Date.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY));
    const result = await call("auth_status", {});
    const status = result.structuredContent?.status;
    if (status === "pending" || (result.isError && result._meta?.[FAILURE]?.retry_after_seconds)) continue;
    show(result);
    return status === "connected";
  }
  say("The link has expired. Connect again for a new one.", true);
  return false;
}

/** Opens an address through the host, or shows it where the host opens none. */
async function openLink(url) {
  if (!/^https?:\/\//.test(url)) return;
  try {
    const { isError } = await request("ui/open-link", { url });
    if (!isError) return;
  } catch {
    // Shown below.
  }
  page.address.hidden = false;
  page.address.textContent = url;
}

page.connect.addEventListener("click", connect);
page.refresh.addEventListener("click", () => {
  completions = 0;
  summarize();
});

new ResizeObserver(() => {
  const { height } = document.documentElement.getBoundingClientRect();
  send({ method: "ui/notifications/size-changed", params: { height: Math.ceil(height) } });
}).observe(document.documentElement);

request("ui/initialize", { appInfo: { name: "pr-summarizer", version: "VERSION" }, appCapabilities: {}, protocolVersion: PROTOCOL }).then(
  (result) => {
    host = result;
    follow(host.hostContext ?? {});
    send({ method: "ui/notifications/initialized" });
  },
  (error) => say(`The host did not begin: ${error.message}`, true),
);
