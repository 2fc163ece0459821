//! pr-summarizer

pub mod domain;
