//! How Scalekit's proxy reaches GitHub on a person's behalf.

use axum::{body::Body, response::Response};

use super::{AccountStatus, FakeScalekit, ProxyMode, refusal};
use crate::fakes::traffic::Call;

/// What our program may send through the proxy; anything else would leak to GitHub.
const HEADERS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "connection_name",
    "content-length",
    "content-type",
    "host",
    "identifier",
    "transfer-encoding",
    "user-agent",
    "x-github-api-version",
];
/// What the proxy hands on in either direction.
const TO_GITHUB: [&str; 4] = ["accept", "content-type", "user-agent", "x-github-api-version"];
const NOT_BACK: [&str; 2] = ["connection", "transfer-encoding"];

impl FakeScalekit {
    /// The GitHub token of an account that may be used, or Scalekit's refusal.
    pub(super) fn github_token(&self, identifier: &str) -> Result<String, Response> {
        let state = self.state();
        let Some(account) = state.account(identifier) else {
            return Err(refusal(404, 5, "NOT_FOUND", "connected account not found"));
        };
        let token = account.github_token.clone();
        token.filter(|_| account.status == AccountStatus::Active).ok_or_else(|| {
            refusal(400, 9, "FAILED_PRECONDITION", "connected account is not active")
        })
    }

    pub(super) async fn answer_proxy(&self, call: &Call) -> Response {
        let foreign = call.headers.keys().find(|name| !HEADERS.contains(&name.as_str()));
        if let Some(foreign) = foreign {
            return self.unexpected(call, &format!("the header {foreign:?} would reach GitHub"));
        }
        let (Some(connection), Some(identifier)) =
            (call.header("connection_name"), call.header("identifier"))
        else {
            return self.unexpected(call, "connection_name and identifier are wanted as headers");
        };
        if connection != Self::CONNECTION_NAME {
            return refusal(404, 5, "NOT_FOUND", "connection not found");
        }
        if self.settings().proxy == ProxyMode::Disabled {
            let text = "proxy not enabled for provider";
            return refusal(400, 9, "FAILED_PRECONDITION", text);
        }
        let token = match self.github_token(identifier) {
            Ok(token) => token,
            Err(refusal) => return refusal,
        };
        let path = call.path.trim_start_matches("/proxy");
        let query = call.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let method = call.method.parse().expect("a method");
        let url = format!("{}{path}{query}", self.0.github.url());
        let mut request = self.0.client.request(method, url).bearer_auth(token);
        for name in TO_GITHUB {
            if let Some(value) = call.headers.get(name) {
                request = request.header(name, value);
            }
        }
        let Ok(answer) = request.body(call.body.clone()).send().await else {
            return refusal(502, 14, "UNAVAILABLE", "the provider did not answer");
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        for (name, value) in answer.headers() {
            if !NOT_BACK.contains(&name.as_str()) {
                response.headers_mut().append(name, value.clone());
            }
        }
        *response.body_mut() = Body::from_stream(answer.bytes_stream());
        response
    }
}
