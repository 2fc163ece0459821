//! The integration tests: one binary, so that the fake worlds are compiled once.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../fakes/mod.rs"]
mod fakes;

mod attacks;
mod bad_input;
mod card;
mod chaos;
mod corpus;
mod doctor;
mod documents;
mod faults;
mod fakes_selftest;
mod hosts;
mod injection;
mod interleavings;
mod instances;
mod journal;
mod kills;
mod linking;
mod messages;
mod oauth;
mod metrics;
mod packaging;
mod packing;
mod page;
mod private_network;
mod processes;
mod program;
mod prompts;
mod protocol;
mod proxies;
mod ranking;
mod real_clients;
mod refusals;
mod sessions_stay_small;
mod single_user;
mod stdio;
mod stopping;
mod store;
mod summaries;
mod summaries_access;
mod summaries_cost;
mod summaries_facts;
mod summaries_filters;
mod summaries_input;
mod summaries_leaving;
mod summaries_unknown;
mod support;
mod tools_access;
