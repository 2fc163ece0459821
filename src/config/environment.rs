//! Where settings come from: the process's environment, and under it `.env`.

use std::{collections::BTreeMap, env, fmt, io, path::PathBuf};

use etcetera::BaseStrategy as _;

use super::{problem::Problem, variables::VARIABLES};

/// The file that is read in the working directory.
const ENV_FILE: &str = ".env";

/// The values of the variables that this program knows. Empty values count as unset.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    default_state_dir: Option<PathBuf>,
    /// What was wrong with the sources themselves.
    pub(super) problems: Vec<Problem>,
}

impl Environment {
    /// The process's environment over `.env` in the working directory. The process's environment
    /// is not changed: what is in `.env` is seen by this program only.
    pub fn of_process() -> Self {
        let mut environment = Self { default_state_dir: platform_state_dir(), ..Self::default() };
        environment.read_env_file();
        for variable in VARIABLES {
            match env::var_os(variable.name).map(std::ffi::OsString::into_string) {
                Some(Ok(value)) if !value.trim().is_empty() => {
                    environment.values.insert(variable.name.to_owned(), value);
                }
                Some(Err(_)) => environment.problems.push(Problem {
                    variable: variable.name.to_owned(),
                    wrong: "is not UTF-8".to_owned(),
                    cure: "Set it again, in UTF-8.".to_owned(),
                }),
                _ => {}
            }
        }
        environment
    }

    /// Exactly these values; for tests and for whoever starts the server from their own program.
    pub fn of<N: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { values: values.collect(), ..Self::default() }
    }

    /// The value of a variable, without white space around it, unless that leaves nothing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The platform's folder for what this program keeps, if the platform has one.
    pub(super) fn default_state_dir(&self) -> Option<PathBuf> {
        self.default_state_dir.clone()
    }

    fn read_env_file(&mut self) {
        match std::fs::read_to_string(ENV_FILE) {
            Ok(text) => self.read_env_text(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.env_file_problem(
                format!("cannot be read ({})", error.kind()),
                "Give this user the right to read it, or remove it.",
            ),
        }
    }

    fn read_env_text(&mut self, text: &str) {
        let text = text.trim_start_matches('\u{feff}');
        for entry in dotenvy::from_read_iter(text.as_bytes()) {
            let Ok((name, value)) = entry else {
                // The error would quote the line, and the line may hold a secret.
                self.env_file_problem(
                    "has a line that cannot be read".to_owned(),
                    "Write NAME=value, one a line; put a value with spaces, quotes, # or $ between \
                     single quotes.",
                );
                return;
            };
            // As with every other reader of such files, the first of two equal names counts.
            if !value.trim().is_empty() {
                self.values.entry(name).or_insert(value);
            }
        }
    }

    fn env_file_problem(&mut self, wrong: String, cure: &str) {
        self.problems.push(Problem { variable: ENV_FILE.to_owned(), wrong, cure: cure.to_owned() });
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

fn platform_state_dir() -> Option<PathBuf> {
    let folders = etcetera::base_strategy::choose_native_strategy().ok()?;
    let folder = folders.state_dir().unwrap_or_else(|| folders.data_dir());
    Some(folder.join(env!("CARGO_PKG_NAME")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_is_read_as_people_write_it() {
        let mut environment = Environment::default();
        environment.read_env_text(
            "\u{feff}PORT=4000 # ours\nexport HOST=::1\n\nOPENAI_MODEL='a $b #c'\nPORT=5000\n\
             STATE_DIR=\n",
        );
        assert_eq!(environment.get("PORT"), Some("4000"));
        assert_eq!(environment.get("HOST"), Some("::1"));
        assert_eq!(environment.get("OPENAI_MODEL"), Some("a $b #c"));
        assert_eq!(environment.get("STATE_DIR"), None);
        assert!(environment.problems.is_empty());
    }

    #[test]
    fn the_example_reads_as_nothing_set() {
        let mut environment = Environment::default();
        environment.read_env_text(&crate::config::render_env_example());
        assert!(environment.problems.is_empty(), "{:?}", environment.problems);
        assert!(environment.values.is_empty(), "{environment:?}");
    }

    #[test]
    fn a_broken_line_is_a_problem_that_does_not_quote_it() {
        let mut environment = Environment::default();
        environment.read_env_text("PORT=4000\nSESSION_SECRET=\"canary\nHOST=127.0.0.1\n");
        assert_eq!(environment.problems.len(), 1);
        let shown = format!("{:?} {environment:?}", environment.problems);
        assert!(!shown.contains("canary"), "{shown}");
    }
}
