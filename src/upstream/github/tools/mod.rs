//! GitHub read with Scalekit's tools, where the proxy is off: one request for the list and seven
//! for each pull request.
//!
//! There is no GraphQL, so GitHub's own order chooses, and what only GraphQL tells (threads'
//! resolution, the review decision, the merge queue) stays unknown. The tools for files, reviews and
//! review comments take no page: what GitHub's first page does not hold is said to be missing.

mod conversation;
mod facts;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::timeout_at};

use self::facts::{Item, Repository, ReviewItem};
use super::{
    Conversations, ListQuery, PullRequestList, files,
    listing::{Ended, Extent, MAX_PAGES},
    refusal,
};
use crate::{
    domain::{
        Failure, FailureCode, GitHubAccount, UserId,
        failure::Result,
        pull_request::{Checks, Diff, PullRequest},
        ranking::Order,
        repository::RepositoryName,
    },
    upstream::{
        scalekit::Scalekit,
        transport::{Call, TransportError},
    },
};

/// Tools that one caller runs at the same time.
const MAX_CONCURRENT: usize = 12;
/// Items that GitHub puts on a page when nobody says how many.
const USUAL_PAGE: usize = 30;
/// Items on the largest page there is.
const LARGEST_PAGE: usize = 100;

/// What to do so that the answer is whole.
const CURE: &str = "Scalekit's proxy is off for the GitHub connection, so GitHub is read with \
                    Scalekit's tools: unresolved threads, review decisions and merge queues are \
                    unknown, and more requests are needed. Cure: ask Scalekit to enable the proxy \
                    for the GitHub connection. (proxy_disabled)";

/// GitHub as one person sees it through the tools. Clones share what was told.
#[derive(Clone)]
pub(super) struct Tools {
    scalekit: Scalekit,
    user: UserId,
    slots: Arc<Semaphore>,
    /// What the facts have brought that conversation and diff need, so that nothing is asked twice.
    /// A std mutex: it is never held across an await.
    told: Arc<Mutex<BTreeMap<u64, Told>>>,
}

#[derive(Clone)]
struct Told {
    comments: Option<u64>,
    review_comments: Option<u64>,
    changed_files: Option<u64>,
    reviews: Arc<Vec<ReviewItem>>,
}

/// One pull request with its facts, and the repository as it names it.
struct Found {
    pull_request: PullRequest,
    repository: Option<Repository>,
    state: String,
    is_merged: bool,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tools").field(&self.user).finish()
    }
}

impl Tools {
    pub(super) fn new(scalekit: Scalekit, user: UserId) -> Self {
        let slots = Arc::new(Semaphore::new(MAX_CONCURRENT));
        Self { scalekit, user, slots, told: Arc::default() }
    }

    /// Whether there is no other way to GitHub.
    pub(super) fn are_needed(&self) -> bool {
        self.scalekit.proxy_is_off()
    }

    /// Whose account this is.
    pub(super) async fn viewer(&self, call: &Call) -> Result<GitHubAccount> {
        let data = self.run("github_user_get_authenticated", json!({}), call).await?;
        read(data)
    }

    /// The first open pull requests in GitHub's order, by the published one among themselves.
    pub(super) async fn choose(&self, query: &ListQuery, call: &Call) -> Result<PullRequestList> {
        let mut warnings = vec![CURE.to_owned()];
        let (items, open) = self.list(query, &mut warnings, call).await?;
        let numbers: Vec<u64> = items.iter().map(|item| item.number).collect();
        let repository = items.into_iter().find_map(|item| item.base.repo);
        let mut list = self.with_facts(&query.repository, &numbers, repository, call).await?;
        list.open_pull_requests = open;
        warnings.append(&mut list.warnings);
        list.warnings = warnings;
        list.pull_requests = query.order.rank(list.pull_requests, query.limit);
        list.is_chosen_by_github = true;
        Ok(list)
    }

    /// These pull requests, in the order given.
    pub(super) async fn by_number(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<PullRequestList> {
        let mut list = self.with_facts(repository, numbers, None, call).await?;
        list.warnings.insert(0, CURE.to_owned());
        Ok(list)
    }

    /// What was said about these pull requests. Those that could not be read are missing.
    pub(super) async fn conversations(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<Conversations> {
        let read = numbers.iter().map(|number| async move {
            (*number, self.conversation(repository, *number, call).await)
        });
        let mut found = Conversations::default();
        let mut refused = None;
        for (number, conversation) in join_all(read).await {
            match conversation {
                Ok(conversation) => {
                    found.told.insert(number, conversation);
                }
                Err(failure) => refused = Some(failure),
            }
        }
        // One that fails is missing; when all fail, why is worth more.
        match refused {
            Some(failure) if found.told.is_empty() => Err(failure),
            _ => Ok(found),
        }
    }

    /// The files of a pull request, as far as the first page lists them.
    pub(super) async fn diff(
        &self,
        repository: &RepositoryName,
        number: u64,
        call: &Call,
    ) -> Result<Diff> {
        let params = of_pull_request(repository, number);
        let data = self.run("github_pull_request_files_list", params, call).await?;
        let files: Vec<files::File> = items(data)?;
        let changed = self.told(number).and_then(|told| told.changed_files);
        let is_whole = match changed.and_then(|changed| usize::try_from(changed).ok()) {
            Some(changed) => files.len() >= changed,
            None => files.len() < USUAL_PAGE,
        };
        let mut kept = files::Files::default();
        kept.take(files.into_iter().map(files::file).collect());
        Ok(Diff { is_first_page: !is_whole, ..kept.into_diff(!is_whole, None) })
    }

    /// Open pull requests that the query admits, and how many are open if that came to light.
    async fn list(
        &self,
        query: &ListQuery,
        warnings: &mut Vec<String>,
        call: &Call,
    ) -> Result<(Vec<Item>, Option<u64>)> {
        let selection = query.selection();
        let is_filtered = !selection.is_everything() || query.label.is_some();
        let size = if is_filtered { LARGEST_PAGE } else { query.limit.clamp(1, LARGEST_PAGE) };
        let (mut chosen, mut seen) = (Vec::new(), 0);
        let mut ended = Ended::Bound;
        for page in 1..=MAX_PAGES {
            let params = list_params(query, size, page);
            let found: Result<Vec<Item>> =
                self.run("github_pull_requests_list", params, call).await.and_then(items);
            let found = match found {
                Ok(found) => found,
                Err(failure) if page == 1 => return Err(failure),
                Err(failure) => {
                    ended = Ended::Failed(failure.code);
                    break;
                }
            };
            let is_last = found.len() < size;
            seen += found.len();
            chosen.extend(found.into_iter().filter(|item| {
                selection.admits_opening(item.draft, &item.author())
                    && query.label.as_ref().is_none_or(|label| item.has_label(label))
            }));
            if is_last || chosen.len() >= query.limit {
                chosen.truncate(query.limit);
                let is_all = is_last && query.base.is_none();
                return Ok((chosen, is_all.then_some(seen).and_then(|n| u64::try_from(n).ok())));
            }
        }
        let extent = Extent { seen, found: chosen.len(), is_filtered };
        warnings.extend(ended.warning(extent, query.limit));
        Ok((chosen, None))
    }

    async fn with_facts(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        mut told: Option<Repository>,
        call: &Call,
    ) -> Result<PullRequestList> {
        let reads = numbers
            .iter()
            .map(|&number| async move { (number, self.facts(repository, number, call).await) });
        let all = join_all(reads).await;
        let (mut found, mut absent, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        let mut refused: Option<Box<Failure>> = None;
        for (number, facts) in all {
            match facts {
                Ok((one, warning)) => {
                    told = told.or(one.repository);
                    warnings.extend(warning);
                    match one.state.as_str() {
                        "open" => found.push(one.pull_request),
                        _ if one.is_merged => absent.push((number, "merged".to_owned())),
                        _ => absent.push((number, "closed".to_owned())),
                    }
                }
                Err(failure) => {
                    let reason = match failure.code {
                        FailureCode::RepositoryNotFound => "no such pull request".to_owned(),
                        code => format!("could not be read ({})", code.slug()),
                    };
                    absent.push((number, reason));
                    refused = Some(failure);
                }
            }
        }
        let told = match (told, refused) {
            (Some(told), _) => told,
            (None, Some(failure)) if failure.code != FailureCode::RepositoryNotFound => {
                return Err(failure);
            }
            // Nothing has proved yet that the repository is there and may be read.
            (None, _) => read(self.run("github_repo_get", params(repository, []), call).await?)?,
        };
        list_of(told, found, absent, warnings)
    }

    /// One pull request: itself, its reviews, and the two kinds of checks of its head.
    async fn facts(
        &self,
        repository: &RepositoryName,
        number: u64,
        call: &Call,
    ) -> Result<(Found, Option<String>)> {
        let params = of_pull_request(repository, number);
        let (whole, reviews) = futures_util::join!(
            self.run("github_pull_request_get", params.clone(), call),
            self.run("github_pull_request_reviews_list", params, call),
        );
        let whole = whole?;
        let auto_merge = whole.get("auto_merge").map(|setting| !setting.is_null());
        let item: Item = read(whole)?;
        let reviews: Vec<ReviewItem> = items(reviews?)?;
        let checks = self.checks(repository, &item.head.sha, call).await;
        // The first page holds the oldest: the latest verdicts may stand on the next.
        let warning = (reviews.len() >= USUAL_PAGE).then(|| {
            format!(
                "No. {number} has {} reviews or more; the reviewers' latest verdicts are unknown.",
                reviews.len()
            )
        });
        let told = Told {
            comments: item.comments,
            review_comments: item.review_comments,
            changed_files: item.changed_files,
            reviews: Arc::new(reviews),
        };
        let all_reviews = warning.is_none().then_some(told.reviews.as_slice());
        let (state, is_merged) = (item.state.clone(), item.merged_at.is_some());
        let repository = item.base.repo.clone();
        let pull_request = item.into_facts(all_reviews, checks, auto_merge);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(number, told);
        Ok((Found { pull_request, repository, state, is_merged }, warning))
    }

    /// Unknown unless both kinds were told: one alone says nothing of the other.
    async fn checks(&self, repository: &RepositoryName, head: &str, call: &Call) -> Checks {
        let params = params(repository, [("ref", json!(head))]);
        let (runs, statuses) = futures_util::join!(
            self.run("github_check_runs_list_for_ref", params.clone(), call),
            self.run("github_commit_combined_status_get", params, call),
        );
        match (runs.and_then(read), statuses.and_then(read)) {
            (Ok(runs), Ok(statuses)) => facts::checks(&runs, &statuses),
            _ => Checks::UNKNOWN,
        }
    }

    fn told(&self, number: u64) -> Option<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    async fn run(&self, tool: &'static str, params: Value, call: &Call) -> Result<Value> {
        let slot = timeout_at(call.deadline(), self.slots.acquire()).await;
        let Ok(Ok(_slot)) = slot else {
            return Err(refusal::unreachable(TransportError::TimedOut));
        };
        self.scalekit.execute_tool(&self.user, tool, params, call).await
    }
}

fn list_params(query: &ListQuery, size: usize, page: usize) -> Value {
    let (sort, direction) = match query.order {
        Order::MostDiscussed => ("popularity", "desc"),
        Order::RecentlyUpdated => ("updated", "desc"),
        Order::Newest => ("created", "desc"),
        Order::Oldest => ("created", "asc"),
    };
    let mut further = vec![
        ("state", json!("open")),
        ("sort", json!(sort)),
        // GitHub sorts upwards by everything but time of opening unless told otherwise.
        ("direction", json!(direction)),
        ("per_page", json!(size)),
        ("page", json!(page)),
    ];
    further.extend(query.base.as_ref().map(|base| ("base", json!(base))));
    params(&query.repository, further)
}

/// A tool's parameters: which repository, and the rest.
fn params(
    repository: &RepositoryName,
    further: impl IntoIterator<Item = (&'static str, Value)>,
) -> Value {
    let named = [("owner", json!(repository.owner())), ("repo", json!(repository.name()))];
    Value::Object(named.into_iter().chain(further).map(|(k, v)| (k.to_owned(), v)).collect())
}

fn of_pull_request(repository: &RepositoryName, number: u64) -> Value {
    params(repository, [("pull_number", json!(number))])
}

fn list_of(
    told: Repository,
    pull_requests: Vec<PullRequest>,
    absent: Vec<(u64, String)>,
    warnings: Vec<String>,
) -> Result<PullRequestList> {
    Ok(PullRequestList {
        name_with_owner: told.full_name.parse().map_err(|_| refusal::odd())?,
        url: told.html_url,
        is_private: told.private,
        database_id: told.id,
        open_pull_requests: None,
        pull_requests,
        absent,
        warnings,
        rate_limit: None,
        is_chosen_by_github: false,
    })
}

fn read<T: DeserializeOwned>(data: Value) -> Result<T> {
    // serde's error may quote the data: it is not kept.
    serde_json::from_value(data).map_err(|_| refusal::odd())
}

/// The items of a list, which comes bare or under one of a few names.
fn items<T: DeserializeOwned>(mut data: Value) -> Result<Vec<T>> {
    let inner = ["array", "pull_requests", "items", "data"]
        .into_iter()
        .find_map(|name| data.get_mut(name).filter(|inner| inner.is_array()).map(Value::take));
    read(inner.unwrap_or(data))
}
