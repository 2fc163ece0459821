//! THE WORDS. Pure vocabulary of the program: no I/O, no async, no framework.
//!
//! Everything here is a value that can be made, compared and printed in a test without a server.
//! Unknown is a word of its own ([`None`] or an `Unknown` variant), never zero and never `false`.

pub mod clock;
pub mod connection;
pub mod digest;
pub mod entropy;
pub mod failure;
pub mod identifier;
pub mod pull_request;
pub mod ranking;
pub mod repository;
pub mod secret;
pub mod stage;
pub mod text;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use connection::{AuthMode, GitHubAccess, GitHubAccount};
pub use entropy::{Entropy, SystemEntropy};
pub use failure::{Failure, FailureCode, Fault};
pub use identifier::{ConnectionHandle, FlowId, PrincipalId, SessionId, UserId};
pub use repository::{RepositoryName, RepositoryReference};
pub use secret::Secret;
