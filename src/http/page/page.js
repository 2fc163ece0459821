// The page at `/`: asks, tells how far the answer is, shows its cards, and notices when somebody has
// connected GitHub in another tab. Without it the forms work as they are.
(() => {
  "use strict";

  /** How often an unfinished answer is completed by itself, and after how long. */
  const ROUNDS = 3;
  const PAUSE_MS = 5_000;
  /** How long another tab is waited for: a little longer than a link lives. */
  const PATIENCE_MS = 16 * 60_000;
  const LOOK_AGAIN_MS = 1_500;
  /** Until the other tab's request has surely arrived, an older attempt's end is no news. */
  const OLD_NEWS_MS = 8_000;

  const at = (id) => document.getElementById(id);
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const [status, failure, results] = [at("status"), at("failure"), at("results")];

  function element(name, ...children) {
    const made = document.createElement(name);
    made.append(...children);
    return made;
  }

  function button(words, press) {
    const made = element("button", words);
    made.type = "button";
    made.addEventListener("click", press);
    return made;
  }

  const fieldsOf = (form) => new URLSearchParams(new FormData(form));

  function post(path, body, accept, signal) {
    return fetch(path, { method: "POST", body, headers: { accept }, signal, cache: "no-store", redirect: "error" });
  }

  /** A refusal that is no event: JSON with the same story. */
  async function refusal(response) {
    const told = await response.json().catch(() => ({}));
    return {
      code: told.code ?? String(response.status),
      detail: told.detail ?? "The server refused the request.",
      next: told.next_step ?? "Reload this page.",
      incident: told.incident,
      retry_after_seconds: told.retry_after_seconds,
    };
  }

  const brokenOff = {
    code: "broken_off",
    detail: "The connection to the server broke off.",
    next: "See whether the server still runs, then try again.",
  };

  // ---- the answer

  let asking = null;

  /** The events of a stream, one after another. */
  async function* events(stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const field = (name) => block.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        const data = field("data");
        if (data) yield { name: field("event"), data: JSON.parse(data) };
      }
    }
  }

  /** Asks once. What comes is `{ digest }` or `{ failed }`. */
  async function once(body, signal) {
    const response = await post("/digest", body, "text/event-stream", signal);
    if (!response.ok) return { failed: await refusal(response) };
    for await (const { name, data } of events(response.body)) {
      if (name === "progress") tell(data);
      if (name === "digest") return { digest: data };
      if (name === "failure") return { failed: data };
    }
    return { failed: brokenOff };
  }

  function tell({ done, total, message }) {
    if (!status.querySelector("progress")) {
      const bar = element("progress");
      bar.setAttribute("aria-label", "Progress");
      status.replaceChildren(element("p", ""), bar, button("Stop", () => asking?.abort()));
    }
    status.querySelector("p").textContent = total ? `${message} (${done} of ${total})` : `${message} …`;
    const bar = status.querySelector("progress");
    if (total) {
      bar.max = total;
      bar.value = done;
    }
  }

  /** Asks what the form says, or once more what `again` said: then what is shown stays meanwhile. */
  async function ask(form, again = null) {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    const body = again ?? fieldsOf(form);
    failure.replaceChildren();
    if (!again) {
      results.replaceChildren();
      results.hidden = true;
    }
    let shown = false;
    try {
      for (let round = 0; ; round += 1) {
        tell({ done: 0, total: 0, message: round ? "Completing the summaries" : "Asking" });
        // The cookie may be another one by now, and what the form is believed by with it.
        body.set("csrf", fieldsOf(form).get("csrf"));
        const { digest, failed } = await once(body, mine.signal);
        if (mine.signal.aborted) return;
        if (failed) {
          // What was shown stays: the next round would only have added to it.
          explain(failed, form);
          break;
        }
        show(digest, form, body, !shown);
        shown = true;
        if (digest.complete || round === ROUNDS) break;
        status.replaceChildren(element("p", "Some summaries are still being written. The page asks again by itself."));
        await pause(PAUSE_MS);
        if (mine.signal.aborted) return;
      }
    } catch (error) {
      if (asking === mine && error.name !== "AbortError") explain(brokenOff, form);
    } finally {
      if (asking === mine) {
        status.replaceChildren();
        asking = null;
      }
    }
  }

  function explain({ code, detail, next, incident, retry_after_seconds: wait }, form) {
    const again = wait ? ` Wait ${wait < 120 ? `${wait} s` : `${Math.ceil(wait / 60)} minutes`} before you try again.` : "";
    const small = element("p", "Code ", element("code", code), ...(incident ? [", incident ", element("code", incident)] : []));
    small.className = "small";
    failure.replaceChildren(element("p", element("strong", detail)), element("p", `${next}${again}`), small, button("Try again", () => ask(form)));
    if (["not_connected", "reauthorization_required", "unauthenticated"].includes(code)) refresh().then(() => at("connect")?.querySelector("button").focus());
  }

  function show(digest, form, body, first) {
    const cardsNow = [...results.querySelectorAll(".pr-card")];
    const open = new Set(cardsNow.filter((card) => card.querySelector("details[open]")).map(({ dataset }) => dataset.number));
    const copied = element("span");
    copied.setAttribute("role", "status");
    const copy = button("Copy as Markdown", async () => {
      copied.textContent = await navigator.clipboard.writeText(Cards.toMarkdown(digest)).then(() => "Copied.", () => "The browser did not let the page copy.");
    });
    const tools = element("div", copy);
    if (!digest.complete) tools.append(button("Complete the summaries", () => ask(form, body)));
    tools.append(copied);
    tools.className = "tools";
    const cards = Cards.renderDigest(digest);
    cards.querySelector(".pr-head").append(tools);
    for (const card of cards.querySelectorAll(".pr-card")) card.querySelector("details").open = open.has(card.dataset.number);
    results.replaceChildren(cards);
    results.hidden = false;
    if (first) results.querySelector("h2").focus();
    refresh();
  }

  // ---- the account

  /** Takes what the server now says of the account, and what forms need to be believed. */
  async function refresh() {
    const response = await fetch("/", { headers: { accept: "text/html" }, cache: "no-store" }).catch(() => null);
    if (!response?.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const csrf = (page) => page.querySelector("#ask [name=csrf], #account [name=csrf]")?.value;
    for (const field of document.querySelectorAll("#ask [name=csrf], #account [name=csrf]")) field.value = csrf(fresh) ?? field.value;
    const told = (page) => page.getElementById("account")?.textContent;
    for (const id of ["account", "known"]) {
      const [old, now] = [at(id), fresh.getElementById(id)];
      // What says the same stays: somebody may be at one of its buttons.
      if (old && now && (id === "known" || told(document) !== told(fresh))) {
        old.replaceWith(document.importNode(now, true));
      }
    }
    listen();
  }

  let watching = false;

  function listen() {
    const connect = at("connect");
    if (connect) connect.onsubmit = () => void watch();
  }

  /** Waits until somebody is done in the other tab. */
  async function watch() {
    if (watching) return;
    watching = true;
    const began = Date.now();
    const said = (words) => status.replaceChildren(element("p", words));
    failure.replaceChildren();
    said("Finish in the tab that has just opened. This page waits for it.");
    let seen = false;
    try {
      while (Date.now() - began < PATIENCE_MS) {
        await pause(LOOK_AGAIN_MS);
        const form = at("connect");
        if (!form) {
          // Connected meanwhile, or locked: the page says which.
          status.replaceChildren();
          return;
        }
        const response = await post("/standing", fieldsOf(form), "application/json").catch(() => null);
        if (!response?.ok) {
          // The cookie has come by the other tab, and with it another form is needed.
          await refresh();
          continue;
        }
        const { state, sentence } = await response.json();
        if (state === "connected") {
          await refresh();
          said("GitHub is connected.");
          at("repository")?.focus();
          return;
        }
        seen ||= state === "connecting";
        const waited = Date.now() - began;
        // Without a sentence nobody ended it: its time did, unless the other tab is still slow to begin.
        const isOver = sentence ? seen || waited > OLD_NEWS_MS : seen || waited > 2 * OLD_NEWS_MS;
        if (state !== "connecting" && isOver) {
          await refresh();
          status.replaceChildren();
          failure.replaceChildren(element("p", element("strong", sentence ?? "The link has expired: nobody finished in time.")), element("p", "To try again, press the button once more."));
          return;
        }
      }
      said("Nobody finished in time. Press the button once more for a new link.");
    } finally {
      watching = false;
    }
  }

  const form = at("ask");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form);
  });
  listen();
})();
