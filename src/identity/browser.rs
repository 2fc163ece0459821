//! How a browser is recognized between two of its requests.
//!
//! One cookie of 256 random bits, minted at the first POST. `SameSite=Lax`, because a `Strict`
//! cookie is not sent when the browser comes back from GitHub's page. The `__Host-` prefix keeps
//! other hosts and plain http from planting one; Chromium and Firefox accept it on http loopback,
//! Safari does not, so Safari gets a plain name that carries the port (loopback cookies are shared
//! by all ports).

use cookie::{Cookie, SameSite, time};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::domain::{
    Entropy, Failure, FailureCode, Secret, failure::Result, identifier::sha256_hex,
};

/// How long a browser keeps its cookie. Nothing depends on its lasting: a lost cookie costs one
/// more consent.
const LIFETIME: time::Duration = time::Duration::days(7);

/// The length of 32 bytes in unpadded base64url.
const LENGTH: usize = 43;

/// What one browser, and only it, knows. A bearer secret.
#[derive(Debug, Clone)]
pub struct BrowserCookie(Secret);

impl BrowserCookie {
    /// A browser's first cookie.
    pub fn mint(entropy: &dyn Entropy) -> Self {
        Self(Secret::from(entropy.token::<32>()))
    }

    /// Reads our cookie from the request's `Cookie` headers.
    ///
    /// # Errors
    /// `invalid_arguments` when the name occurs twice: one of the two was planted, and nobody can
    /// tell which.
    pub fn from_headers<'a>(
        headers: impl Iterator<Item = &'a str>,
        name: &CookieName,
    ) -> Result<Option<Self>> {
        let mut found = headers
            .flat_map(Cookie::split_parse)
            .filter_map(std::result::Result::ok)
            .filter(|cookie| cookie.name() == name.0);
        let (first, second) = (found.next(), found.next());
        if second.is_some() {
            return Err(Failure::new(
                FailureCode::InvalidArguments,
                "This browser sent our cookie twice, so one of them was planted by another program \
                 on this machine. Clear the cookies of this address and open the link again.",
            ));
        }
        Ok(first.map(|cookie| cookie.value().to_owned()).and_then(|value| {
            let plausible = value.len() == LENGTH
                && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            plausible.then(|| Self(Secret::from(value)))
        }))
    }

    /// The `Set-Cookie` header's value.
    pub fn to_set_cookie(&self, name: &CookieName) -> String {
        Cookie::build((name.0.clone(), self.0.expose_secret().to_owned()))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(name.0.starts_with("__Host-"))
            .max_age(LIFETIME)
            .build()
            .to_string()
    }

    /// The bytes to sign with.
    pub fn bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }

    /// The key of this browser's record in the store; the cookie itself is not kept.
    pub fn digest(&self) -> String {
        sha256_hex(self.bytes())
    }
}

/// Under which name a browser keeps the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieName(String);

impl CookieName {
    /// The name for this server and this browser.
    pub fn choose(public_base_url: &Url, user_agent: &str) -> Self {
        // Every Chromium says "Safari" too; only Safari itself says neither of the others.
        let is_safari = user_agent.contains("Safari/")
            && !["Chrome/", "Chromium/", "HeadlessChrome/"].iter().any(|n| user_agent.contains(n));
        if public_base_url.scheme() == "http" && is_safari {
            let port = public_base_url.port_or_known_default().unwrap_or_default();
            Self(format!("prs-browser-{port}"))
        } else {
            Self("__Host-prs-browser".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemEntropy;

    fn name() -> CookieName {
        CookieName::choose(
            &Url::parse("http://127.0.0.1:3000").unwrap(),
            "Mozilla Chrome/1 Safari/1",
        )
    }

    #[test]
    fn what_was_set_is_read_back() {
        let cookie = BrowserCookie::mint(&SystemEntropy);
        let header = cookie.to_set_cookie(&name());
        for attribute in [
            "__Host-prs-browser=",
            "HttpOnly",
            "SameSite=Lax",
            "Secure",
            "Path=/",
            "Max-Age=604800",
        ] {
            assert!(header.contains(attribute), "{header}");
        }
        assert!(!header.contains("Domain"), "{header}");
        let sent = header.split(';').next().unwrap().to_owned();
        let sent = format!("other=1; {sent}; more=2");
        let read = BrowserCookie::from_headers([sent.as_str()].into_iter(), &name()).unwrap();
        assert_eq!(read.unwrap().digest(), cookie.digest());
    }

    #[test]
    fn a_cookie_sent_twice_is_refused() {
        let cookie = BrowserCookie::mint(&SystemEntropy).to_set_cookie(&name());
        let sent = cookie.split(';').next().unwrap();
        let twice = format!("{sent}; {sent}");
        let one_header = BrowserCookie::from_headers([twice.as_str()].into_iter(), &name());
        let two_headers = BrowserCookie::from_headers([sent, sent].into_iter(), &name());
        assert_eq!(one_header.unwrap_err().code, FailureCode::InvalidArguments);
        assert_eq!(two_headers.unwrap_err().code, FailureCode::InvalidArguments);
    }

    #[test]
    fn an_implausible_value_is_no_cookie() {
        let read = |value: &str| {
            let sent = format!("__Host-prs-browser={value}");
            BrowserCookie::from_headers([sent.as_str()].into_iter(), &name()).unwrap().is_some()
        };
        let whole = format!("-_{}", "aZ9".repeat(14))[..LENGTH].to_owned();
        assert!(read(&whole));
        for value in ["short", &whole[1..], &format!("{whole}a"), &format!("{}.", &whole[1..])] {
            assert!(!read(value), "{value}");
        }
    }

    #[test]
    fn another_cookie_is_not_ours() {
        let value = "a".repeat(LENGTH);
        for other in ["prs-browser-3000", "__host-prs-browser", "x__Host-prs-browser"] {
            let sent = format!("{other}={value}");
            assert!(
                BrowserCookie::from_headers([sent.as_str()].into_iter(), &name())
                    .unwrap()
                    .is_none()
            );
        }
    }

    #[test]
    fn a_browser_is_kept_under_its_cookies_digest() {
        let (one, other) =
            (BrowserCookie::mint(&SystemEntropy), BrowserCookie::mint(&SystemEntropy));
        assert_eq!(one.digest(), sha256_hex(one.bytes()));
        assert_ne!(one.digest(), other.digest());
        assert_eq!((one.digest().len(), one.bytes().len()), (64, LENGTH));
        assert!(!format!("{one:?}").contains(std::str::from_utf8(one.bytes()).unwrap()));
    }

    #[test]
    fn safari_on_http_gets_a_name_with_the_port() {
        let url = Url::parse("http://127.0.0.1:3000").unwrap();
        let safari = CookieName::choose(&url, "Mozilla/5.0 Version/19 Safari/620");
        assert_eq!(safari.0, "prs-browser-3000");
        let https = Url::parse("https://prs.example").unwrap();
        assert_eq!(CookieName::choose(&https, "Version/19 Safari/620").0, "__Host-prs-browser");
        for other in [
            "Chrome/1 Safari/1",
            "Chromium/1 Safari/1",
            "HeadlessChrome/1 Safari/1",
            "Firefox/1",
            "",
        ] {
            assert_eq!(CookieName::choose(&url, other).0, "__Host-prs-browser", "{other}");
        }
        // Without the prefix it could not be set with `Secure` on plain http.
        let header = BrowserCookie::mint(&SystemEntropy).to_set_cookie(&safari);
        assert!(!header.contains("Secure") && header.contains("HttpOnly"), "{header}");
    }
}
