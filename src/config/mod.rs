//! THE SETTINGS. One table of variables; parsing, `.env.example` and the README's table follow it.
//!
//! This is the only room that names the environment. [`load()`] looks at everything before it
//! answers: either complete [`Settings`], or all [`Problems`] at once, each with its cure. It
//! creates nothing; [`Settings::prepare`] makes the files that a running server needs. No secret is
//! ever printed, and neither is a value that could be one in the wrong place.

pub use cli::{Cli, Command};
pub use documentation::{render_env_example, render_readme_table};
pub use environment::Environment;
pub use problem::{EXIT_CODE, Problem, Problems};
pub use settings::{
    Access, KeySource, LlmSettings, LocalKey, LogFormat, LogSettings, OAuthSettings, SessionKeys,
    Settings, StoreLocation, SummarySettings,
};
pub use state::Prepared;
pub use variables::{Fallback, VARIABLES, Variable};

mod cli;
mod clients;
mod documentation;
mod environment;
mod exposure;
mod load;
mod problem;
mod reader;
mod settings;
mod state;
mod values;
mod variables;

/// Reads the settings of a server for HTTP: all of them, or all problems.
pub fn load(environment: &Environment) -> Result<Settings, Problems> {
    load_for(Command::Serve, environment)
}

/// Reads the settings as this command takes them: over standard input and output some defaults are
/// others, because the program that started this one is the only caller.
pub fn load_for(command: Command, environment: &Environment) -> Result<Settings, Problems> {
    load::load(command, environment)
}

#[cfg(test)]
mod tests;
