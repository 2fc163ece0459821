//! What can go wrong, said once for everybody.
//!
//! [`FailureCode`] is one flat enum with total functions: each code knows whose fault it is, which
//! HTTP status it is, and what to do next for an agent and for a human. [`Failure`] adds the
//! sentence about this occasion. `detail` is safe to show to anyone; `source` is for the log only.

use std::{fmt, time::Duration};

use rand::Rng as _;

/// Whose turn it is to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program that called.
    Caller,
    /// The person in front of it.
    User,
    /// Whoever runs this server.
    Operator,
    /// GitHub, Scalekit or the LLM.
    Upstream,
    /// This server.
    Server,
}

impl Fault {
    /// The word on the wire.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::User => "user",
            Self::Operator => "operator",
            Self::Upstream => "upstream",
            Self::Server => "server",
        }
    }
}

macro_rules! failure_codes {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $fault:ident, $status:literal,
        agent: $agent:literal, human: $human:literal;)*) => {
        /// Every failure this server knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FailureCode { $($(#[$doc])* $name,)* }

        impl FailureCode {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable word for programs.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// Whose fault it is.
            pub fn fault(self) -> Fault {
                match self { $(Self::$name => Fault::$fault,)* }
            }

            /// The HTTP status at the browser's door.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What an agent should do next.
            pub fn agent_next_step(self) -> &'static str {
                match self { $(Self::$name => $agent,)* }
            }

            /// What a person should do next.
            pub fn human_next_step(self) -> &'static str {
                match self { $(Self::$name => $human,)* }
            }
        }
    };
}

failure_codes! {
    /// The arguments do not fit the tool's schema, or a request its grammar.
    InvalidArguments = "invalid_arguments", Caller, 400,
        agent: "Correct the arguments as the message says and call again.",
        human: "Go back and try again; if a program made this address, its request was malformed.";
    /// Not a repository's name or address.
    InvalidRepository = "invalid_repository", Caller, 400,
        agent: "Pass `repository` as owner/repo or as a github.com address and call again.",
        human: "Write the repository as owner/repo.";
    /// No GitHub account is linked for this caller.
    NotConnected = "not_connected", User, 401,
        agent: "Show the link to the user, wait until they have opened it, then call again.",
        human: "Open the link that your assistant shows and connect GitHub.";
    /// The link was opened but the person has not finished.
    AuthorizationPending = "authorization_pending", User, 409,
        agent: "Ask the user to finish in the browser, then call auth_status.",
        human: "Finish in the tab where GitHub asks for your consent.";
    /// The link ran out of time, or was used already.
    AuthorizationExpired = "authorization_expired", User, 410,
        agent: "Call connect_github for a new link.",
        human: "Ask your assistant to connect GitHub again: it gives you a new link.";
    /// Another browser came back than the one that started.
    BrowserMismatch = "browser_mismatch", User, 403,
        agent: "Call connect_github for a new link and ask the user to open it and finish in one browser.",
        human: "Ask your assistant for a new link, and finish in the browser where you open it.";
    /// Another GitHub account came back than the one that the person is.
    AccountMismatch = "account_mismatch", User, 403,
        agent: "Tell the user which account came, and ask them to open a new link (connect_github) signed in to GitHub as themselves.",
        human: "Sign in to GitHub as yourself, then ask your assistant for a new link.";
    /// The person, or GitHub, said no.
    AuthorizationDeclined = "authorization_declined", User, 403,
        agent: "Tell the user that the connection was declined. Call connect_github only if they ask for it.",
        human: "Nothing was connected. If that was a mistake, ask your assistant for a new link.";
    /// The account became active without our verification, where that is not enough.
    UnverifiedConnection = "unverified_connection", Operator, 403,
        agent: "Tell the user that the operator must switch the Scalekit dashboard to custom user verification.",
        human: "The operator must switch the Scalekit dashboard from Scalekit-users-only to custom user verification.";
    /// The link to GitHub no longer works: revoked, expired or deleted.
    ReauthorizationRequired = "reauthorization_required", User, 401,
        agent: "Call connect_github with reconnect: true and show the user the link.",
        human: "Ask your assistant to connect GitHub again.";
    /// GitHub shows no such repository to this account.
    RepositoryNotFound = "repository_not_found", User, 404,
        agent: "Check the spelling with the user; if it is right, their account has no access to it.",
        human: "Check the spelling; if it is right, your GitHub account has no access to it.";
    /// The organization wants SAML single sign-on for this authorization.
    SsoRequired = "sso_required", User, 403,
        agent: "Ask the user to authorize the app for the organization (GitHub → Settings → Applications), then call again.",
        human: "Authorize the app for the organization's single sign-on: GitHub → Settings → Applications.";
    /// GitHub refused, with a reason other than the above.
    GitHubAccessDenied = "github_access_denied", User, 403,
        agent: "Tell the user what GitHub refused. More scope needs connect_github with reconnect: true.",
        human: "GitHub refused this to your account. An owner of the repository can tell why.";
    /// GitHub's rate limit for this account is used up.
    GitHubRateLimited = "github_rate_limited", Upstream, 429,
        agent: "Wait until the limit is reset, then call again; do not retry before.",
        human: "Your GitHub account has used up its limit. Try again after the time given.";
    /// GitHub does not answer, or answers with an error of its own.
    GitHubUnavailable = "github_unavailable", Upstream, 502,
        agent: "Call again in a minute.",
        human: "Try again in a minute.";
    /// GitHub refuses the operator's own token; there is no account that a caller could connect.
    GitHubTokenRejected = "github_token_rejected", Operator, 502,
        agent: "Tell the user that the operator must set a new GITHUB_TOKEN.",
        human: "The operator must set a new GITHUB_TOKEN: the present one was revoked, or has expired.";
    /// Scalekit's proxy is switched off for this environment.
    ProxyDisabled = "proxy_disabled", Operator, 503,
        agent: "Tell the user that the operator must have Scalekit enable the proxy for the GitHub connection.",
        human: "The operator must have Scalekit enable the proxy for the GitHub connection.";
    /// Scalekit does not answer, or answers with an error of its own.
    ScalekitUnavailable = "scalekit_unavailable", Upstream, 502,
        agent: "Call again in a minute.",
        human: "Try again in a minute.";
    /// Scalekit refuses this server's own credentials or settings.
    ScalekitRejectedUs = "scalekit_rejected_us", Operator, 502,
        agent: "Tell the user that the operator must check the SCALEKIT_* settings.",
        human: "The operator must check SCALEKIT_ENVIRONMENT_URL, SCALEKIT_CLIENT_ID, SCALEKIT_CLIENT_SECRET and GITHUB_CONNECTION_NAME.";
    /// The LLM does not answer; the extract stands in.
    LlmUnavailable = "llm_unavailable", Upstream, 502,
        agent: "Use the facts and extracts that are there; call again later for written summaries.",
        human: "Try again in a minute.";
    /// The LLM refuses this server's own key or settings; the extract stands in.
    LlmRejectedUs = "llm_rejected_us", Operator, 502,
        agent: "Tell the user that the operator must check the OPENAI_* settings.",
        human: "The operator must check OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL.";
    /// A form is longer than any of ours.
    RequestTooLarge = "request_too_large", Caller, 413,
        agent: "Send less at once.",
        human: "Go back and try again; if a program made this request, it sent too much at once.";
    /// This caller, or all together, ask too much.
    TooManyRequests = "too_many_requests", Caller, 429,
        agent: "Wait as long as the message says, then call again.",
        human: "Wait a moment, then try again.";
    /// The request does not prove who is calling.
    Unauthenticated = "unauthenticated", Caller, 401,
        agent: "Sign in through the client's own OAuth flow or, on a machine of one person, configure the local key as a Bearer token.",
        human: "Sign in again, or use the configuration that the server printed when it started.";
    /// A guard refused the request before anything was looked at.
    Forbidden = "forbidden", Caller, 403,
        agent: "Call the server by the address in PUBLIC_BASE_URL, without a proxy in between.",
        human: "Open the link itself, in one tab, without a proxy in between.";
    /// No such page, session, link or handle (or not this caller's).
    NotFound = "not_found", Caller, 404,
        agent: "Start over: initialize a new session, or call connect_github.",
        human: "Check the address, or ask your assistant for a new link.";
    /// The place where records are kept does not answer, or takes no writes.
    StoreUnavailable = "store_unavailable", Operator, 503,
        agent: "Call again in a few seconds; if it goes on, tell the user that the operator must look after the store.",
        human: "Try again in a few seconds.";
    /// The server was told to stop, and the answer could not be had before it does.
    Stopping = "stopping", Server, 503,
        agent: "Call again in a few seconds.",
        human: "Try again in a few seconds.";
    /// A bug, or a broken disk.
    Internal = "internal", Server, 500,
        agent: "Call again once; if it fails again, report the incident number to the operator.",
        human: "Try again; if it fails again, give the operator the incident number.";
}

/// One failure on one occasion.
pub struct Failure {
    /// Which.
    pub code: FailureCode,
    /// What happened, in a sentence that is safe to show to the caller: no secret, no link, no
    /// identifier, no text of an upstream.
    pub detail: String,
    /// How long to wait before trying again.
    pub retry_after: Option<Duration>,
    /// Ties what the user sees to the line in the log.
    pub incident: String,
    /// What lies behind; for the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A number by which lines of the log that belong together are found.
#[expect(
    clippy::disallowed_methods,
    reason = "such a number is no secret and needs no injected chance"
)]
pub fn log_number() -> String {
    format!("{:08x}", rand::rng().next_u32())
}

/// Failures are rare and carry a story; the box keeps every `Result` small.
pub type Result<T, E = Box<Failure>> = std::result::Result<T, E>;

impl Failure {
    /// A failure with its sentence.
    pub fn new(code: FailureCode, detail: impl Into<String>) -> Box<Self> {
        let incident = format!("inc_{}", log_number());
        Box::new(Self { code, detail: detail.into(), retry_after: None, incident, source: None })
    }

    /// Adds how long to wait.
    #[must_use]
    pub fn retry_after(mut self: Box<Self>, wait: Duration) -> Box<Self> {
        self.retry_after = Some(wait);
        self
    }

    /// Adds what lies behind, for the log.
    #[must_use]
    pub fn caused_by(
        mut self: Box<Self>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Box<Self> {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{} {}]", self.detail, self.code.slug(), self.incident)?;
        // All the way down: "no connection" alone does not tell an operator what to repair.
        let mut cause: Option<&(dyn std::error::Error + 'static)> = match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        };
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_every_cause_and_the_caller_none() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let inner = "x".parse::<u8>().unwrap_err();
        let expected = format!(": outer: {inner}");
        let failure = Failure::new(FailureCode::Internal, "It broke.").caused_by(Outer(inner));
        assert!(format!("{failure:?}").ends_with(&expected), "{failure:?}");
        assert_eq!(failure.to_string(), "It broke.");
    }

    #[test]
    fn every_code_is_complete_and_distinct() {
        let slugs: std::collections::BTreeSet<_> =
            FailureCode::ALL.iter().map(|c| c.slug()).collect();
        assert_eq!(slugs.len(), FailureCode::ALL.len());
        for code in FailureCode::ALL {
            assert!((400..600).contains(&code.http_status()), "{}", code.slug());
            assert!(code.agent_next_step().ends_with('.'), "{}", code.slug());
            assert!(code.human_next_step().ends_with('.'), "{}", code.slug());
        }
    }
}
