//! What the parts of a call cost, one by one: `cargo bench --bench parts -- --quick`, a name behind it
//! for some of them only.
//!
//! Inputs are made here, the same in every run, in the sizes that the server meets: a small diff, one of
//! about the budget, and the longest that is read. Real pull requests come on top where their
//! folder is found (`CORPUS`). Parts that are not public are measured through what is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a measurement stops at the first surprise"
)]

#[path = "../tests/it/corpus.rs"]
mod corpus;

use std::{fmt::Write as _, hint::black_box, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput};
use pr_summarizer::{
    domain::{
        Clock as _, FlowId, GitHubAccount, PrincipalId, RepositoryName, Secret, SystemClock,
        SystemEntropy, Timestamp, UserId,
        digest::Detail,
        identifier::sha256_hex,
        pull_request::{
            Author, CheckState, Checks, Conversation, MergeState, Mergeable, PullRequest, Remark,
            RemarkPlace, ReviewDecision,
        },
        text,
    },
    identity::{Keyring, Purpose, connection::ConnectionRecord},
    oauth::{ClientDocuments, Clients, Endpoints, RedirectPolicy},
    store::{Change, Seal, Store},
    summarize::{
        SummarizeSettings,
        check::{Checked, check, sober, without_claims},
        pack::{Packed, pack},
        prompt::{Prompt, prompt},
    },
    upstream::github::diff,
};
use rmcp::model::{RequestStateCodec, SealOptions};
use url::Url;

/// Bytes of diffs: a fix, about what fits into the budget, and the most that is read of one.
const DIFFS: [usize; 3] = [1_500, 14_000, 1_000_000];
/// Bytes of texts: a title, a long description, and what only an attacker writes.
const TEXTS: [usize; 3] = [200, 14_000, 1_000_000];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    diffs(&mut criterion);
    texts(&mut criterion);
    prompts(&mut criterion);
    claims(&mut criterion);
    signatures(&mut criterion);
    records(&mut criterion);
    criterion.final_summary();
}

/// Reading a diff, and packing it into the budget of characters that is the default.
fn diffs(criterion: &mut Criterion) {
    let budget = SummarizeSettings::default().diff_budget_chars;
    let mut group = criterion.benchmark_group("diff");
    for bytes in DIFFS {
        let raw = raw_diff(bytes);
        let diff = diff::parse(&raw, false);
        let packed = pack(&diff, budget);
        assert!(packed.read + packed.cut > 0, "nothing of {bytes} bytes was read");
        group.throughput(Throughput::Bytes(raw.len() as u64));
        group.bench_with_input(BenchmarkId::new("parse", bytes), &raw, |bencher, raw| {
            bencher.iter(|| diff::parse(black_box(raw), false));
        });
        group.bench_with_input(BenchmarkId::new("pack", bytes), &diff, |bencher, diff| {
            bencher.iter(|| pack(black_box(diff), budget));
        });
    }
    if let Some(samples) = corpus::load() {
        let bytes: usize = samples.iter().map(|sample| sample.raw.len()).sum();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("pack", "corpus"), |bencher| {
            bencher
                .iter(|| samples.iter().map(|sample| pack(&sample.diff, budget).read).sum::<u64>());
        });
    }
    group.finish();
}

/// Making the texts of strangers harmless: for the LLM (`block`) and for readers (`prose`, `title`).
fn texts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("text");
    for (kind, sentence) in [("plain", PLAIN), ("hostile", HOSTILE)] {
        for bytes in TEXTS {
            let given = repeated(sentence, bytes);
            assert!(!text::prose(&given, bytes).contains("evil.example"), "{bytes} bytes");
            group.throughput(Throughput::Bytes(given.len() as u64));
            let id = |function: &str| BenchmarkId::new(format!("{function} {kind}"), bytes);
            group.bench_with_input(id("block"), &given, |bencher, given| {
                bencher.iter(|| text::block(black_box(given), bytes));
            });
            group.bench_with_input(id("prose"), &given, |bencher, given| {
                bencher.iter(|| text::prose(black_box(given), bytes));
            });
        }
        let title = repeated(sentence, 200);
        group.throughput(Throughput::Bytes(title.len() as u64));
        group.bench_function(BenchmarkId::new(format!("title, markdown {kind}"), 200), |bencher| {
            bencher.iter(|| text::markdown(&text::title(black_box(&title), 200)));
        });
    }
    group.finish();
}

/// Writing the question to the LLM, and naming it for the cache.
fn prompts(criterion: &mut Criterion) {
    let budget = SummarizeSettings::default().diff_budget_chars;
    let (asked, discussion) = (pull_request(), conversation());
    let mut group = criterion.benchmark_group("prompt");
    for bytes in DIFFS {
        let packed = pack(&diff::parse(&raw_diff(bytes), false), budget);
        let made = question(&asked, &discussion, Some(&packed));
        group.throughput(Throughput::Bytes(made.user.len() as u64));
        group.bench_function(BenchmarkId::new("make", bytes), |bencher| {
            bencher.iter(|| question(black_box(&asked), &discussion, Some(&packed)));
        });
        group.bench_function(BenchmarkId::new("key", bytes), |bencher| {
            bencher.iter(|| black_box(&made).key("gpt-4.1-mini"));
        });
    }
    group.finish();
}

/// Checking what an LLM wrote for statements of a status, and taking them out.
fn claims(criterion: &mut Criterion) {
    let asked = question(&pull_request(), &conversation(), None);
    let sound = SUMMARY.repeat(3);
    let claiming = format!("{sound}All checks have passed and two reviewers approved it.");
    // The longest that is not refused unread.
    let flood = repeated(SUMMARY, 20_000);
    assert!(matches!(check(&sound, false, &asked), Checked::Sound(_)));
    assert!(matches!(check(&claiming, false, &asked), Checked::Opinionated { .. }));
    assert_eq!(without_claims(&claiming).as_deref(), Some(sound.trim_end()));
    let mut group = criterion.benchmark_group("claims");
    for (name, answer) in [("sound", &sound), ("claiming", &claiming), ("flood", &flood)] {
        group.throughput(Throughput::Bytes(answer.len() as u64));
        group.bench_with_input(BenchmarkId::new("check", name), answer, |bencher, answer| {
            bencher.iter(|| check(black_box(answer), false, &asked));
        });
    }
    group.throughput(Throughput::Bytes(claiming.len() as u64));
    group.bench_function("take out", |bencher| {
        bencher.iter(|| without_claims(black_box(&claiming)));
    });
    let description = repeated(PLAIN, 4_000);
    group.throughput(Throughput::Bytes(description.len() as u64));
    group.bench_function("sober description", |bencher| {
        bencher.iter(|| sober(black_box(&description)));
    });
    group.finish();
}

/// What ties flows to browsers, and states and clients to this server.
fn signatures(criterion: &mut Criterion) {
    let secret = |text: &str| Secret::from(text.to_owned());
    let keys = Keyring::new(secret("a secret of the benches only"), Vec::new());
    let rotated =
        Keyring::new(secret("its successor"), vec![secret("a secret of the benches only")]);
    let flow = FlowId::mint(&SystemEntropy);
    let parts: [&[u8]; 2] = [flow.as_str().as_bytes(), &[7; 32]];
    let tag = keys.sign(Purpose::BrowserBinding, &parts);
    let mut group = criterion.benchmark_group("signature");
    group.bench_function("sign binding", |bencher| {
        bencher.iter(|| keys.sign(Purpose::BrowserBinding, black_box(&parts)));
    });
    for (name, keys) in [("verify binding", &keys), ("verify binding, rotated", &rotated)] {
        assert!(keys.verify(Purpose::BrowserBinding, &parts, &tag));
        group.bench_function(name, |bencher| {
            bencher.iter(|| keys.verify(Purpose::BrowserBinding, black_box(&parts), &tag));
        });
    }

    // As the agents' door makes its codec, and binds a state to principal, tool and arguments.
    let derived = keys.derived(Purpose::RequestState);
    let active = derived.first().expect("a key").0.clone();
    let derived = derived.into_iter().map(|(name, key)| (name, key.to_vec()));
    let codec = RequestStateCodec::new_with_keyring(active, derived).expect("keys that fit");
    let arguments = sha256_hex(br#"{"repository":"octo/hello"}"#);
    let bound = format!("{}|summarize_prs|{arguments}", PrincipalId::mint(&SystemEntropy).as_str());
    let options =
        || SealOptions::new().associated_data(bound.as_bytes()).ttl(Duration::from_mins(15));
    let sealed = codec.seal_with(flow.as_str().as_bytes(), &options());
    assert!(codec.open_with(&sealed, bound.as_bytes()).is_ok());
    group.bench_function("seal request state", |bencher| {
        bencher.iter(|| codec.seal_with(black_box(flow.as_str().as_bytes()), &options()));
    });
    group.bench_function("open request state", |bencher| {
        bencher.iter(|| codec.open_with(black_box(&sealed), bound.as_bytes()));
    });

    let public = Url::parse("https://prs.example.com/").expect("a constant");
    let endpoints = Endpoints::new(&public, false);
    let policy = RedirectPolicy::new(&[], public);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let clients =
        Clients::new(keys, endpoints.issuer(), policy, ClientDocuments::none(), clock, entropy);
    let registration =
        br#"{"client_name":"A program","redirect_uris":["http://127.0.0.1:33418/callback"]}"#;
    let registered = clients.register(registration).expect("a registration");
    let id = registered.get("client_id").and_then(|id| id.as_str()).expect("an identifier");
    group.bench_function("register client", |bencher| {
        bencher.iter(|| clients.register(black_box(registration)));
    });
    group.bench_function("recognize client", |bencher| {
        bencher.iter(|| clients.recognize(black_box(id)));
    });
    group.finish();
}

/// A record of the store, read and changed: with the seal of a store that lasts, and without, which is
/// what the rest of the store costs.
fn records(criterion: &mut Criterion) {
    const KEY: &str = "a-connection";
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let keys = Keyring::new(Secret::from("a secret of the benches only".to_owned()), Vec::new());
    let plain = Store::memory(Arc::new(SystemClock));
    let seal = Seal::new(keys.derived(Purpose::StoredValue), Arc::new(SystemEntropy));
    let sealed = runtime.block_on(Store::memory(Arc::new(SystemClock)).sealed(seal));
    let sealed = sealed.expect("an empty store");
    let now = SystemClock.now();
    let mut group = criterion.benchmark_group("record");
    for (name, store) in [("plain", plain), ("sealed", sealed)] {
        let record = ConnectionRecord {
            user: UserId::mint(&SystemEntropy),
            account: GitHubAccount { id: 583_231, login: "octocat".to_owned() },
            verified: true,
            connected_at: now,
            principals: vec![PrincipalId::mint(&SystemEntropy)],
            needs_reauthorization: false,
            last_used_at: now,
            superseded_by: None,
        };
        let inserted = runtime.block_on(store.insert(KEY, &record, Timestamp::MAX_UTC));
        assert!(inserted.is_ok(), "{inserted:?}");
        group.bench_function(BenchmarkId::new("read", name), |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let found = store.get::<ConnectionRecord>(black_box(KEY)).await;
                found.expect("memory does not fail").expect("it is there")
            });
        });
        group.bench_function(BenchmarkId::new("change", name), |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let changed = store.update::<ConnectionRecord, _>(black_box(KEY), |record| {
                    record.value.verified = !record.value.verified;
                    Change::Write(())
                });
                changed.await.expect("memory does not fail").expect("it is there");
            });
        });
    }
    group.finish();
}

const PLAIN: &str = "Repeated requests went out again, since `Client::get` asked whenever it was \
                     called. This keeps the last 100 answers, and drops the oldest first.\n";

/// What is to be taken away: directions, characters without width, escapes, links, tags, mentions.
const HOSTILE: &str = "See\u{202e} ht\u{200b}tps://evil.example/?q=1 and <b>tell</b> @octocat \
                       ![a](https://evil.example/p.png)\u{1b}[2J\u{1b}]8;;https://evil.example\u{7} \
                       e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301} \u{e0061}\u{feff}.\n";

const SUMMARY: &str = "The client keeps the last hundred answers and asks the server only for what \
                       it does not have. Bob asked why the bound is a number and not a size in \
                       bytes. Carol wants a test of the eviction. ";

/// The text over and over, up to about so many bytes.
fn repeated(sentence: &str, bytes: usize) -> String {
    let mut text = sentence.repeat(bytes.div_ceil(sentence.len()));
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// A diff as git prints it: sources, tests, documents and lock files of a few to many hunks, with lines of
/// all three kinds.
fn raw_diff(bytes: usize) -> String {
    const PATHS: [&str; 5] = [
        "src/part{}.rs",
        "tests/part{}.rs",
        "web/part{}.ts",
        "docs/part{}.md",
        "deps{}/Cargo.lock",
    ];
    let mut raw = String::with_capacity(bytes + 200);
    for (number, path) in PATHS.iter().cycle().enumerate() {
        let path = path.replace("{}", &number.to_string());
        let _ = write!(
            raw,
            "diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n--- a/{path}\n+++ b/{path}\n"
        );
        for hunk in 0..4 + number % 37 {
            let first = 1 + hunk * 40;
            let _ = writeln!(raw, "@@ -{first},13 +{first},14 @@ fn part_{number}_{hunk}() {{");
            for line in 0..9 {
                let mark = [' ', ' ', '-', '-', '+', '+', '+', ' ', ' '].get(line).unwrap_or(&' ');
                let _ = writeln!(
                    raw,
                    "{mark}    let value_{line} = compute(input_{number}, \"{hunk}\")?;"
                );
                if raw.len() >= bytes {
                    return raw;
                }
            }
        }
    }
    raw
}

fn question(asked: &PullRequest, discussion: &Conversation, packed: Option<&Packed>) -> Prompt {
    let repository = RepositoryName::new("octo", "hello").expect("a constant");
    prompt(&repository, asked, Some(discussion), packed, None, Detail::Concise)
}

fn author(login: &str) -> Author {
    Author { login: login.to_owned(), is_bot: false }
}

fn moment() -> Timestamp {
    "2026-06-28T08:00:00Z".parse().expect("a constant")
}

fn pull_request() -> PullRequest {
    PullRequest {
        number: 7,
        title: "Cache what the client has fetched".to_owned(),
        url: "https://github.com/octo/hello/pull/7".to_owned(),
        body: repeated(PLAIN, 1_500),
        author: author("ada"),
        is_draft: false,
        created_at: moment(),
        updated_at: moment(),
        base_ref_name: "main".to_owned(),
        base_ref_oid: Some("b".repeat(40)),
        head_ref_oid: "a".repeat(40),
        head_committed_at: Some(moment()),
        additions: Some(120),
        deletions: Some(30),
        changed_files: Some(4),
        conversation_comments: Some(20),
        review_comments: Some(10),
        reviews: Some(3),
        unresolved_threads: Some(1),
        unresolved_threads_seen: 0,
        review_decision: ReviewDecision::ReviewRequired,
        latest_reviews: Some(Vec::new()),
        review_requests: Some(vec!["bob".to_owned()]),
        has_unnamed_requests: false,
        mergeable: Mergeable::Mergeable,
        merge_state: MergeState::Other,
        is_in_merge_queue: Some(false),
        auto_merge: Some(false),
        checks: Checks {
            state: CheckState::Passing,
            passed: Some(8),
            failed: Some(0),
            pending: Some(0),
        },
        labels: Some(vec!["performance".to_owned()]),
        last_human_activity: Some(moment()),
    }
}

/// Thirty remarks of some lines each.
fn conversation() -> Conversation {
    let remark = |number: usize| Remark {
        author: author(["bob", "carol", "mira-holm"].get(number % 3).unwrap_or(&"bob")),
        created_at: moment(),
        body: repeated(PLAIN, 350),
        place: if number.is_multiple_of(3) {
            RemarkPlace::Thread {
                path: "src/client.rs".to_owned(),
                is_resolved: Some(false),
                is_outdated: Some(false),
            }
        } else {
            RemarkPlace::Conversation
        },
    };
    Conversation { remarks: (0..30).map(remark).collect(), total: Some(30) }
}
