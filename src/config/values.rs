//! From text to values. Each answers the value, or what is wrong with the text and the cure; never
//! the text itself, because what was put into the wrong variable may be a secret.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
};

use secrecy::ExposeSecret as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

use super::settings::{LogFormat, SessionKeys};
use crate::{
    domain::{AuthMode, Secret},
    store::RedisAddress,
    upstream::transport::is_loopback,
};

/// The shortest secret, in bytes.
const MIN_SECRET_BYTES: usize = 32;

/// What is wrong, and the cure.
pub(super) type Wrong = (String, String);
pub(super) type Parsed<T> = Result<T, Wrong>;

pub(super) fn wrong<T>(wrong: impl Into<String>, cure: impl Into<String>) -> Parsed<T> {
    Err((wrong.into(), cure.into()))
}

pub(super) fn number<N>(range: RangeInclusive<N>) -> impl FnOnce(&str) -> Parsed<N>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => {
            let (least, most) = range.into_inner();
            wrong("is not a number in its range", format!("Set a number from {least} to {most}."))
        }
    }
}

pub(super) fn text(text: &str) -> Parsed<String> {
    if text.chars().any(char::is_control) {
        return wrong("holds a control character", "Set it again, without line breaks.");
    }
    Ok(text.to_owned())
}

pub(super) fn secret(text: &str) -> Parsed<Secret> {
    // It will travel in a header, where nothing else is allowed.
    if text.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return wrong(
            "holds white space or characters that a key cannot have",
            "Copy it again, whole and without anything around it.",
        );
    }
    Ok(Secret::from(text))
}

pub(super) fn ip_address(text: &str) -> Parsed<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
    let address = match bare {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        other => other.parse::<IpAddr>(),
    };
    match address {
        Ok(address) => Ok(address),
        Err(_) => wrong("is not an address", "Set 127.0.0.1 or ::1; in oauth mode also 0.0.0.0."),
    }
}

/// The origin of the server itself.
pub(super) fn public_origin(text: &str) -> Parsed<Url> {
    let url = origin(text)?;
    require_tls(&url)?;
    Ok(url)
}

/// An upstream's address.
pub(super) fn upstream(text: &str) -> Parsed<Url> {
    let cure = "Set an address such as https://api.example.com/v1: no user, query or fragment.";
    address(text, cure, |url| url.query().is_none())
}

/// The address of a language model. Azure wants `api-version` on every request; nothing else may
/// stand in the query, because a key in an address would be shown where addresses are.
pub(super) fn llm(text: &str) -> Parsed<Url> {
    let cure = "Set an address such as https://api.example.com/v1: no user or fragment, and no \
                query but Azure's ?api-version=….";
    address(text, cure, |url| {
        let is_version = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
            name == "api-version" && !value.is_empty()
        };
        url.query().is_none_or(|_| url.query_pairs().count() == 1)
            && url.query_pairs().all(is_version)
    })
}

fn address(text: &str, cure: &str, is_fine: impl FnOnce(&Url) -> bool) -> Parsed<Url> {
    let Some(url) = web_url(text) else { return wrong("is not a web address", cure) };
    if has_user(&url) || url.fragment().is_some() || !is_fine(&url) {
        return wrong("holds more than an address", cure);
    }
    require_tls(&url)?;
    Ok(url)
}

pub(super) fn origin(text: &str) -> Parsed<Url> {
    let cure = "Set scheme, host and port, and nothing else: https://example.com or \
                http://127.0.0.1:3000.";
    let Some(url) = web_url(text) else { return wrong("is not an origin", cure) };
    if has_user(&url) || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return wrong("holds more than an origin", cure);
    }
    Ok(url)
}

fn web_url(text: &str) -> Option<Url> {
    // The parser repairs a lot. What it would have to repair is more likely a mistake, and two
    // readers may repair it differently.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return None;
    }
    let scheme_end = text.find("://")?;
    if text.get(scheme_end + 3..)?.starts_with('/') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

pub(super) fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn require_tls(url: &Url) -> Parsed<()> {
    if url.scheme() == "https" || is_loopback(url) {
        return Ok(());
    }
    wrong("is not encrypted", "Use https://; plain http is for this machine only.")
}

pub(super) fn auth_mode(text: &str) -> Parsed<AuthMode> {
    match text {
        "session" => Ok(AuthMode::Session),
        "single-user" => Ok(AuthMode::SingleUser),
        "oauth" => Ok(AuthMode::OAuth),
        _ => wrong("is not a mode", "Set session, single-user or oauth, or leave it unset."),
    }
}

pub(super) fn session_keys(text: &str) -> Parsed<SessionKeys> {
    let keys: Vec<Secret> = text.split(',').map(|part| Secret::from(part.trim())).collect();
    match keys.split_first() {
        Some((current, previous))
            if keys.iter().all(|key| key.expose_secret().len() >= MIN_SECRET_BYTES) =>
        {
            Ok(SessionKeys { current: current.clone(), previous: previous.to_vec() })
        }
        _ => wrong(
            format!("holds a secret shorter than {MIN_SECRET_BYTES} bytes"),
            "Make one with `openssl rand -base64 32`; between several put a comma, the new one \
             first.",
        ),
    }
}

/// A key that programs send as a Bearer token; `None` is `off`.
pub(super) fn local_key(text: &str) -> Parsed<Option<Secret>> {
    if text == "off" {
        return Ok(None);
    }
    if !is_bearer_key(text) {
        return wrong(
            format!("is neither `off` nor a key of {MIN_SECRET_BYTES} letters and digits or more"),
            "Leave it unset to have one made, or make one with `openssl rand -hex 32`.",
        );
    }
    Ok(Some(Secret::from(text)))
}

pub(super) fn metrics_token(text: &str) -> Parsed<Secret> {
    if !is_bearer_key(text) {
        return wrong(
            format!("is no key of {MIN_SECRET_BYTES} letters and digits or more"),
            "Make one with `openssl rand -hex 32`, or leave it unset.",
        );
    }
    Ok(Secret::from(text))
}

fn is_bearer_key(text: &str) -> bool {
    // The alphabet of RFC 6750, section 2.1.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    text.len() >= MIN_SECRET_BYTES && text.bytes().all(fits)
}

pub(super) fn store(text: &str) -> Parsed<StoreUrl> {
    let cure = "Set sqlite:/path/to/store.db, redis://host:6379 or memory:, or leave it unset.";
    if text == "memory:" {
        return Ok(StoreUrl::Memory);
    }
    if text.starts_with("redis:") || text.starts_with("rediss:") {
        return match RedisAddress::parse(text) {
            Ok(address) => Ok(StoreUrl::Redis(address)),
            Err(objection) => wrong(
                objection,
                "Set redis://user:password@host:6379/0, or rediss:// for TLS; user, password and \
                 database may be left out. Special characters of a password are %-encoded.",
            ),
        };
    }
    let Some(path) = text.strip_prefix("sqlite:") else { return wrong("is not a store", cure) };
    let path = match path.strip_prefix("//") {
        // The host of sqlite://host/path would silently become a folder.
        Some(rest) if !rest.starts_with('/') => return wrong("names a host", cure),
        Some(rest) => rest,
        None => path,
    };
    if path.contains(['?', '#']) {
        return wrong("holds more than a path", cure);
    }
    if path.is_empty() { Ok(StoreUrl::Default) } else { Ok(StoreUrl::File(PathBuf::from(path))) }
}

/// What `STORE_URL` says.
pub(super) enum StoreUrl {
    Memory,
    Default,
    File(PathBuf),
    Redis(RedisAddress),
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => wrong("is neither on nor off", "Set on or off."),
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => wrong("is not a format", "Set text or json."),
    }
}

pub(super) fn log_filter(text: &str) -> Parsed<Targets> {
    let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    // Filters by span or field are no targets, and would be taken for names of such; a level left out
    // would be an error's, and a misspelt one a target's name, which silences everything.
    let is_plain = |part: &&str| match part.split_once('=') {
        Some((target, level)) => !target.contains(['[', '{']) && !level.is_empty(),
        None => part.parse::<LevelFilter>().is_ok(),
    };
    let are_plain = parts.iter().all(is_plain);
    match parts.join(",").parse() {
        Ok(filter) if are_plain => Ok(filter),
        _ => wrong("cannot be understood", "Set a level such as info, or target=level,…"),
    }
}
