//! What holds for every answer, whatever was asked.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::{
    scene::Own,
    wire::{Answer, Request},
};
use crate::attacks::house::House;

/// What an input may try to bring into a page as it is.
pub const MARKUP: &str = "\"'><x-evil>";

/// Identifiers that never stand in an answer.
const IDENTIFIERS: [&str; 2] = ["usr_", "pri_"];

/// `error` of RFC 6749 sections 4.1.2.1 and 5.2, RFC 7591 section 3.2.2 and RFC 8707 section 2.
const OAUTH_ERRORS: [&str; 12] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "invalid_scope",
    "invalid_target",
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "access_denied",
    "temporarily_unavailable",
];

/// Paths that answer clients in OAuth's JSON.
pub const FOR_CLIENTS: [&str; 3] = ["/token", "/register", "/revoke"];

pub struct Judge {
    origin: Url,
    /// The client's registered address and issuer, in `oauth` mode.
    redirect: Option<String>,
    canaries: Vec<String>,
}

impl Judge {
    pub fn new(house: &House, own: &Own, canaries: Vec<String>) -> Self {
        assert!(canaries.iter().all(|canary| canary.len() >= 10), "short ones occur by chance");
        let origin = Url::parse(&house.server.origin()).unwrap();
        let redirect = own.redirect(house);
        Self { origin, redirect, canaries }
    }

    /// What is wrong with an answer, if anything.
    pub fn objections(&self, request: &Request, answer: &Answer) -> Vec<String> {
        let mut wrong = Vec::new();
        let whole = answer.whole();
        if answer.status >= 500 || answer.status < 200 {
            wrong.push(format!("status {}", answer.status));
        }
        if let Some(location) = answer.header("location")
            && let Some(why) = self.leads_astray(location)
        {
            wrong.push(format!("{why}: {location}"));
        }
        let told = self.canaries.iter().map(String::as_str).chain(IDENTIFIERS);
        wrong.extend(told.filter(|told| whole.contains(told)).map(|told| format!("tells {told}")));
        // The HTTP server itself refuses what is no request, before it is known what was asked.
        if answer.header("x-content-type-options").is_none() {
            let bare = answer.body.is_empty() && [400, 414, 431].contains(&answer.status);
            if !bare {
                wrong.push("without the headers of every answer".to_owned());
            }
            return wrong;
        }
        wrong.extend(self.wrong_form(request, answer));
        wrong
    }

    /// Only to a page of ours, or to the registered address with an answer of this server.
    fn leads_astray(&self, location: &str) -> Option<&'static str> {
        let Ok(url) = self.origin.join(location) else { return Some("leads nowhere") };
        if url.origin() == self.origin.origin() {
            return None;
        }
        let Some(redirect) = &self.redirect else { return Some("leads away") };
        let query = location.strip_prefix(redirect.as_str()).and_then(|q| q.strip_prefix('?'));
        let Some(query) = query else { return Some("leads elsewhere") };
        let mut told: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()).into_owned() {
            if told.insert(name, value).is_some() {
                return Some("says something twice");
            }
        }
        let issuer = self.origin.origin().ascii_serialization();
        if told.get("iss") != Some(&issuer) {
            return Some("does not say who answers");
        }
        match (told.get("error").map(String::as_str), told.get("code")) {
            (Some(error), None) if OAUTH_ERRORS.contains(&error) => None,
            (None, Some(_)) => None,
            _ => Some("is no answer"),
        }
    }

    fn wrong_form(&self, request: &Request, answer: &Answer) -> Vec<String> {
        let mut wrong = Vec::new();
        let path = String::from_utf8_lossy(&request.path);
        let mut claim = |holds: bool, otherwise: &str| {
            if !holds {
                wrong.push(format!("{otherwise} ({} {:?})", answer.status, answer.kind()));
            }
        };
        claim(
            answer.status != 405 || answer.header("allow").is_some(),
            "405 without Allow (RFC 9110 section 15.5.6)",
        );
        claim(
            answer.status != 401 || answer.header("www-authenticate").is_some(),
            "401 without a challenge (RFC 9110 section 15.5.2)",
        );
        if answer.body.is_empty() {
            let fine = request.method == "HEAD"
                || answer.status < 400
                || answer.status == 405
                || path == "*";
            claim(fine, "an error without a word");
            return wrong;
        }
        claim(answer.header("content-type").is_some(), "without a type");
        let json = answer.json();
        let is_error = answer.status >= 400;
        match answer.kind() {
            "text/html" => {
                claim(!answer.text().contains("<x-evil"), "markup comes through");
            }
            "application/problem+json" => {
                claim(
                    json["status"] == answer.status && json["code"].is_string(),
                    "no problem of RFC 9457",
                );
            }
            "application/json" | "text/event-stream" if path == "/mcp" => {
                claim(is_json_rpc(&json), "no JSON-RPC");
            }
            "application/json" if is_error => {
                claim(is_oauth_error(&json), "no error of RFC 6749");
            }
            "application/json" => claim(json.is_object(), "no object"),
            "text/plain" => {
                let probe = ["/healthz", "/readyz", "/metrics"].contains(&path.as_ref());
                claim(probe || path == "/mcp" && answer.status == 405, "plain text");
            }
            "text/event-stream" => claim(path == "/digest" && !is_error, "events"),
            "text/javascript" => claim(path == "/page.js" && !is_error, "a script"),
            _ => claim(false, "an unexpected type"),
        }
        // To whom it speaks.
        let wants_page = request.header_value("accept").is_some_and(|accept| {
            accept.is_ascii() && String::from_utf8_lossy(accept).contains("text/html")
        });
        let serves_clients = self.redirect.is_some() && FOR_CLIENTS.contains(&path.as_ref());
        if is_error && serves_clients && answer.status != 403 {
            claim(answer.kind() == "application/json", "clients read JSON");
        } else if is_error && wants_page && answer.kind() == "application/problem+json" {
            claim(false, "browsers read pages");
        }
        wrong
    }
}

fn is_json_rpc(message: &Value) -> bool {
    let (id, error) = (message.get("id"), &message["error"]);
    let is_id = |id: &Value| id.is_string() || id.is_number();
    message["jsonrpc"] == "2.0"
        && if error.is_null() {
            id.is_some_and(is_id) && message["result"].is_object()
        } else {
            // MCP lets an error be without one, where the message had none that could be read.
            let is_sound = id.is_none_or(|id| is_id(id) || id.is_null());
            is_sound && error["code"].is_i64() && error["message"].is_string()
        }
}

/// RFC 6749 section 5.2.
fn is_oauth_error(body: &Value) -> bool {
    let told = |b: u8| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\';
    body["error"].as_str().is_some_and(|error| OAUTH_ERRORS.contains(&error))
        && body["error_description"].as_str().is_none_or(|text| text.bytes().all(told))
}
