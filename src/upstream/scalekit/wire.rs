//! Scalekit's JSON: what is sent, what comes back, and every guess about it.
//!
//! Names are `snake_case` in the published documents and `camelCase` in some of its gateways; both are
//! read. Unknown fields are ignored, unknown values are [`AccountStatus::Unknown`].
//! Source: <https://docs.scalekit.com/apis/>

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::Secret;

/// The path of the token endpoint.
pub(super) const TOKEN: &str = "oauth/token";
/// An account's status, without its secrets. Never `connected_accounts/auth`, which answers the
/// person's GitHub token.
pub(super) const DETAILS: &str = "api/v1/connected_accounts/details";
/// Where an account is created.
pub(super) const ACCOUNTS: &str = "api/v1/connected_accounts";
/// Where an authorization link is made.
pub(super) const LINK: &str = "api/v1/connected_accounts/magic_link";
/// Where an authorization is verified.
pub(super) const VERIFY: &str = "api/v1/connected_accounts/user/verify";
/// Where an account is deleted.
pub(super) const DELETE: &str = "api/v1/connected_accounts:delete";
/// Where a tool is run.
pub(super) const EXECUTE_TOOL: &str = "api/v1/execute_tool";
/// What goes before GitHub's own path in the proxy.
pub(super) const PROXY: &str = "proxy";
/// The proxy's header for the connection.
pub(super) const CONNECTION_HEADER: &str = "connection_name";
/// The proxy's header for the account.
pub(super) const IDENTIFIER_HEADER: &str = "identifier";

/// How long a token is taken to last when Scalekit does not say, in seconds. A guess on the safe side.
const DEFAULT_TOKEN_SECONDS: i64 = 300;

/// Where a connected account stands (`ConnectorStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// GitHub can be read.
    Active,
    /// GitHub's token has run out.
    Expired,
    /// Nobody has consented yet.
    PendingAuthorization,
    /// Somebody consented; our verification is missing.
    PendingVerification,
    /// The link was taken down.
    Disconnected,
    /// Scalekit said nothing that we know.
    Unknown,
}

impl AccountStatus {
    /// Reads the name (with or without a prefix) or the number.
    fn read(value: &Value) -> Self {
        if let Some(number) = value.as_u64() {
            return match number {
                1 => Self::Active,
                2 => Self::Expired,
                3 => Self::PendingAuthorization,
                4 => Self::PendingVerification,
                5 => Self::Disconnected,
                _ => Self::Unknown,
            };
        }
        let name = value.as_str().unwrap_or_default().to_ascii_uppercase();
        match name.trim_start_matches("CONNECTION_STATUS_").trim_start_matches("CONNECTOR_STATUS_")
        {
            "ACTIVE" => Self::Active,
            "EXPIRED" => Self::Expired,
            "PENDING_AUTH" | "PENDING_AUTHORIZATION" => Self::PendingAuthorization,
            "PENDING_VERIFICATION" => Self::PendingVerification,
            "DISCONNECTED" => Self::Disconnected,
            _ => Self::Unknown,
        }
    }
}

/// The token endpoint's answer.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    /// The bearer token.
    #[serde(alias = "accessToken")]
    pub(super) access_token: Secret,
    #[serde(default, alias = "expiresIn")]
    expires_in: Option<Value>,
}

impl TokenAnswer {
    /// For how many seconds the token may be used: until 60 s before its end, so that no request
    /// leaves with a token that dies on the way.
    pub(super) fn usable_seconds(&self) -> i64 {
        let stated = self.expires_in.as_ref().and_then(|value| match value {
            Value::String(text) => text.parse().ok(),
            number => number.as_i64(),
        });
        let lifetime = stated.unwrap_or(DEFAULT_TOKEN_SECONDS).clamp(0, 86_400);
        (lifetime - 60).max(lifetime / 2)
    }
}

/// Reads the status out of an account's details.
pub(super) fn account_status(body: &[u8]) -> AccountStatus {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return AccountStatus::Unknown };
    let account =
        value.get("connected_account").or_else(|| value.get("connectedAccount")).unwrap_or(&value);
    account.get("status").map_or(AccountStatus::Unknown, AccountStatus::read)
}

/// The answer with an authorization link.
#[derive(Deserialize)]
pub(super) struct LinkAnswer {
    /// A bearer secret: whoever opens it may connect an account.
    pub(super) link: Secret,
    #[serde(default)]
    expiry: Option<Value>,
}

impl LinkAnswer {
    /// When the link ends: RFC 3339 in the JSON mapping of a protobuf timestamp.
    pub(super) fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self.expiry.as_ref()? {
            Value::String(text) => DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc()),
            Value::Object(parts) => {
                DateTime::from_timestamp(parts.get("seconds").and_then(Value::as_i64)?, 0)
            }
            _ => None,
        }
    }
}

/// Whom a request is about.
#[derive(Serialize)]
pub(super) struct Account<'a> {
    /// The connection's name in the dashboard.
    pub(super) connector: &'a str,
    /// Our `usr_…`.
    pub(super) identifier: &'a str,
}

/// The body that creates an account.
pub(super) fn create_body(account: &Account<'_>) -> Value {
    json!({
        "connector": account.connector,
        "identifier": account.identifier,
        "connected_account": { "authorization_details": { "oauth_token": {} } },
    })
}

/// Scalekit's own error, told apart from GitHub's by its `code`, which GitHub's never has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScalekitError {
    /// Our token is not accepted.
    Unauthenticated,
    /// The proxy is off for this environment.
    ProxyDisabled,
    /// Scalekit's own limit.
    RateLimited,
    /// GitHub's failure inside Scalekit's envelope; the status is GitHub's.
    Tool,
    /// The account is not there, or not active: only its owner can repair that.
    AccountUnusable,
    /// There is no connection of the configured name.
    UnknownConnection,
    /// Scalekit failed, or said something that we do not know.
    Broken,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: Code,
    #[serde(default)]
    message: String,
    // An empty list is left out by some encoders.
    #[serde(default)]
    details: Vec<Value>,
}

/// A gRPC code, by number or by name. Whatever else stands under `code` is not Scalekit's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Code {
    Number(i64),
    Name(String),
}

impl ErrorBody {
    /// Whether the code, or that of a detail, is this one.
    fn is(&self, number: i64, name: &str) -> bool {
        let is_number = match &self.code {
            Code::Number(code) => *code == number,
            Code::Name(code) => code.parse() == Ok(number),
        };
        is_number || self.names(name)
    }

    /// Whether the code, or that of a detail, has this name.
    fn names(&self, name: &str) -> bool {
        matches!(&self.code, Code::Name(code) if code == name)
            || self.detail_codes().any(|code| code == name)
    }

    fn detail_codes(&self) -> impl Iterator<Item = &str> {
        self.details.iter().filter_map(|detail| {
            detail.get("error_code").or_else(|| detail.get("errorCode"))?.as_str()
        })
    }

    /// What is missing, by the thing that the error names first.
    fn missing(&self, connection_name: &str) -> Option<ScalekitError> {
        // The connection's own name may hold either word.
        let mut words = self.message.replace(connection_name, "").to_ascii_lowercase();
        for code in self.detail_codes() {
            words.push(' ');
            words.push_str(&code.to_ascii_lowercase());
        }
        let account = words.find("account");
        let connection = [words.find("connection"), words.find("connector")];
        match (account, connection.into_iter().flatten().min()) {
            (Some(account), connection) if connection.is_none_or(|at| account < at) => {
                Some(ScalekitError::AccountUnusable)
            }
            (_, Some(_)) => Some(ScalekitError::UnknownConnection),
            (_, None) => None,
        }
    }
}

impl ScalekitError {
    /// Reads the proxy's answer: `None` if it is GitHub's own.
    pub(super) fn read(status: StatusCode, body: &[u8], connection_name: &str) -> Option<Self> {
        if status.is_success() {
            return None;
        }
        // The text is matched wherever it stands: whether the proxy wraps it is not published.
        // GitHub's own errors never hold it, and are short.
        let head = body.get(..body.len().min(4096)).unwrap_or_default();
        if String::from_utf8_lossy(head).to_ascii_lowercase().contains(PROXY_DISABLED) {
            return Some(Self::ProxyDisabled);
        }
        let error: ErrorBody = serde_json::from_slice(body).ok()?;
        Some(if error.names("TOOL_ERROR") {
            Self::Tool
        } else if status == StatusCode::UNAUTHORIZED || error.is(16, "UNAUTHENTICATED") {
            Self::Unauthenticated
        } else if status == StatusCode::TOO_MANY_REQUESTS || error.is(8, "RATE_LIMITED") {
            Self::RateLimited
        } else if !status.is_client_error() {
            Self::Broken
        } else if error.is(9, "FAILED_PRECONDITION") {
            Self::AccountUnusable
        } else if error.is(5, "NOT_FOUND") {
            error.missing(connection_name).unwrap_or(Self::Broken)
        } else {
            Self::Broken
        })
    }
}

const PROXY_DISABLED: &str = "proxy not enabled for provider";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_by_name_and_by_number_in_either_case_of_names() {
        for (body, status) in [
            (r#"{"connected_account":{"status":"ACTIVE"}}"#, AccountStatus::Active),
            (r#"{"connectedAccount":{"status":4}}"#, AccountStatus::PendingVerification),
            (
                r#"{"connected_account":{"status":"CONNECTION_STATUS_EXPIRED"}}"#,
                AccountStatus::Expired,
            ),
            (
                r#"{"connected_account":{"status":"pending_auth"}}"#,
                AccountStatus::PendingAuthorization,
            ),
            (r#"{"connected_account":{"status":5}}"#, AccountStatus::Disconnected),
            (r#"{"connected_account":{"status":"NEW_WORD"}}"#, AccountStatus::Unknown),
            (r#"{"connected_account":{}}"#, AccountStatus::Unknown),
            ("<html>", AccountStatus::Unknown),
        ] {
            assert_eq!(account_status(body.as_bytes()), status, "{body}");
        }
    }

    #[test]
    fn a_token_is_given_up_a_minute_early() {
        let usable = |json: &str| {
            serde_json::from_str::<TokenAnswer>(json).map(|token| token.usable_seconds())
        };
        assert_eq!(usable(r#"{"access_token":"t","expires_in":3600}"#).unwrap(), 3540);
        assert_eq!(usable(r#"{"accessToken":"t","expiresIn":"3600"}"#).unwrap(), 3540);
        assert_eq!(usable(r#"{"access_token":"t","expires_in":30}"#).unwrap(), 15);
        assert_eq!(usable(r#"{"access_token":"t"}"#).unwrap(), 240);
        assert_eq!(usable(r#"{"access_token":"t","expires_in":-5}"#).unwrap(), 0);
    }

    #[test]
    fn a_links_expiry_is_read_in_both_forms_and_never_invented() {
        let expiry = |json: &str| serde_json::from_str::<LinkAnswer>(json).unwrap().expires_at();
        let expected = DateTime::from_timestamp(1_700_000_000, 0);
        assert_eq!(expiry(r#"{"link":"x","expiry":"2023-11-14T22:13:20Z"}"#), expected);
        assert_eq!(expiry(r#"{"link":"x","expiry":{"seconds":1700000000}}"#), expected);
        assert_eq!(expiry(r#"{"link":"x"}"#), None);
    }

    fn proxied(status: u16, body: &str) -> Option<ScalekitError> {
        ScalekitError::read(StatusCode::from_u16(status).unwrap(), body.as_bytes(), "my-account")
    }

    /// To take the account for dead disconnects a person for good: only clear words may do so.
    #[test]
    fn an_account_is_unusable_only_where_scalekit_says_that_of_the_account() {
        for (status, body) in [
            (400, r#"{"code":9,"message":"connected account is not active"}"#),
            (400, r#"{"code":"FAILED_PRECONDITION"}"#),
            (400, r#"{"code":"9"}"#),
            (400, r#"{"code":3,"details":[{"error_code":"FAILED_PRECONDITION"}]}"#),
            (404, r#"{"code":5,"message":"connected account not found"}"#),
            (404, r#"{"code":"NOT_FOUND","message":"No Account for connection my-account"}"#),
            (404, r#"{"code":5,"details":[{"errorCode":"CONNECTED_ACCOUNT_NOT_FOUND"}]}"#),
        ] {
            assert_eq!(proxied(status, body), Some(ScalekitError::AccountUnusable), "{body}");
        }
        for (status, body) in [
            (404, r#"{"code":5,"message":"connection not found"}"#),
            (404, r#"{"code":5,"message":"connection my-account not found"}"#),
            (404, r#"{"code":5,"message":"No such connector"}"#),
        ] {
            assert_eq!(proxied(status, body), Some(ScalekitError::UnknownConnection), "{body}");
        }
        for (status, body) in [
            (404, r#"{"code":5,"message":"not found"}"#),
            (404, r#"{"code":5,"message":"my-account: not found"}"#),
            (400, r#"{"code":3,"message":"the account's header is malformed"}"#),
            (403, r#"{"code":7,"message":"permission denied"}"#),
            (409, r#"{"code":10,"message":"aborted"}"#),
            (302, r#"{"code":9,"message":"connected account is not active"}"#),
            (503, r#"{"code":9,"message":"connected account is not active"}"#),
            (400, r#"{"code":0}"#),
            (400, r#"{"code":"invalid_request"}"#),
        ] {
            assert_eq!(proxied(status, body), Some(ScalekitError::Broken), "{body}");
        }
        for code in ["null", "true", "{}", "[9]"] {
            let body = format!(r#"{{"code":{code},"message":"connected account is not active"}}"#);
            assert_eq!(proxied(400, &body), None, "{body}");
        }
    }

    #[test]
    fn scalekits_errors_are_told_apart_from_githubs() {
        let read = proxied;
        assert_eq!(read(401, r#"{"message":"Bad credentials","documentation_url":"x"}"#), None);
        assert_eq!(read(200, r#"{"code":16,"details":[]}"#), None);
        assert_eq!(
            read(401, r#"{"code":16,"message":"no","details":[{"error_code":"UNAUTHENTICATED"}]}"#),
            Some(ScalekitError::Unauthenticated)
        );
        assert_eq!(
            read(401, r#"{"code":16,"message":"no","details":[{"error_code":"TOOL_ERROR"}]}"#),
            Some(ScalekitError::Tool)
        );
        assert_eq!(read(401, r#"{"code":16}"#), Some(ScalekitError::Unauthenticated));
        assert_eq!(
            read(400, r#"{"code":9,"message":"account not active","details":[]}"#),
            Some(ScalekitError::AccountUnusable)
        );
        assert_eq!(
            read(400, r#"{"message":"Proxy not enabled for provider GITHUB"}"#),
            Some(ScalekitError::ProxyDisabled)
        );
        assert_eq!(
            read(429, r#"{"code":8,"message":"slow","details":[]}"#),
            Some(ScalekitError::RateLimited)
        );
        assert_eq!(read(502, "<html>bad gateway</html>"), None);
    }
}
