//! The real server among the fake worlds, and clients that talk to it over real HTTP.

mod agent;
mod failing_store;
mod fleet;
#[path = "../../redis/mod.rs"]
pub mod redis_server;
mod server;

pub use agent::{Agent, Answer};
pub use failing_store::{Failing, FailingStore};
pub use fleet::Fleet;
pub use server::Server;
