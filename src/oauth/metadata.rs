//! The documents by which a client finds its way, and the challenges that point to them.
//!
//! Sources: RFC 8414 (authorization server metadata), RFC 9728 (protected resource metadata),
//! RFC 6750 section 3 (challenges), RFC 9207 section 3 (`iss`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    error::{ErrorCode, OAuthError},
    token::Unauthorized,
};

/// Where RFC 8414 expects the authorization server's metadata.
pub const SERVER_METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// Where RFC 9728 section 3.1 expects the metadata of `/mcp`, and the root form that older clients
/// ask for. Both serve the same document.
pub const RESOURCE_METADATA_PATHS: [&str; 2] =
    ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"];

/// What a client may do. There is one scope, so a good token always has it; asking for nothing
/// means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Summarize pull requests with the person's GitHub account, and manage that connection.
    #[serde(rename = "pull_requests")]
    PullRequests,
}

impl Scope {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PullRequests => "pull_requests",
        }
    }

    /// The scope that an authorization request or a refresh asks for (RFC 6749 section 3.3). Unknown
    /// words beside ours are ignored and the answer says what was granted; `offline_access` alone
    /// is a wish for a refresh token, which everybody gets.
    ///
    /// # Errors
    /// `invalid_scope` if nothing that is asked for exists, or it is no list of words.
    pub fn requested(scope: Option<&str>) -> Result<Self, OAuthError> {
        let Some(scope) = scope else { return Ok(Self::PullRequests) };
        let refuse = |why| Err(OAuthError::new(ErrorCode::InvalidScope, why));
        let is_word = |b: u8| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\';
        if !scope.bytes().all(is_word) {
            return refuse("The scope is not a list of words.");
        }
        let known = [Self::PullRequests.as_str(), "offline_access"];
        if scope.split(' ').any(|word| known.contains(&word)) {
            return Ok(Self::PullRequests);
        }
        refuse("The only scope is pull_requests.")
    }
}

/// The addresses of this server, all made from its public origin.
#[derive(Debug, Clone)]
pub struct Endpoints {
    issuer: String,
    resource: String,
    documents: bool,
}

impl Endpoints {
    /// The addresses under `public_base_url`, an origin. `documents`: whether clients may name
    /// themselves by the address of a metadata document.
    pub fn new(public_base_url: &Url, documents: bool) -> Self {
        // An origin has no trailing slash; clients compare the issuer byte by byte.
        let issuer = public_base_url.origin().ascii_serialization();
        let resource = format!("{issuer}/mcp");
        Self { issuer, resource, documents }
    }

    /// `issuer`, and `iss` in every answer of `/authorize`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The address of `/mcp`: what tokens are for.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether `resource` (RFC 8707) names this server: `/mcp` or the root, each with or without a
    /// trailing slash.
    pub fn is_resource(&self, resource: &str) -> bool {
        // Blanks around it and the like, which the parser would forgive, are not ours to forgive.
        if resource.bytes().any(|b| !(0x21..0x7f).contains(&b) || b == b'\\') {
            return false;
        }
        let (Ok(asked), Ok(own)) = (Url::parse(resource), Url::parse(&self.resource)) else {
            return false;
        };
        asked.origin() == own.origin()
            && ["/mcp", "/mcp/", "/"].contains(&asked.path())
            && asked.query().is_none()
            && asked.fragment().is_none()
            && asked.username().is_empty()
            && asked.password().is_none()
    }

    /// Refuses a `resource` that is another's; an absent one means ours (some clients send none).
    ///
    /// # Errors
    /// `invalid_target`.
    pub fn check_resource(&self, resource: Option<&str>) -> Result<(), OAuthError> {
        match resource {
            Some(resource) if !self.is_resource(resource) => Err(OAuthError::new(
                ErrorCode::InvalidTarget,
                "The resource is not the one that this server issues tokens for.",
            )),
            _ => Ok(()),
        }
    }

    /// The authorization server's metadata (RFC 8414 section 2).
    pub fn server_metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "registration_endpoint": at("/register"),
            "revocation_endpoint": at("/revoke"),
            "scopes_supported": [Scope::PullRequests.as_str()],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": self.documents,
        })
    }

    /// The protected resource's metadata (RFC 9728 section 2).
    pub fn resource_metadata(&self) -> Value {
        json!({
            "resource": self.resource,
            "authorization_servers": [self.issuer],
            "scopes_supported": [Scope::PullRequests.as_str()],
            "bearer_methods_supported": ["header"],
            "resource_name": "pr-summarizer",
        })
    }

    /// `WWW-Authenticate` for a refusal of `/mcp`. Without a token there is no error to name
    /// (RFC 6750 section 3.1).
    pub fn challenge(&self, refusal: &Unauthorized) -> String {
        let error = match refusal {
            Unauthorized::Missing => "",
            Unauthorized::Malformed => {
                "error=\"invalid_request\", error_description=\"The Authorization header was sent more than once.\", "
            }
            Unauthorized::Invalid => {
                "error=\"invalid_token\", error_description=\"The access token is unknown, expired or revoked.\", "
            }
        };
        format!(
            "Bearer {error}resource_metadata=\"{}{}\", scope=\"{}\"",
            self.issuer,
            RESOURCE_METADATA_PATHS.first().copied().unwrap_or_default(),
            Scope::PullRequests.as_str()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints() -> Endpoints {
        Endpoints::new(&Url::parse("https://prs.example/").unwrap(), true)
    }

    #[test]
    fn the_documents_agree_with_each_other() {
        let (server, resource) = (endpoints().server_metadata(), endpoints().resource_metadata());
        assert_eq!(server["issuer"], "https://prs.example");
        assert_eq!(endpoints().issuer(), "https://prs.example");
        assert_eq!(endpoints().resource(), "https://prs.example/mcp");
        assert_eq!(resource["authorization_servers"][0], server["issuer"]);
        assert_eq!(resource["resource"], "https://prs.example/mcp");
        assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(server["token_endpoint"], "https://prs.example/token");
        assert_eq!(server["client_id_metadata_document_supported"], true);
        let port = Endpoints::new(&Url::parse("http://127.0.0.1:3000").unwrap(), false);
        assert_eq!(port.issuer(), "http://127.0.0.1:3000");
        assert_eq!(port.server_metadata()["client_id_metadata_document_supported"], false);
    }

    #[test]
    fn only_our_own_resource_is_a_target() {
        for ours in [
            "https://prs.example/mcp",
            "https://prs.example/mcp/",
            "https://prs.example",
            "https://prs.example/",
            "https://prs.example:443/mcp",
            "HTTPS://PRS.example/mcp",
        ] {
            assert!(endpoints().is_resource(ours), "{ours}");
        }
        for other in [
            "http://prs.example/mcp",
            "https://prs.example:8443/mcp",
            "https://prs.example.evil.example/mcp",
            "https://evil.example/mcp",
            "https://x@prs.example/mcp",
            "https://:x@prs.example/mcp",
            "https://prs.example/mcp\u{7f}",
            "https://prs.example/\u{e9}/../mcp",
            "https://prs.example/mcp?x",
            "https://prs.example/mcp#x",
            "https://prs.example/other",
            "https://prs.example\\mcp",
            " https://prs.example/mcp",
            "prs.example/mcp",
            "mcp",
            "",
        ] {
            assert!(!endpoints().is_resource(other), "{other}");
            let refused = endpoints().check_resource(Some(other)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidTarget);
        }
        assert!(endpoints().check_resource(None).is_ok());
    }

    #[test]
    fn a_challenge_points_to_the_metadata() {
        assert_eq!(
            endpoints().challenge(&Unauthorized::Missing),
            "Bearer resource_metadata=\"https://prs.example/.well-known/oauth-protected-resource/mcp\", \
             scope=\"pull_requests\""
        );
        let invalid = endpoints().challenge(&Unauthorized::Invalid);
        assert!(invalid.starts_with("Bearer error=\"invalid_token\", "), "{invalid}");
        let twice = endpoints().challenge(&Unauthorized::Malformed);
        assert!(twice.starts_with("Bearer error=\"invalid_request\", "), "{twice}");
    }

    #[test]
    fn scopes_are_granted_by_name() {
        for fine in
            [None, Some("pull_requests"), Some("openid pull_requests ~!"), Some("offline_access")]
        {
            assert_eq!(Scope::requested(fine).unwrap(), Scope::PullRequests);
        }
        for bad in [
            "admin",
            "pull_requests_x",
            "PULL_REQUESTS",
            "pull_requests\u{e9}",
            "pull_requests\"",
            "pull_requests \"",
            "pull_requests \\",
            "pull_requests \u{1f}",
            "pull_requests\tx",
            "pull_requests \u{7f}",
            " ",
        ] {
            assert_eq!(
                Scope::requested(Some(bad)).unwrap_err().code,
                ErrorCode::InvalidScope,
                "{bad}"
            );
        }
    }
}
