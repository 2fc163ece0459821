//! The attacks that only a browser can show, against a server for strangers (`oauth` mode). Numbers like A19 are those of
//! the attack catalogue in SECURITY.md. `evil.test` is another site; another port of 127.0.0.1 is another origin of ours.
import assert from "node:assert/strict";
import { Report, required, within } from "../clients/shared/report.mjs";
import { launch } from "./chromium.mjs";
import { agent, passThrough, press, register, signIn, site } from "./people.mjs";

const ours = new URL(required("MCP_URL")).origin;
const person = required("PERSON");
const report = new Report("chromium, attacks");
const chromium = await launch();
const CURSOR = "cursor://anysphere.cursor-mcp/oauth/callback";
const COOKIE = "__Host-prs-browser";

async function newPerson() {
  const context = await chromium.newContext();
  context.setDefaultTimeout(45_000);
  return { context, page: await context.newPage() };
}

/** Everything that Chromium says in its console, and a wait for certain words. */
function listen(page) {
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  return async (words) => {
    for (let tries = 0; tries < 150 && !said.some((text) => words.test(text)); tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(said.some((text) => words.test(text)), `${words} is not among ${JSON.stringify(said)}`);
    return said;
  };
}

const REFUSED = /violates the following Content Security Policy directive: "form-action/i;

/**
 * The navigations to a private scheme that the policy let pass: only those become requests, which Chromium then gives to
 * the system (here nobody takes them). What the policy stops ends with a complaint in the console instead.
 */
async function handovers(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const urls = [];
  session.on("Network.requestWillBeSent", ({ request }) => request.url.startsWith("cursor:") && urls.push(request.url));
  return {
    urls,
    next: async () => {
      for (let tries = 0; tries < 150 && urls.length === 0; tries += 1) await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok(urls.length > 0, "the private scheme was not reached");
      return urls.splice(0)[0];
    },
  };
}

const client = await site({ "/callback": "<!DOCTYPE html><title>arrived</title>" });
const evil = await site();

/** From the consent to GitHub's page. */
async function toGitHub(page, authorize, button = "Allow and go on to GitHub") {
  await page.goto(authorize);
  await press(page, button);
}

/** Allows a client on loopback and answers where the code arrived. */
async function allow(page, registered, login) {
  await toGitHub(page, registered.authorize);
  await press(page, `Authorize as ${login}`);
  await page.waitForURL(/\/callback\?/);
  return page.url();
}

/** The requests that Chromium sends to our `path` from now on, with the headers that went over the wire. */
function wire(page, path) {
  const sent = [];
  page.on("request", (request) => request.url().startsWith(ours + path) && sent.push(request));
  return () => Promise.all(sent.map(async (request) => ({ url: request.url(), headers: await request.allHeaders() })));
}

await report.scenario("A32 form-action", async () => {
  const loopback = await register(ours, "Loopback", client.at("127.0.0.1", "/callback"));
  const cursor = await register(ours, "Cursor", CURSOR);
  const { context, page } = await newPerson();
  const waitFor = listen(page);
  const handed = await handovers(page);
  await report.check("control: a form whose answer redirects is blocked under this policy", async () => {
    evil.pages["/naive"] = (_, response) => {
      const headers = { "content-type": "text/html", "content-security-policy": "form-action 'self'" };
      response.writeHead(200, headers).end("<form method=post action=/go><button>Go</button></form>");
    };
    evil.pages["/go"] = (_, response) => response.writeHead(303, { location: client.at("client.test", "/callback?naive") }).end();
    await page.goto(evil.at("evil.test", "/naive"));
    await page.getByRole("button").click({ noWaitAfter: true });
    await waitFor(REFUSED);
    assert.ok(!client.asked.some(({ url }) => url.includes("naive")));
  });
  await report.check("control: neither does a private scheme get out that way", async () => {
    evil.pages["/go"] = (_, response) => response.writeHead(303, { location: CURSOR }).end();
    await page.goto(evil.at("evil.test", "/naive"));
    const fresh = listen(page);
    await page.getByRole("button").click({ noWaitAfter: true });
    await fresh(REFUSED);
    assert.deepEqual(handed.urls, []);
  });
  await report.check("consent, Scalekit, an SSO provider, GitHub: the code arrives at a loopback port", async () => {
    // GitHub sends this person over a provider of theirs once.
    let detours = 0;
    const session = await context.newCDPSession(page);
    evil.pages["/sso"] = (request, response) =>
      response.writeHead(302, { location: decodeURIComponent(request.url.split("to=")[1]) }).end();
    session.on("Fetch.requestPaused", async ({ requestId, request }) => {
      if (detours > 0) return session.send("Fetch.continueRequest", { requestId });
      detours += 1;
      const location = evil.at("sso.test", `/sso?to=${encodeURIComponent(request.url)}`);
      return session.send("Fetch.fulfillRequest", { requestId, responseCode: 302, responseHeaders: [{ name: "location", value: location }] });
    });
    await session.send("Fetch.enable", { patterns: [{ urlPattern: "*/login/oauth/authorize*" }] });
    const address = await allow(page, loopback, person);
    await session.detach();
    assert.equal(detours, 1);
    assert.match(address, /[?&]code=/);
  });
  // A tab each: Chromium's question whether to open another program takes all further clicks of its tab.
  const inTabOfItsOwn = async (body) => {
    const tab = await context.newPage();
    await body(tab, await handovers(tab));
    await tab.close();
  };
  await report.check("the trip ends at a private scheme", () =>
    inTabOfItsOwn(async (tab, { next }) => {
      await toGitHub(tab, cursor.authorize, "Use another GitHub account");
      await tab.getByRole("button", { name: `Authorize as ${person}`, exact: true }).click({ noWaitAfter: true });
      assert.match(await next(), /[?&]code=/);
    }));
  for (const [button, answer] of [[`Allow as @${person}`, /[?&]code=/], ["Do not allow", /[?&]error=access_denied/]]) {
    await report.check(`“${button}” reaches a private scheme and a loopback port`, () =>
      inTabOfItsOwn(async (tab, { next }) => {
        await tab.goto(loopback.authorize);
        await press(tab, button);
        await tab.waitForURL(/\/callback\?/);
        assert.match(tab.url(), answer);
        await tab.goto(cursor.authorize);
        await press(tab, button);
        assert.match(await next(), answer);
      }));
  }
  await context.close();
});

await report.scenario("SameSite and Origin", async () => {
  const { context, page } = await newPerson();
  const posts = wire(page, "/person");
  const backs = wire(page, "/user/verify");
  await report.check("our forms send our Origin, and the cookie comes back from GitHub's site", async () => {
    await signIn(page, ours, person);
    const [post] = await posts();
    assert.equal(post?.headers.origin, ours);
    const [back] = await backs();
    assert.match(back?.headers.cookie ?? "", new RegExp(COOKIE));
    const [cookie] = (await context.cookies(ours)).filter(({ name }) => name === COOKIE);
    assert.deepEqual([cookie.sameSite, cookie.httpOnly, cookie.secure, cookie.path], ["Lax", true, true, "/"]);
  });
  await report.check("it is not sent with another site's forms and pictures", async () => {
    evil.pages["/posts"] = `<img src="${ours}/person?picture">
      <form method="post" action="${ours}/person?form"><button>Go</button></form>`;
    await page.goto(evil.at("evil.test", "/posts"));
    await press(page, "Go");
    await page.waitForURL(/person\?form/);
    const foreign = (await posts()).filter(({ url }) => url.includes("?"));
    assert.ok(foreign.length >= 2, `${foreign.length} were sent`);
    for (const { headers, url } of foreign) assert.equal(headers.cookie, undefined, url);
  });
  await context.close();
});

await report.scenario("A19 CSRF", async () => {
  const victim = await newPerson();
  const attacker = await newPerson();
  await signIn(victim.page, ours, person);
  await signIn(attacker.page, ours, "mira-holm");
  const token = await attacker.page.locator("[name=csrf]").first().inputValue();
  const registered = await register(ours, "Forged", client.at("127.0.0.1", "/callback"));
  const query = new URL(registered.authorize).search.slice(1);
  const routes = [
    ...["delete", "disconnect", "revoke_all", "sign_out", "sign_in"].map((action) => ["/person", { action }]),
    ["/authorize", { decision: "as_signed_in", request: query }],
    ["/authorize", { decision: "allow", request: query }],
    ["/connect/AAAAAAAAAAAAAAAAAAAAAAAAAA", {}],
    ["/connected", { account: "1" }],
  ];
  for (const host of ["evil.test", "127.0.0.1"]) {
    for (const csrf of ["", token]) {
      await report.check(`every POST from ${host} with ${csrf ? "the attacker's own" : "no"} token is refused`, async () => {
        for (const [path, fields] of routes) {
          evil.pages["/forge"] = `<form method="post" action="${ours}${path}"></form>`;
          await victim.page.goto(evil.at(host, "/forge"));
          const [response] = await Promise.all([
            victim.page.waitForResponse((answer) => answer.url() === `${ours}${path}` && answer.request().method() === "POST"),
            victim.page.evaluate((values) => {
              for (const [name, value] of Object.entries(values)) document.forms[0].append(Object.assign(document.createElement("input"), { name, value }));
              document.forms[0].submit();
            }, { ...fields, csrf }),
          ]);
          await victim.page.waitForURL(`${ours}${path}`);
          assert.equal(response.status(), 403, `${path} ${JSON.stringify(fields)}`);
        }
      });
    }
  }
  await report.check("the victim's page is as it was", async () => {
    await victim.page.goto(`${ours}/`);
    await victim.page.getByText(`@${person}`).first().waitFor();
  });
  await victim.context.close();
  await attacker.context.close();
});

await report.scenario("A08, A20, A37 frames, pictures, prefetch", async () => {
  const registered = await register(ours, "Framed", client.at("127.0.0.1", "/callback"));
  const { context, page } = await newPerson();
  const address = await allow(page, registered, person);
  const acting = await agent(ours, registered, address);
  const { url: link } = await acting.call("connect_github", { reconnect: true });
  await report.check("no page of ours can be framed", async () => {
    for (const path of [registered.authorize, link, `${ours}/`, `${ours}/connected`, `${ours}/user/verify`, `${ours}/nowhere`]) {
      evil.pages["/frame"] = `<iframe src="${path.replaceAll("&", "&amp;")}"></iframe>`;
      for (const host of ["evil.test", "127.0.0.1"]) {
        const said = listen(page);
        await page.goto(evil.at(host, "/frame"));
        await said(/frame-ancestors|X-Frame-Options/i);
        assert.ok(page.frames().slice(1).every((frame) => !frame.url().startsWith(ours)), path);
      }
    }
  });
  await report.check("the button is inert for its first second, and works after", async () => {
    await page.goto(registered.authorize);
    const button = page.getByRole("button", { name: `Allow as @${person}`, exact: true });
    const { x, y, width, height } = await button.boundingBox();
    let posts = 0;
    page.on("request", (request) => request.method() === "POST" && (posts += 1));
    // Time stands at 0.9 s of the page's own second, however slow this machine is.
    const wait = await button.evaluate((element) => {
      const [arming] = element.getAnimations();
      arming.pause();
      arming.currentTime = 900;
      return arming.effect.getComputedTiming().endTime;
    });
    assert.equal(wait, 1000);
    await page.mouse.click(x + width / 2, y + height / 2);
    assert.equal(await page.evaluate(() => document.title.includes("Allow access")), true);
    assert.equal(posts, 0);
    await button.evaluate((element) => element.getAnimations()[0].finish());
    await page.mouse.click(x + width / 2, y + height / 2);
    await page.waitForURL(/\/callback\?/);
    assert.equal(posts, 1);
  });
  await report.check("pictures, frames, prefetch and prerender of our links verify and burn nothing", async () => {
    // The callback's address is caught before our server sees it.
    const session = await context.newCDPSession(page);
    const caught = new Promise((resolve) => {
      session.on("Fetch.requestPaused", async ({ requestId, request }) => {
        await session.send("Fetch.failRequest", { requestId, errorReason: "Aborted" });
        resolve(request.url);
      });
    });
    await session.send("Fetch.enable", { patterns: [{ urlPattern: "*/user/verify*" }] });
    await page.goto(link);
    await press(page, "Connect GitHub");
    await page.getByRole("button", { name: `Authorize as ${person}`, exact: true }).click({ noWaitAfter: true });
    const callback = await within(20, "the way back", caught);
    await session.detach();
    const links = [link, callback];
    const tags = links.map((at) => at.replaceAll("&", "&amp;")).map((at) => `<link rel="prefetch" href="${at}"><link rel="prerender" href="${at}"><img src="${at}"><iframe src="${at}"></iframe>`);
    const rules = { prefetch: [{ source: "list", urls: links, eagerness: "immediate" }], prerender: [{ source: "list", urls: links, eagerness: "immediate" }] };
    evil.pages["/speculate"] = `<!DOCTYPE html>${tags.join("")}<script type="speculationrules">${JSON.stringify(rules)}</script>`;
    const tab = await context.newPage();
    const statuses = [];
    tab.on("response", (response) => response.url() === callback && statuses.push(response.status()));
    for (const host of ["evil.test", "127.0.0.1"]) {
      await tab.goto(evil.at(host, "/speculate"), { waitUntil: "networkidle" });
    }
    assert.ok(statuses.length > 0, "nothing was asked for");
    assert.ok(statuses.every((status) => status === 403), `answered ${statuses}`);
    // Nothing was spent: the person's own navigation still works.
    await tab.goto(callback);
    await tab.getByText(`Connected as @${person}`).waitFor();
  });
  await acting.close();
  await context.close();
});

await report.scenario("A07 tossed cookies", async () => {
  const { context, page } = await newPerson();
  await signIn(page, ours, person);
  const before = (await context.cookies(ours)).find(({ name }) => name === COOKIE);
  await report.check("a cookie that another port planted is nobody's", async () => {
    evil.pages["/toss"] = (_, response) => {
      response.setHeader("set-cookie", [`${COOKIE}=${"A".repeat(43)}; Path=/; Secure`, `prs-browser-${new URL(ours).port}=${before.value}; Path=/`]);
      response.writeHead(200).end();
    };
    await page.goto(evil.at("127.0.0.1", "/toss"));
    await page.goto(`${ours}/`);
    await page.getByRole("button", { name: "Sign in with GitHub", exact: true }).waitFor();
    assert.ok(!(await page.content()).includes(`@${person}`));
  });
  await report.check("the person signs in again", () => signIn(page, ours, person));
  await context.close();
});

await report.scenario("A07 a sibling's cookies", async () => {
  // Our server under a name that has siblings, behind a proxy as in public. Chromium trusts *.localhost like https.
  const named = await passThrough(ours);
  const home = named.at("app.prs.localhost", "/");
  const attacker = await newPerson();
  await signIn(attacker.page, ours, "mira-holm");
  const { value } = (await attacker.context.cookies(ours)).find(({ name }) => name === COOKIE);
  const { context, page } = await newPerson();
  const toss = async (name) => {
    evil.pages["/toss"] = (_, response) =>
      response.writeHead(200, { "set-cookie": `${name}=${value}; Domain=prs.localhost; Path=/; Secure` }).end();
    await page.goto(evil.at("evil.prs.localhost", "/toss"));
    await page.goto(home);
    return named.asked.findLast(({ url }) => url === "/").headers.cookie ?? "";
  };
  await report.check("control: without the prefix it arrives", async () => {
    assert.equal(await toss("prs-browser"), `prs-browser=${value}`);
  });
  await report.check("control: such a value is somebody's, wherever it comes from", async () => {
    const answer = await fetch(`${ours}/`, { headers: { cookie: `${COOKIE}=${value}` } });
    assert.ok((await answer.text()).includes("@mira-holm"));
  });
  await report.check("with the prefix Chromium refuses it, and nobody is signed in as somebody else", async () => {
    assert.doesNotMatch(await toss(COOKIE), new RegExp(COOKIE));
    await page.getByRole("button", { name: "Sign in with GitHub", exact: true }).waitFor();
    assert.ok(!(await page.content()).includes("@mira-holm"));
  });
  named.close();
  await context.close();
  await attacker.context.close();
});

evil.close();
client.close();
await chromium.close();
report.close();
