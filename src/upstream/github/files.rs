//! What a pull request changes: its diff, or the list of its files where the diff is too large.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::{GitHub, diff, refusal};
use crate::{
    domain::{
        FailureCode,
        failure::Result,
        pull_request::{ChangeType, Diff, FileDiff},
        repository::RepositoryName,
    },
    upstream::{
        scalekit::{ProxyError, ProxyRequest},
        transport::{Answer, BodyCap, Call, Dispatch, Purpose, Retry},
    },
};

/// Files on one page; larger pages of large patches time out.
const PAGE: usize = 60;
/// GitHub lists at most 3,000 files.
const MAX_PAGES: usize = 3_000 / PAGE;
/// Pages asked for at once after the first.
const WAVE: usize = 4;
/// Bytes of patches kept in all; files beyond it are listed without theirs.
const MAX_PATCH_BYTES: usize = 2_000_000;

impl GitHub {
    /// The diff by requests of our own.
    pub(super) async fn requested_diff(
        &self,
        repository: &RepositoryName,
        number: u64,
        call: &Call,
    ) -> Result<Diff> {
        let path = format!("/repos/{}/{}/pulls/{number}", repository.owner(), repository.name());
        let request = read_request(path, "application/vnd.github.diff", BodyCap::DIFF);
        let answer = self.read(&request, call).await?;
        match answer.status {
            StatusCode::OK => {
                let text = String::from_utf8_lossy(&answer.body);
                let diff = diff::parse(&text, answer.truncated);
                // Something else than a diff must not look like a change of nothing.
                let is_odd = diff.files.is_empty() && !text.trim().is_empty();
                if is_odd { Err(refusal::odd()) } else { Ok(diff) }
            }
            StatusCode::NOT_ACCEPTABLE => self.files(repository, number, call).await,
            _ => Err(refusal::failure(&answer)),
        }
    }

    async fn files(&self, repository: &RepositoryName, number: u64, call: &Call) -> Result<Diff> {
        let first = self.files_page(repository, number, 1, call).await?;
        let mut is_complete = first.len() < PAGE;
        let mut interruption = None;
        let mut files = Files::default();
        files.take(first);
        let mut next = 2;
        while !is_complete && next <= MAX_PAGES {
            let wave = next..(next + WAVE).min(MAX_PAGES + 1);
            next = wave.end;
            for page in join_all(wave.map(|n| self.files_page(repository, number, n, call))).await {
                match page {
                    Ok(page) => {
                        is_complete |= page.len() < PAGE;
                        files.take(page);
                    }
                    // What was read is worth more than nothing: a page that fails only ends it.
                    Err(failure) => {
                        interruption.get_or_insert(failure.code);
                    }
                }
            }
            if interruption.is_some() {
                break;
            }
        }
        let is_truncated = !is_complete || interruption.is_some();
        Ok(files.into_diff(is_truncated, interruption))
    }

    async fn files_page(
        &self,
        repository: &RepositoryName,
        number: u64,
        page: usize,
        call: &Call,
    ) -> Result<Vec<FileDiff>> {
        let path =
            format!("/repos/{}/{}/pulls/{number}/files", repository.owner(), repository.name());
        let mut request = read_request(path, "application/vnd.github+json", BodyCap::JSON);
        request.query = vec![("per_page", PAGE.to_string()), ("page", page.to_string())];
        read_page(&self.read(&request, call).await?)
    }

    /// One request to REST; whatever its status, it tells what is left of the limit.
    async fn read(&self, request: &ProxyRequest, call: &Call) -> Result<Answer> {
        let answer = self.access.send(request, call).await.map_err(into_failure)?;
        self.limits.note_rest(&answer);
        Ok(answer)
    }
}

/// A GET that may be repeated.
pub(super) fn read_request(path: String, accept: &'static str, cap: BodyCap) -> ProxyRequest {
    ProxyRequest {
        method: Method::GET,
        path,
        query: Vec::new(),
        accept,
        body: None,
        dispatch: Dispatch { retry: Retry::Safe, cap, purpose: Purpose::GitHub },
    }
}

pub(super) fn into_failure(error: ProxyError) -> Box<crate::domain::Failure> {
    match error {
        ProxyError::Transport(error) => refusal::unreachable(error),
        ProxyError::Failure(failure) => failure,
    }
}

/// A file of the list.
#[derive(Deserialize)]
pub(super) struct File {
    filename: String,
    #[serde(default)]
    previous_filename: Option<String>,
    status: String,
    additions: u64,
    deletions: u64,
    #[serde(default)]
    patch: Option<String>,
}

fn read_page(answer: &Answer) -> Result<Vec<FileDiff>> {
    if answer.status != StatusCode::OK {
        return Err(refusal::failure(answer));
    }
    let files: Vec<File> = serde_json::from_slice(&answer.body).map_err(|_| refusal::odd())?;
    Ok(files.into_iter().map(file).collect())
}

pub(super) fn file(file: File) -> FileDiff {
    let change = match file.status.as_str() {
        "added" => ChangeType::Added,
        "removed" => ChangeType::Deleted,
        "renamed" => ChangeType::Renamed,
        _ => ChangeType::Modified,
    };
    FileDiff {
        path: file.filename,
        // A copy names its origin too, but nothing was there before it.
        previous_path: file.previous_filename.filter(|_| change == ChangeType::Renamed),
        change,
        additions: file.additions,
        deletions: file.deletions,
        // Left out for binary and for large files alike: which it was, GitHub does not say.
        patch: file.patch,
        is_binary: false,
        is_cut: false,
    }
}

/// Files as their pages come in. Patches beyond the cap go at once: fifty pages together may be
/// far larger than what is kept of them.
#[derive(Default)]
pub(super) struct Files {
    files: Vec<FileDiff>,
    patch_bytes: usize,
}

impl Files {
    pub(super) fn take(&mut self, page: Vec<FileDiff>) {
        for mut file in page {
            let bytes = file.patch.as_ref().map_or(0, String::len);
            self.patch_bytes = self.patch_bytes.saturating_add(bytes);
            if self.patch_bytes > MAX_PATCH_BYTES && file.patch.take().is_some() {
                file.is_cut = true;
            }
            self.files.push(file);
        }
    }

    pub(super) fn into_diff(self, is_truncated: bool, interruption: Option<FailureCode>) -> Diff {
        Diff { files: self.files, is_truncated, interruption, is_first_page: false }
    }
}
