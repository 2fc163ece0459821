//! Who is calling, in our own terms.

use serde::{Deserialize, Serialize};

use super::flow::Ending;
use crate::{
    domain::{AuthMode, FlowId, PrincipalId, Timestamp, UserId, text::line},
    store::Record,
};

/// The caller of one request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Ours, opaque; stays inside.
    pub id: PrincipalId,
    /// What its program calls itself; a claim, never a fact.
    pub client: ClientName,
}

/// What a program calls itself: at most 64 characters (and 96 bytes, so that a session stays small
/// wherever it is kept) without control or formatting characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientName(String);

impl ClientName {
    const LONGEST: usize = 64;
    const MOST_BYTES: usize = 96;

    /// Takes what the program claims and leaves out what could deceive a reader.
    pub fn claimed(name: &str) -> Self {
        let mut shown = line(name, Self::LONGEST);
        if shown.len() > Self::MOST_BYTES {
            shown.truncate(shown.floor_char_boundary(Self::MOST_BYTES - '…'.len_utf8()));
            shown.push('…');
        }
        Self(shown)
    }

    /// The claim; `None` if nothing was left of it.
    pub fn get(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

/// What is kept about a principal; the default is one that has never linked anything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PrincipalRecord {
    /// Which connection it uses: the one that was verified, or chosen again, last.
    pub connection: Option<UserId>,
    /// Since when.
    #[serde(default)]
    pub connected_at: Option<Timestamp>,
    /// Connections that the pointer has left and that were not let go of yet.
    #[serde(default)]
    pub superseded: Vec<UserId>,
    /// Flows that have not ended, oldest first; at most [`PrincipalRecord::MOST_OPEN_FLOWS`].
    pub flows: Vec<FlowId>,
    /// Which GitHub account this principal is, in `oauth` mode; its flows accept no other.
    #[serde(default)]
    pub github_id: Option<u64>,
    /// How its last flow ended without a connection, for its agent to be told.
    pub last_ending: Option<(Ending, Timestamp)>,
    /// Repositories (owner/repo) it asked about, the last one first; at most
    /// [`PrincipalRecord::MOST_REPOSITORIES`]. Gone when the account is disconnected.
    #[serde(default)]
    pub repositories: Vec<String>,
}

impl PrincipalRecord {
    /// How many flows of one principal may be open; one more ends the oldest.
    pub const MOST_OPEN_FLOWS: usize = 5;
    /// How many repositories are remembered.
    pub const MOST_REPOSITORIES: usize = 12;

    /// Puts a repository first. GitHub's names differ by more than case.
    pub fn remember(&mut self, repository: &str) {
        self.repositories.retain(|known| !known.eq_ignore_ascii_case(repository));
        self.repositories.insert(0, repository.to_owned());
        self.repositories.truncate(Self::MOST_REPOSITORIES);
    }
}

impl Record for PrincipalRecord {
    const KIND: &'static str = "principal";
    const IS_READ_OFTEN: bool = true;
}

/// Writes the mode into a record's key, so that records of another mode on the same store are
/// invisible.
pub fn key(mode: AuthMode, id: &str) -> String {
    format!("{}/{id}", mode.slug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_claim_cut_and_cleaned() {
        assert_eq!(ClientName::claimed("Claude\u{202e} Code\n").get(), Some("Claude Code"));
        assert_eq!(ClientName::claimed("\u{200b}\t").get(), None);
        assert_eq!(ClientName::default().get(), None);
        let long = ClientName::claimed(&"a".repeat(10_000));
        assert_eq!(long.get().map(|name| name.chars().count()), Some(ClientName::LONGEST));
        // Three bytes a character.
        let wide = ClientName::claimed(&"読".repeat(33));
        assert_eq!(wide.get(), Some(format!("{}…", "読".repeat(31)).as_str()));
        let fits = "読".repeat(32);
        assert_eq!(ClientName::claimed(&fits).get(), Some(fits.as_str()));
        for count in 1..80 {
            let name = ClientName::claimed(&"\u{20000}".repeat(count));
            assert!(name.get().unwrap().len() <= ClientName::MOST_BYTES, "{count}");
            assert_eq!(ClientName::claimed(name.get().unwrap()), name, "{count}");
        }
    }

    #[test]
    fn a_key_says_which_mode_it_is_of() {
        let modes = [AuthMode::Session, AuthMode::SingleUser, AuthMode::OAuth];
        let keys = modes.map(|mode| key(mode, "x"));
        assert_eq!(keys, ["session/x", "single-user/x", "oauth/x"]);
    }
}
