//! What packing must keep whatever the diff looks like.

use std::{fmt::Write as _, time::Instant};

use proptest::prelude::*;

use super::*;

fn file(path: &str, hunks: Option<String>) -> FileDiff {
    let count = |sign: char| {
        hunks.iter().flat_map(|p| p.lines()).filter(|line| line.starts_with(sign)).count() as u64
    };
    FileDiff {
        path: path.to_owned(),
        previous_path: None,
        change: ChangeType::Modified,
        additions: count('+'),
        deletions: count('-'),
        patch: hunks,
        is_binary: false,
        is_cut: false,
    }
}

fn diff(files: Vec<FileDiff>) -> Diff {
    Diff { files, ..Diff::default() }
}

/// A patch of one hunk with this many added lines and context lines between them.
fn long_patch(lines: usize, word: &str) -> String {
    let mut patch = "@@ -1,9 +1,9 @@ fn enclosing()\n".to_owned();
    for n in 0..lines {
        let _ = write!(patch, " context {n}\n+{word} {n}\n");
    }
    patch
}

#[test]
fn a_small_diff_is_shown_whole_after_its_index() {
    let packed = pack(
        &diff(vec![
            file("src/lib.rs", Some("@@ -1,3 +1,3 @@ fn a()\n x\n-old\n+new\n y".to_owned())),
            file("Cargo.lock", Some("@@ -1 +1 @@\n-a\n+b".to_owned())),
        ]),
        1_000,
    );
    assert_eq!(
        packed.text,
        "2 files changed:\nM src/lib.rs +1 -1\nM Cargo.lock +1 -1 (lock file)\n\
         === src/lib.rs\n@@ fn a()\n x\n-old\n+new\n y\n"
    );
    assert_eq!((packed.read, packed.cut, packed.files()), (1, 0, 2));
    assert_eq!(packed.omitted.first().map(|o| o.reason), Some(OmissionReason::LockFile));
}

#[test]
fn context_goes_before_changed_lines_do() {
    let change = diff(vec![file("src/lib.rs", Some(long_patch(50, "added")))]);
    let packed = pack(&change, 900);
    assert!(!packed.text.contains("context"), "{}", packed.text);
    assert!(packed.text.contains("+added 49"), "{}", packed.text);
    assert_eq!((packed.read, packed.cut), (1, 0));
}

#[test]
fn long_deletions_lose_their_middle() {
    let gone = (0..200).map(|n| format!("-gone {n}")).collect::<Vec<_>>().join("\n");
    let patch = format!("@@ -1,200 +0,0 @@\n{gone}\n@@ -300 +1 @@\n+kept");
    let packed = pack(&diff(vec![file("src/lib.rs", Some(patch))]), 400);
    assert!(
        packed.text.contains("-gone 2\n… 197 more deleted lines\n@@\n+kept"),
        "{}",
        packed.text
    );
    assert_eq!((packed.read, packed.cut), (0, 1));
}

#[test]
fn small_files_stay_whole_beside_a_large_one_and_tests_come_last() {
    let change = diff(vec![
        file("tests/big.rs", Some(long_patch(400, "tested"))),
        file("src/big.rs", Some(long_patch(400, "large"))),
        file("src/small.rs", Some(long_patch(3, "small"))),
    ]);
    let packed = pack(&change, 2_000);
    assert!(packed.text.contains("+small 2"), "{}", packed.text);
    assert!(packed.text.contains("+large 60"), "{}", packed.text);
    assert!(!packed.text.contains("+tested"), "{}", packed.text);
    assert_eq!((packed.read, packed.cut, packed.omitted.len()), (1, 1, 1));
}

#[test]
fn hostile_lines_are_only_lines() {
    let patch = "@@ -1 +1 @@\n+a\r=== other.rs\n+\u{1b}[2J\u{202e}b".to_owned();
    let packed = pack(&diff(vec![file("a\u{202e}\n=== b.rs", Some(patch))]), 1_000);
    assert_eq!(packed.text.matches("\n===").count(), 1, "{}", packed.text);
    assert!(packed.text.contains("+b\n"), "{}", packed.text);
}

#[test]
fn no_budget_and_no_files_are_fine() {
    let change = diff(vec![file("src/lib.rs", Some(long_patch(5, "x")))]);
    let packed = pack(&change, 0);
    assert_eq!((packed.text.as_str(), packed.files()), ("", 1));
    assert_eq!(pack(&diff(Vec::new()), 1_000).files(), 0);
}

#[test]
fn twenty_megabytes_take_linear_time() {
    // The least of some tries: what else the machine does only adds to it.
    let time = |lines: usize| {
        let change = diff(vec![file("src/lib.rs", Some(long_patch(lines, "wörter"))); 20]);
        let once = |_| {
            let start = Instant::now();
            let packed = pack(&change, 14_000);
            assert_eq!(packed.files(), 20);
            start.elapsed().as_secs_f64()
        };
        (0..4).map(once).fold(f64::INFINITY, f64::min)
    };
    let (small, large) = (time(5_000), time(40_000));
    println!("{small} s, {large} s for eight times as much");
    // A quadratic step would take 64 times as long.
    assert!(large < small * 24.0, "{small} s, {large} s");
}

/// What a cap cut is not read whole, what it left out is not GitHub's doing, and what is not even
/// listed is no part of the index's count.
#[test]
fn a_cut_diff_is_not_read_whole() {
    let mut cut = file("src/last.rs", Some(long_patch(3, "seen")));
    cut.is_cut = true;
    let mut left_out = file("src/huge.rs", None);
    left_out.is_cut = true;
    let change = Diff {
        files: vec![file("src/a.rs", Some(long_patch(3, "all"))), left_out, cut],
        is_truncated: true,
        interruption: None,
        is_first_page: false,
    };
    for budget in [400, 14_000] {
        let packed = pack(&change, budget);
        assert_eq!((packed.read, packed.cut, packed.files()), (1, 1, 3), "{}", packed.text);
        assert!(packed.is_truncated);
        assert_eq!(packed.omissions, [Omission { reason: OmissionReason::OverLimit, files: 1 }]);
        assert!(packed.text.starts_with("the first 3 files of a larger change:\n"));
    }
}

#[test]
fn of_many_files_left_out_some_are_named_and_all_are_counted() {
    let renamed =
        |n: usize| FileDiff { change: ChangeType::Renamed, ..file(&format!("src/{n}.rs"), None) };
    let lock = file("Cargo.lock", Some("@@ -1 +1 @@\n+a".to_owned()));
    let change = diff((0..2_999).map(renamed).chain([lock]).collect());
    let packed = pack(&change, 14_000);
    assert_eq!((packed.omitted.len(), packed.files()), (MAX_NAMED, 3_000));
    assert_eq!(
        packed.omissions,
        [
            Omission { reason: OmissionReason::LockFile, files: 1 },
            Omission { reason: OmissionReason::RenamedOnly, files: 2_999 },
        ]
    );
}

fn any_file() -> impl Strategy<Value = FileDiff> {
    let line =
        prop_oneof!["[-+ @\\\\]?[a-zé漢 ]{0,40}", "@@ -1,2 \\+3,4 @@ [a-z]{0,9}", any::<String>()];
    let hunks =
        proptest::option::of(proptest::collection::vec(line, 0..40).prop_map(|l| l.join("\n")));
    let name = prop_oneof![
        "[a-z]{1,8}/[a-z]{1,8}\\.rs",
        "tests/[a-z]{1,8}\\.rs",
        Just("Cargo.lock".to_owned()),
        any::<String>()
    ];
    (name, hunks).prop_map(|(name, hunks)| file(&name, hunks))
}

proptest! {
    #[test]
    fn the_budget_holds_and_every_file_is_accounted_for(
        files in proptest::collection::vec(any_file(), 0..30),
        budget in 0_usize..6_000,
    ) {
        let change = diff(files);
        let packed = pack(&change, budget);
        prop_assert!(packed.text.chars().count() <= budget);
        prop_assert!(packed.text.len() <= 2 * budget);
        prop_assert_eq!(packed.files(), change.files.len() as u64);
        prop_assert_eq!(pack(&change, budget), packed);
    }
}
