//! A repository's name and the many ways to write it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::failure::{Failure, FailureCode, Result};

/// GitHub's limits: 39 characters for an owner, 100 for a repository.
const MAX_OWNER: usize = 39;
const MAX_NAME: usize = 100;
/// What addresses may add to a name.
const GIT: &str = ".git";
/// GitHub's own host.
const PUBLIC: &str = "github.com";
/// Longer than any address that names a repository.
const MAX_REFERENCE: usize = 2_000;

/// owner/name, in characters that are safe in a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName {
    owner: String,
    name: String,
}

impl RepositoryName {
    /// Checks both parts: `A-Z a-z 0-9 . _ -`, never `.` or `..`, within GitHub's lengths. No name ends
    /// in `.git`, which GitHub keeps for addresses: it would be read as another one.
    pub fn new(owner: &str, name: &str) -> Result<Self> {
        check_part("owner", owner, MAX_OWNER)?;
        check_part("repository name", name, MAX_NAME)?;
        if name.ends_with(GIT) {
            return Err(invalid("GitHub has no repository whose name ends in .git."));
        }
        Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
    }

    /// The user or organization.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The repository within it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for RepositoryName {
    type Err = Box<Failure>;

    /// Reads exactly owner/name; see [`RepositoryReference::parse`] for what people write.
    fn from_str(text: &str) -> Result<Self> {
        let (owner, name) =
            text.split_once('/').ok_or_else(|| invalid("The repository has no owner."))?;
        Self::new(owner, name)
    }
}

impl Serialize for RepositoryName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RepositoryName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a person or an agent wrote to name a repository, or one pull request of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryReference {
    /// The repository.
    pub repository: RepositoryName,
    /// The pull request, if the address was one's.
    pub pull_request: Option<u64>,
}

impl RepositoryReference {
    /// Reads `owner/repo`, `owner/repo#7`, and https, http, ssh and `git@` addresses, with or
    /// without `.git`, a trailing slash, a query, a fragment, or a page such as `/pull/7/files`.
    ///
    /// The host is not part of it: the server reads the one GitHub it is configured for, and an
    /// address never decides where a request goes. Whether it names that one is told by [`host`].
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(invalid("The repository is empty."));
        }
        if text.len() > MAX_REFERENCE {
            return Err(invalid("The repository is longer than any address of one."));
        }
        let (path, shorthand) = path_of(text)?;
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let owner = segments.next().ok_or_else(|| invalid("The address names no repository."))?;
        let name = segments.next().ok_or_else(|| {
            invalid("The repository has no owner, or the owner has no repository.")
        })?;
        let repository = RepositoryName::new(owner, name.strip_suffix(GIT).unwrap_or(name))?;
        let pull_request = match (segments.next(), segments.next()) {
            (Some("pull"), Some(number)) => Some(read_number(number)?),
            // Any other page of a repository still names it; three bare words do not.
            (Some(_), _) if shorthand.is_bare => {
                return Err(invalid("The repository has more than an owner and a name."));
            }
            _ => shorthand.number.map(read_number).transpose()?,
        };
        Ok(Self { repository, pull_request })
    }
}

/// The host of an address of a repository, in lower case; `None` for `owner/repo`.
pub fn host(text: &str) -> Option<String> {
    let text = text.trim();
    let authority = if let Some((_, rest)) = text.split_once("://") {
        without_query(rest).split('/').next()?
    } else if let Some((user_and_host, _)) =
        text.split_once(':').filter(|(before, _)| before.contains('@') && !before.contains('/'))
    {
        user_and_host
    } else {
        return path_of(text)
            .ok()
            .filter(|(_, shorthand)| !shorthand.is_bare)
            .map(|_| PUBLIC.into());
    };
    let host = authority.rsplit('@').next()?;
    // An IPv6 address keeps its brackets.
    let end = host.find(']').map_or_else(|| host.find(':'), |bracket| Some(bracket + 1));
    Some(host.get(..end.unwrap_or(host.len()))?.to_lowercase())
}

/// How `owner/repo#7` differs from an address, where `#` begins a fragment.
struct Shorthand<'a> {
    is_bare: bool,
    number: Option<&'a str>,
}

/// The path of an address without its query and fragment, or the bare text itself.
fn path_of(text: &str) -> Result<(&str, Shorthand<'_>)> {
    let is_address = Shorthand { is_bare: false, number: None };
    if let Some((scheme, rest)) = text.split_once("://") {
        let known = ["https", "http", "ssh", "git"];
        if !known.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(invalid("The repository's address is none of https, http, ssh or git."));
        }
        let rest = without_query(rest);
        let (_, path) = rest.split_once('/').unwrap_or((rest, ""));
        return Ok((path, is_address));
    }
    // scp's form: git@host:owner/repo.git
    if let Some((user_and_host, path)) = text.split_once(':')
        && user_and_host.contains('@')
        && !user_and_host.contains('/')
    {
        return Ok((without_query(path), is_address));
    }
    let host = text.split('/').next().unwrap_or_default();
    if ["github.com", "www.github.com"].iter().any(|known| host.eq_ignore_ascii_case(known)) {
        let path = text.get(host.len()..).unwrap_or_default();
        return Ok((without_query(path), is_address));
    }
    let (path, number) = match text.split_once('#') {
        Some((path, number)) => (path, Some(number)),
        None => (text, None),
    };
    Ok((path, Shorthand { is_bare: true, number }))
}

fn without_query(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

fn read_number(text: &str) -> Result<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // GraphQL's Int: GitHub could not be asked about a larger number.
    let number = if digits { text.parse::<i32>().ok() } else { None };
    number
        .filter(|number| *number > 0)
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| invalid("The pull request's number in the address is not a number."))
}

fn check_part(what: &str, part: &str, longest: usize) -> Result<()> {
    let problem = if part.is_empty() {
        "is empty"
    } else if part.len() > longest {
        "is longer than GitHub allows"
    } else if part == "." || part == ".." {
        "is only dots"
    } else if !part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "has characters other than letters, digits, '.', '_' and '-'"
    } else {
        return Ok(());
    };
    Err(invalid(&format!("The {what} {problem}.")))
}

fn invalid(detail: &str) -> Box<Failure> {
    Failure::new(FailureCode::InvalidRepository, detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_tells_its_host() {
        for (text, expected) in [
            ("octo/hello", None),
            ("octo/hello#7", None),
            ("github.com/octo/hello", Some("github.com")),
            ("https://GitHub.com/octo/hello/pull/7", Some("github.com")),
            ("https://www.github.com:443/octo/hello?x=https://a.b/c", Some("www.github.com")),
            ("git@gitlab.com:octo/hello.git", Some("gitlab.com")),
            ("ssh://git@ghe.example:22/octo/hello", Some("ghe.example")),
            ("https://user@evil.example@github.com/octo/hello", Some("github.com")),
            ("http://[::1]:3000/octo/hello", Some("[::1]")),
        ] {
            assert_eq!(host(text).as_deref(), expected, "{text}");
        }
    }

    fn read(text: &str) -> Option<(String, Option<u64>)> {
        let reference = RepositoryReference::parse(text).ok()?;
        Some((reference.repository.to_string(), reference.pull_request))
    }

    #[test]
    fn what_people_write_is_understood() {
        for text in [
            "rust-lang/rust",
            "  rust-lang/rust/ \n",
            "rust-lang/rust.git",
            "https://github.com/rust-lang/rust",
            "https://github.com/rust-lang/rust.git",
            "HTTPS://GitHub.com/rust-lang/rust/?tab=readme#top",
            "http://www.github.com/rust-lang/rust//",
            "https://github.com/rust-lang/rust/pulls/octocat",
            "https://github.com/rust-lang/rust/tree/master/src",
            "https://ghe.example:8443/rust-lang/rust",
            "ssh://git@github.com:22/rust-lang/rust.git",
            "git@github.com:rust-lang/rust.git",
            "github.com/rust-lang/rust",
        ] {
            assert_eq!(read(text), Some(("rust-lang/rust".to_owned(), None)), "{text}");
        }
        for text in [
            "https://github.com/rust-lang/rust/pull/42",
            "https://github.com/rust-lang/rust/pull/42/files?diff=split#r1",
            "github.com/rust-lang/rust/pull/42/",
            "rust-lang/rust/pull/42",
            "rust-lang/rust#42",
        ] {
            assert_eq!(read(text), Some(("rust-lang/rust".to_owned(), Some(42))), "{text}");
        }
    }

    #[test]
    fn what_names_no_repository_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "is empty"),
            ("rust", "no owner"),
            ("/", "names no repository"),
            ("a/b/c", "more than an owner and a name"),
            ("a/..", "only dots"),
            ("./b", "only dots"),
            ("a/b c", "characters other than"),
            ("a/b%2Fc", "characters other than"),
            ("ä/b", "characters other than"),
            ("a/.git", "is empty"),
            ("a/b.git.git", "ends in .git"),
            ("ftp://github.com/a/b", "none of https"),
            ("https://github.com", "names no repository"),
            ("https://github.com/a", "the owner has no repository"),
            ("https://github.com/a/b/pull/x", "not a number"),
            ("a/b#0", "not a number"),
            ("a/b#99999999999", "not a number"),
            (&"a".repeat(3_000), "longer than any"),
            (&format!("{}/b", "a".repeat(40)), "longer than GitHub allows"),
        ] {
            let failure = RepositoryReference::parse(text).unwrap_err();
            assert_eq!(failure.code, FailureCode::InvalidRepository);
            assert!(failure.detail.contains(reason), "{text}: {}", failure.detail);
        }
    }

    #[test]
    fn a_name_is_one_string_in_json_and_is_checked_there_too() {
        let name = RepositoryName::new("a", "b").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), r#""a/b""#);
        assert_eq!(serde_json::from_str::<RepositoryName>(r#""a/b""#).unwrap(), name);
        assert!(serde_json::from_str::<RepositoryName>(r#""a/../b""#).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = RepositoryReference::parse(&text);
        }

        #[test]
        fn nearly_addresses_never_give_a_name_that_could_leave_its_path(
            text in "(https?://|git@|)[a-z.:/@#?%-]{0,40}"
        ) {
            if let Ok(reference) = RepositoryReference::parse(&text) {
                let name = reference.repository;
                prop_assert_eq!(RepositoryName::new(name.owner(), name.name()).unwrap(), name);
            }
        }

        #[test]
        fn every_name_round_trips_through_every_form(
            owner in "[A-Za-z0-9][A-Za-z0-9-]{0,20}",
            name in "[A-Za-z0-9_][A-Za-z0-9._-]{0,20}",
            number in 1_u64..2_000_000_000,
        ) {
            prop_assume!(!name.ends_with(GIT));
            let expected = RepositoryName::new(&owner, &name).unwrap();
            for form in [
                format!("{owner}/{name}"),
                format!("https://github.com/{owner}/{name}.git"),
                format!("git@github.com:{owner}/{name}"),
            ] {
                prop_assert_eq!(&RepositoryReference::parse(&form).unwrap().repository, &expected);
            }
            let page = format!("https://github.com/{owner}/{name}/pull/{number}/commits");
            let reference = RepositoryReference::parse(&page).unwrap();
            prop_assert_eq!(reference, RepositoryReference {
                repository: expected,
                pull_request: Some(number),
            });
        }
    }
}
