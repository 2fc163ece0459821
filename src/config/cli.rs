//! The command line. Settings come from the environment; the command line says what to do.

use clap::{Parser, Subcommand};

/// Summarizes the most-discussed open pull requests of a GitHub repository, over MCP.
///
/// Settings come from the environment and from `.env` in the working directory; the README lists
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "pr-summarizer", version, about)]
pub struct Cli {
    /// Say whether the settings are complete and sound, then exit: 0 if so, 78 if not. Makes no
    /// files and calls nobody.
    #[arg(long, global = true)]
    pub check_config: bool,

    /// What to do.
    #[command(subcommand)]
    command: Option<Command>,
}

/// What the program can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serve MCP over HTTP (what it does when nothing is said).
    #[default]
    Serve,
    /// Serve MCP over standard input and output, to the one program that started this one. Pages
    /// for the browser are served on a free port of this machine; the log goes to standard error.
    Stdio,
    /// Try everything that the server needs (store, Scalekit, GitHub, LLM, its own address) and say
    /// what is wrong: exits with 0 if nothing is, with 1 if something is, with 78 if the settings
    /// are. What it makes at Scalekit it deletes again.
    Doctor,
}

impl Cli {
    /// What to do, said or not.
    pub fn command(&self) -> Command {
        self.command.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serving_is_what_it_does_when_nothing_is_said() {
        <Cli as clap::CommandFactory>::command().debug_assert();
        let said = Cli::try_parse_from(["pr-summarizer", "serve", "--check-config"]).unwrap();
        assert!(said.check_config);
        let unsaid = Cli::try_parse_from(["pr-summarizer"]).unwrap();
        assert_eq!((unsaid.command(), unsaid.check_config), (Command::Serve, false));
        assert_eq!(said.command(), unsaid.command());
        let piped = Cli::try_parse_from(["pr-summarizer", "stdio"]).unwrap();
        assert_eq!(piped.command(), Command::Stdio);
        assert!(Cli::try_parse_from(["pr-summarizer", "dance"]).is_err());
    }
}
