//! WHO. Whose browser is it, who is calling, and which GitHub account is theirs.
//!
//! The danger has a name, cross-user OAuth session fixation: one person starts a connection,
//! another completes it, and the first now acts with the second's account. [`AccountLinking`] is
//! the one place that decides; everything else here are the words it is written in:
//!
//! * [`Principal`]: who is calling, in our own terms. [`Sessions`] finds it for an MCP session, a
//!   connection handle, a browser that asks on our page, or the machine.
//! * [`Flow`](flow::Flow): one attempt to link an account, with a fresh `usr_…` identifier and the
//!   browser it is bound to. Every step is a compare-and-set in the store.
//! * [`BrowserCookie`] and [`Keyring`]: how a browser is recognized, and with which keys.
//! * [`People`]: which principal a verified GitHub account is; a [`Register`] above this room sees to
//!   it that each is forgotten in time.
//! * [`AccessEndings`]: who is told when access is taken away.
//! * [`Turnstile`]: how much of one caller is attended to at a time, whatever door it came through.
//! * [`Sweeper`]: ends what ran out of time, and deletes accounts that nobody points to.
//!
//! What is *not* here: no identifier from a client's input ever becomes a principal or a `usr_…`,
//! and no answer ever holds one.

pub mod browser;
pub mod connection;
pub mod endings;
pub mod flow;
pub mod keyring;
pub mod linking;
pub mod person;
pub mod principal;
#[cfg(test)]
pub(crate) mod samples;
pub mod session;
pub mod sweeper;
pub mod turnstile;

pub use browser::BrowserCookie;
pub use endings::AccessEndings;
pub use keyring::{Keyring, Purpose};
pub use linking::{AccountLinking, LinkingSettings};
pub use person::{People, Person, Register};
pub use principal::{ClientName, Principal};
pub use session::Sessions;
pub use sweeper::Sweeper;
pub use turnstile::Turnstile;
