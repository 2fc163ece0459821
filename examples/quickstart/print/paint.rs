//! Colour where a terminal shows it.

use std::{
    env,
    io::{self, IsTerminal as _},
};

/// Whether to colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// As standard output, `NO_COLOR` (no-color.org) and `TERM` want it.
    pub(crate) fn for_stdout() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(io::stdout().is_terminal() && !unwanted && !dumb)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.colour(1, text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.colour(2, text)
    }

    pub(crate) fn link(self, text: &str) -> String {
        self.colour(4, text)
    }

    /// `sgr`: the parameter of "select graphic rendition". Indents stay as they are.
    pub(crate) fn colour(self, sgr: u8, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let lines = text.split('\n').map(|line| {
            let words = line.trim_start();
            let indent = line.strip_suffix(words).unwrap_or_default();
            format!("{indent}\u{1b}[{sgr}m{words}\u{1b}[0m")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
