//! GraphQL's `PullRequest` and what hangs on it: how each field is told from the state.

use super::{
    diff::FileChange,
    graphql::{Context, Field, Object, Outcome, Resolved, leaf, optional, refusal},
    model::{Checks, Comment, PullRequest, Repository, Review, Reviewer, Thread},
    resolve::{actor, actor_of_type, bare_commit, branch, date, nothing},
};

pub(super) fn pull_request<'s>(
    context: Context<'s>,
    repository: &'s Repository,
    pull: &'s PullRequest,
) -> Object<'s> {
    context.keyed("PullRequest", pull.number, move |field| {
        plain(repository, pull, field).unwrap_or_else(|| related(context, repository, pull, field))
    })
}

fn url(repository: &Repository, pull: &PullRequest) -> String {
    format!("https://github.com/{}/pull/{}", repository.name_with_owner(), pull.number)
}

/// Fields that are one value.
fn plain<'s>(
    repository: &'s Repository,
    pull: &'s PullRequest,
    field: &Field<'_>,
) -> Option<Resolved<'s>> {
    Some(match field.name() {
        "number" => leaf(pull.number),
        "id" => leaf(format!("PR_{}_{}", repository.id, pull.number)),
        "databaseId" => leaf(900_000_000 + pull.number),
        "fullDatabaseId" => leaf((900_000_000 + pull.number).to_string()),
        "title" => leaf(pull.title.as_str()),
        "url" | "permalink" => leaf(url(repository, pull)),
        "body" | "bodyText" => leaf(pull.body.as_str()),
        "authorAssociation" => leaf(pull.association),
        "isDraft" => leaf(pull.draft),
        "createdAt" | "publishedAt" => date(pull.created_at),
        "updatedAt" => date(pull.updated_at),
        "closedAt" if pull.state != "OPEN" => date(pull.updated_at),
        "mergedAt" if pull.state == "MERGED" => date(pull.updated_at),
        "closedAt" | "mergedAt" | "lastEditedAt" => nothing(),
        "state" => leaf(pull.state),
        "closed" => leaf(pull.state != "OPEN"),
        "merged" => leaf(pull.state == "MERGED"),
        "locked" => leaf(false),
        "baseRefName" => leaf(pull.base.as_str()),
        "baseRefOid" => leaf(pull.base_oid.as_str()),
        "headRefName" => leaf(pull.head.as_str()),
        "headRefOid" => leaf(pull.head_oid.as_str()),
        "isCrossRepository" => leaf(pull.fork.is_some()),
        "additions" => leaf(pull.additions()),
        "deletions" => leaf(pull.deletions()),
        "changedFiles" => leaf(pull.files.len() as u64),
        "totalCommentsCount" => leaf(pull.discussion() as u64),
        "reviewDecision" => leaf(pull.decision.map(str::to_owned)),
        "mergeable" => leaf(pull.mergeable),
        "mergeStateStatus" => leaf(pull.merge_state),
        "isInMergeQueue" => leaf(pull.queued),
        _ => return None,
    })
}

/// Fields that are objects or lists of them.
fn related<'s>(
    context: Context<'s>,
    repository: &'s Repository,
    pull: &'s PullRequest,
    field: &Field<'_>,
) -> Resolved<'s> {
    match field.name() {
        "author" => actor(context, pull.author.as_ref()),
        "baseRef" => Ok(Outcome::Object(branch(context, &pull.base))),
        "headRepositoryOwner" => {
            let owner = pull.fork.as_ref().map(|owner| actor_of_type(context, "User", owner));
            let own = || actor_of_type(context, "Organization", &repository.owner);
            Ok(Outcome::Object(owner.unwrap_or_else(own)))
        }
        "labels" => {
            let node = move |name: &'s String| label(context, name, pull.label_colour);
            context.connection("LabelConnection", field, &pull.labels, node)
        }
        "comments" => {
            let node = move |one| remark(context, "IssueComment", repository, pull, one, None);
            let all = &pull.comments;
            context.connection("IssueCommentConnection", field, all, node)
        }
        "reviews" | "latestReviews" | "latestOpinionatedReviews" => {
            let node = move |one| review(context, repository, pull, one);
            let all = reviews(context, repository, pull, field);
            context.connection("PullRequestReviewConnection", field, all, node)
        }
        "reviewThreads" => {
            let node = move |(index, one)| thread(context, repository, pull, index, one);
            let viewer = &context.viewer.login;
            let all = pull.threads.iter().enumerate().filter(|(_, one)| one.is_visible_to(viewer));
            context.connection("PullRequestReviewThreadConnection", field, all, node)
        }
        "reviewRequests" => {
            let node = move |one| review_request(context, one);
            let all = &pull.review_requests;
            context.connection("ReviewRequestConnection", field, all, node)
        }
        "files" => {
            let all = pull.files.iter();
            let node = move |one| file(context, one);
            context.connection("PullRequestChangedFileConnection", field, all, node)
        }
        "commits" => {
            let node = move |one| commit_of(context, one);
            context.connection("PullRequestCommitConnection", field, vec![pull], node)
        }
        "statusCheckRollup" => optional(rollup(context, pull)),
        "mergeQueueEntry" => optional(pull.queued.then(|| queue_entry(context, pull))),
        "autoMergeRequest" => optional(pull.auto_merge.then(|| auto_merge(context, pull))),
        other => Err(refusal("INTERNAL", &format!("the fake does not tell PullRequest.{other}"))),
    }
}

fn reviews<'s>(
    context: Context<'s>,
    repository: &Repository,
    pull: &'s PullRequest,
    field: &Field<'_>,
) -> Vec<&'s Review> {
    let visible = pull.reviews.iter().filter(|one| one.is_visible_to(&context.viewer.login));
    if field.name() == "reviews" {
        let (author, states) = (field.text("author"), field.texts("states"));
        let by = |one: &&Review| author.is_none() || one.author == author;
        let state = |one: &&Review| {
            states.as_ref().is_none_or(|states| states.iter().any(|state| state == one.state))
        };
        return visible.filter(by).filter(state).collect();
    }
    let opinionated = field.name() == "latestOpinionatedReviews";
    let writers_only = field.argument("writersOnly") == Some(true.into());
    let counts = |one: &&Review| {
        let is_opinion = !matches!(one.state, "COMMENTED" | "PENDING");
        let may_write = repository.association(one.author.as_ref()) != "NONE";
        (!opinionated || is_opinion) && (!writers_only || may_write)
    };
    let mut latest: Vec<&Review> = Vec::new();
    for one in visible.filter(counts) {
        latest.retain(|earlier| earlier.author != one.author);
        latest.push(one);
    }
    latest
}

fn label<'s>(context: Context<'s>, name: &'s str, colour: &'static str) -> Object<'s> {
    context.object("Label", move |field| match field.name() {
        "id" => leaf(format!("LA_{name}")),
        "name" => leaf(name),
        "color" => leaf(colour),
        _ => nothing(),
    })
}

fn remark<'s>(
    context: Context<'s>,
    type_name: &'static str,
    repository: &'s Repository,
    pull: &'s PullRequest,
    comment: &'s Comment,
    thread: Option<&'s Thread>,
) -> Object<'s> {
    let id = comment.at.timestamp();
    context.object(type_name, move |field| match field.name() {
        "id" => leaf(format!("IC_{id}")),
        "databaseId" => leaf(id % 2_000_000_000),
        "fullDatabaseId" => leaf(id.to_string()),
        "author" => actor(context, comment.author.as_ref()),
        "authorAssociation" => leaf(repository.association(comment.author.as_ref())),
        "body" | "bodyText" => leaf(comment.body.as_str()),
        "createdAt" | "updatedAt" => date(comment.at),
        "isMinimized" => leaf(false),
        "state" if thread.is_some_and(|thread| thread.draft_of.is_some()) => leaf("PENDING"),
        "state" => leaf("SUBMITTED"),
        "replyTo" => {
            let first = thread.and_then(|thread| thread.comments.first());
            let first = first.filter(|first| !std::ptr::eq(*first, comment));
            optional(first.map(|one| remark(context, type_name, repository, pull, one, thread)))
        }
        "path" => leaf(thread.map(|thread| thread.path.clone())),
        "line" => leaf(thread.filter(|thread| !thread.outdated).map(|thread| thread.line)),
        "outdated" => leaf(thread.is_some_and(|thread| thread.outdated)),
        "diffHunk" => leaf("@@ -1,1 +1,1 @@"),
        _ => leaf(format!("{}#comment-{id}", url(repository, pull))),
    })
}

fn review<'s>(
    context: Context<'s>,
    repository: &'s Repository,
    pull: &'s PullRequest,
    review: &'s Review,
) -> Object<'s> {
    let id = review.at.timestamp();
    context.object("PullRequestReview", move |field| match field.name() {
        "id" => leaf(format!("PRR_{id}")),
        "databaseId" => leaf(id % 2_000_000_000),
        "fullDatabaseId" => leaf(id.to_string()),
        "author" => actor(context, review.author.as_ref()),
        "authorAssociation" => leaf(repository.association(review.author.as_ref())),
        "body" | "bodyText" => leaf(review.body.as_str()),
        "comments" => {
            // Of a submitted review the fake does not know which comments came with it.
            let own = pull.threads.iter().filter(|_| review.state == "PENDING");
            let own = own.filter(|one| one.draft_of == review.author);
            let all = own.flat_map(|one| one.comments.iter().map(move |comment| (one, comment)));
            let kind = "PullRequestReviewComment";
            let node =
                move |(thread, one)| remark(context, kind, repository, pull, one, Some(thread));
            context.connection("PullRequestReviewCommentConnection", field, all, node)
        }
        "submittedAt" if review.state == "PENDING" => nothing(),
        "createdAt" | "submittedAt" | "updatedAt" => date(review.at),
        "state" => leaf(review.state),
        "commit" => Ok(Outcome::Object(bare_commit(context, review.commit.clone()))),
        _ => leaf(format!("{}#pullrequestreview-{id}", url(repository, pull))),
    })
}

fn thread<'s>(
    context: Context<'s>,
    repository: &'s Repository,
    pull: &'s PullRequest,
    index: usize,
    thread: &'s Thread,
) -> Object<'s> {
    context.object("PullRequestReviewThread", move |field| match field.name() {
        "id" => leaf(format!("PRRT_{}_{index}", pull.number)),
        "isResolved" | "isCollapsed" => leaf(thread.resolved),
        "isOutdated" => leaf(thread.outdated),
        "path" => leaf(thread.path.as_str()),
        "line" => leaf((!thread.outdated).then_some(thread.line)),
        "originalLine" => leaf(thread.line),
        "resolvedBy" => {
            let by = thread.comments.first().and_then(|comment| comment.author.as_ref());
            let by = by.filter(|_| thread.resolved);
            optional(by.map(|login| actor_of_type(context, "User", login)))
        }
        "comments" => {
            let kind = "PullRequestReviewComment";
            let node = move |one| remark(context, kind, repository, pull, one, Some(thread));
            let all = &thread.comments;
            context.connection("PullRequestReviewCommentConnection", field, all, node)
        }
        _ => nothing(),
    })
}

fn review_request<'s>(context: Context<'s>, reviewer: &'s Reviewer) -> Object<'s> {
    context.object("ReviewRequest", move |field| match (field.name(), reviewer) {
        ("id", _) => leaf("RR_1"),
        ("asCodeOwner", _) => leaf(false),
        (_, Reviewer::Hidden) => nothing(),
        (_, Reviewer::User(login)) => actor(context, Some(login)),
        (_, Reviewer::Team(slug)) => {
            let team = context.object("Team", move |field| match field.name() {
                "id" => leaf(format!("T_{slug}")),
                "combinedSlug" => leaf(format!("team/{slug}")),
                _ => leaf(slug.as_str()),
            });
            Ok(Outcome::Object(team))
        }
    })
}

fn file<'s>(context: Context<'s>, file: &'s FileChange) -> Object<'s> {
    context.object("PullRequestChangedFile", move |field| match field.name() {
        "path" => leaf(file.path.as_str()),
        "additions" => leaf(file.additions),
        "deletions" => leaf(file.deletions),
        _ => leaf(file.change.graphql()),
    })
}

fn commit_of<'s>(context: Context<'s>, pull: &'s PullRequest) -> Object<'s> {
    context.object("PullRequestCommit", move |field| match field.name() {
        "id" => leaf(format!("PRC_{}", pull.number)),
        "url" => leaf(format!("https://github.com/commit/{}", pull.head_oid)),
        _ => {
            let commit = context.object("Commit", move |field| match field.name() {
                "id" => leaf(format!("C_{}", pull.head_oid)),
                "oid" => leaf(pull.head_oid.as_str()),
                "abbreviatedOid" => leaf(&pull.head_oid[..7]),
                "committedDate" | "authoredDate" => date(pull.head_at),
                "statusCheckRollup" => optional(rollup(context, pull)),
                "url" => leaf(format!("https://github.com/commit/{}", pull.head_oid)),
                _ => leaf(pull.title.as_str()),
            });
            Ok(Outcome::Object(commit))
        }
    })
}

fn rollup<'s>(context: Context<'s>, pull: &'s PullRequest) -> Option<Object<'s>> {
    let Checks { passed, failed, pending, statuses } = pull.checks;
    let (runs, contexts) = (passed + failed + pending, statuses.0 + statuses.1);
    (runs + contexts > 0).then(|| {
        context.object("StatusCheckRollup", move |field| match field.name() {
            "id" => leaf(format!("SCR_{}", pull.number)),
            "state" if failed + statuses.1 > 0 => leaf("FAILURE"),
            "state" if pending > 0 => leaf("PENDING"),
            "state" => leaf("SUCCESS"),
            _ => Ok(Outcome::Object(contexts_of(context, pull.checks))),
        })
    })
}

fn contexts_of(context: Context<'_>, checks: Checks) -> Object<'_> {
    let Checks { passed, failed, pending, statuses } = checks;
    let (runs, contexts) = (passed + failed + pending, statuses.0 + statuses.1);
    let counts = move |type_name, counts: &[(&'static str, u32)]| {
        let present = counts.iter().filter(|(_, count)| *count > 0).copied();
        let tell = |(state, count)| {
            context.object(type_name, move |field| match field.name() {
                "state" => leaf(state),
                _ => leaf(count),
            })
        };
        Ok(Outcome::List(present.map(tell).collect()))
    };
    context.object("StatusCheckRollupContextConnection", move |field| match field.name() {
        "totalCount" => leaf(runs + contexts),
        "checkRunCount" => leaf(runs),
        "statusContextCount" => leaf(contexts),
        "checkRunCountsByState" => counts(
            "CheckRunStateCount",
            &[("SUCCESS", passed), ("FAILURE", failed), ("IN_PROGRESS", pending)],
        ),
        "statusContextCountsByState" => {
            counts("StatusContextStateCount", &[("SUCCESS", statuses.0), ("FAILURE", statuses.1)])
        }
        _ => nothing(),
    })
}

fn queue_entry<'s>(context: Context<'s>, pull: &'s PullRequest) -> Object<'s> {
    context.object("MergeQueueEntry", move |field| match field.name() {
        "id" => leaf(format!("MQE_{}", pull.number)),
        "enqueuedAt" => date(pull.updated_at),
        "position" => leaf(1),
        _ => leaf("AWAITING_CHECKS"),
    })
}

fn auto_merge<'s>(context: Context<'s>, pull: &'s PullRequest) -> Object<'s> {
    context.object("AutoMergeRequest", move |field| match field.name() {
        "enabledAt" => date(pull.updated_at),
        "enabledBy" => actor(context, pull.author.as_ref()),
        _ => leaf("SQUASH"),
    })
}
