//! Diffs as GitHub sends them, packed into a budget.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pr_summarizer::{summarize::pack::pack, upstream::github::diff::parse};

fuzz_target!(|given: (u16, bool, &str)| {
    let (budget, is_cut, text) = (usize::from(given.0), given.1, given.2);
    let diff = parse(text, is_cut);
    let packed = pack(&diff, budget);
    assert!(packed.text.chars().count() <= budget, "over its budget");
    assert!(packed.text.len() <= 2 * budget, "over its bytes");
    // Every file is accounted for.
    assert_eq!(packed.files(), diff.files.len() as u64);
    let named: u64 = packed.omissions.iter().map(|omission| omission.files).sum();
    assert!(packed.omitted.len() as u64 <= named);
    assert!(!is_cut || packed.is_truncated || diff.files.is_empty());
    assert_eq!(packed, pack(&diff, budget), "not the same twice");
});
