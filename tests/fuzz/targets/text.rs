//! Texts of strangers, made harmless.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pr_summarizer::domain::text;

fuzz_target!(|given: (u8, &str)| {
    let (max, given) = (usize::from(given.0), given.1);
    for (made, may_break) in [
        (text::line(given, max), false),
        (text::title(given, max), false),
        (text::name(given, max), false),
        (text::block(given, max), true),
        (text::prose(given, max), true),
    ] {
        assert!(made.chars().count() <= max, "{made:?} is longer than {max}");
        for character in made.chars() {
            let breaks = may_break && matches!(character, '\n' | '\t');
            assert!(breaks || !character.is_control(), "{made:?}");
            // Overrides of direction and characters without width.
            let hides = matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
            assert!(!hides, "{made:?}");
        }
        let markdown = text::markdown(&made);
        assert!(markdown.chars().count() >= made.chars().count());
    }
    let prose = text::prose(given, 4_000);
    for address in ["http://", "https://"] {
        assert!(!prose.to_lowercase().contains(address), "{prose:?}");
    }
});
