//! The real server among the fake worlds, and clients that talk to it over real HTTP.

mod agent;
mod ear;
mod failing_store;
mod fleet;
mod pipe;
#[path = "../../redis/mod.rs"]
pub mod redis_server;
mod server;

pub use agent::{Agent, Answer, mark_as_modern};
pub use ear::{Ear, assert_tells_nothing};
pub use failing_store::{Failing, FailingStore};
pub use fleet::{Balancer, Fleet};
pub use pipe::{Pipe, Stream};
pub use server::{Server, program};
