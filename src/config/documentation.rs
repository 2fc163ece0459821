//! `.env.example` and the README's table, written from the table of variables.

use std::fmt::Write as _;

use super::variables::{Fallback, VARIABLES};

/// Where lines of comment are broken.
const WIDTH: usize = 96;

/// The text of `.env.example`.
pub fn render_env_example() -> String {
    let mut text = String::from(
        "# Settings of pr-summarizer. Copy this file to .env and fill in what you need.\n\
         # The environment of the process goes before this file; an empty value counts as unset.\n\
         # Put a value with spaces, quotes, # or $ between single quotes.\n\
         # This file is written from the table in src/config/variables.rs.\n",
    );
    let mut section = "";
    for variable in VARIABLES {
        if variable.section != section {
            section = variable.section;
            let _ = writeln!(text, "\n## {section}");
        }
        let (note, line) = match variable.fallback {
            Fallback::Required(words) => (words.to_owned(), format!("{}=", variable.name)),
            Fallback::Value(value) => {
                (format!("default: {value}"), format!("#{}={value}", variable.name))
            }
            Fallback::Described(words) => {
                (format!("default: {words}"), format!("#{}=", variable.name))
            }
        };
        let comment = format!("{} ({note})", variable.summary).replace('`', "");
        let _ = write!(text, "\n{}{line}\n", wrap(&comment));
    }
    text
}

/// The table of settings in the README.
pub fn render_readme_table() -> String {
    let mut text = String::from("| Variable | Default | What it does |\n| --- | --- | --- |\n");
    for variable in VARIABLES {
        let fallback = match variable.fallback {
            Fallback::Required(words) => format!("**{words}**"),
            Fallback::Value(value) => format!("`{value}`"),
            Fallback::Described(words) => words.to_owned(),
        };
        let _ = writeln!(text, "| `{}` | {fallback} | {} |", variable.name, variable.summary);
    }
    text
}

/// Breaks `text` into lines of comment.
fn wrap(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Environment;

    #[test]
    fn every_variable_is_named_once_in_each_text() {
        let names: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        assert_eq!(names.len(), VARIABLES.len());
        let (example, table) = (render_env_example(), render_readme_table());
        for name in names {
            let set = format!("{name}=");
            let lines =
                example.lines().filter(|line| line.trim_start_matches('#').starts_with(&set));
            assert_eq!(lines.count(), 1, "{name}");
            assert_eq!(table.matches(&format!("| `{name}` |")).count(), 1, "{name}");
        }
        assert!(example.lines().all(|line| line.chars().count() <= 120), "{example}");
    }

    #[test]
    fn summaries_fit_in_a_table() {
        for variable in VARIABLES {
            assert!(variable.summary.ends_with('.'), "{}", variable.name);
            assert!(!variable.summary.contains(['|', '\n']), "{}", variable.name);
            let Fallback::Value(value) = variable.fallback else { continue };
            assert!(!variable.secret, "a secret has no default: {}", variable.name);
            assert_eq!(Environment::of([(variable.name, value)]).get(variable.name), Some(value));
        }
    }
}
