//! The little of HTML that a scripted person needs: forms with their buttons, the meta refresh, the text.
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

export function unescape(text) {
  return text.replace(/&(#x[0-9a-f]+|#\d+|[a-z]+);/gi, (whole, name) => {
    if (/^#x/i.test(name)) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number.parseInt(name.slice(1), 10));
    return ENTITIES[name.toLowerCase()] ?? whole;
  });
}

function attributes(tag) {
  const found = {};
  for (const [, name, double, single, bare] of tag.matchAll(/([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/g)) {
    found[name.toLowerCase()] = unescape(double ?? single ?? bare ?? "");
  }
  return found;
}

/** The text a person reads, with the whitespace of the markup collapsed. */
export function visibleText(html) {
  const body = html.replace(/<(script|style|title)\b[\s\S]*?<\/\1>/gi, " ");
  return unescape(body.replace(/<[^>]*>/g, " ")).replace(/\s+/g, " ").trim();
}

/** Every form: where it goes, the fields it would send, the buttons with their words. */
export function forms(html) {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, opening, inside]) => {
    const form = attributes(opening);
    const fields = [...inside.matchAll(/<input\b([^>]*)>/gi)]
      .map(([, tag]) => attributes(tag))
      .filter((input) => input.name && !["submit", "button", "image", "reset"].includes(input.type ?? "text"));
    const buttons = [...inside.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)].map(([, tag, words]) => {
      const button = attributes(tag);
      return { label: visibleText(words), name: button.name, value: button.value ?? "", disabled: "disabled" in button };
    });
    return {
      action: form.action ?? "",
      method: (form.method ?? "get").toLowerCase(),
      fields: fields.map((input) => [input.name, input.value ?? ""]),
      buttons,
    };
  });
}

/** Where `<meta http-equiv="refresh">` leads, or `undefined`. */
export function metaRefresh(html) {
  for (const [, tag] of html.matchAll(/<meta\b([^>]*)>/gi)) {
    const meta = attributes(tag);
    if (meta["http-equiv"]?.toLowerCase() === "refresh") {
      return meta.content?.match(/^\s*\d+(?:\.\d+)?\s*[;,]\s*url\s*=\s*['"]?(.*?)['"]?\s*$/i)?.[1];
    }
  }
  return undefined;
}
