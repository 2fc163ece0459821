//! What a browser is talked into: cookies, forms, frames, silent consent, redirects after a POST.

use serde_json::json;

use super::house::{House, http};
use crate::{
    fakes::{Browser, Page},
    oauth::client::OAuthClient,
};

const COOKIE: &str = "__Host-prs-browser";

/// Cookies that somebody planted are nobody's identity, and neither is anything else.
pub async fn a07(house: &mut House) {
    let victim = house.resident("octocat").await;
    let (attacker, asking) = (Browser::new(), house.asks().await);
    let callback = asking.callback(&attacker, "mira-holm").await;
    let (verified, theirs, own) = (house.verified(), cookie(&victim.browser), cookie(&attacker));
    assert_ne!(theirs, own);
    // Without the prefix's protection a second cookie of that name arrives beside the victim's.
    let get = |url: &str, cookie: String| http().get(url).header("cookie", cookie).send();
    for both in [
        format!("{COOKIE}={theirs}; {COOKIE}={own}"),
        format!("{COOKIE}={own}; other=1; {COOKIE}={theirs}"),
        format!("{COOKIE}={own}; {COOKIE}={own}"),
    ] {
        for url in [&callback, &house.url("/connected"), &asking.link().await] {
            assert_eq!(get(url, both.clone()).await.unwrap().status(), 400, "{url}");
        }
    }
    // Another site's cookie for our name, with less than the prefix wants, is never kept.
    let tossed = Browser::new();
    for attributes in ["Path=/", "Secure; Path=/connect", "Secure; Path=/; Domain=127.0.0.1"] {
        tossed.jar(|jar| jar.hear("http://127.0.0.1:1/", &format!("{COOKIE}={own}; {attributes}")));
    }
    assert!(tossed.jar(|jar| jar.all().is_empty()));
    // What looks like one under another name, or is none, says nothing.
    for nothing in [
        format!("prs-browser={own}"),
        format!("__host-prs-browser={own}"),
        format!("{COOKIE}={}", &own[..20]),
        format!("{COOKIE}=\"{own}x\""),
        "sid=1; session=1; connect.sid=s%3Aoctocat".to_owned(),
    ] {
        let page = get(&house.url("/connected"), nothing.clone()).await.unwrap().text().await;
        assert!(!page.unwrap().contains("mira-holm"), "{nothing}");
    }
    for address in ["/connected?sid=1&usr=usr_AAAAAAAAAAAAAAAAAAAAAA", "/?user=octocat&login=x"] {
        let request = http().get(house.url(address)).header("x-user", "octocat");
        let page = request.header("remote-user", "octocat").send().await.unwrap();
        assert!(!page.text().await.unwrap().contains("@octocat"));
    }
    for argument in ["user_id", "identifier", "sid", "principal", "login"] {
        let answer = victim.agent.call("auth_status", json!({ argument: "usr_AAAAAAAA" })).await;
        assert!(answer.is_error, "{argument}");
    }
    assert_eq!(house.verified(), verified);
    // It was nobody's fault that two cookies came: the attacker's own way still ends honestly.
    attacker.get(&callback).await;
    assert_eq!(asking.login().await.as_deref(), Some("mira-holm"));
}

fn cookie(browser: &Browser) -> String {
    browser.jar(|jar| jar.get("127.0.0.1", COOKIE).expect("a cookie").value().to_owned())
}

/// Forms that do not come from the page that this browser was shown.
pub async fn a19(house: &mut House) {
    // In `single-user` mode both are the one person, whose last connection counts.
    let attacker = house.resident("mira-holm").await;
    let victim = house.resident("octocat").await;
    let (asking, other) = (house.asks().await, house.asks().await);
    let mut subjects = vec![(asking.link().await, other_link(house, &other).await)];
    if house.is_oauth() {
        subjects.push((house.url("/"), asking.link().await));
    } else {
        subjects.push((house.url("/connected"), subjects[0].0.clone()));
    }
    for (url, elsewhere) in subjects {
        let mine = victim.browser.get(&url).await;
        let theirs = attacker.browser.get(&url).await;
        let beside = victim.browser.get(&elsewhere).await;
        // What anybody can fetch: good for browsers without a cookie, and on a page of ours only.
        let anybodys = token_of(&Browser::new().get(&url).await);
        assert!(!mine.forms.is_empty(), "{mine:?}");
        for place in 0..mine.forms.len() {
            let fields = filled(&mine, place);
            let action = mine.url.join(&mine.forms[place].action).unwrap().to_string();
            // From another site, with the right token even.
            for evil in ["http://evil.example/", "http://127.0.0.1:1/", "https://127.0.0.1/"] {
                let evil = Browser::page_at(evil);
                let page = victim.browser.submit(&evil, "post", &action, &fields).await;
                assert_eq!(page.status, 403, "{page:?}");
            }
            let mut with_anybodys = fields.clone();
            with_anybodys.retain(|(name, _)| name != "csrf");
            with_anybodys.extend(anybodys.clone().map(|token| ("csrf".to_owned(), token)));
            for headers in [
                &[][..],
                &[("origin", "null")],
                &[("origin", "http://evil.example")],
                &[("sec-fetch-site", "same-site"), ("origin", &house.server.origin())],
                &[("sec-fetch-site", "none")],
                &[("sec-fetch-site", "cross-site"), ("referer", &url)],
            ] {
                let sent = format!("{COOKIE}={}", cookie(&victim.browser));
                for (fields, cookie) in
                    [(&fields, Some(&sent)), (&with_anybodys, Some(&sent)), (&with_anybodys, None)]
                {
                    let mut request = http().post(&action).form(fields);
                    if let Some(cookie) = cookie {
                        request = request.header("cookie", cookie);
                    }
                    for (name, value) in headers {
                        request = request.header(*name, *value);
                    }
                    let status = request.send().await.unwrap().status();
                    assert_eq!(status, 403, "{headers:?} {cookie:?}");
                }
            }
            // From the right page with another browser's token, another form's, and none.
            let foreign = token_of(&theirs).into_iter().chain(token_of(&beside));
            for token in foreign.filter(|token| Some(token) != token_of(&mine).as_ref()) {
                let mut forged = fields.clone();
                forged.retain(|(name, _)| name != "csrf");
                let without = victim.browser.submit(&mine, "post", &action, &forged).await;
                assert_eq!(without.status, 403, "{without:?}");
                forged.push(("csrf".to_owned(), token));
                let page = victim.browser.submit(&mine, "post", &action, &forged).await;
                assert_eq!(page.status, 403, "{page:?}");
            }
        }
    }
    assert_eq!(victim.login().await.as_deref(), Some("octocat"));
}

/// A link that is certainly another one.
async fn other_link(house: &House, other: &super::house::Asking) -> String {
    other.to_github(&Browser::new()).await;
    if house.is_oauth() {
        return other.client().authorize_url_with(&[("state", "another")]);
    }
    other.link().await
}

/// The fields of a form with its first button.
fn filled(page: &Page, form: usize) -> Vec<(String, String)> {
    let form = &page.forms[form];
    let button = form.buttons.first().and_then(|b| Some((b.name.clone()?, b.value.clone())));
    form.fields.iter().cloned().chain(button).collect()
}

fn token_of(page: &Page) -> Option<String> {
    let fields = page.forms.first()?.fields.iter();
    fields.filter(|(name, _)| name == "csrf").map(|(_, value)| value.clone()).next()
}

/// Every answer of every route carries the headers, pages and errors alike.
pub async fn a20(house: &mut House) {
    let resident = house.resident("octocat").await;
    let (browser, asking) = (Browser::new(), house.asks().await);
    let link = asking.link().await;
    let connect = browser.get(&link).await;
    let onward = {
        browser.stop_before(Some("http://scalekit.test"));
        let button = if house.is_oauth() { "Allow and go on" } else { "Connect GitHub" };
        let page = if connect.form_with(button).is_some() {
            browser.press(&connect, button).await
        } else {
            connect.clone()
        };
        browser.stop_before(None);
        page
    };
    let mut pages = vec![connect, onward, asking.decline(&browser).await];
    for path in [
        "/",
        "/connected",
        "/nothing-here",
        "/connect/short",
        "/user/verify",
        "/user/verify?state=x",
    ] {
        pages.push(browser.get(house.url(path)).await);
        pages.push(resident.browser.get(house.url(path)).await);
    }
    let evil = Browser::page_at("http://evil.example/");
    for path in ["/connect/x", "/connected", "/person", "/authorize"] {
        pages.push(browser.submit(&evil, "post", &house.url(path), &[]).await);
    }
    if house.is_oauth() {
        let client = resident.client();
        for changes in
            [&[][..], &[("client_id", "x")], &[("redirect_uri", "x")], &[("redirect_uri", "")]]
        {
            pages.push(resident.browser.get(client.authorize_url_with(changes)).await);
        }
    }
    assert!(pages.len() > 15);
    for page in &pages {
        protected(&page.headers, page.url.as_str());
        if page.headers.get("content-type").is_some_and(|t| t.as_bytes().starts_with(b"text/html"))
        {
            // The one script is the page's own, and no page has any of its text.
            let scripts = page.body.matches("<script").count();
            let own = page.body.matches("<script src=\"/page.js?").count();
            assert!(scripts == own && own <= usize::from(page.url.path() == "/"), "{page:?}");
            for active in ["onclick", "onload", "onerror", "javascript:", "<iframe"] {
                assert!(!page.body.contains(active), "{page:?}");
            }
        }
    }
    // Buttons that give access or cannot be undone wait a second, against a second click that was
    // meant for another page.
    let mut waiting = 0;
    for page in &pages {
        for (class, text) in buttons(page) {
            if HARMLESS.iter().any(|harmless| text.starts_with(harmless)) && text != "Revoke all" {
                continue;
            }
            assert!(class.split(' ').any(|it| ["go", "arm"].contains(&it)), "{text}: {page:?}");
            let arms = "button.go,button.arm{animation:arm 1s step-end both}";
            let begins = "@keyframes arm{from{pointer-events:none;";
            assert!(page.body.contains(arms) && page.body.contains(begins), "{page:?}");
            waiting += 1;
        }
    }
    assert!(waiting >= if house.is_oauth() { 6 } else { 1 }, "{waiting} buttons");
    // Whatever is no page, too.
    for (method, path) in [
        ("GET", "/mcp"),
        ("POST", "/mcp"),
        ("DELETE", "/mcp"),
        ("PUT", "/connect/x"),
        ("HEAD", "/user/verify"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/token"),
        ("POST", "/register"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/favicon.ico"),
    ] {
        let request = http().request(method.parse().unwrap(), house.url(path));
        protected(request.send().await.unwrap().headers(), path);
    }
}

/// Whoever is made to press them loses nothing that the same page does not bring back.
const HARMLESS: [&str; 5] = ["Do not allow", "Sign out", "End all", "Disconnect", "Revoke"];

/// The buttons of a page that is not one of the fake sites': class and text.
fn buttons(page: &Page) -> Vec<(&str, &str)> {
    let is_ours = page.body.contains("<footer>pr-summarizer</footer>");
    let parts = page.body.split("<button").skip(1).filter(|_| is_ours);
    parts
        .map(|part| {
            let (tag, rest) = part.split_once('>').expect("a whole tag");
            let class = tag.split_once("class=\"").map_or("", |(_, class)| class);
            (
                class.split('"').next().unwrap_or_default(),
                rest.split('<').next().unwrap_or_default(),
            )
        })
        .collect()
}

fn protected(headers: &reqwest::header::HeaderMap, url: &str) {
    let header = |name: &str| {
        let all: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(all.len(), 1, "{name} at {url}");
        all[0].to_str().unwrap().to_owned()
    };
    let policy = header("content-security-policy");
    for part in
        ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"]
    {
        assert!(policy.contains(part), "{url}: {policy}");
    }
    // Only the page that asks has a script.
    let path =
        url.parse::<reqwest::Url>().map_or("", |url| if url.path() == "/" { "/" } else { "" });
    let scripts =
        policy.split("; ").filter(|part| part.starts_with("script-src")).collect::<Vec<_>>();
    let allowed: &[&str] = if path == "/" { &["script-src 'self'"] } else { &[] };
    assert!(!policy.contains("unsafe-") && scripts == allowed, "{url}: {policy}");
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("referrer-policy"), "same-origin");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-content-type-options"), "nosniff");
}

/// Consent is never silent, however often it was given.
pub async fn a21(house: &mut House) {
    let resident = house.resident("octocat").await;
    let verified = house.verified();
    if house.is_oauth() {
        let client = resident.client();
        let arrived = client.arrived().len();
        for changes in
            [&[][..], &[("prompt", "none")], &[("prompt", "login")], &[("approval_prompt", "auto")]]
        {
            let page = resident.browser.get(client.authorize_url_with(changes)).await;
            assert_eq!(page.url.path(), "/authorize", "{page:?}");
            assert!(page.form_with("Allow as @octocat").is_some(), "{page:?}");
            assert!(page.says("A program on this computer"), "{page:?}");
        }
        assert_eq!(client.arrived().len(), arrived);
    } else {
        let next = house.asks().await;
        let before = next.login().await;
        let link = next.link().await;
        for address in [link.clone(), format!("{link}?prompt=none&use_again=583231")] {
            let page = resident.browser.get(address).await;
            assert!(page.form_with("Use @octocat again").is_some(), "{page:?}");
            assert!(page.says("Go on only if you asked for this yourself"), "{page:?}");
        }
        assert_eq!(next.login().await, before);
    }
    assert_eq!(house.verified(), verified);
}

/// What Scalekit's answer to a verification names is not gone to, by nobody.
pub async fn a25(house: &mut House) {
    let (browser, asking) = (Browser::new(), house.asks().await);
    let page = asking.approve(&browser, "octocat").await;
    assert_eq!(asking.login().await.as_deref(), Some("octocat"));
    assert_eq!(house.verified(), 1);
    let named = "/connected-accounts/done";
    assert!(page.chain.iter().all(|hop| hop.url.path() != named), "{:?}", page.chain);
    assert!(!page.body.contains(named));
    assert_eq!(house.server.world.scalekit.count(|call| call.path == named), 0);
}

/// The way leads over three sites, to loopback and to private schemes, and no POST leaves our origin.
pub async fn a32(house: &mut House) {
    let (browser, asking) = (Browser::new(), house.asks().await);
    // The fake browser applies `form-action` to every hop after a form, as Chromium does.
    let page = asking.approve(&browser, "octocat").await;
    let sites: Vec<_> = page.chain.iter().filter_map(|hop| hop.url.host_str()).collect();
    assert!(sites.contains(&"github.test") && sites.contains(&"scalekit.test"), "{sites:?}");
    assert!(sites.contains(&"127.0.0.1"), "{sites:?}");
    assert_eq!(asking.login().await.as_deref(), Some("octocat"));
    if !house.is_oauth() {
        return;
    }
    for redirect in
        ["cursor://anysphere.cursor-mcp/oauth/callback", "https://claude.ai/api/mcp/auth_callback"]
    {
        let client = OAuthClient::discover_for(&house.server, redirect).await;
        // By the trip, and by the button of who is signed in; and when it is declined.
        for (button, wanted) in
            [("Use another", "code="), ("Allow as @octocat", "code="), ("Do not allow", "error=")]
        {
            let consent = browser.get(client.authorize_url()).await;
            browser.stop_before(Some(redirect));
            let mut page = browser.press(&consent, button).await;
            if page.form_with("Authorize as octocat").is_some() {
                page = browser.press(&page, "Authorize as octocat").await;
            }
            browser.stop_before(None);
            assert!(page.url.as_str().starts_with(redirect), "{page:?}");
            assert!(page.url.query().unwrap_or_default().contains(wanted), "{}", page.url);
        }
    }
}

/// What a program calls itself is shown as a claim, filtered.
pub async fn a35(house: &mut House) {
    for name in [
        format!("<b>GitHub</b>\u{202e}\u{200b}\r\n{}", "x".repeat(10_000)),
        "</strong><script>alert(1)</script>".to_owned(),
        "Claude\u{2066} by\u{2069} \u{1b}[31mAnthropic\u{7}".to_owned(),
        "\u{e0041}\u{e0042}\u{feff}".to_owned(),
        "javascript:alert(1) https://evil.example/".to_owned(),
    ] {
        let page = Browser::new().get(house.asks_as(&name).await.link().await).await;
        assert_eq!(page.status, 200, "{page:?}");
        for raw in
            ["<b>", "<script", "\u{202e}", "\u{2066}", "\u{1b}", "\u{7}", "\u{e0041}", "\u{200b}"]
        {
            assert!(!page.body.contains(raw), "{raw:?}: {page:?}");
        }
        assert!(!page.body.contains("href=\"https://evil"), "{page:?}");
        assert!(!page.body.contains(&"x".repeat(65)), "{page:?}");
        // The consent page knows where the code would go; the link's page knows only the name.
        let nameless = if house.is_oauth() { "on this computer asks" } else { "no name asks" };
        assert!(page.says("calls itself") || page.says(nameless), "{page:?}");
    }
}
