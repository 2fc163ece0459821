//! MAY THEY. The embedded authorization server, and the checks of the resource server.
//!
//! An MCP client that knows nothing but the address of `/mcp` finds its way from there: the 401
//! names the protected-resource metadata ([`Endpoints`]), that names the authorization server, the
//! client registers ([`Clients`]) and sends the person's browser to `/authorize`
//! ([`AuthorizationRequest`]). The person consents and comes back from GitHub as a [`Person`]; the
//! client gets a code ([`Codes`]), and for the code tokens ([`Grants`]). [`AuthorizationServer`]
//! ties these together for the door, which only moves bytes.
//!
//! The rules, each a standard's or a decision with its reason at the place where it is kept:
//!
//! * Clients are public. Nobody proves who a client is, so nothing depends on it: what a client
//!   calls itself is a claim, and what protects the code is where it is sent ([`redirect`]) and who
//!   holds the verifier (RFC 7636, S256 only).
//! * A browser is sent to a client's address only after client and address were both found good;
//!   everything wrong before that is shown on a page of ours.
//! * Codes and tokens are random, kept only as SHA-256, and looked up by digest, so that comparing
//!   takes the same time whatever was presented.
//! * A [`Grant`](Grants) with all its tokens is **one** record: rotation, grace, reuse and
//!   revocation are each one compare-and-set, and a removed record ends every token at once.
//! * What is malformed is refused and changes nothing; only a genuine code or refresh token that
//!   comes back when it must not ends what it had opened.
//!
//! What is *not* here: no HTTP framework (the door translates), no browser (`identity` binds it), no
//! identity from a client's input, and no client secret.

pub mod authorize;
pub mod client;
pub mod code;
pub mod document;
pub mod error;
pub mod grant;
pub mod metadata;
pub mod parameters;
pub mod redirect;
pub mod server;
pub mod sweeper;
pub mod token;

pub use crate::identity::Person;
pub use authorize::{Asker, AuthorizationRequest, Refusal};
pub use client::{Client, ClientId, ClientKeys, Clients};
pub use code::Codes;
pub use document::ClientDocuments;
pub use error::{ErrorCode, OAuthError};
pub use grant::{Access, Admission, GrantId, GrantView, Grants};
pub use metadata::{Endpoints, Scope};
pub use redirect::{Location, RedirectPolicy, RedirectUri};
pub use server::AuthorizationServer;
pub use sweeper::Sweeper;
pub use token::{TokenAnswer, Unauthorized};
