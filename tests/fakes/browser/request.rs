//! What a browser says about where a request comes from.

use url::{Host, Url};

/// `Sec-Fetch-Site`, from nearest to farthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FetchSite {
    None,
    SameOrigin,
    SameSite,
    CrossSite,
}

impl FetchSite {
    pub(super) fn between(from: &Url, to: &Url) -> Self {
        if same_origin(from, to) {
            Self::SameOrigin
        } else if from.scheme() == to.scheme() && site(from) == site(to) {
            Self::SameSite
        } else {
            Self::CrossSite
        }
    }

    /// Over a redirect the farthest station counts.
    pub(super) fn and(self, next: Self) -> Self {
        self.max(next)
    }

    pub(super) fn is_same_site(self) -> bool {
        self != Self::CrossSite
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SameOrigin => "same-origin",
            Self::SameSite => "same-site",
            Self::CrossSite => "cross-site",
        }
    }
}

pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

/// The registrable domain: an address as it is, of a name the last two labels. Ports do not count.
fn site(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) => {
            let mut labels: Vec<&str> = name.rsplit('.').take(2).collect();
            labels.reverse();
            labels.join(".")
        }
        other => other.map(|host| host.to_string()).unwrap_or_default(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReferrerPolicy {
    NoReferrer,
    SameOrigin,
    Origin,
    /// The default.
    StrictOriginWhenCrossOrigin,
}

impl ReferrerPolicy {
    pub(super) fn parse(header: &str) -> Self {
        match header.rsplit(',').next().unwrap_or_default().trim() {
            "no-referrer" => Self::NoReferrer,
            "same-origin" => Self::SameOrigin,
            "origin" | "strict-origin" => Self::Origin,
            _ => Self::StrictOriginWhenCrossOrigin,
        }
    }

    pub(super) fn referer(self, from: &Url, to: &Url) -> Option<String> {
        let mut whole = from.clone();
        whole.set_fragment(None);
        let origin = format!("{}/", from.origin().ascii_serialization());
        match (self, same_origin(from, to)) {
            (Self::NoReferrer, _) | (Self::SameOrigin, false) => None,
            (Self::SameOrigin | Self::StrictOriginWhenCrossOrigin, true) => Some(whole.into()),
            (Self::Origin | Self::StrictOriginWhenCrossOrigin, _) => Some(origin),
        }
    }

    /// `Origin` of a form's POST: the policy can turn it into `null`.
    pub(super) fn origin(self, from: &Url, to: &Url) -> String {
        let hidden = self == Self::NoReferrer || self == Self::SameOrigin && !same_origin(from, to);
        if hidden { "null".to_owned() } else { from.origin().ascii_serialization() }
    }
}
