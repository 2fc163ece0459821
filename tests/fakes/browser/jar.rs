//! A cookie jar with the rules that matter here: host, path, `Secure`, `SameSite`, prefixes.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method, header};
use cookie::{Cookie, SameSite};
use url::Url;

/// For how long Chromium sends a cookie without `SameSite` on cross-site POSTs.
const LAX_ALLOWS_POST: Duration = Duration::from_mins(2);

/// One kept cookie.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Ports do not count: cookies of one loopback port leak to all.
    pub host: String,
    pub cookie: Cookie<'static>,
    since: Instant,
}

#[derive(Debug, Clone, Default)]
pub struct Jar {
    kept: Vec<Kept>,
}

/// https, or this machine, which browsers trust without it.
fn trustworthy(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost");
    url.scheme() == "https" || local
}

impl Jar {
    pub fn all(&self) -> &[Kept] {
        &self.kept
    }

    pub fn clear(&mut self) {
        self.kept.clear();
    }

    pub fn get(&self, host: &str, name: &str) -> Option<&Cookie<'static>> {
        let kept = self.kept.iter().find(|one| one.host == host && one.cookie.name() == name);
        kept.map(|one| &one.cookie)
    }

    /// Keeps a cookie that no server of this host has set.
    pub fn plant(&mut self, host: &str, cookie: &str) {
        let cookie = Cookie::parse(cookie.to_owned()).expect("a cookie");
        self.kept.push(Kept { host: host.to_owned(), cookie, since: Instant::now() });
    }

    /// Hears a `Set-Cookie` that the server at this address sent, and keeps it if it may.
    pub fn hear(&mut self, url: &str, cookie: &str) {
        let mut headers = HeaderMap::new();
        headers.append(header::SET_COOKIE, cookie.parse().expect("a cookie"));
        self.take(&Url::parse(url).expect("an address"), &headers);
    }

    pub(super) fn take(&mut self, url: &Url, headers: &HeaderMap) {
        let host = url.host_str().unwrap_or_default().to_owned();
        for value in headers.get_all(header::SET_COOKIE) {
            let text = value.to_str().expect("a readable cookie").to_owned();
            let cookie = Cookie::parse(text).expect("a well-formed cookie");
            let secure = cookie.secure() == Some(true);
            let foreign = cookie.domain().is_some_and(|domain| domain != host);
            let host_prefixed = cookie.name().starts_with("__Host-");
            let unfit = !secure || cookie.path() != Some("/") || cookie.domain().is_some();
            let insecure = secure && !trustworthy(url);
            let cross = cookie.same_site() == Some(SameSite::None) && !secure;
            if foreign || insecure || cross || (host_prefixed && unfit) {
                continue;
            }
            let path = cookie.path().unwrap_or("/").to_owned();
            let same = |one: &Kept| {
                one.host == host
                    && one.cookie.name() == cookie.name()
                    && one.cookie.path().unwrap_or("/") == path
            };
            self.kept.retain(|one| !same(one));
            let gone = cookie.max_age().is_some_and(|age| age.whole_seconds() <= 0);
            if !gone {
                self.kept.push(Kept { host: host.clone(), cookie, since: Instant::now() });
            }
        }
    }

    /// The `Cookie` header of a top-level navigation.
    pub(super) fn cookies_for(&self, url: &Url, method: &Method, same_site: bool) -> String {
        let host = url.host_str().unwrap_or_default();
        let sent = self.kept.iter().filter(|one| {
            let path = one.cookie.path().unwrap_or("/");
            let below = url.path() == path
                || url.path().starts_with(&format!("{}/", path.trim_end_matches('/')));
            let alive = one.cookie.max_age().is_none_or(|age| {
                u64::try_from(age.whole_seconds())
                    .is_ok_and(|seconds| one.since.elapsed() < Duration::from_secs(seconds))
            });
            let secret = one.cookie.secure() != Some(true) || trustworthy(url);
            let welcome = same_site
                || match one.cookie.same_site() {
                    Some(SameSite::Strict) => false,
                    Some(SameSite::None) => true,
                    Some(SameSite::Lax) => *method == Method::GET,
                    None => *method == Method::GET || one.since.elapsed() < LAX_ALLOWS_POST,
                };
            one.host == host && below && alive && secret && welcome
        });
        let pairs: Vec<String> =
            sent.map(|one| format!("{}={}", one.cookie.name(), one.cookie.value())).collect();
        pairs.join("; ")
    }
}
