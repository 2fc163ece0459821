//! What is wrong with the settings, and what to do about it.

use std::fmt;

/// The program's exit code when its settings are wrong (`EX_CONFIG` of sysexits.h).
pub const EXIT_CODE: u8 = 78;

/// One thing that is wrong. Never holds the value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable, or the file, that it is about.
    pub variable: String,
    /// What is wrong: completes the sentence that begins with the variable's name.
    pub wrong: String,
    /// What to do.
    pub cure: String,
}

/// Everything that is wrong, in the order of the settings' table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.\n    {}", self.variable, self.wrong, self.cure)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "One setting needs attention:")?,
            count => writeln!(f, "{count} settings need attention:")?,
        }
        for problem in &self.0 {
            write!(f, "\n  {problem}\n")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
