//! Discussions: one request for all, and what one that cannot be read costs the others.

use super::*;

#[tokio::test]
async fn conversations_are_one_call_and_a_missing_one_is_missing() {
    let (github, seen) = github(|_, _| {
        let said = discussion("hello");
        let mut nothing = discussion("");
        nothing["reviews"] = Value::Null;
        let mut part = discussion("a part");
        part["reviewThreads"]["nodes"] = Value::Null;
        let mut with_gap = discussion("beside a gap");
        with_gap["totalCommentsCount"] = Value::Null;
        let mut body = repository(&json!({
            "pr_1": said, "pr_2": null, "pr_3": nothing, "pr_4": part, "pr_5": with_gap,
        }));
        body["errors"] = json!([{ "path": ["repository", "pr_5", "totalCommentsCount"] }]);
        (200, body)
    })
    .await;
    let name = "a/b".parse().unwrap();
    let all = github.conversations(&name, &[1, 2, 3, 4, 5], &call()).await.unwrap();
    assert_eq!(all.told.keys().copied().collect::<Vec<_>>(), [1, 4, 5]);
    assert_eq!(all.partial, BTreeSet::from([4, 5]));
    assert_eq!(all.told[&1].total, Some(3));
    assert_eq!(all.told[&1].remarks[0].body, "hello");
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert!(github.conversations(&name, &[], &call()).await.unwrap().told.is_empty());
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn discussions_too_large_together_are_read_one_by_one() {
    let alone = |seen: &Seen| {
        let document = seen.body["query"].as_str().unwrap();
        (document.matches("pullRequest(number").count() == 1).then(|| document.to_owned())
    };
    let too_long = || (200, json!({ "data": "x".repeat(8_000_000) }));
    let (github, seen) = github(move |_, seen| match alone(seen) {
        Some(document) if document.contains("pr_2:") => too_long(),
        Some(document) => {
            let number = if document.contains("pr_1:") { "pr_1" } else { "pr_3" };
            (200, repository(&json!({ number: discussion(number) })))
        }
        None => too_long(),
    })
    .await;
    let name = "a/b".parse().unwrap();
    let all = github.conversations(&name, &[1, 2, 3], &call()).await.unwrap();
    let said: Vec<_> =
        all.told.iter().map(|(number, talk)| (*number, talk.remarks[0].body.as_str())).collect();
    assert_eq!(said, [(1, "pr_1"), (3, "pr_3")]);
    let sizes: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|seen| seen.body["variables"]["comments"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [30, 15, 15, 15, 15]);
    // When none can be read, why is told.
    let failure = github.conversations(&name, &[2], &call()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::GitHubUnavailable);
    assert_eq!(seen.lock().unwrap().len(), 5 + 2);
}
