//! Scalekit's RPCs in their REST form.

use axum::response::Response;
use chrono::Duration;
use serde_json::{Value, json};

use super::{
    Account, AccountStatus, DeletionMode, FakeScalekit, Link, TokenStorage, json_answer, refusal,
};
use crate::fakes::{github::random, traffic::Call};

const ACCOUNTS: &str = "/api/v1/connected_accounts";

impl FakeScalekit {
    pub(super) fn issue_token(&self, call: &Call) -> Response {
        let kind = call.header("content-type").unwrap_or_default();
        if call.method != "POST" || !kind.starts_with("application/x-www-form-urlencoded") {
            return self.unexpected(call, "a token is asked for by POST with a form");
        }
        let mut form = call.form();
        form.sort();
        let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
        if names != ["client_id", "client_secret", "grant_type"] {
            return self.unexpected(call, &format!("the form's fields are {names:?}"));
        }
        let values: Vec<&str> = form.iter().map(|(_, value)| value.as_str()).collect();
        if values != [Self::CLIENT_ID, Self::CLIENT_SECRET, "client_credentials"] {
            let text = json!({"error": "invalid_client", "error_description": "unknown client"});
            return json_answer(401, &text);
        }
        let token = format!("sk_m2m_{}", random());
        let expires = self.0.clock.now() + Duration::seconds(3600);
        self.state().tokens.push((token.clone(), expires));
        let body = json!({
            "access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": "openid",
        });
        json_answer(200, &body)
    }

    /// The answer to who does not show a living access token.
    pub(super) fn refuse_credentials(&self, call: &Call) -> Option<Response> {
        let Some(shown) = call.bearer() else {
            return Some(self.unexpected(call, "no `Authorization: Bearer …`"));
        };
        let now = self.0.clock.now();
        let living = self.state().tokens.iter().any(|(token, end)| token == shown && *end > now);
        (!living).then(|| refusal(401, 16, "UNAUTHENTICATED", "invalid access token"))
    }

    pub(super) async fn answer_api(&self, call: &Call) -> Response {
        let rpc = call.path.strip_prefix(ACCOUNTS).unwrap_or_default();
        match (call.method.as_str(), rpc) {
            ("GET", "/details") => self.details(call),
            ("POST", "") if call.path == ACCOUNTS => self.with_fields(
                call,
                &["connector", "identifier", "connected_account"],
                Self::create,
            ),
            ("POST", "/magic_link") => {
                let known = ["connector", "identifier", "state", "user_verify_url"];
                self.with_fields(call, &known, Self::magic_link)
            }
            ("POST", "/user/verify") => {
                self.with_fields(call, &["auth_request_id", "identifier"], Self::verify)
            }
            ("POST", ":delete") => {
                self.with_fields(call, &["connector", "identifier"], Self::delete)
            }
            ("POST", "") if call.path == "/api/v1/execute_tool" => self.execute_tool(call).await,
            _ => self.unexpected(call, "this RPC must not be called"),
        }
    }

    /// Reads the body, which must be an object of known fields with a known connector.
    fn with_fields(
        &self,
        call: &Call,
        known: &[&str],
        answer: impl Fn(&Self, &Call, &Value) -> Response,
    ) -> Response {
        if let Some(wrong) = self.wrong_body(call, known) {
            return wrong;
        }
        answer(self, call, &call.json())
    }

    pub(super) fn wrong_body(&self, call: &Call, known: &[&str]) -> Option<Response> {
        let kind = call.header("content-type").unwrap_or_default();
        let body = call.json();
        let Some(fields) = body.as_object().filter(|_| kind.starts_with("application/json")) else {
            return Some(self.unexpected(call, "the body is not a JSON object"));
        };
        if let Some(foreign) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            return Some(self.unexpected(call, &format!("unknown field {foreign:?}")));
        }
        if body["identifier"].as_str().is_none_or(str::is_empty) {
            return Some(self.unexpected(call, "no identifier"));
        }
        let connector = known.contains(&"connector").then(|| body["connector"].as_str());
        (connector.is_some_and(|connector| connector != Some(Self::CONNECTION_NAME)))
            .then(|| refusal(404, 5, "NOT_FOUND", "connection not found"))
    }

    fn details(&self, call: &Call) -> Response {
        let mut parameters = call.parameters();
        parameters.sort();
        let [(connector, name), (identifier, who)] = parameters.as_slice() else {
            return self.unexpected(call, "connector and identifier are wanted");
        };
        if connector != "connector" || identifier != "identifier" {
            return self.unexpected(call, "connector and identifier are wanted");
        }
        let state = self.state();
        match state.account(who).filter(|_| name == Self::CONNECTION_NAME) {
            Some(account) => json_answer(200, &json!({"connected_account": shown(account)})),
            None => refusal(404, 5, "NOT_FOUND", "connected account not found"),
        }
    }

    fn create(&self, call: &Call, body: &Value) -> Response {
        let details = &body["connected_account"]["authorization_details"]["oauth_token"];
        if !details.is_object() {
            return self.unexpected(call, "no connected_account.authorization_details.oauth_token");
        }
        let identifier = body["identifier"].as_str().unwrap_or_default();
        let mut state = self.state();
        if state.account(identifier).is_some() {
            return refusal(409, 6, "ALREADY_EXISTS", "connected account already exists");
        }
        let account = Account {
            id: format!("ca_{}", random()),
            identifier: identifier.to_owned(),
            status: AccountStatus::PendingAuth,
            github_token: None,
            pending_token: None,
        };
        let answer = json_answer(201, &json!({"connected_account": shown(&account)}));
        state.accounts.push(account);
        answer
    }

    fn magic_link(&self, _: &Call, body: &Value) -> Response {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let identifier = text("identifier").unwrap_or_default();
        let mut state = self.state();
        if state.account(&identifier).is_none() {
            return refusal(404, 5, "NOT_FOUND", "connected account not found");
        }
        let expires_at = self.0.clock.now() + Duration::minutes(10);
        let token = random();
        let link = format!("{}/magicLink/{token}", self.public_url());
        let (state_value, user_verify_url) = (text("state"), text("user_verify_url"));
        state.links.push(Link {
            token,
            identifier,
            state: state_value,
            user_verify_url,
            expires_at,
            used: false,
        });
        json_answer(200, &json!({"link": link, "expiry": expires_at.to_rfc3339()}))
    }

    fn verify(&self, _: &Call, body: &Value) -> Response {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (request_id, identifier) = (text("auth_request_id"), text("identifier"));
        let settings = self.settings();
        let mut state = self.state();
        let unknown = || refusal(404, 5, "NOT_FOUND", "authorization request not found");
        let found = state
            .requests
            .iter_mut()
            .find(|one| one.id == request_id && one.consented && !one.consumed);
        let Some(request) = found else { return unknown() };
        if request.identifier != identifier {
            request.consumed = settings.mismatch_consumes;
            return refusal(403, 7, "PERMISSION_DENIED", "identifier does not match");
        }
        request.consumed = true;
        let own_token = request.pending_token.take();
        let Some(account) = state.account_mut(&identifier) else { return unknown() };
        let kept = account.pending_token.take();
        account.github_token = match settings.token_storage {
            TokenStorage::PerRequest => own_token,
            TokenStorage::PerAccount => kept,
        };
        account.status = AccountStatus::Active;
        let redirect = format!("{}/connected-accounts/done", self.public_url());
        json_answer(200, &json!({"post_user_verify_redirect_url": redirect}))
    }

    fn delete(&self, _: &Call, body: &Value) -> Response {
        let identifier = body["identifier"].as_str().unwrap_or_default();
        let mut state = self.state();
        let place = state.accounts.iter().position(|one| one.identifier == identifier);
        let Some(place) = place else {
            return refusal(404, 5, "NOT_FOUND", "connected account not found");
        };
        let account = state.accounts.remove(place);
        state.links.iter_mut().filter(|link| link.identifier == identifier).for_each(|link| {
            link.used = true;
        });
        let github = &self.0.github;
        for token in [account.github_token, account.pending_token].into_iter().flatten() {
            match (self.settings().deletion, github.owner_of(&token)) {
                (DeletionMode::Token, _) => github.revoke_token(&token),
                (DeletionMode::Grant, Some(login)) => github.revoke_grant(&login),
                _ => {}
            }
        }
        json_answer(200, &json!({}))
    }
}

fn shown(account: &Account) -> Value {
    json!({
        "id": account.id, "identifier": account.identifier, "provider": "GITHUB",
        "connector": FakeScalekit::CONNECTION_NAME, "authorization_type": "OAUTH",
        "status": account.status.wire(),
    })
}
