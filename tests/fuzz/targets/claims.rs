//! What an LLM wrote, looked through for statements of a status.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pr_summarizer::{
    domain::text,
    summarize::check::{Checked, check, checks_language, sober, without_claims},
    summarize::prompt::Prompt,
};

fuzz_target!(|given: (bool, &str)| {
    let (is_cut, text) = given;
    let prompt = Prompt {
        system: String::new(),
        user: String::new(),
        max_tokens: 400,
        max_chars: 1_500,
        comments_used: 0,
        mark: "untrusted-0123456789abcdef".to_owned(),
    };
    match check(text, is_cut, &prompt) {
        Checked::Sound(summary) => {
            assert!(summary.chars().count() <= prompt.max_chars);
            assert!(!summary.contains(&prompt.mark));
            assert!(
                text::prose(&summary, prompt.max_chars) == summary,
                "it is not harmless: {summary:?}"
            );
        }
        Checked::Opinionated { .. } | Checked::Unusable(_) => {}
    }
    if let Some(kept) = without_claims(text) {
        // What is left says nothing more of a status; only spaces may differ.
        let (once, twice) = (sober(&kept), sober(&sober(&kept)));
        assert!(once.split_whitespace().eq(twice.split_whitespace()), "{once:?} {twice:?}");
    }
    let _ = checks_language(Some(text));
});
