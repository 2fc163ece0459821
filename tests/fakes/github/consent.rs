//! GitHub's side of OAuth: the page where a person consents, and the exchange of the code.

use std::fmt::Write as _;

use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use serde_json::json;
use url::Url;

use super::FakeGitHub;
use crate::fakes::traffic::Call;

/// GitHub's own policy: other sites learn the origin only.
const POLICY: [(header::HeaderName, &str); 1] =
    [(header::REFERRER_POLICY, "strict-origin-when-cross-origin")];

impl FakeGitHub {
    pub(super) fn answer_browser(&self, call: &Call) -> Response {
        match (call.method.as_str(), call.path.as_str()) {
            ("GET", "/login/oauth/authorize") => self.consent_page(call),
            ("POST", "/login/oauth/authorize") => self.decide(call),
            ("POST", "/login/oauth/access_token") => self.exchange(call),
            _ => self.unexpected(call, "no such page"),
        }
    }

    fn consent_page(&self, call: &Call) -> Response {
        let (Some(client_id), Some(redirect_uri), Some(state)) =
            (call.parameter("client_id"), call.parameter("redirect_uri"), call.parameter("state"))
        else {
            return self.unexpected(call, "client_id, redirect_uri and state are wanted");
        };
        if client_id != Self::CLIENT_ID {
            return (StatusCode::NOT_FOUND, Html("<h1>404</h1>")).into_response();
        }
        let hidden = format!(
            r#"<input type="hidden" name="client_id" value="{}"><input type="hidden" name="redirect_uri" value="{}"><input type="hidden" name="state" value="{}">"#,
            escaped(&client_id),
            escaped(&redirect_uri),
            escaped(&state),
        );
        let mut forms = String::new();
        for person in &self.state().people {
            let login = escaped(&person.login);
            let _ = write!(
                forms,
                r#"<form method="post" action="/login/oauth/authorize">{hidden}<input type="hidden" name="login" value="{login}"><button type="submit" name="authorize" value="1">Authorize as {login}</button></form>"#
            );
        }
        let app = Self::APP;
        let page = format!(
            r#"<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Authorize {app}</title><style>body{{font:16px system-ui;max-width:32rem;margin:3rem auto;padding:0 1rem}}form{{margin:.5rem 0}}</style></head><body><h1>Authorize {app}</h1><p><strong>{app}</strong> by Acme wants to read your repositories and your profile.</p>{forms}<form method="post" action="/login/oauth/authorize">{hidden}<button type="submit" name="cancel" value="1">Cancel</button></form></body></html>"#
        );
        (POLICY, Html(page)).into_response()
    }

    fn decide(&self, call: &Call) -> Response {
        let form = call.form();
        let field =
            |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let redirect = field("redirect_uri").and_then(|uri| Url::parse(&uri).ok());
        let (Some(mut target), Some(state)) = (redirect.clone(), field("state")) else {
            return self.unexpected(call, "a consent without redirect_uri or state");
        };
        if field("cancel").is_some() {
            target
                .query_pairs_mut()
                .append_pair("error", "access_denied")
                .append_pair("error_description", "The user has denied your application access.")
                .append_pair("state", &state);
        } else {
            let login = field("login").unwrap_or_default();
            if !self.state().people.iter().any(|person| person.login == login) {
                return self.unexpected(call, "nobody of this name");
            }
            let code = super::random();
            let redirect = field("redirect_uri").unwrap_or_default();
            self.state().codes.insert(code.clone(), (login, redirect));
            target.query_pairs_mut().append_pair("code", &code).append_pair("state", &state);
        }
        (StatusCode::FOUND, POLICY, [(header::LOCATION, target.to_string())]).into_response()
    }

    fn exchange(&self, call: &Call) -> Response {
        let form = call.form();
        let field =
            |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let ours = field("client_id").as_deref() == Some(Self::CLIENT_ID)
            && field("client_secret").as_deref() == Some(Self::CLIENT_SECRET);
        if !ours {
            return axum::Json(json!({"error": "incorrect_client_credentials"})).into_response();
        }
        let mut state = self.state();
        let code = field("code").and_then(|code| state.codes.remove(&code));
        let Some((login, _)) = code.filter(|(_, uri)| Some(uri) == field("redirect_uri").as_ref())
        else {
            return axum::Json(json!({"error": "bad_verification_code"})).into_response();
        };
        let token = state.mint_token(&login);
        let body =
            json!({"access_token": token, "token_type": "bearer", "scope": "repo,read:user"});
        axum::Json(body).into_response()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
