//! How much of a change the packing shows, measured on real pull requests.

use std::fmt::Write as _;

use pr_summarizer::summarize::pack::pack;

use crate::corpus;

/// An invented change as large ones are: a lock file and a long test stand before forty small
/// files, from each of which the author names a function. So something is measured without the
/// corpus too.
#[test]
fn packing_shows_what_the_head_does_not() {
    let (mut raw, mut body) = (String::new(), String::new());
    let mut file = |path: &str, lines: &[String]| {
        let added: String = lines.iter().flat_map(|line| ["+", line, "\n"]).collect();
        let _ = write!(
            raw,
            "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -0,0 +1,{} @@\n{added}",
            lines.len()
        );
    };
    let long = |word: &str| (0..400).map(|n| format!("{word} {n}")).collect::<Vec<_>>();
    file("Cargo.lock", &long("name = \"crate\" # "));
    file("a/tests/long.rs", &long("    assert_eq!(one, other);"));
    for n in 0..40 {
        let _ = writeln!(body, "`read_part_{n}` reads part {n}.");
        file(&format!("src/part{n}.rs"), &[format!("fn read_part_{n}() {{}}"), "// Why.".into()]);
    }
    let sample = corpus::Sample::new("octo/hello".into(), 1, "Read in parts".into(), body, raw);
    assert_eq!((sample.diff.files.len(), sample.named.len()), (42, 40));
    let samples = [sample];
    let packed = corpus::recall(&samples, |sample| pack(&sample.diff, 6_000).text);
    let head = corpus::recall(&samples, |sample| corpus::head(sample, 6_000));
    assert!(packed > 99.0 && head < 1.0, "packed {packed:.1} %, head {head:.1} %");
}

#[test]
fn packing_shows_what_authors_name() {
    let Some(samples) = corpus::load() else {
        println!("skipped: no corpus (set CORPUS to its folder)");
        return;
    };
    for (budget, floor) in [(3_000, 73.0), (6_000, 89.0), (12_000, 95.0), (24_000, 98.0)] {
        let packed = corpus::recall(&samples, |sample| pack(&sample.diff, budget).text);
        let head = corpus::recall(&samples, |sample| corpus::head(sample, budget));
        println!("{budget:>6} characters: packed {packed:.1} %, head {head:.1} %");
        assert!(packed >= floor, "{packed:.1} % at {budget}, expected {floor} %");
        assert!(packed >= head, "{packed:.1} % at {budget}, the head has {head:.1} %");
    }
}
