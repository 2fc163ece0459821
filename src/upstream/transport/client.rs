//! The HTTP clients behind the transport: one by way of the system's proxies, and one without.

use std::sync::OnceLock;

use reqwest::{Client, ClientBuilder, Url, redirect};
use url::Host;

use super::{TransportSettings, USER_AGENT};
use crate::upstream::tls;

/// Chooses by address. A proxy cannot reach this machine's loopback, or would reach its own.
#[derive(Debug)]
pub(super) struct Clients {
    /// To everywhere else, with the system's certificates: built when first needed.
    by_proxy: OnceLock<Client>,
    /// To this machine without TLS, and so without reading the system's certificates.
    direct: Client,
    /// To this machine with TLS, which is rare: built when first needed.
    direct_tls: OnceLock<Client>,
    settings: TransportSettings,
}

impl Clients {
    pub(super) fn new(settings: TransportSettings) -> reqwest::Result<Self> {
        Ok(Self {
            by_proxy: OnceLock::new(),
            direct: builder(&settings).no_proxy().tls_certs_only([]).build()?,
            direct_tls: OnceLock::new(),
            settings,
        })
    }

    /// One client for every address, begun elsewhere.
    pub(super) fn over(begun: ClientBuilder, settings: TransportSettings) -> reqwest::Result<Self> {
        let only = limited(begun, &settings).build()?;
        Ok(Self {
            by_proxy: OnceLock::from(only.clone()),
            direct: only.clone(),
            direct_tls: OnceLock::from(only),
            settings,
        })
    }

    pub(super) fn settings(&self) -> &TransportSettings {
        &self.settings
    }

    /// The client to draft requests with; [`Clients::of`] decides which one sends them.
    pub(super) fn drafting(&self) -> &Client {
        &self.direct
    }

    /// The client for this address.
    pub(super) fn of(&self, url: &Url) -> reqwest::Result<&Client> {
        if !is_loopback(url) {
            return built(&self.by_proxy, builder(&self.settings));
        }
        if url.scheme() == "http" {
            return Ok(&self.direct);
        }
        built(&self.direct_tls, builder(&self.settings).no_proxy())
    }
}

fn built(place: &OnceLock<Client>, begun: ClientBuilder) -> reqwest::Result<&Client> {
    if let Some(client) = place.get() {
        return Ok(client);
    }
    let client = begun.build()?;
    // Two first requests at once may both have built one; the second is dropped.
    Ok(place.get_or_init(|| client))
}

/// Proxies of the system (`HTTPS_PROXY`) are used, as operators expect.
fn builder(settings: &TransportSettings) -> ClientBuilder {
    limited(Client::builder(), settings)
}

fn limited(begun: ClientBuilder, settings: &TransportSettings) -> ClientBuilder {
    tls::provide();
    begun
        .user_agent(USER_AGENT)
        // A redirect could carry a request to where it was not meant to go.
        .redirect(redirect::Policy::none())
        // Retries are ours to count; a hidden one could verify an authorization twice.
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(settings.pool_idle_timeout)
        .tcp_nodelay(true)
        .gzip(true)
}

/// Does the address name this machine?
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
