//! Where the server is reached, and whom it may therefore serve.
//!
//! The modes that trust this machine end at this machine: they are refused as soon as an address
//! leads further. Only `oauth` may stand in public, because only there is a person proven.

use std::net::SocketAddr;

use url::Url;

use super::{Command, reader::Reader, values};
use crate::{domain::AuthMode, upstream::transport::is_loopback};

const TOKEN: &str = "GITHUB_TOKEN";
const RENDER: &str = "RENDER_EXTERNAL_URL";

/// What is missing was wrong, and that has been noted.
pub(super) struct Exposure {
    pub(super) mode: Option<AuthMode>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) public_base_url: Option<Url>,
}

pub(super) fn exposure(
    reader: &mut Reader<'_>,
    command: Command,
    warnings: &mut Vec<String>,
) -> Exposure {
    let stated = ["PUBLIC_BASE_URL", RENDER].into_iter().find(|name| reader.is_set(name));
    let (mode, port) = match command {
        Command::Serve | Command::Doctor => (mode(reader, stated), port(reader)),
        Command::Stdio => (mode_of_the_pipe(reader), port_of_pages(reader, stated)),
    };
    let listen = listen(reader, mode, port);
    let public_base_url = match stated {
        Some(name) => stated_origin(reader, name, mode, listen, warnings),
        None => own_origin(reader, mode, listen),
    };
    if reader.is_set(RENDER) && listen.is_some_and(|listen| listen.ip().is_loopback()) {
        warnings.push("HOST is a loopback address, where Render cannot reach it.".to_owned());
    }
    Exposure { mode, listen, public_base_url }
}

fn mode(reader: &mut Reader<'_>, stated: Option<&'static str>) -> Option<AuthMode> {
    let one_person = reader.is_set(TOKEN);
    if reader.is_set("AUTH_MODE") {
        let mode = reader.read("AUTH_MODE", values::auth_mode)?;
        if one_person && mode == AuthMode::Session {
            reader.note(
                "AUTH_MODE",
                "is session beside GITHUB_TOKEN",
                "Leave it unset: a token is one person's, and every session would read with it.",
            );
            return None;
        }
        return Some(mode);
    }
    if one_person {
        return Some(AuthMode::SingleUser);
    }
    // By the scheme alone: whatever else is wrong with the address, the mode it means is clear, and
    // what that mode lacks is told in the same breath.
    let is_https = stated.is_some_and(|name| {
        let is_https = |text: &str| {
            text.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https"))
        };
        reader.read(name, |text| Ok(is_https(text))).unwrap_or_default()
    });
    Some(if is_https { AuthMode::OAuth } else { AuthMode::Session })
}

/// Whoever started this program is its one caller, and shows no token: that is this machine's
/// person, or with `session` one that ends with the process.
fn mode_of_the_pipe(reader: &mut Reader<'_>) -> Option<AuthMode> {
    if !reader.is_set("AUTH_MODE") {
        return Some(AuthMode::SingleUser);
    }
    let mode = mode(reader, None)?;
    if mode == AuthMode::OAuth {
        reader.note(
            "AUTH_MODE",
            "is oauth, and over standard input and output nobody signs in",
            "Leave it unset: the program that starts this one is the only caller. oauth is for \
             `pr-summarizer serve`.",
        );
        return None;
    }
    Some(mode)
}

fn port(reader: &mut Reader<'_>) -> Option<u16> {
    reader.read("PORT", values::number(1..=u16::MAX))
}

/// The port of the pages beside the pipe: any free one (0), because hosts start a process for each
/// of their windows; that of a stated origin, because links lead there.
fn port_of_pages(reader: &mut Reader<'_>, stated: Option<&'static str>) -> Option<u16> {
    if reader.is_set("PORT") {
        return port(reader);
    }
    let Some(name) = stated else { return Some(0) };
    // What is wrong with the origin is noted where it is read as one.
    let of_origin = |text: &str| {
        Ok(Url::parse(text).ok().and_then(|url| url.port_or_known_default()).unwrap_or_default())
    };
    reader.read(name, of_origin)
}

/// Why a mode ends at this machine, and the way out; `None`: it does not, or it is not known.
fn confinement(mode: Option<AuthMode>) -> Option<&'static str> {
    match mode? {
        AuthMode::Session => Some(
            "In session mode the server serves the machine it runs on; to serve others set \
             AUTH_MODE=oauth.",
        ),
        AuthMode::SingleUser => Some(
            "In single-user mode the server serves one person on this machine; to serve others \
             set AUTH_MODE=oauth, with SCALEKIT_* in place of GITHUB_TOKEN.",
        ),
        AuthMode::OAuth => None,
    }
}

fn listen(
    reader: &mut Reader<'_>,
    mode: Option<AuthMode>,
    port: Option<u16>,
) -> Option<SocketAddr> {
    let host = reader.read("HOST", values::ip_address)?;
    if let Some(why) = confinement(mode)
        && !host.is_loopback()
    {
        reader.note("HOST", "is not a loopback address", format!("Set 127.0.0.1. {why}"));
        return None;
    }
    Some(SocketAddr::new(host, port?))
}

fn stated_origin(
    reader: &mut Reader<'_>,
    name: &'static str,
    mode: Option<AuthMode>,
    listen: Option<SocketAddr>,
    warnings: &mut Vec<String>,
) -> Option<Url> {
    let url = reader.read(name, values::public_origin)?;
    let is_local = is_loopback(&url);
    if let Some(why) = confinement(mode)
        && !is_local
    {
        reader.note(
            name,
            "is not a loopback origin",
            format!("Set http://127.0.0.1:PORT, or leave it unset. {why}"),
        );
        return None;
    }
    // Elsewhere something stands between by design: a proxy with TLS, or a container's port.
    let is_direct = is_local && listen?.ip().is_loopback();
    if is_direct && url.port_or_known_default() != Some(listen?.port()) {
        warnings.push(format!(
            "{name} names another port than PORT: links work only if something forwards that port \
             to this server."
        ));
    }
    Some(url)
}

/// The origin when none is stated: the address that is listened on. Its port is 0 where the system
/// chooses one.
fn own_origin(
    reader: &mut Reader<'_>,
    mode: Option<AuthMode>,
    listen: Option<SocketAddr>,
) -> Option<Url> {
    let listen = listen?;
    if listen.ip().is_loopback() {
        // The address itself and not `localhost`: that may be another machine's loopback on ::1,
        // and the cookies of the two names do not mix.
        return Url::parse(&format!("http://{listen}")).ok();
    }
    if mode.is_some() {
        reader.note(
            "PUBLIC_BASE_URL",
            "is missing, and HOST does not tell under which name people reach the server",
            "Set it to that origin, https://…; for a container on your own machine to \
             http://127.0.0.1:PORT with the published port.",
        );
    }
    None
}
