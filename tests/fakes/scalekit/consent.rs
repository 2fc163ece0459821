//! What browsers see of Scalekit: the link, and where GitHub sends them back to.

use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use serde_json::Value;
use url::Url;

use super::{
    AccountStatus, AuthorizationRequest, DenialMode, FakeScalekit, LinkUse, TokenStorage,
    VerificationMode,
};
use crate::fakes::{
    github::{FakeGitHub, random},
    traffic::Call,
};

/// What came of following one of Scalekit's links.
#[derive(Debug)]
pub struct Followed {
    /// Under which identifier the account is.
    pub identifier: String,
    /// Where the browser is sent back to; `None`: it stays with Scalekit.
    pub back: Option<Url>,
}

impl FakeScalekit {
    /// What a browser does that follows a link and consents at GitHub as this person (`None`: says
    /// no), without its pages. `None`: the link does not work.
    pub fn follow(&self, link: &Url, login: Option<&str>) -> Option<Followed> {
        let token = link.path().strip_prefix("/magicLink/").expect("a link of ours");
        let at_github = location(&self.follow_link(token))?;
        let own_state = at_github.query_pairs().find(|(name, _)| name == "state")?.1.into_owned();
        let identifier = {
            let state = self.state();
            let request = state.requests.iter().find(|one| one.state == own_state)?;
            request.identifier.clone()
        };
        let answer = self.finish(&own_state, login.map(|login| self.0.github.token_of(login)));
        Some(Followed { identifier, back: location(&answer) })
    }

    pub(super) async fn answer_browser(&self, call: &Call) -> Response {
        if call.method != "GET" {
            return (StatusCode::METHOD_NOT_ALLOWED, "GET only").into_response();
        }
        match call.segments().as_slice() {
            ["magicLink", token] => self.follow_link(token),
            _ => self.callback(call).await,
        }
    }

    fn callback_url(&self) -> String {
        format!("{}/sso/v1/oauth/callback", self.public_url())
    }

    fn follow_link(&self, token: &str) -> Response {
        let now = self.0.clock.now();
        let often = self.settings().links == LinkUse::Often;
        let mut state = self.state();
        let place = state
            .links
            .iter()
            .position(|link| link.token == token && (often || !link.used) && link.expires_at > now);
        let Some(place) = place else {
            return page(StatusCode::GONE, "This link has expired", "Ask for a new link.");
        };
        let link = &mut state.links[place];
        link.used = true;
        let identifier = link.identifier.clone();
        let own_state = random();
        state.requests.push(AuthorizationRequest {
            id: format!("ar_{}", random()),
            state: own_state.clone(),
            identifier,
            link: place,
            pending_token: None,
            consented: false,
            consumed: false,
        });
        let mut url = Url::parse(self.0.github.public_url()).expect("an origin");
        url.set_path("/login/oauth/authorize");
        url.query_pairs_mut()
            .append_pair("client_id", FakeGitHub::CLIENT_ID)
            .append_pair("redirect_uri", &self.callback_url())
            .append_pair("scope", "repo read:user")
            .append_pair("state", &own_state);
        redirect(url.as_str())
    }

    async fn callback(&self, call: &Call) -> Response {
        let Some(state) = call.parameter("state") else {
            return self.unexpected(call, "no state");
        };
        let token = match call.parameter("code") {
            None => None,
            Some(code) => match self.exchange(&code).await {
                Some(token) => Some(token),
                None => return failed_to_exchange(),
            },
        };
        self.finish(&state, token)
    }

    /// Takes what GitHub gave, and sends the browser on.
    fn finish(&self, own_state: &str, token: Option<String>) -> Response {
        let settings = self.settings();
        let mut state = self.state();
        let found = state.requests.iter_mut().find(|one| one.state == own_state && !one.consented);
        let Some(request) = found else {
            return page(StatusCode::BAD_REQUEST, "Something went wrong", "Unknown request.");
        };
        let (place, identifier) = (request.link, request.identifier.clone());
        let request_id = request.id.clone();
        request.consented = token.is_some();
        request.pending_token.clone_from(&token);
        let (link_state, verify_url) =
            (state.links[place].state.clone(), state.links[place].user_verify_url.clone());
        let back = verify_url.and_then(|url| Url::parse(&url).ok());
        let Some(token) = token else {
            state.requests.retain(|one| one.state != own_state);
            return match back.filter(|_| settings.denial == DenialMode::ComesBack) {
                Some(url) => send_back(url, ("error", "access_denied"), link_state),
                None => page(StatusCode::OK, "Authorization was declined", "Close this window."),
            };
        };
        let Some(account) = state.account_mut(&identifier) else { return failed_to_exchange() };
        if settings.verification == VerificationMode::ScalekitUsersOnly {
            account.github_token = Some(token);
            account.status = AccountStatus::Active;
            return page(StatusCode::OK, "Connected", "You can close this window.");
        }
        let Some(back) = back else { return failed_to_exchange() };
        if settings.token_storage == TokenStorage::PerAccount {
            account.pending_token = Some(token);
        }
        account.status = AccountStatus::PendingVerification;
        send_back(back, ("auth_request_id", &request_id), link_state)
    }

    async fn exchange(&self, code: &str) -> Option<String> {
        let form = [
            ("client_id", FakeGitHub::CLIENT_ID),
            ("client_secret", FakeGitHub::CLIENT_SECRET),
            ("code", code),
            ("redirect_uri", &self.callback_url()),
        ];
        let url = format!("{}/login/oauth/access_token", self.0.github.url());
        let answer = self.0.client.post(url).form(&form).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        answer["access_token"].as_str().map(str::to_owned)
    }
}

fn send_back(mut url: Url, what: (&str, &str), state: Option<String>) -> Response {
    url.query_pairs_mut().append_pair(what.0, what.1);
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", &state);
    }
    redirect(url.as_str())
}

fn redirect(to: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to.to_owned())]).into_response()
}

fn location(response: &Response) -> Option<Url> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    Some(Url::parse(location).expect("an absolute address"))
}

fn failed_to_exchange() -> Response {
    page(StatusCode::BAD_REQUEST, "failed_to_exchange", "The account could not be connected.")
}

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let body = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><title>{title}</title></head>\
         <body><h1>{title}</h1><p>{text}</p></body></html>"
    );
    (status, Html(body)).into_response()
}
