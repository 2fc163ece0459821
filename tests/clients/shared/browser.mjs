//! A scripted person's browser: real requests with the headers and cookies that Chromium would send, no JavaScript.
//! It speaks `node:http`, because `fetch` owns the headers Origin, Cookie and Sec-Fetch-* and would not let us play one.
import http from "node:http";
import { forms, metaRefresh, visibleText } from "./html.mjs";

const MOST_HOPS = 20;
const LARGEST_PAGE_BYTES = 1_000_000;
const TIMEOUT_MS = 20_000;
const AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36";
const SITE_ORDER = ["none", "same-origin", "same-site", "cross-site"];

export class Browser {
  /** Cookies by host name: like a real jar, it takes no notice of the port. */
  #jar = new Map();
  /** Every address visited, in order. */
  visited = [];
  #program;

  /**
   * `program` is the redirect URI of an MCP client: the browser asks nothing there, whatever its scheme, and answers a
   * page without words whose address holds the code.
   */
  constructor({ program } = {}) {
    this.#program = program;
  }

  /** A person pastes or clicks a link that came from outside the web. */
  async open(url) {
    return this.#navigate({ url: new URL(url), method: "GET", from: undefined });
  }

  /** Presses the button with exactly these words. */
  async press(page, label) {
    for (const form of page.forms) {
      const button = form.buttons.find((candidate) => candidate.label === label);
      if (!button) continue;
      if (button.disabled) throw new Error(`the button "${label}" on ${page.url.pathname} is disabled`);
      const fields = button.name ? [...form.fields, [button.name, button.value]] : form.fields;
      const target = new URL(form.action || page.url, page.url);
      if (form.method !== "post") {
        target.search = new URLSearchParams(fields);
        return this.#navigate({ url: target, method: "GET", from: page });
      }
      return this.#navigate({ url: target, method: "POST", from: page, body: new URLSearchParams(fields).toString() });
    }
    const seen = page.forms.flatMap((form) => form.buttons.map((button) => button.label));
    throw new Error(`no button "${label}" on ${page.url.pathname} (${page.status}); it has ${JSON.stringify(seen)}: ${page.text.slice(0, 300)}`);
  }

  /** Our page, GitHub's page as `person`, and back; answers the page where that ends. */
  async approve(link, person) {
    const github = await this.press(await this.open(link), "Connect GitHub");
    return this.press(github, `Authorize as ${person}`);
  }

  /** The same way, but the person changes their mind on GitHub's page. */
  async decline(link) {
    const github = await this.press(await this.open(link), "Connect GitHub");
    return this.press(github, "Cancel");
  }

  /** The consent page of an MCP client's request, GitHub's page as `person`, and on to the client. */
  async allow(link, person) {
    const github = await this.press(await this.open(link), "Allow and go on to GitHub");
    return this.press(github, `Authorize as ${person}`);
  }

  async #navigate({ url, method, from, body }) {
    let request = { url, method, body, byHand: true, origin: from && originHeader(from, url, method), referer: from && referer(from, url) };
    let site = from ? relation(from.url, url) : "none";
    for (let hop = 0; hop < MOST_HOPS; hop += 1) {
      this.visited.push(request.url.href);
      const answer = await this.#send(request, site);
      this.#keepCookies(request.url, answer.headers["set-cookie"] ?? []);
      const location = answer.headers.location;
      const refresh = location === undefined ? metaRefresh(answer.body) : undefined;
      if (location === undefined && refresh === undefined) return page(request.url, answer);
      const next = new URL(location ?? refresh, request.url);
      if (this.#leadsToProgram(location ?? refresh)) {
        return { url: next, address: location ?? refresh, status: answer.status, headers: answer.headers, html: "", text: "", forms: [] };
      }
      if (refresh === undefined) {
        // A redirect keeps the worst relation of its chain; 307 and 308 keep the method, the others turn into GET.
        site = worst(site, relation(request.url, next));
        const kept = [307, 308].includes(answer.status);
        request = { ...request, url: next, method: kept ? request.method : "GET", body: kept ? request.body : undefined, origin: kept ? "null" : undefined };
      } else {
        site = relation(request.url, next);
        request = { url: next, method: "GET", referer: referer(page(request.url, answer), next) };
      }
    }
    throw new Error(`more than ${MOST_HOPS} hops: ${this.visited.slice(-4).join(" → ")}`);
  }

  /** As text: a redirect URI that leads to the same place in other words is another redirect URI. */
  #leadsToProgram(address) {
    return this.#program !== undefined && address.startsWith(`${this.#program}${this.#program.includes("?") ? "&" : "?"}`);
  }

  #send({ url, method, body, byHand, origin, referer: from }, site) {
    if (url.protocol !== "http:") throw new Error(`this browser has no ${url.protocol} (${url.origin})`);
    const headers = {
      accept: "text/html,application/xhtml+xml,*/*;q=0.8",
      "accept-language": "en",
      "user-agent": AGENT,
      "upgrade-insecure-requests": "1",
      "sec-fetch-dest": "document",
      "sec-fetch-mode": "navigate",
      "sec-fetch-site": site,
    };
    if (byHand) headers["sec-fetch-user"] = "?1";
    const cookies = this.#cookiesFor(url, method, site);
    if (cookies) headers.cookie = cookies;
    if (origin !== undefined) headers.origin = origin;
    if (from) headers.referer = from;
    if (body !== undefined) {
      headers["content-type"] = "application/x-www-form-urlencoded";
      headers["content-length"] = Buffer.byteLength(body);
    }
    return new Promise((resolve, reject) => {
      const sent = http.request(url, { method, headers, timeout: TIMEOUT_MS }, (incoming) => {
        const parts = [];
        let bytes = 0;
        incoming.on("data", (part) => {
          bytes += part.length;
          if (bytes > LARGEST_PAGE_BYTES) sent.destroy(new Error(`${url.pathname} answered more than ${LARGEST_PAGE_BYTES} bytes`));
          parts.push(part);
        });
        incoming.on("end", () => resolve({ status: incoming.statusCode, headers: incoming.headers, body: Buffer.concat(parts).toString("utf8") }));
        incoming.on("error", reject);
      });
      sent.on("timeout", () => sent.destroy(new Error(`${url.origin}${url.pathname} did not answer`)));
      sent.on("error", reject);
      sent.end(body);
    });
  }

  #cookiesFor(url, method, site) {
    const now = Date.now();
    return [...(this.#jar.get(url.hostname)?.values() ?? [])]
      .filter((cookie) => cookie.expires > now && pathMatches(url.pathname, cookie.path))
      .filter((cookie) => site !== "cross-site" || cookie.sameSite === "none" || (cookie.sameSite === "lax" && method === "GET"))
      .map((cookie) => `${cookie.name}=${cookie.value}`)
      .join("; ");
  }

  #keepCookies(url, lines) {
    for (const line of lines) {
      const cookie = parseCookie(line, url);
      // Chromium drops a __Host- cookie that does not keep the promises of its prefix.
      if (cookie.name.startsWith("__Host-") && !(cookie.secure && cookie.path === "/" && !cookie.domain)) continue;
      const host = this.#jar.get(url.hostname) ?? new Map();
      host.set(`${cookie.name};${cookie.path}`, cookie);
      this.#jar.set(url.hostname, host);
    }
  }
}

function page(url, answer) {
  return { url, status: answer.status, headers: answer.headers, html: answer.body, text: visibleText(answer.body), forms: forms(answer.body) };
}

function parseCookie(line, url) {
  const [pair, ...attributes] = line.split(";").map((part) => part.trim());
  const equals = pair.indexOf("=");
  const cookie = { name: pair.slice(0, equals), value: pair.slice(equals + 1), path: defaultPath(url), sameSite: "lax", expires: Infinity };
  for (const attribute of attributes) {
    const [name, value = ""] = attribute.split(/=(.*)/s);
    if (/^path$/i.test(name) && value.startsWith("/")) cookie.path = value;
    if (/^samesite$/i.test(name)) cookie.sameSite = value.toLowerCase();
    if (/^secure$/i.test(name)) cookie.secure = true;
    if (/^domain$/i.test(name)) cookie.domain = value;
    if (/^max-age$/i.test(name)) cookie.expires = Date.now() + Number(value) * 1000;
  }
  return cookie;
}

function defaultPath(url) {
  const last = url.pathname.lastIndexOf("/");
  return last <= 0 ? "/" : url.pathname.slice(0, last);
}

function pathMatches(path, scope) {
  return path === scope || (path.startsWith(scope) && (scope.endsWith("/") || path[scope.length] === "/"));
}

/** The sites of this world are host names without a common parent, so equal hosts are all that "same-site" can mean. */
function relation(from, to) {
  if (from.origin === to.origin) return "same-origin";
  return from.hostname === to.hostname ? "same-site" : "cross-site";
}

function worst(one, other) {
  return one === "none" ? "none" : SITE_ORDER[Math.max(SITE_ORDER.indexOf(one), SITE_ORDER.indexOf(other))];
}

function originHeader(from, to, method) {
  if (method !== "POST") return undefined;
  const policy = from.headers["referrer-policy"] ?? "strict-origin-when-cross-origin";
  const told = policy === "no-referrer" ? false : policy !== "same-origin" || from.url.origin === to.origin;
  return told ? from.url.origin : "null";
}

function referer(from, to) {
  const policy = from.headers["referrer-policy"] ?? "strict-origin-when-cross-origin";
  if (policy === "no-referrer") return undefined;
  if (from.url.origin === to.origin) return from.url.href.split("#")[0];
  return policy === "same-origin" ? undefined : `${from.url.origin}/`;
}
