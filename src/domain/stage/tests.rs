//! The truth table: one row a situation, each with the stage, whose turn it is, and a word that
//! its reasons must hold.

use super::*;
use crate::domain::pull_request::{Author, Checks};

type Change = fn(&mut PullRequest);
type Row = (&'static str, &'static [Change], Stage, NextActor, &'static str);

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn now() -> Timestamp {
    at("2026-06-30T12:00:00Z")
}

/// Open, mergeable, checks passing, approved by nobody, no review required.
fn plain() -> PullRequest {
    PullRequest {
        number: 7,
        title: "Add a cache".to_owned(),
        url: "https://github.com/octo/hello/pull/7".to_owned(),
        body: String::new(),
        author: Author { login: "ada".to_owned(), is_bot: false },
        is_draft: false,
        created_at: at("2026-06-01T00:00:00Z"),
        updated_at: at("2026-06-30T00:00:00Z"),
        base_ref_name: "main".to_owned(),
        base_ref_oid: None,
        head_ref_oid: "head".to_owned(),
        head_committed_at: Some(at("2026-06-20T00:00:00Z")),
        additions: Some(1),
        deletions: Some(1),
        changed_files: Some(1),
        conversation_comments: Some(0),
        review_comments: Some(0),
        reviews: Some(0),
        unresolved_threads: Some(0),
        unresolved_threads_seen: 0,
        review_decision: ReviewDecision::None,
        latest_reviews: Some(Vec::new()),
        review_requests: Some(Vec::new()),
        has_unnamed_requests: false,
        mergeable: Mergeable::Mergeable,
        merge_state: MergeState::Other,
        is_in_merge_queue: Some(false),
        auto_merge: Some(false),
        checks: Checks {
            state: CheckState::Passing,
            passed: Some(3),
            failed: Some(0),
            pending: Some(0),
        },
        labels: Some(Vec::new()),
        last_human_activity: Some(at("2026-06-29T00:00:00Z")),
    }
}

fn review(pr: &mut PullRequest, login: &str, state: ReviewState, commit: &str, day: u32) {
    pr.latest_reviews.get_or_insert_default().push(Review {
        author: Author { login: login.to_owned(), is_bot: login.ends_with("[bot]") },
        state,
        submitted_at: Some(at(&format!("2026-06-{day:02}T00:00:00Z"))),
        commit: (!commit.is_empty()).then(|| commit.to_owned()),
        is_silent: true,
    });
}

const QUEUED: Change = |p| p.is_in_merge_queue = Some(true);
const QUEUE_UNKNOWN: Change = |p| p.is_in_merge_queue = None;
const DRAFT: Change = |p| p.is_draft = true;
const CONFLICT: Change = |p| p.mergeable = Mergeable::Conflicting;
const MERGEABLE_UNKNOWN: Change = |p| p.mergeable = Mergeable::Unknown;
const FAILING: Change = |p| {
    p.checks.state = CheckState::Failing;
    p.checks.failed = Some(2);
};
const FAILING_UNCOUNTED: Change = |p| {
    p.checks = Checks { state: CheckState::Failing, ..Checks::UNKNOWN };
};
const RUNNING: Change = |p| {
    p.checks.state = CheckState::Pending;
    p.checks.pending = Some(1);
};
const RUNNING_UNCOUNTED: Change = |p| {
    p.checks = Checks { state: CheckState::Pending, ..Checks::UNKNOWN };
};
const CHECKS_UNKNOWN: Change = |p| p.checks = Checks::UNKNOWN;
const NO_CHECKS: Change = |p| {
    p.checks =
        Checks { state: CheckState::None, passed: Some(0), failed: Some(0), pending: Some(0) };
};
const THREAD: Change = |p| p.unresolved_threads = Some(1);
const THREADS: Change = |p| p.unresolved_threads = Some(4);
const THREADS_UNKNOWN: Change = |p| p.unresolved_threads = None;
const THREAD_SEEN: Change = |p| (p.unresolved_threads, p.unresolved_threads_seen) = (None, 1);
const THREADS_SEEN: Change = |p| (p.unresolved_threads, p.unresolved_threads_seen) = (None, 90);
const APPROVE: Change = |p| review(p, "bob", ReviewState::Approved, "head", 21);
const APPROVE_EARLIER: Change = |p| review(p, "bob", ReviewState::Approved, "older", 10);
const APPROVE_NO_COMMIT_LATE: Change = |p| review(p, "bob", ReviewState::Approved, "", 21);
const APPROVE_NO_COMMIT_EARLY: Change = |p| review(p, "bob", ReviewState::Approved, "", 10);
const CAROL_APPROVES: Change = |p| review(p, "carol", ReviewState::Approved, "head", 22);
const REJECT: Change = |p| review(p, "bob", ReviewState::ChangesRequested, "head", 21);
const REJECT_EARLIER: Change = |p| review(p, "bob", ReviewState::ChangesRequested, "older", 10);
const BOB_COMMENTS: Change = |p| review(p, "bob", ReviewState::Commented, "head", 25);
const DISMISSED: Change = |p| review(p, "bob", ReviewState::Dismissed, "head", 25);
const UNSUBMITTED: Change = |p| review(p, "bob", ReviewState::Pending, "head", 25);
const BOB_APPROVES_LATER: Change = |p| review(p, "Bob", ReviewState::Approved, "head", 28);
const BOT_APPROVES: Change = |p| review(p, "linter[bot]", ReviewState::Approved, "head", 21);
const BOT_REJECTS: Change = |p| review(p, "linter[bot]", ReviewState::ChangesRequested, "head", 21);
const GHOST_APPROVES: Change = |p| review(p, "ghost", ReviewState::Approved, "head", 21);
const GHOST_REJECTS: Change = |p| review(p, "ghost", ReviewState::ChangesRequested, "head", 20);
const ASK_BOB: Change = |p| p.review_requests.get_or_insert_default().push("BOB".to_owned());
const ASK_TEAM: Change =
    |p| p.review_requests.get_or_insert_default().push("octo/reviewers".to_owned());
const DECIDED_APPROVED: Change = |p| p.review_decision = ReviewDecision::Approved;
const DECIDED_REJECTED: Change = |p| p.review_decision = ReviewDecision::ChangesRequested;
const DECIDED_REQUIRED: Change = |p| p.review_decision = ReviewDecision::ReviewRequired;
const DECIDED_UNKNOWN: Change = |p| p.review_decision = ReviewDecision::Unknown;
const AUTO_MERGE: Change = |p| p.auto_merge = Some(true);
const AUTO_MERGE_UNKNOWN: Change = |p| p.auto_merge = None;
const VERDICTS_UNKNOWN: Change = |p| p.latest_reviews = None;
const REQUESTS_UNKNOWN: Change = |p| p.review_requests = None;
const ASK_UNNAMED: Change = |p| p.has_unnamed_requests = true;
const BEHIND: Change = |p| p.merge_state = MergeState::Behind;
const BLOCKED: Change = |p| p.merge_state = MergeState::Blocked;
const MERGE_STATE_UNKNOWN: Change = |p| p.merge_state = MergeState::Unknown;
const AUTHOR_UNKNOWN: Change = |p| p.author = Author::unknown();
const GHOST_AUTHOR: Change = |p| p.author = Author::ghost();
const BOT_AUTHOR: Change =
    |p| p.author = Author { login: "dependabot[bot]".to_owned(), is_bot: true };

use NextActor as Who;
use Stage as S;

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // The merge queue goes before everything.
    ("queued", &[QUEUED], S::Queued, Who::Nobody, "merge queue"),
    ("queued draft", &[QUEUED, DRAFT], S::Queued, Who::Nobody, "merge queue"),
    ("queued, checks running", &[QUEUED, RUNNING], S::Queued, Who::Nobody, "merge queue"),
    ("queued, conflicting", &[QUEUED, CONFLICT], S::Queued, Who::Nobody, "merge queue"),
    ("queue unknown", &[QUEUE_UNKNOWN, APPROVE], S::Ready, Who::Unknown, "merge queue is not known"),
    // What GitHub did not tell is not denied.
    ("verdicts unknown, none required", &[VERDICTS_UNKNOWN], S::NeedsReview, Who::Unknown, "has approved is not known"),
    ("verdicts unknown, somebody asked", &[VERDICTS_UNKNOWN, ASK_BOB], S::NeedsReview, Who::Reviewers, "has approved is not known"),
    ("verdicts unknown, GitHub approves", &[VERDICTS_UNKNOWN, DECIDED_APPROVED], S::Ready, Who::Maintainers, "GitHub says that it is approved"),
    ("verdicts unknown, GitHub rejects", &[VERDICTS_UNKNOWN, DECIDED_REJECTED], S::ChangesRequested, Who::Author, "GitHub says"),
    ("requests unknown, review required", &[REQUESTS_UNKNOWN, DECIDED_REQUIRED], S::NeedsReview, Who::Unknown, "A review is required"),
    ("author unknown, conflicts", &[AUTHOR_UNKNOWN, CONFLICT], S::Conflicts, Who::Author, "conflicts"),
    // Drafts.
    ("draft", &[DRAFT], S::Draft, Who::Author, "draft"),
    ("draft with conflicts", &[DRAFT, CONFLICT], S::Draft, Who::Author, "draft"),
    ("draft, CI failing", &[DRAFT, FAILING], S::Draft, Who::Author, "draft"),
    ("draft, approved", &[DRAFT, APPROVE, DECIDED_APPROVED], S::Draft, Who::Author, "draft"),
    ("draft of a ghost", &[DRAFT, GHOST_AUTHOR], S::Draft, Who::Maintainers, "no longer exists"),
    // Conflicts.
    ("conflicts", &[CONFLICT], S::Conflicts, Who::Author, "conflicts with the base"),
    ("conflicts, CI failing", &[CONFLICT, FAILING], S::Conflicts, Who::Author, "conflicts"),
    ("conflicts, rejected", &[CONFLICT, REJECT], S::Conflicts, Who::Author, "conflicts"),
    ("conflicts, approved", &[CONFLICT, APPROVE, DECIDED_APPROVED], S::Conflicts, Who::Author, "conflicts"),
    ("conflicts, bot author", &[CONFLICT, BOT_AUTHOR], S::Conflicts, Who::Maintainers, "author is a bot"),
    ("conflicts, ghost author", &[CONFLICT, GHOST_AUTHOR], S::Conflicts, Who::Maintainers, "no longer exists"),
    ("conflicts with auto-merge", &[CONFLICT, AUTO_MERGE], S::Conflicts, Who::Author, "by itself"),
    // Mergeability unknown is said and passed over.
    ("mergeable unknown, CI failing", &[MERGEABLE_UNKNOWN, FAILING], S::CiFailing, Who::Author, "not known yet"),
    ("mergeable unknown, approved", &[MERGEABLE_UNKNOWN, APPROVE, DECIDED_APPROVED], S::Ready, Who::Unknown, "not known yet"),
    ("mergeable unknown, review required", &[MERGEABLE_UNKNOWN, DECIDED_REQUIRED], S::NeedsReview, Who::Maintainers, "not known yet"),
    // CI failing.
    ("CI failing", &[FAILING], S::CiFailing, Who::Author, "2 checks have failed"),
    ("CI failing, uncounted", &[FAILING_UNCOUNTED], S::CiFailing, Who::Author, "At least 1 check has failed"),
    ("CI failing, rejected", &[FAILING, REJECT], S::CiFailing, Who::Author, "have failed"),
    ("CI failing, threads", &[FAILING, THREADS], S::CiFailing, Who::Author, "have failed"),
    ("CI failing, approved", &[FAILING, APPROVE, DECIDED_APPROVED], S::CiFailing, Who::Author, "have failed"),
    ("CI failing, auto-merge", &[FAILING, AUTO_MERGE], S::CiFailing, Who::Author, "by itself"),
    ("CI failing, bot author", &[FAILING, BOT_AUTHOR], S::CiFailing, Who::Maintainers, "author is a bot"),
    // Changes requested.
    ("rejected", &[REJECT], S::ChangesRequested, Who::Author, "Changes requested by bob"),
    ("rejected, GitHub agrees", &[REJECT, DECIDED_REJECTED], S::ChangesRequested, Who::Author, "by bob"),
    ("rejected, then commits", &[REJECT_EARLIER, DECIDED_REJECTED], S::ChangesRequested, Who::Author, "Commits were added since the review by bob"),
    ("rejected, checks running", &[REJECT, RUNNING], S::ChangesRequested, Who::Author, "by bob"),
    ("rejected, threads", &[REJECT, THREADS], S::ChangesRequested, Who::Author, "by bob"),
    ("one approves, one rejects", &[REJECT, CAROL_APPROVES], S::ChangesRequested, Who::Author, "by bob"),
    ("rejected, then commented", &[REJECT, BOB_COMMENTS], S::ChangesRequested, Who::Author, "by bob"),
    ("rejected by a ghost", &[GHOST_REJECTS], S::ChangesRequested, Who::Author, "by ghost"),
    ("two ghosts are two people", &[GHOST_REJECTS, GHOST_APPROVES], S::ChangesRequested, Who::Author, "by ghost"),
    ("rejected, says GitHub alone", &[DECIDED_REJECTED], S::ChangesRequested, Who::Author, "GitHub says"),
    ("approved earlier, then rejected", &[APPROVE_EARLIER, REJECT], S::ChangesRequested, Who::Author, "by bob"),
    ("rejected, mergeable unknown", &[REJECT, MERGEABLE_UNKNOWN], S::ChangesRequested, Who::Author, "not known yet"),
    // What cancels a rejection.
    ("rejected, asked again", &[REJECT, ASK_BOB, DECIDED_REJECTED], S::NeedsReview, Who::Reviewers, "Asked to review again: bob"),
    ("rejected, asked again, none required", &[REJECT, ASK_BOB], S::NeedsReview, Who::Reviewers, "Waiting for BOB"),
    ("rejected, later approved", &[REJECT, BOB_APPROVES_LATER], S::Ready, Who::Maintainers, "Approved by Bob"),
    ("later approval listed first", &[BOB_APPROVES_LATER, REJECT], S::Ready, Who::Maintainers, "Approved by Bob"),
    ("rejected, dismissed", &[REJECT, DISMISSED, DECIDED_REQUIRED], S::NeedsReview, Who::Maintainers, "A review is required"),
    ("rejected by a bot", &[BOT_REJECTS, DECIDED_REQUIRED], S::NeedsReview, Who::Maintainers, "A review is required"),
    ("a bot rejects, a human approves", &[BOT_REJECTS, APPROVE], S::Ready, Who::Maintainers, "Approved by bob"),
    ("an approval cancelled, a bot rejects", &[APPROVE, ASK_BOB, BOT_REJECTS, DECIDED_REJECTED], S::ChangesRequested, Who::Author, "GitHub says"),
    ("an approval and a rejection cancelled", &[CAROL_APPROVES, REJECT, ASK_BOB, DECIDED_REJECTED], S::NeedsReview, Who::Reviewers, "Asked to review again: bob"),
    ("one of two asked again", &[REJECT, ASK_BOB, CAROL_APPROVES], S::NeedsReview, Who::Reviewers, "look again"),
    // Threads.
    ("one thread", &[THREAD], S::UnresolvedThreads, Who::Author, "1 review thread is"),
    ("threads", &[THREADS], S::UnresolvedThreads, Who::Author, "4 review threads are"),
    ("threads, approved", &[THREADS, APPROVE, DECIDED_APPROVED], S::UnresolvedThreads, Who::Author, "4 review threads"),
    ("threads, checks running", &[THREADS, RUNNING], S::UnresolvedThreads, Who::Author, "4 review threads"),
    ("threads, ghost author", &[THREADS, GHOST_AUTHOR], S::UnresolvedThreads, Who::Maintainers, "no longer exists"),
    ("threads unknown", &[THREADS_UNKNOWN, APPROVE], S::Ready, Who::Unknown, "unresolved is not known"),
    ("not all threads seen, one open", &[THREAD_SEEN, APPROVE], S::UnresolvedThreads, Who::Author, "At least 1 review thread is"),
    ("not all threads seen, many open", &[THREADS_SEEN, APPROVE, DECIDED_APPROVED], S::UnresolvedThreads, Who::Author, "At least 90 review threads are"),
    ("not all threads seen, running", &[THREADS_SEEN, RUNNING], S::UnresolvedThreads, Who::Author, "At least 90"),
    ("threads unknown, running", &[THREADS_UNKNOWN, RUNNING], S::CiPending, Who::Ci, "unresolved is not known"),
    // CI running.
    ("running", &[RUNNING], S::CiPending, Who::Ci, "1 check is still running"),
    ("running, uncounted", &[RUNNING_UNCOUNTED], S::CiPending, Who::Ci, "At least 1 check is still"),
    ("running, approved", &[RUNNING, APPROVE, DECIDED_APPROVED], S::CiPending, Who::Ci, "still running"),
    ("running, review required", &[RUNNING, DECIDED_REQUIRED], S::CiPending, Who::Ci, "still running"),
    ("running, auto-merge", &[RUNNING, AUTO_MERGE], S::CiPending, Who::Ci, "by itself"),
    ("running, bot author", &[RUNNING, BOT_AUTHOR], S::CiPending, Who::Ci, "still running"),
    // Needs review.
    ("required, nobody asked", &[DECIDED_REQUIRED], S::NeedsReview, Who::Maintainers, "A review is required"),
    ("required, bob asked", &[DECIDED_REQUIRED, ASK_BOB], S::NeedsReview, Who::Reviewers, "Waiting for BOB"),
    ("required, a team asked", &[DECIDED_REQUIRED, ASK_TEAM], S::NeedsReview, Who::Reviewers, "octo/reviewers"),
    ("required, somebody unnamed asked", &[DECIDED_REQUIRED, ASK_UNNAMED], S::NeedsReview, Who::Reviewers, "somebody whom GitHub does not name"),
    ("required, bob and somebody unnamed asked", &[DECIDED_REQUIRED, ASK_BOB, ASK_UNNAMED], S::NeedsReview, Who::Reviewers, "Waiting for BOB and others whom"),
    ("rejected, asked again beside somebody unnamed", &[REJECT, ASK_BOB, ASK_UNNAMED, DECIDED_REJECTED], S::NeedsReview, Who::Reviewers, "Asked to review again: bob"),
    ("required, one approval of two", &[DECIDED_REQUIRED, APPROVE, ASK_TEAM], S::NeedsReview, Who::Reviewers, "A review is required"),
    ("required, approval is earlier", &[DECIDED_REQUIRED, APPROVE_EARLIER], S::NeedsReview, Who::Maintainers, "An earlier commit was approved by bob"),
    ("required, dismissed", &[DECIDED_REQUIRED, DISMISSED], S::NeedsReview, Who::Maintainers, "A review is required"),
    ("null decision, no approval", &[], S::NeedsReview, Who::Maintainers, "nobody with write access has approved"),
    ("null decision, comment only", &[BOB_COMMENTS], S::NeedsReview, Who::Maintainers, "nobody with write access has approved"),
    ("null decision, unsubmitted review", &[UNSUBMITTED], S::NeedsReview, Who::Maintainers, "nobody with write access has approved"),
    ("null decision, a bot approves", &[BOT_APPROVES], S::NeedsReview, Who::Maintainers, "nobody with write access has approved"),
    ("null decision, approval of an earlier commit", &[APPROVE_EARLIER], S::NeedsReview, Who::Maintainers, "An earlier commit was approved by bob"),
    ("null decision, approval before the last commit", &[APPROVE_NO_COMMIT_EARLY], S::NeedsReview, Who::Maintainers, "An earlier commit"),
    ("approval cancelled by a re-request", &[APPROVE, ASK_BOB, DECIDED_REQUIRED], S::NeedsReview, Who::Reviewers, "Asked to review again: bob"),
    ("decision unknown", &[DECIDED_UNKNOWN], S::NeedsReview, Who::Unknown, "suffice is not known"),
    ("decision unknown, approved", &[DECIDED_UNKNOWN, APPROVE], S::NeedsReview, Who::Unknown, "suffice is not known"),
    ("decision unknown, bob asked", &[DECIDED_UNKNOWN, ASK_BOB], S::NeedsReview, Who::Reviewers, "suffice is not known"),
    // Ready.
    ("approved", &[APPROVE, DECIDED_APPROVED], S::Ready, Who::Maintainers, "Approved by bob"),
    ("null decision, approved", &[APPROVE], S::Ready, Who::Maintainers, "Approved by bob"),
    ("null decision, approved after the last commit", &[APPROVE_NO_COMMIT_LATE], S::Ready, Who::Maintainers, "Approved by bob"),
    ("approved, says GitHub alone", &[DECIDED_APPROVED], S::Ready, Who::Maintainers, "GitHub says that it is approved"),
    ("approved on an earlier commit, GitHub content", &[DECIDED_APPROVED, APPROVE_EARLIER], S::Ready, Who::Maintainers, "An earlier commit was approved by bob"),
    ("approved by two", &[APPROVE, CAROL_APPROVES], S::Ready, Who::Maintainers, "Approved by bob, carol"),
    ("approved by a ghost", &[GHOST_APPROVES], S::Ready, Who::Maintainers, "Approved by ghost"),
    ("approved, then commented", &[APPROVE, BOB_COMMENTS], S::Ready, Who::Maintainers, "Approved by bob"),
    ("approved, auto-merge", &[APPROVE, AUTO_MERGE], S::Ready, Who::Nobody, "by itself"),
    ("approved, auto-merge unknown", &[APPROVE, AUTO_MERGE_UNKNOWN], S::Ready, Who::Maintainers, "Approved by bob"),
    ("approved, no checks", &[APPROVE, NO_CHECKS], S::Ready, Who::Maintainers, "has no checks"),
    ("approved, checks unknown", &[APPROVE, CHECKS_UNKNOWN], S::Ready, Who::Unknown, "checks stand is not known"),
    ("approved, checks unknown, auto-merge", &[APPROVE, CHECKS_UNKNOWN, AUTO_MERGE], S::Ready, Who::Unknown, "checks stand is not known"),
    ("approved, branch behind", &[APPROVE, BEHIND], S::Ready, Who::Author, "behind the base branch"),
    ("approved, branch behind, bot author", &[APPROVE, BEHIND, BOT_AUTHOR], S::Ready, Who::Maintainers, "behind the base branch"),
    ("approved, merge blocked", &[APPROVE, DECIDED_APPROVED, BLOCKED], S::Ready, Who::Unknown, "blocks the merge"),
    ("approved, merge blocked, auto-merge", &[APPROVE, BLOCKED, AUTO_MERGE], S::Ready, Who::Unknown, "by itself"),
    ("approved, merge state unknown", &[APPROVE, MERGE_STATE_UNKNOWN], S::Ready, Who::Maintainers, "Approved by bob"),
    ("blocked for want of a review", &[DECIDED_REQUIRED, BLOCKED], S::NeedsReview, Who::Maintainers, "A review is required"),
    ("approved, bot author", &[APPROVE, BOT_AUTHOR], S::Ready, Who::Maintainers, "Approved by bob"),
];

#[test]
fn the_first_rule_that_applies_decides() {
    assert!(TABLE.len() >= 60, "{} rows", TABLE.len());
    for (name, changes, stage, next_actor, word) in TABLE {
        let mut pull_request = plain();
        changes.iter().for_each(|change| change(&mut pull_request));
        let found = assess(&pull_request, now());
        assert_eq!((found.stage, found.next_actor), (*stage, *next_actor), "{name}: {found:?}");
        assert!(
            found.reasons.iter().any(|reason| reason.contains(word)),
            "{name}: no {word:?} in {:?}",
            found.reasons
        );
        assert!(!found.stale, "{name}");
    }
}

#[test]
fn stale_is_fourteen_days_without_a_human() {
    for (last, stale) in [
        (Some("2026-06-16T12:00:00Z"), true),
        (Some("2026-06-16T12:00:01Z"), false),
        (Some("2025-01-01T00:00:00Z"), true),
        // A clock that runs behind GitHub's.
        (Some("2026-07-01T00:00:00Z"), false),
        (None, false),
    ] {
        let pull_request = PullRequest { last_human_activity: last.map(at), ..plain() };
        assert_eq!(assess(&pull_request, now()).stale, stale, "{last:?}");
    }
}

#[test]
fn many_names_are_cut_and_hostile_ones_cleaned() {
    let mut pull_request = plain();
    pull_request.review_requests = Some((0..9).map(|n| format!("r{n}\u{202e}")).collect());
    let reasons = assess(&pull_request, now()).reasons.join(" ");
    assert!(reasons.contains("Waiting for r0, r1, r2, r3, r4 and 4 more."), "{reasons}");
}
