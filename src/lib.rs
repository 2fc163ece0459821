//! **pr-summarizer**: an MCP server that summarizes the most-discussed open pull requests of a
//! GitHub repository, for many people at once, each with their own GitHub account.
//!
//! This page is the architecture document. The rooms, from the ground up; a room imports only rooms
//! above it in this list, and a test (`tests/architecture.rs`) holds them to it:
//!
//! 1. [`domain`]: **the words**. Repository names, pull requests and their facts, the stage by
//!    rule, the digest, identifiers, failures, secrets, time and chance. Pure: no I/O, no async.
//! 2. [`upstream`]: **the others**. Scalekit (accounts, links, proxy), GitHub (facts and
//!    conversations over GraphQL, diffs over REST) and the LLM, each a concrete type with an injected
//!    address, over one bounded transport.
//! 3. [`store`]: **what lasts**. Typed records with compare-and-set and expiry, in memory or `SQLite`.
//! 4. [`identity`]: **who**. Principals, the browser's cookie, the keyring, and account linking: the
//!    flow that proves whose browser linked an account.
//! 5. [`oauth`]: **may they**. The embedded authorization server: clients, codes, tokens, metadata.
//! 6. [`summarize`]: **what**. Choose, read, pack, prompt, summarize, check, assemble.
//! 7. [`mcp`]: **the agent's door**. One file a tool; sessions of the older protocol versions; asking
//!    the person in the newer one.
//! 8. [`http`]: **the browser's and operator's door**. The pages of the flow, probes, and the guard
//!    that stands before every route.
//! 9. [`config`]: **the settings**. One table of variables; the only room that names the environment.
//! 10. [`telemetry`] and [`app`]: the log, and the wiring. `mcp` and `http` meet only in `app`.
//!
//! # What is always true
//!
//! * Data goes to a principal only through an account that was verified in a flow of that principal
//!   (in the loopback modes also one that Scalekit's users-only mode made active, marked unverified).
//! * An authorization is verified at most once; a flow that has ended never verifies.
//! * What was acknowledged survives a crash: every record is written before anybody is told.
//! * No byte of one principal's answer reaches another; caches are looked up only by keys that
//!   GitHub has just returned to this caller's token.
//! * No identifier is read from a client's input, and none stands in an answer.
//! * In Scalekit mode no GitHub token ever enters this process.
//! * Bodies, waits, retries, sessions, handles, each principal's flows and calls, caches and
//!   background work have bounds. Two things do not yet: connections that send nothing or a stuck
//!   head, and trips of people who are not signed in (`oauth` mode; each ends after 15 minutes).
//!
//! # What is absent on purpose
//!
//! There is no live MCP session (they are records), no trait for upstreams (fakes answer real HTTP),
//! no ambient time or chance outside [`domain`], no environment variable outside [`config`], and no
//! link that is not made from `PUBLIC_BASE_URL`.

pub mod domain;
pub mod upstream;
pub mod store;
pub mod identity;
pub mod oauth;
pub mod summarize;
pub mod mcp;
pub mod http;
pub mod config;
pub mod telemetry;
pub mod app;
