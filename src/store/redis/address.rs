//! Where a Redis server is reached, with its password; shown without it.

use std::{fmt, net::IpAddr};

use url::{Host, Url};

/// The address of a Redis server: `redis://[user:password@]host[:port][/database]`, or `rediss://`
/// for TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress(Url);

impl RedisAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "is not an address")?;
        if !matches!(url.scheme(), "redis" | "rediss") {
            return Err("is not an address of Redis");
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("names no host");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("holds more than an address");
        }
        let database = url.path().trim_start_matches('/');
        if !database.is_empty() && database.parse::<u16>().is_err() {
            return Err("names a database that is not a number");
        }
        Ok(Self(url))
    }

    /// What it leads to may be read on the way, and the way may leave a private network.
    pub fn is_exposed(&self) -> bool {
        if self.0.scheme() == "rediss" {
            return false;
        }
        match self.0.host() {
            // Without a dot it is a name of the local network.
            Some(Host::Domain(name)) => {
                is_public_name(name) && name.parse::<IpAddr>().map_or(true, |ip| !is_private(ip))
            }
            Some(Host::Ipv4(ip)) => !is_private(ip.into()),
            Some(Host::Ipv6(ip)) => !is_private(ip.into()),
            None => true,
        }
    }

    /// The whole of it, password included, for the client.
    pub(super) fn with_password(&self) -> Url {
        self.0.clone()
    }
}

/// Scheme, host, port and database: what an operator must know and anybody may.
impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}:{}", self.0.scheme(), self.0.port().unwrap_or(6379))?;
        match self.0.path() {
            "" | "/" => Ok(()),
            database => f.write_str(database),
        }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

fn is_public_name(name: &str) -> bool {
    name.contains('.')
        && ![".internal", ".local", ".localhost"].iter().any(|end| name.ends_with(end))
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_and_never_shown() {
        let address = RedisAddress::parse("rediss://user:canary@redis.example:7000/3").unwrap();
        assert_eq!(address.to_string(), "rediss://redis.example:7000/3");
        assert!(!format!("{address:?}").contains("canary"));
        assert_eq!(address.with_password().password(), Some("canary"));
        let plain = RedisAddress::parse("redis://valkey").unwrap();
        assert_eq!(plain.to_string(), "redis://valkey:6379");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "redis:",
            "redis://",
            "redis:///0",
            "valkey://x",
            "redis://x/one",
            "redis://x/0/1",
            "rediss://x#insecure",
            "redis://x?protocol=resp2",
            "redis://x:port",
        ] {
            assert!(RedisAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn plain_text_is_for_private_networks() {
        let exposed = |text| RedisAddress::parse(text).unwrap().is_exposed();
        for text in ["redis://127.0.0.1", "redis://10.1.2.3", "redis://valkey", "redis://[::1]"] {
            assert!(!exposed(text), "{text}");
        }
        assert!(!exposed("redis://cache.flycast.internal") && !exposed("rediss://redis.example"));
        assert!(exposed("redis://redis.example") && exposed("redis://203.0.113.9"));
    }
}
