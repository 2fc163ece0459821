//! Reads variables one by one and remembers what was wrong with each.

use super::{
    environment::Environment,
    problem::{Problem, Problems},
    values::Parsed,
    variables::{self, Fallback, VARIABLES},
};

/// Walks through an [`Environment`]; ends with a value for everything or with all problems.
pub(super) struct Reader<'a> {
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self { environment, problems: environment.problems.clone() }
    }

    /// Was the variable set?
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.environment.get(name).is_some()
    }

    /// The variable's value, or the table's default. `None`: there is neither, or it was wrong, and
    /// that has been noted.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        debug_assert!(variables::find(name).is_some(), "{name} is not in the table");
        let default = match variables::find(name)?.fallback {
            Fallback::Value(value) => Some(value),
            Fallback::Required(_) | Fallback::Described(_) => None,
        };
        match parse(self.environment.get(name).or(default)?) {
            Ok(value) => Some(value),
            Err((wrong, cure)) => {
                self.note(name, wrong, cure);
                None
            }
        }
    }

    /// As [`Reader::read`], and absence is a problem too.
    pub(super) fn require<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        if !self.is_set(name) {
            let summary = variables::find(name)?.summary;
            self.note(name, "is missing", summary);
        }
        self.read(name, parse)
    }

    pub(super) fn note(
        &mut self,
        name: &'static str,
        wrong: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.problems.push(Problem {
            variable: name.to_owned(),
            wrong: wrong.into(),
            cure: cure.into(),
        });
    }

    /// The end: `value`, unless anything was wrong. `None` without a problem cannot be, as every
    /// absence was noted; if it ever is, it is one more problem and not a panic.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                // In the order of the table; what is not in it (.env) comes first.
                self.problems.sort_by_key(|problem| {
                    VARIABLES.iter().position(|variable| variable.name == problem.variable)
                });
                Err(Problems(self.problems))
            }
        }
    }
}
