//! A browser as far as a server can tell one: cookies, `Origin`, `Referer`, `Sec-Fetch-*`,
//! redirects, refreshes and forms, as Chromium sends and follows them.

mod html;
mod jar;
mod request;

use std::{fmt, net::SocketAddr, sync::Mutex, time::Duration};

use axum::http::{HeaderMap, Method, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use self::request::{FetchSite, ReferrerPolicy, same_origin};
pub use self::{
    html::{Button, Form, Link},
    jar::Jar,
};
use super::canaries;

/// How often one navigation may be sent on.
const HOPS: usize = 20;

/// One browser profile: its cookies are its own.
pub struct Browser {
    client: reqwest::Client,
    jar: Mutex<Jar>,
    /// Before an address that begins so it stops, as if the person had pressed Escape.
    stops_before: Mutex<Option<String>>,
}

/// Where a navigation came through.
#[derive(Debug, Clone)]
pub struct Hop {
    pub method: String,
    pub url: Url,
    pub status: u16,
}

/// What the person sees.
#[derive(Clone)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    pub title: String,
    pub forms: Vec<Form>,
    pub links: Vec<Link>,
    /// All stations of the navigation that ended here, the last one included.
    pub chain: Vec<Hop>,
    refresh: Option<String>,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}\n{}", self.status, self.url, self.title, self.body)
    }
}

impl Page {
    /// The form with a button that reads so, and the button.
    pub fn form_with(&self, text: &str) -> Option<(&Form, &Button)> {
        self.forms.iter().find_map(|form| {
            form.buttons.iter().find(|button| button.text.contains(text)).map(|one| (form, one))
        })
    }

    pub fn says(&self, text: &str) -> bool {
        html::decoded(&self.body).contains(text)
    }

    fn policy(&self) -> ReferrerPolicy {
        let header = self.headers.get(header::REFERRER_POLICY);
        ReferrerPolicy::parse(header.and_then(|value| value.to_str().ok()).unwrap_or_default())
    }

    /// Whether this page's CSP lets a form's navigation pass through `url`.
    fn lets_form_go_to(&self, url: &Url) -> bool {
        let policies = self.headers.get_all(header::CONTENT_SECURITY_POLICY);
        policies.iter().filter_map(|value| value.to_str().ok()).all(|policy| {
            let mut directives = policy.split(';').map(str::trim);
            let sources = directives.find_map(|one| one.strip_prefix("form-action"));
            sources.is_none_or(|sources| {
                sources.split_whitespace().any(|source| match source {
                    "'self'" => same_origin(&self.url, url),
                    "'none'" => false,
                    origin => Url::parse(origin).is_ok_and(|origin| same_origin(&origin, url)),
                })
            })
        })
    }
}

/// Every name is this machine, so that several sites fit on one.
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0))));
        Box::pin(async { Ok(addresses) })
    }
}

/// One navigation on its way.
struct Navigation<'p> {
    method: Method,
    url: Url,
    body: Option<String>,
    /// The page that started it; `None`: typed into the address bar.
    from: Option<&'p Page>,
    /// A click, and not the page by itself.
    by_person: bool,
    /// A form's, so that the page's `form-action` guards every hop.
    by_form: bool,
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    pub fn new() -> Self {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Loopback)
            .timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client");
        Self { client, jar: Mutex::default(), stops_before: Mutex::default() }
    }

    /// Looks at the cookies, or plants some.
    pub fn jar<T>(&self, look: impl FnOnce(&mut Jar) -> T) -> T {
        look(&mut self.jar.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// From now on a redirect to an address that begins so is not followed: the page that comes of
    /// it has that address and was never fetched. `None`: every redirect is followed.
    pub fn stop_before(&self, beginning: Option<&str>) {
        let mut stops = self.stops_before.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *stops = beginning.map(str::to_owned);
    }

    fn stops_at(&self, url: &Url) -> bool {
        let stops = self.stops_before.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        stops.as_ref().is_some_and(|beginning| url.as_str().starts_with(beginning))
    }

    /// Types an address into the address bar.
    pub async fn get(&self, url: impl AsRef<str>) -> Page {
        let url = Url::parse(url.as_ref()).expect("an address");
        let method = Method::GET;
        let (from, by_person, by_form) = (None, true, false);
        self.navigate(Navigation { method, url, body: None, from, by_person, by_form }).await
    }

    /// Follows a link of this page.
    pub async fn follow(&self, page: &Page, href: &str) -> Page {
        let url = page.url.join(href).expect("an address");
        let (from, method) = (Some(page), Method::GET);
        let (by_person, by_form) = (true, false);
        self.navigate(Navigation { method, url, body: None, from, by_person, by_form }).await
    }

    /// Presses the button that reads so.
    pub async fn press(&self, page: &Page, text: &str) -> Page {
        self.press_with(page, text, &[]).await
    }

    /// The same, with these fields filled in.
    pub async fn press_with(&self, page: &Page, text: &str, filled: &[(&str, &str)]) -> Page {
        let (form, button) = page
            .form_with(text)
            .unwrap_or_else(|| panic!("no button {text:?} on this page: {page:?}"));
        let mut fields = form.fields.clone();
        for (name, value) in filled {
            fields.retain(|(known, _)| known != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        if let Some(name) = &button.name {
            fields.push((name.clone(), button.value.clone()));
        }
        self.submit(page, &form.method, &form.action, &fields).await
    }

    /// Submits a form of this page, or one that an attacker's page holds.
    pub async fn submit(
        &self,
        page: &Page,
        method: &str,
        action: &str,
        fields: &[(String, String)],
    ) -> Page {
        let mut url = page.url.join(action).expect("an address");
        let encoded =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let post = method.eq_ignore_ascii_case("post");
        if !post {
            url.set_query(Some(&encoded));
        }
        let method = if post { Method::POST } else { Method::GET };
        let (body, from, by_person, by_form) = (post.then_some(encoded), Some(page), true, true);
        self.navigate(Navigation { method, url, body, from, by_person, by_form }).await
    }

    /// A page at this address that never was fetched: where an attacker's form stands.
    pub fn page_at(url: &str) -> Page {
        Page {
            url: Url::parse(url).expect("an address"),
            status: 200,
            headers: HeaderMap::new(),
            body: String::new(),
            title: String::new(),
            forms: Vec::new(),
            links: Vec::new(),
            chain: Vec::new(),
            refresh: None,
        }
    }

    /// Our page, its button, Scalekit, GitHub's consent as this person, and back.
    pub async fn approve(&self, link: impl AsRef<str>, login: &str) -> Page {
        let consent = self.to_consent(link).await;
        self.press(&consent, &format!("Authorize as {login}")).await
    }

    /// The same way, but the person says no at GitHub.
    pub async fn decline(&self, link: impl AsRef<str>) -> Page {
        let consent = self.to_consent(link).await;
        self.press(&consent, "Cancel").await
    }

    /// As far as GitHub's consent page.
    pub async fn to_consent(&self, link: impl AsRef<str>) -> Page {
        let page = self.get(link).await;
        // The second where this browser has linked an account before.
        for button in ["Connect GitHub", "Connect another GitHub account"] {
            if page.form_with(button).is_some() {
                return self.press(&page, button).await;
            }
        }
        page
    }

    async fn navigate(&self, navigation: Navigation<'_>) -> Page {
        let mut page = self.load(navigation).await;
        while let Some(target) = page.refresh.take() {
            assert!(page.chain.len() < HOPS, "refreshes without end at {}", page.url);
            let url = page.url.join(&target).expect("an address");
            if self.stops_at(&url) {
                page.url = url;
                return page;
            }
            let (from, method) = (Some(&page), Method::GET);
            let (by_person, by_form) = (false, false);
            let refreshed = Navigation { method, url, body: None, from, by_person, by_form };
            let mut next = self.load(refreshed).await;
            page.chain.append(&mut next.chain);
            next.chain = std::mem::take(&mut page.chain);
            page = next;
        }
        page
    }

    /// Loads one document, through all redirects.
    async fn load(&self, mut navigation: Navigation<'_>) -> Page {
        let mut chain = Vec::new();
        let mut site = FetchSite::None;
        loop {
            assert!(chain.len() < HOPS, "redirects without end at {}", navigation.url);
            if navigation.by_form {
                let from = navigation.from.expect("a form stands on a page");
                let target = &navigation.url;
                assert!(
                    from.lets_form_go_to(target),
                    "form-action of {} stops the navigation to {target}",
                    from.url
                );
            }
            if let Some(from) = navigation.from {
                site = site.and(FetchSite::between(&from.url, &navigation.url));
            }
            let answer = self.send(&navigation, site).await;
            let status = answer.status();
            chain.push(Hop {
                method: navigation.method.to_string(),
                url: navigation.url.clone(),
                status: status.as_u16(),
            });
            canaries::note_address(&navigation.url);
            canaries::note_cookies(answer.headers());
            self.jar(|jar| jar.take(&navigation.url, answer.headers()));
            let location =
                answer.headers().get(header::LOCATION).filter(|_| status.is_redirection());
            let location = location.and_then(|value| value.to_str().ok().map(str::to_owned));
            let Some(location) = location else {
                return show(navigation.url, answer, chain).await;
            };
            navigation.url = navigation.url.join(&location).expect("an address");
            if self.stops_at(&navigation.url) {
                return show(navigation.url, answer, chain).await;
            }
            if matches!(status.as_u16(), 301..=303) {
                (navigation.method, navigation.body) = (Method::GET, None);
            }
        }
    }

    async fn send(&self, navigation: &Navigation<'_>, site: FetchSite) -> reqwest::Response {
        let Navigation { method, url, body, from, .. } = navigation;
        let top = from.is_none_or(|from| FetchSite::between(&from.url, url).is_same_site());
        let cookies = self.jar(|jar| jar.cookies_for(url, method, top));
        let mut request = self
            .client
            .request(method.clone(), url.clone())
            .header(
                header::ACCEPT,
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            )
            .header(header::USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64) Chrome/143.0.0.0")
            .header("upgrade-insecure-requests", "1")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-site", site.word());
        if navigation.by_person {
            request = request.header("sec-fetch-user", "?1");
        }
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        if let Some(from) = from {
            if let Some(referer) = from.policy().referer(&from.url, url) {
                request = request.header(header::REFERER, referer);
            }
            if *method == Method::POST {
                request = request.header(header::ORIGIN, from.policy().origin(&from.url, url));
            }
        }
        if let Some(body) = body {
            let kind = "application/x-www-form-urlencoded";
            request = request.header(header::CONTENT_TYPE, kind).body(body.clone());
        }
        request.send().await.unwrap_or_else(|wrong| panic!("{method} {url}: {wrong:?}"))
    }
}

async fn show(url: Url, answer: reqwest::Response, chain: Vec<Hop>) -> Page {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.expect("a page's text");
    let read = html::read(&body);
    Page {
        url,
        status,
        headers,
        title: read.title,
        forms: read.forms,
        links: read.links,
        refresh: read.refresh,
        body,
        chain,
    }
}
