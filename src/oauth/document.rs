//! Clients that name themselves by the https address of a document about themselves.
//!
//! Source: the Internet-Draft "OAuth Client ID Metadata Document"
//! (<https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/>).
//!
//! Fetching an address that a stranger chose is dangerous, so this server fetches only from origins
//! that its operator named, over a transport that follows no redirect, uses no proxy and connects to
//! public addresses only, a few at a time and with a memory for answers, good and bad.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use reqwest::{
    Method,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::{
    client::{Client, ClientId, RequestedMetadata, unknown_client},
    error::{ErrorCode, OAuthError},
    redirect::RedirectPolicy,
};
use crate::{
    domain::{Clock, Entropy, Timestamp, failure::Result as Fallible},
    identity::ClientName,
    upstream::{
        Call,
        transport::{BodyCap, Dispatch, Purpose, Retry, Transport, TransportSettings},
    },
};

/// The origins of hosts whose clients name themselves this way.
pub const KNOWN_ORIGINS: &[&str] = &["https://claude.ai", "https://vscode.dev", "https://zed.dev"];

/// The longest address of a document, in bytes.
const MAX_ADDRESS_BYTES: usize = 256;
/// The longest document, in bytes.
const MAX_DOCUMENT_BYTES: usize = 16 * 1024;
/// How long fetching may take in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many are fetched at the same time.
const MOST_FETCHES: usize = 4;
/// How many answers are remembered, and how long.
const MOST_REMEMBERED: usize = 64;
const REMEMBER_GOOD: TimeDelta = TimeDelta::minutes(10);
const REMEMBER_BAD: TimeDelta = TimeDelta::minutes(1);

/// Finds clients by the address of their document.
#[derive(Clone)]
pub struct ClientDocuments(Option<Arc<Inner>>);

struct Inner {
    origins: Vec<url::Origin>,
    transport: Transport,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    remembered: Mutex<HashMap<String, Remembered>>,
}

struct Remembered {
    document: Option<Document>,
    until: Timestamp,
}

/// What we read of a document; the rest is ignored.
#[derive(Clone, Deserialize)]
struct Document {
    client_id: String,
    client_name: Option<String>,
    redirect_uris: Vec<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
    client_secret: Option<serde::de::IgnoredAny>,
}

impl fmt::Debug for ClientDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins = self.0.as_ref().map_or(0, |inner| inner.origins.len());
        write!(f, "ClientDocuments({origins} origins)")
    }
}

impl ClientDocuments {
    /// Serves no such clients.
    pub fn none() -> Self {
        Self(None)
    }

    /// Serves clients whose document is at one of these origins: https with a name, or, for
    /// development, http on this computer.
    ///
    /// # Errors
    /// A sentence for each origin that is neither, for the operator.
    pub fn new(
        origins: &[String],
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Fallible<Result<Self, Vec<String>>> {
        let (mut good, mut problems) = (Vec::new(), Vec::new());
        for text in origins {
            match Url::parse(text) {
                Ok(url) if is_origin(&url) => good.push(url.origin()),
                _ => problems.push(format!("{text:?} is not an https origin.")),
            }
        }
        if !problems.is_empty() {
            return Ok(Err(problems));
        }
        if good.is_empty() {
            return Ok(Ok(Self::none()));
        }
        let settings = TransportSettings {
            connect_timeout: PATIENCE,
            answer_timeout: PATIENCE,
            read_idle_timeout: PATIENCE,
            max_retries: 0,
            ..TransportSettings::default()
        };
        // A proxy would resolve names itself.
        let client = reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(PublicNames));
        Ok(Ok(Self(Some(Arc::new(Inner {
            origins: good,
            transport: Transport::over(client, settings, entropy)?,
            clock,
            permits: Semaphore::new(MOST_FETCHES),
            remembered: Mutex::default(),
        })))))
    }

    /// Whether any such clients are served.
    pub fn are_served(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a `client_id` is meant as the address of a document.
    pub fn is_address(id: &str) -> bool {
        id.starts_with("https://") || id.starts_with("http://")
    }

    /// Checks the address of a document without fetching it.
    ///
    /// # Errors
    /// `invalid_client`.
    pub fn admits(&self, id: &str) -> Result<(), OAuthError> {
        self.address(id).map(|_| ())
    }

    /// The client that the document at `id` describes.
    ///
    /// # Errors
    /// `invalid_client`; `temporarily_unavailable` if too many are being fetched.
    pub async fn find(&self, id: &str, policy: &RedirectPolicy) -> Result<Client, OAuthError> {
        let (inner, url) = self.address(id)?;
        let document = inner.document(id, url).await?.ok_or_else(|| {
            OAuthError::new(
                ErrorCode::InvalidClient,
                "The client's metadata document could not be fetched or is not valid.",
            )
        })?;
        let name = ClientName::claimed(document.client_name.as_deref().unwrap_or_default());
        let metadata = RequestedMetadata {
            redirect_uris: document.redirect_uris,
            client_name: None,
            grant_types: document.grant_types,
            response_types: document.response_types,
        };
        // Whatever is wrong with it, at /authorize it is the client that is not good.
        let redirects = metadata
            .admit(policy)
            .map_err(|error| OAuthError { code: ErrorCode::InvalidClient, ..error })?;
        Ok(Client { id: ClientId::new(id), name, redirects })
    }

    fn address(&self, id: &str) -> Result<(&Inner, Url), OAuthError> {
        let inner = self.0.as_deref().ok_or_else(unknown_client)?;
        let url = inner.admit(id).ok_or_else(|| {
            OAuthError::new(
                ErrorCode::InvalidClient,
                "Metadata documents are not read from this address. Register instead.",
            )
        })?;
        Ok((inner, url))
    }
}

impl Inner {
    fn admit(&self, id: &str) -> Option<Url> {
        if id.len() > MAX_ADDRESS_BYTES {
            return None;
        }
        let url = Url::parse(id).ok()?;
        // Written in the one way that the parser would write it: nothing was resolved or left out.
        let plain = url.as_str() == id
            && url.path().len() > 1
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        (plain && self.origins.contains(&url.origin())).then_some(url)
    }

    async fn document(&self, id: &str, url: Url) -> Result<Option<Document>, OAuthError> {
        let now = self.clock.now();
        if let Some(known) = self.lock().get(id).filter(|known| known.until > now) {
            return Ok(known.document.clone());
        }
        let Ok(Ok(_permit)) = tokio::time::timeout(PATIENCE, self.permits.acquire()).await else {
            return Err(OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "Too many client documents are being fetched. Try again in a moment.",
            ));
        };
        // Perhaps somebody fetched it while this request waited.
        if let Some(known) = self.lock().get(id).filter(|known| known.until > now) {
            return Ok(known.document.clone());
        }
        let document = self.fetch(id, url).await;
        let until = now + if document.is_some() { REMEMBER_GOOD } else { REMEMBER_BAD };
        let mut remembered = self.lock();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, known| known.until > now);
        }
        if remembered.len() >= MOST_REMEMBERED {
            // Whoever fills the memory with made-up addresses makes room with the worthless ones.
            let worthless = remembered
                .iter()
                .min_by_key(|(_, known)| (known.document.is_some(), known.until))
                .map(|(id, _)| id.clone());
            worthless.and_then(|id| remembered.remove(&id));
        }
        remembered.insert(id.to_owned(), Remembered { document: document.clone(), until });
        Ok(document)
    }

    async fn fetch(&self, id: &str, url: Url) -> Option<Document> {
        let request = self.transport.request(Method::GET, url).header(ACCEPT, "application/json");
        let dispatch = Dispatch {
            retry: Retry::Never,
            cap: BodyCap::Whole(MAX_DOCUMENT_BYTES),
            purpose: Purpose::Elsewhere,
        };
        let answer = self.transport.send(request, dispatch, &Call::within(PATIENCE)).await.ok()?;
        let kind = answer.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = kind == "application/json"
            || (kind.starts_with("application/") && kind.ends_with("+json"));
        if answer.status != reqwest::StatusCode::OK || !is_json {
            return None;
        }
        let document: Document = serde_json::from_slice(&answer.body).ok()?;
        // A client with a secret or a key would have to prove it, and here nobody does.
        let is_public = document.client_secret.is_none()
            && document.token_endpoint_auth_method.as_deref().unwrap_or("none") == "none";
        (document.client_id == id && is_public).then_some(document)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Remembered>> {
        // Nothing panics while it is held, and a map of answers is whole after every step.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_origin(url: &Url) -> bool {
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let good = match (url.scheme(), url.host()) {
        ("https", Some(Host::Domain(name))) => name.contains('.') && !name.ends_with(".localhost"),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    };
    bare && good
}

/// Resolves names to public addresses only, so that a name that points into the operator's own
/// network is not followed there, not even if it changes between two look-ups.
struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // `localhost` can only be the origin that the operator named for development.
            let is_local = name.as_str() == "localhost";
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let wanted = found
                .into_iter()
                .filter(move |a| if is_local { a.ip().is_loopback() } else { is_public(a.ip()) });
            let wanted: Vec<_> = wanted.collect();
            if wanted.is_empty() {
                return Err("the name leads to no public address".into());
            }
            Ok(Box::new(wanted.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet.
/// Source: the IANA special-purpose address registries (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(a == 0
                || a == 10
                || a == 127
                || (a == 100 && (64..128).contains(&b))
                || (a == 169 && b == 254)
                || (a == 172 && (16..32).contains(&b))
                || (a == 192 && b == 168)
                || (a == 192 && b == 0 && (c == 0 || c == 2))
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19))
                || (a == 198 && b == 51 && c == 100)
                || (a == 203 && b == 0 && c == 113)
                || a >= 224)
        }
        // Only global unicast, and of that nothing that carries another address inside (6to4,
        // Teredo) or is reserved for documentation.
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            (0x2000..0x4000).contains(&a)
                && a != 0x2002
                && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
                && !(a == 0x3fff && b < 0x1000)
        }
    }
}

#[cfg(test)]
mod tests;
