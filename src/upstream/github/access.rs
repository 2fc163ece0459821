//! The two ways to GitHub: through Scalekit's proxy as one of many people, or directly with a token.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use reqwest::{StatusCode, Url, header::ACCEPT};
use secrecy::ExposeSecret as _;

use super::queries::Teams;
use crate::{
    domain::{Failure, FailureCode, Secret, UserId},
    upstream::{
        scalekit::{ProxyError, ProxyRequest, Scalekit},
        transport::{Answer, Call, Transport},
    },
};

/// Which version of the REST API the answers are to have.
const API_VERSION: (&str, &str) = ("x-github-api-version", "2022-11-28");

/// A token of the operator's own, for one person on one machine.
#[derive(Debug, Clone)]
pub struct GitHubTokenSettings {
    /// `GITHUB_API_URL`: `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise server.
    pub api_url: Url,
    /// `GITHUB_TOKEN`.
    pub token: Secret,
}

/// As whom, and by which way.
#[derive(Clone)]
pub(super) enum Access {
    /// As this person, through Scalekit.
    Scalekit { scalekit: Scalekit, user: UserId },
    /// As the token's owner.
    Token {
        settings: Arc<GitHubTokenSettings>,
        transport: Transport,
        /// GitHub has shown it; a token's scopes are read anew when the server starts.
        lacks_read_org: Arc<AtomicBool>,
    },
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalekit { user, .. } => f.debug_tuple("Scalekit").field(user).finish(),
            Self::Token { .. } => f.write_str("Token"),
        }
    }
}

impl Access {
    pub(super) fn of_token(settings: GitHubTokenSettings, transport: Transport) -> Self {
        Self::Token { settings: Arc::new(settings), transport, lacks_read_org: Arc::default() }
    }

    /// Whether teams may be asked for by name.
    pub(super) fn teams(&self) -> Teams {
        let lacks_read_org = match self {
            Self::Scalekit { scalekit, user } => scalekit.lacks_read_org(user),
            Self::Token { lacks_read_org, .. } => lacks_read_org.load(Ordering::Relaxed),
        };
        if lacks_read_org { Teams::Unnamed } else { Teams::Named }
    }

    /// Remembers that GitHub refuses what needs the scope `read:org`.
    pub(super) fn note_lack_of_read_org(&self) {
        match self {
            Self::Scalekit { scalekit, user } => scalekit.note_lack_of_read_org(user),
            Self::Token { lacks_read_org, .. } => lacks_read_org.store(true, Ordering::Relaxed),
        }
    }

    /// Sends the request; an `Ok` is GitHub's own answer, whatever its status (but a refusal of
    /// the operator's token).
    pub(super) async fn send(
        &self,
        request: &ProxyRequest,
        call: &Call,
    ) -> Result<Answer, ProxyError> {
        let (settings, transport) = match self {
            Self::Scalekit { scalekit, user } => return scalekit.proxy(user, request, call).await,
            Self::Token { settings, transport, .. } => (settings, transport),
        };
        let mut url = address(&settings.api_url, &request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut outgoing = transport
            .request(request.method.clone(), url)
            .bearer_auth(settings.token.expose_secret())
            .header(ACCEPT, request.accept)
            .header(API_VERSION.0, API_VERSION.1);
        if let Some(body) = &request.body {
            outgoing = outgoing.json(body);
        }
        let answer = transport.send(outgoing, request.dispatch, call).await;
        let answer = answer.map_err(ProxyError::Transport)?;
        // What a 401 means in general, to connect the account again, nobody can do here.
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(ProxyError::Failure(token_rejected()));
        }
        Ok(answer)
    }
}

fn token_rejected() -> Box<Failure> {
    Failure::new(
        FailureCode::GitHubTokenRejected,
        "GitHub does not accept the GITHUB_TOKEN that this server was given.",
    )
}

/// The address of a path. GraphQL lives beside the REST API of an Enterprise server, not under it.
fn address(api_url: &Url, path: &str) -> Url {
    let mut url = api_url.clone();
    let is_enterprise = url.path().trim_end_matches('/').ends_with("/v3");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty();
        if is_enterprise && path == super::GRAPHQL_PATH {
            segments.pop();
        }
        segments.extend(path.split('/').filter(|segment| !segment.is_empty()));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_is_found_on_github_and_on_enterprise_servers() {
        for (base, path, expected) in [
            ("https://api.github.com", "/graphql", "https://api.github.com/graphql"),
            ("https://ghe.example/api/v3/", "/graphql", "https://ghe.example/api/graphql"),
            ("https://ghe.example/api/v3", "/user", "https://ghe.example/api/v3/user"),
            ("http://127.0.0.1:9", "/repos/a/b/pulls/1", "http://127.0.0.1:9/repos/a/b/pulls/1"),
        ] {
            assert_eq!(address(&base.parse().unwrap(), path).as_str(), expected);
        }
    }
}
