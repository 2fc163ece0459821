//! **pr-summarizer**: an MCP server that summarizes the most-discussed open pull requests of a
//! GitHub repository, for many people at once, each with their own GitHub account.
//!
//! This page is the architecture document. The rooms, from the ground up; a room imports only rooms
//! above it in this list, and a test (`tests/architecture.rs`) holds them to it:
//!
//! 1. [`domain`]: **the words**. Repository names, pull requests and their facts, the stage by
//!    rule, the digest, identifiers, failures, secrets, time and chance. Pure: no I/O, no async.
//! 2. [`measure`]: **what is counted**. The names of all metrics, and nothing of anybody in them.
//! 3. [`upstream`]: **the others**. Scalekit (accounts, links, proxy), GitHub (facts and
//!    conversations over GraphQL, diffs over REST) and the LLM, each a concrete type with an injected
//!    address, over one bounded transport.
//! 4. [`store`]: **what lasts**. Typed records with compare-and-set and expiry, sealed, in `SQLite` or,
//!    for several instances, in Redis; or in memory.
//! 5. [`identity`]: **who**. Principals, the browser's cookie, the keyring, and account linking: the
//!    flow that proves whose browser linked an account.
//! 6. [`oauth`]: **may they**. The embedded authorization server: clients, codes, tokens, metadata.
//! 7. [`summarize`]: **what**. A question from any door: choose, read, pack, prompt, summarize, check,
//!    assemble.
//! 8. [`mcp`]: **the agent's door**. One file a tool; sessions of the older protocol versions; asking
//!    the person in the newer one; over HTTP, or over a pipe to the one program that started this one.
//! 9. [`http`]: **the browser's and operator's door**. The page that asks and shows cards, the
//!    pages of the flow, probes, and the guard that stands before every route.
//! 10. [`front`]: **the front**. Connections: who gets one, how long each step on it may take, and
//!     their orderly end.
//! 11. [`config`]: **the settings**. One table of variables; the only room that names the environment.
//! 12. [`telemetry`] and [`app`]: the log; the wiring, `doctor`, and the door of the metrics. `mcp` and
//!     `http` meet only in `app`.
//!
//! No room but an asset of two: `src/cards` has the script and style that draw an answer as cards, on
//! the page at `/` and in the card that hosts show ([`mcp`]).
//!
//! # What is always true
//!
//! * Data goes to a principal only through an account that was verified in a flow of that principal
//!   (in the loopback modes also one that Scalekit's users-only mode made active, marked unverified).
//! * An authorization is verified at most once; a flow that has ended never verifies.
//! * What was acknowledged survives a crash: every record is written before anybody is told.
//! * No byte of one principal's answer reaches another; caches are looked up only by keys that
//!   GitHub has just returned to this caller's token. (The list of tools is the same for everybody.)
//! * No identifier is read from a client's input, and none stands in an answer.
//! * In Scalekit mode no GitHub token ever enters this process.
//! * Connections, heads, bodies, waits, retries, sessions, handles, each principal's flows and
//!   calls, trips of people whom nobody knows yet, caches and background work have bounds.
//!
//! # What is kept, for how long, and what deletes it
//!
//! Every kind of record in the store. "Everything" is *Delete everything about me* on the person's
//! page, and what happens by itself after 30 days without a live token; "disconnect" is the tool and
//! the button. What neither deletes names nobody (random identifiers, a program's name, digests), or
//! ends within minutes.
//!
//! Of what nearly every call reads the process also has opened copies, where it keeps records in
//! `SQLite` on Linux: 1,024 at most, dropped at the first look after anything was written, by whomever
//! ([`store::Record::IS_READ_OFTEN`]).
//!
//! | Kind | Holds | At most | Deleted by |
//! | --- | --- | --- | --- |
//! | `principal` | pointer to the connection, open flows, GitHub's number, repositories asked about | 7 days in `session` mode, else until deleted | everything; the repositories also disconnect |
//! | `person` | GitHub's number → principal | until deleted | everything |
//! | `connection` | GitHub login and number | 24 hours unused in `session` mode, else a year | disconnect, everything |
//! | `flow` | the asking program's name, the client's request; when done the login | 15 minutes (30 while verifying) | its end of time |
//! | `state` | SHA-256 of a state → flow | 15 minutes | its end of time |
//! | `browser` | digest of a cookie → connections, who is signed in | 7 days | its end of time; signing out |
//! | `deletion` | an account to be deleted at Scalekit | until Scalekit has deleted it | the sweeper |
//! | `harmful-deletions` | that deleting once revoked too much | 30 days | its end of time |
//! | `session` | SHA-256 of a session → principal, program's name | 12 hours idle, 7 days | DELETE, its end of time, in `oauth` mode everything |
//! | `session-list` | which sessions a person has (`oauth` mode) | 7 days after the last one was opened | its end of time, everything |
//! | `handle` | SHA-256 of a handle → principal | 12 hours idle, 7 days | its end of time |
//! | `page` | SHA-256 of a cookie and of the local key → principal | 12 hours idle, 7 days | its end of time |
//! | `claim` | SHA-256 of a request state that was used | 15 minutes | its end of time |
//! | `machine` | the one principal of `single-user` mode | for ever | removing the store |
//! | `oauth-grant` | digests of tokens, client, GitHub's number | 30 days idle, 90 days | revoking, everything |
//! | `oauth-person` | which grants a principal has, GitHub's number | 30 days after the last grant | 30 days later, everything |
//! | `oauth-code` | digest of a code, client; until it is used GitHub's number | 60 seconds; once used a day | its end of time |
//! | `client-keys` | keys that verify a registered client, 64 at most | for ever | removing the store |
//! | `seal` | names of the keys that the store is and was sealed with | for ever | removing the store |
//!
//! # What is absent on purpose
//!
//! There is no live MCP session (they are records), no trait for upstreams (fakes answer real HTTP),
//! no ambient time or chance outside [`domain`], no environment variable outside [`config`], and no
//! link that is not made from `PUBLIC_BASE_URL`. One thing is the process's own and not handed in: who
//! listens to the counters of [`measure`].

pub mod domain;
pub mod measure;
pub mod upstream;
pub mod store;
pub mod identity;
pub mod oauth;
pub mod summarize;
pub mod mcp;
pub mod http;
pub mod front;
pub mod config;
pub mod telemetry;
pub mod app;
