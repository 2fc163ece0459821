//! The files that a running server needs: made here, readable by their owner only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
};

use super::{
    problem::{Problem, Problems},
    settings::{KeySource, LocalKey, SessionKeys, Settings, StoreLocation},
};
use crate::domain::{Entropy, Secret};

/// A key file holds 256 random bits as base64url.
const KEY_CHARS: usize = 43;

/// What a running server needs besides its settings.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The keys for cookies and sealed state.
    pub session_keys: SessionKeys,
    /// What a caller must present; `None`: nothing.
    pub local_key: Option<Secret>,
}

impl Settings {
    /// Makes the state folder and the keys that are missing, and reads those that are there.
    pub fn prepare(&self, entropy: &dyn Entropy) -> Result<Prepared, Problems> {
        if self.needs_state_dir() {
            make_private_folder(&self.state_dir).map_err(|problem| Problems(vec![problem]))?;
        }
        let session_keys = match &self.session_secret {
            KeySource::Given(keys) => Ok(keys.clone()),
            KeySource::File(path) => {
                key_file(path, entropy).map(|current| SessionKeys { current, previous: Vec::new() })
            }
        };
        let local_key = match &self.local_key {
            LocalKey::Off => Ok(None),
            LocalKey::Required(KeySource::Given(key)) => Ok(Some(key.clone())),
            LocalKey::Required(KeySource::File(path)) => key_file(path, entropy).map(Some),
        };
        match (session_keys, local_key) {
            (Ok(session_keys), Ok(local_key)) => Ok(Prepared { session_keys, local_key }),
            (keys, key) => Err(Problems(keys.err().into_iter().chain(key.err()).collect())),
        }
    }

    fn needs_state_dir(&self) -> bool {
        let store = match &self.store {
            StoreLocation::Memory | StoreLocation::Redis(_) => false,
            StoreLocation::Sqlite(path) => path.starts_with(&self.state_dir),
        };
        store
            || matches!(self.session_secret, KeySource::File(_))
            || matches!(self.local_key, LocalKey::Required(KeySource::File(_)))
    }
}

fn make_private_folder(path: &Path) -> Result<(), Problem> {
    let problem = |wrong: String, cure: &str| Problem {
        variable: "STATE_DIR".to_owned(),
        wrong,
        cure: cure.to_owned(),
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).and_then(|()| fs::metadata(path)).map_err(|error| {
        problem(
            format!("names a folder that cannot be made ({})", error.kind()),
            "Set it to a folder that this user may make, or make it yourself.",
        )
    })?;
    // Whoever may write to the folder may put their own key in the place of ours. Somebody else's
    // permissions are not ours to change, the folder may be /tmp.
    #[cfg(unix)]
    if fs::metadata(path).is_ok_and(|it| mode(&it) & 0o022 != 0) {
        return Err(problem(
            "names a folder that other users may write to".to_owned(),
            "Take that right away (chmod 700), or set it to a folder of your own.",
        ));
    }
    Ok(())
}

/// The key in the file, which is made if it is missing.
fn key_file(path: &Path, entropy: &dyn Entropy) -> Result<Secret, Problem> {
    let problem = |wrong: String, cure: &str| Problem {
        variable: path.display().to_string(),
        wrong,
        cure: cure.to_owned(),
    };
    let unusable = |error: &io::Error| {
        problem(
            format!("cannot be made or read ({})", error.kind()),
            "Let this user read and write STATE_DIR.",
        )
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_key(path, entropy).and_then(|()| File::open(path))
        }
        opened => opened,
    }
    .map_err(|error| unusable(&error))?;
    #[cfg(unix)]
    if file.metadata().is_ok_and(|it| mode(&it) & 0o077 != 0) {
        return Err(problem(
            "can be read by other users".to_owned(),
            "It may be known to others: delete it, and a new one is made at the next start.",
        ));
    }
    let mut text = String::new();
    let longest = u64::try_from(KEY_CHARS + 2).unwrap_or(u64::MAX);
    file.take(longest).read_to_string(&mut text).map_err(|error| unusable(&error))?;
    let key = text.trim_end();
    let is_whole = key.len() == KEY_CHARS
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !is_whole {
        return Err(problem(
            "does not hold a key".to_owned(),
            "Delete it, and a new one is made at the next start.",
        ));
    }
    Ok(Secret::from(key))
}

/// Writes a new key under another name and links it into place: whoever looks finds no file or a
/// whole one, and of two processes that start together one wins and both read the same key.
fn make_key(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let draft = path.with_extension(entropy.token::<8>());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(entropy.token::<32>().as_bytes())?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // Left behind, the draft would be a second copy of the key.
    let removed = fs::remove_file(&draft);
    linked.and(removed)
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions())
}
