//! How a person is connected to GitHub.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who the caller is taken to be (`AUTH_MODE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    /// Each MCP client session is its own principal; this machine only.
    Session,
    /// One principal for the machine.
    SingleUser,
    /// The person is the verified GitHub user behind an access token of this server's own.
    #[serde(rename = "oauth")]
    OAuth,
}

impl AuthMode {
    /// The value of `AUTH_MODE`.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::SingleUser => "single-user",
            Self::OAuth => "oauth",
        }
    }
}

/// By which way GitHub is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GitHubAccess {
    /// Scalekit's proxy adds the person's token to each request.
    ScalekitProxy,
    /// Scalekit's tools, because the proxy is off: more requests, and fewer facts.
    ScalekitTools,
    /// `GITHUB_TOKEN`, sent to GitHub directly.
    Token,
}

/// A GitHub account as `GET /user` tells it.
/// Source: <https://docs.github.com/en/rest/users/users#get-the-authenticated-user>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitHubAccount {
    /// Never changes and is never given to another account.
    pub id: u64,
    /// The name after the `@`; its owner may change it.
    pub login: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_written_as_in_the_setting() {
        for mode in [AuthMode::Session, AuthMode::SingleUser, AuthMode::OAuth] {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.slug());
        }
    }
}
