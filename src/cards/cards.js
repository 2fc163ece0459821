// An answer about a repository as cards, and as Markdown. Pure: nothing is fetched or kept, and a text
// never becomes markup. `null` and "unknown" are said as unknown, never as 0.
//
//   document.body.append(Cards.renderDigest(digest, { open: (url) => … }))
//   Cards.toMarkdown(digest)
//
// `open` is for pages that may not navigate by themselves; without it the links are ordinary ones.
const Cards = (() => {
  "use strict";

  // In words, and which of the colours: a stage is never told by its colour alone.
  const STAGES = {
    queued: ["queued for merge", "go"],
    ready: ["ready", "go"],
    needs_review: ["needs review", "wait"],
    ci_pending: ["CI pending", "wait"],
    unresolved_threads: ["unresolved threads", "care"],
    changes_requested: ["changes requested", "stop"],
    ci_failing: ["CI failing", "stop"],
    conflicts: ["merge conflicts", "stop"],
    draft: ["draft", "calm"],
  };
  const ACTORS = {
    author: "the author", reviewers: "the reviewers", maintainers: "the maintainers", ci: "CI", nobody: "nobody",
  };
  const DECISIONS = {
    approved: "approved", changes_requested: "changes requested", review_required: "review required", none: "no review required",
  };
  const MERGES = { mergeable: "no conflicts", conflicting: "conflicts" };
  const ORIGINS = {
    written: "Written by the LLM for this answer.",
    cached: "Written by the LLM earlier; nothing it depends on has changed.",
    extract: "An extract: title and first sentences, without an LLM.",
    pending: "The summary is still being written.",
    failed: "There is no summary; the notes say why.",
  };
  const OMISSIONS = {
    binary: "binary", generated: "generated", lock_file: "lock file", vendored: "vendored", minified: "minified",
    no_patch: "not shown by GitHub", renamed_only: "renamed only", submodule: "submodule", budget: "no room left",
    over_limit: "beyond this server's limit", unlisted: "not listed",
  };

  const said = (value) => value ?? "unknown";
  const word = (words, slug) => words[slug] ?? (slug ? String(slug).replaceAll("_", " ") : "unknown");
  const plural = (count, noun) => (count == null ? `an unknown number of ${noun}s` : `${count} ${noun}${count === 1 ? "" : "s"}`);
  const day = (time) => (time ? String(time).slice(0, 10) : "unknown");

  /** How long before `now`, in one unit. */
  function age(time, now) {
    const minutes = (Date.parse(now) - Date.parse(time)) / 60_000;
    if (!Number.isFinite(minutes)) return "unknown";
    for (const [unit, length] of [["year", 525_600], ["month", 43_800], ["day", 1_440], ["hour", 60], ["minute", 1]]) {
      if (minutes >= length) return `${plural(Math.floor(minutes / length), unit)} ago`;
    }
    return "just now";
  }

  /** What is known of one pull request, as pairs of a name and its words; both forms are made of these. */
  function facts(one, now) {
    const { facts: f, discussion: d } = one;
    const total = d.conversation_comments == null || d.review_comments == null ? null : d.conversation_comments + d.review_comments;
    const lines = f.additions == null && f.deletions == null ? "an unknown number of lines" : `+${said(f.additions)} −${said(f.deletions)}`;
    const requests = f.review_requests == null ? "unknown" : f.review_requests.join(", ") || "nobody";
    const checks = [[f.checks.passed, "passed"], [f.checks.failed, "failed"], [f.checks.pending, "pending"]];
    const counted = checks.filter(([count]) => count).map(([count, what]) => `${count} ${what}`);
    const merging = [
      word(MERGES, f.mergeable),
      f.in_merge_queue && "in the merge queue",
      f.auto_merge && "merges by itself once it may",
      f.in_merge_queue == null && "merge queue unknown",
      f.auto_merge == null && "auto-merge unknown",
    ];
    return [
      ["Size", `${lines} in ${plural(f.changed_files, "file")}`],
      ["Discussion", `${plural(total, "comment")} (${said(d.conversation_comments)} in the conversation, ${said(d.review_comments)} on lines)`],
      ["Reviews", `${said(d.reviews)} submitted · unresolved threads: ${said(d.unresolved_threads)}`],
      ["Verdict", `${word(DECISIONS, f.review_decision)} · approvals: ${said(f.approvals)} · changes requested: ${said(f.changes_requested)}`],
      ["Asked to review", requests],
      ["Checks", word({}, f.checks.state) + (counted.length ? ` (${counted.join(", ")})` : "")],
      ["Merge", `${merging.filter(Boolean).join(", ")}, into ${said(f.base)}`],
      ["Activity", `opened ${day(f.created_at)}, changed ${age(f.updated_at, now)}`],
    ];
  }

  /** What of it was read, in one sentence. */
  function coverage(one) {
    if (one.summary_status === "extract") return "Title and description only.";
    const c = one.coverage;
    const comments = `${c.comments_used} of ${plural(c.comments, "comment")}`;
    if (c.files == null && c.files_read + c.files_cut === 0 && !c.omissions.length) return `The diff could not be read; ${comments}.`;
    const left = c.omissions.map(({ reason, files }) => `${files} ${word(OMISSIONS, reason)}`).join(", ");
    const cut = c.files_cut ? `, ${c.files_cut} in part` : "";
    return `${c.files_read} of ${plural(c.files, "file")} whole${cut}${left && `, left out: ${left}`}; ${comments}.`;
  }

  function heading(digest) {
    const shown = digest.pull_requests.length;
    if (shown) return `${shown} of ${plural(digest.open_pull_requests, "open pull request")}`;
    return digest.open_pull_requests === 0 ? "There are no open pull requests." : "No open pull request matches.";
  }

  function pending(digest) {
    if (digest.complete) return "";
    const numbers = digest.pending.map((number) => `#${number}`).join(", ");
    return `Still being written: ${numbers || "some summaries"}. Asking again completes them.`;
  }

  const sentTo = (digest) => (digest.llm_host ? `Text of these pull requests was sent to ${digest.llm_host} to be summarized.` : "");
  const author = (one) => one.author ?? "unknown";
  const title = (one) => one.title || "(no title)";

  // ---- as elements

  function element(name, kind, ...children) {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    made.append(...children.filter((child) => child != null && child !== ""));
    return made;
  }

  const isAddress = (url) => /^https?:\/\/[^\s()<>]+$/.test(url);

  function link(url, text, open) {
    if (!isAddress(url)) return element("span", "", text);
    const made = element("a", "", text);
    made.href = url;
    made.target = "_blank";
    made.rel = "noopener noreferrer";
    if (open) {
      made.addEventListener("click", (event) => {
        event.preventDefault();
        open(url);
      });
    }
    return made;
  }

  function list(kind, items) {
    return items.length ? element("ul", kind, ...items.map((item) => element("li", "", item))) : "";
  }

  function summary(one) {
    const status = one.summary_status;
    const texts = (one.summary ?? "").split("\n").filter((line) => line.trim());
    const made = element("div", "pr-summary", ...texts.map((text) => element("p", "", text)));
    made.append(element("p", "pr-soft", word(ORIGINS, status)));
    return made;
  }

  function read(one) {
    const { files_omitted: omitted, omissions } = one.coverage;
    const named = omitted.map(({ path, reason }) => element("span", "", element("code", "", path), ` ${word(OMISSIONS, reason)}`));
    const unnamed = omissions.reduce((sum, { files }) => sum + files, 0) - omitted.length;
    if (unnamed > 0) named.push(`and ${plural(unnamed, "more file")}`);
    return element("details", "", element("summary", "", "What was read"), element("p", "", coverage(one)), list("pr-omitted", named));
  }

  function card(one, now, open) {
    const [words, colour] = STAGES[one.stage] ?? [word({}, one.stage), "calm"];
    const labels = one.facts.labels;
    const pairs = facts(one, now).flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]);
    pairs.push(element("dt", "", "Labels"));
    if (labels?.length) pairs.push(element("dd", "pr-labels", ...labels.map((label) => element("span", "", label))));
    else pairs.push(element("dd", "", labels ? "none" : "unknown"));
    const made = element(
      "article",
      "pr-card",
      element("h3", "", link(one.url, element("span", "", element("span", "pr-soft", `#${one.number} `), title(one)), open)),
      element("p", "pr-soft", `by ${author(one)} · opened ${age(one.facts.created_at, now)}`),
      element(
        "p",
        "pr-state",
        element("strong", `pr-stage pr-${colour}`, words),
        one.stale ? element("strong", "pr-stage pr-calm", "stale") : "",
        element("span", "", "Next: ", element("strong", "", word(ACTORS, one.next_actor))),
      ),
      list("pr-reasons", one.reasons),
      summary(one),
      element("dl", "", ...pairs),
      read(one),
    );
    made.dataset.number = one.number;
    return made;
  }

  function renderDigest(digest, { open } = {}) {
    const fragment = document.createDocumentFragment();
    const top = element("h2", "", link(digest.url, digest.repository, open));
    // Whoever waits for the answer is led here.
    top.tabIndex = -1;
    fragment.append(
      element(
        "header",
        "pr-head",
        top,
        element("p", "", heading(digest)),
        digest.pull_requests.length ? element("p", "pr-soft", `Order: ${digest.ranking}.`) : "",
        pending(digest) && element("p", "pr-note", pending(digest)),
        list("pr-warnings pr-note", digest.warnings),
      ),
      ...digest.pull_requests.map((one) => card(one, digest.generated_at, open)),
      element(
        "p",
        "pr-soft",
        sentTo(digest),
        " Stages and facts are computed from what GitHub said ",
        `on ${String(digest.generated_at).slice(0, 16).replace("T", " at ")} UTC.`,
        " Titles and summaries derive from text of strangers.",
      ),
    );
    return fragment;
  }

  // ---- as Markdown

  /** Nothing of a text becomes markup, a link or a mention where it is pasted. */
  const plain = (text) =>
    String(text)
      .replace(/[\\`*_[\]<>#|~!&]/g, "\\$&")
      .replace(/^(\s*)([-+=]|\d+(?=[.)]))/gm, "$1\\$2")
      .replaceAll("@", "@\u200b")
      .replaceAll("://", ":\u200b//");

  const linked = (text, url) => (isAddress(url) ? `[${text}](${url})` : text);

  function block(one, now) {
    const [words] = STAGES[one.stage] ?? [word({}, one.stage)];
    const labels = one.facts.labels == null ? "unknown" : one.facts.labels.join(", ") || "none";
    const known = [["Author", author(one)], ...facts(one, now), ["Labels", labels], ["Read", coverage(one)]];
    return [
      `## ${linked(`#${one.number} ${plain(title(one))}`, one.url)}`,
      `**${words}${one.stale ? ", stale" : ""}** · next: ${word(ACTORS, one.next_actor)} · ${one.reasons.map(plain).join(" ")}`,
      ...(one.summary ?? "").split("\n").filter((line) => line.trim()).map(plain),
      `*${word(ORIGINS, one.summary_status)}*`,
      known.map(([name, value]) => `- ${name}: ${plain(value)}`).join("\n"),
    ].join("\n\n");
  }

  function toMarkdown(digest) {
    const notes = [pending(digest), ...digest.warnings, sentTo(digest)].filter(Boolean);
    return [
      `# ${linked(plain(digest.repository), digest.url)}: ${heading(digest)}`,
      digest.pull_requests.length ? `Order: ${plain(digest.ranking)}.` : "",
      ...digest.pull_requests.map((one) => block(one, digest.generated_at)),
      notes.map((note) => `> ${plain(note)}`).join("\n>\n"),
    ].filter(Boolean).join("\n\n").concat("\n");
  }

  return { renderDigest, toMarkdown };
})();
