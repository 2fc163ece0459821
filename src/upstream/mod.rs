//! THE OTHERS. Every service this program calls, each behind a concrete type.
//!
//! A client takes its base address as a setting, so tests answer it with real HTTP instead of a
//! mock. What an upstream says is data: its texts, addresses and errors are never repeated to a
//! caller; they are turned into one of our own [`FailureCode`](crate::domain::FailureCode)s.

pub mod github;
pub mod llm;
pub mod scalekit;
pub mod tls;
pub mod transport;
pub use transport::Call;
