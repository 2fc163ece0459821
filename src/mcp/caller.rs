//! From what came with a tool call to the principal behind it.

use axum::http::request::Parts;
use rmcp::{RoleServer, service::RequestContext};

use crate::{
    domain::{ConnectionHandle, Failure, FailureCode, failure::Result},
    identity::{ClientName, Principal, Sessions},
    oauth::Admission,
};

/// What the door found out about who is calling. Travels in the request's extensions.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// A session, or the one person of this machine.
    Known {
        /// Who.
        principal: Principal,
        /// The digest of the session's id, for cancellations.
        session: Option<String>,
        /// That its grant stood, where an access token was shown.
        admission: Option<Admission>,
    },
    /// A client without sessions: only a handle tells who it is.
    Sessionless,
}

impl Caller {
    /// What the door left in the request: over a pipe in itself, over HTTP in that of HTTP.
    ///
    /// # Errors
    /// `internal` when the request did not come through a door.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Result<Self> {
        let over_http = || context.extensions.get::<Parts>()?.extensions.get::<Self>();
        context.extensions.get::<Self>().or_else(over_http).cloned().ok_or_else(|| {
            Failure::new(FailureCode::Internal, "The caller of this request is not known.")
        })
    }

    /// The digest of the session's id.
    pub(super) fn session(&self) -> Option<&str> {
        match self {
            Self::Known { session, .. } => session.as_deref(),
            Self::Sessionless => None,
        }
    }

    /// What the program calls itself that began the session.
    pub(super) fn session_client(&self) -> Option<&ClientName> {
        match self {
            Self::Known { principal, session: Some(_), .. } => Some(&principal.client),
            Self::Known { .. } | Self::Sessionless => None,
        }
    }

    /// That the grant stood of the access token that was shown.
    pub(super) fn admission(&self) -> Option<&Admission> {
        match self {
            Self::Known { admission, .. } => admission.as_ref(),
            Self::Sessionless => None,
        }
    }

    /// The principal, by the handle if one was passed. `None`: a client without sessions that
    /// passed none.
    ///
    /// # Errors
    /// `not_found` for a handle that is unknown, expired, or no handle at all.
    pub(super) async fn principal(
        &self,
        handle: Option<&str>,
        client: ClientName,
        sessions: &Sessions,
    ) -> Result<Option<Principal>> {
        let Some(handle) = handle else {
            return Ok(match self {
                Self::Known { principal, .. } => Some(Principal { client, ..principal.clone() }),
                Self::Sessionless => None,
            });
        };
        let found = match ConnectionHandle::parse(handle) {
            Some(handle) => sessions.find_handle(&handle, client).await?,
            None => None,
        };
        match found {
            Some(principal) => Ok(Some(principal)),
            None => Err(Failure::new(
                FailureCode::NotFound,
                "The value of `connection` is not known here, or it has expired (12 hours without \
                 use, 7 days at most).",
            )),
        }
    }
}

/// What the program behind this request calls itself.
pub(super) fn client_name(caller: &Caller, context: &RequestContext<RoleServer>) -> ClientName {
    let introduced = || {
        let info = context.client_info()?;
        Some(ClientName::claimed(info.title.as_deref().unwrap_or(&info.name)))
    };
    // The SDK serves sessions statelessly and would report itself as the client of one.
    caller.session_client().cloned().or_else(introduced).unwrap_or_default()
}
