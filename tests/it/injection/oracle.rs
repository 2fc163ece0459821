//! What must not be found in an answer, judged without the filter's own tables: as a terminal, a
//! Markdown renderer, a chat's link finder and GitHub itself would read it.

use std::net::IpAddr;

/// Where a text stands decides what it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Prose, titles, warnings, and the answer's text.
    Prose,
    /// A name by itself: login, label, branch, path. A file's name stays bare there.
    Name,
}

/// What some reader would follow, obey or not see in `text`.
pub fn leaks(text: &str, place: Place) -> Vec<String> {
    let mut found = Vec::new();
    let mut leak = |what: &str, at: &str| found.push(format!("{what}: {at:?}"));
    for c in text.chars().filter(|&c| is_hidden(c)) {
        leak("invisible", &format!("U+{:04X}", c as u32));
    }
    let folded = folded(text);
    for (what, sign) in [
        ("scheme", "://"),
        ("scheme", ":\\\\"),
        ("mention", "@"),
        ("link", "]("),
        ("link", "]["),
        ("link", "]:"),
        ("fence", "```"),
        ("fence", "~~~"),
    ] {
        if folded.contains(sign) {
            leak(what, sign);
        }
    }
    for scheme in SCHEMES {
        let follows =
            after(&folded, &format!("{scheme}:"), |c| c.is_alphanumeric() || "/\\+%?#".contains(c));
        if follows {
            leak("scheme", scheme);
        }
    }
    if after(&folded, "<", |c| c.is_alphabetic() || "/!?".contains(c)) {
        leak("tag", "<");
    }
    if after(&folded, "#", |c| c.is_ascii_digit()) || after(&folded, "gh-", |c| c.is_ascii_digit())
    {
        leak("reference", "#");
    }
    if has_entity(&folded) {
        leak("entity", "&");
    }
    for (word, in_code) in words(&folded) {
        if is_address(word, in_code || place == Place::Name) {
            leak("address", word);
        }
    }
    found
}

/// Schemes that an application answers to, even without `//`.
const SCHEMES: &[&str] = &[
    "javascript",
    "data",
    "vbscript",
    "mailto",
    "tel",
    "sms",
    "callto",
    "sip",
    "sips",
    "xmpp",
    "skype",
    "facetime",
    "slack",
    "vscode",
    "vscode-insiders",
    "cursor",
    "zoommtg",
    "msteams",
    "ms-word",
    "ms-excel",
    "ms-settings",
    "ms-msdt",
    "search-ms",
    "obsidian",
    "notion",
    "steam",
    "spotify",
    "bitcoin",
    "ethereum",
    "magnet",
    "intent",
    "market",
    "itms-apps",
    "shortcuts",
    "view-source",
    "chrome",
    "about",
    "blob",
    "webcal",
    "feed",
    "geo",
    "urn",
    "jar",
    "file",
    "http",
    "https",
    "ftp",
    "github-mac",
    "x-github-client",
    "systempreferences",
];

/// Ends of names that are top-level domains and nothing else.
const DOMAINS: &[&str] = &[
    "com",
    "net",
    "org",
    "example",
    "io",
    "dev",
    "xyz",
    "uk",
    "jp",
    "рф",
    "中国",
    "ai",
    "museum",
    "gg",
    "me",
    "ly",
    "localhost",
];
/// Ends of names that are also those of files, or of members in code.
const FILES_TOO: &[&str] = &["zip", "mov", "sh", "app", "rs", "py", "md", "travel", "so", "pl"];

/// Would a link finder take the word, or a part of it, for an address?
fn is_address(word: &str, may_be_file: bool) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    if bare.contains('.') && bare.parse::<IpAddr>().is_ok() {
        return true;
    }
    word.split(|c: char| !(c.is_alphanumeric() || ".-_/:".contains(c))).any(|piece| {
        let (host, path) = piece
            .trim_matches(['/', '.', ':'])
            .split_once(['/', ':'])
            .map_or((piece.trim_matches(['/', '.', ':']), None), |(host, path)| (host, Some(path)));
        let host = host.trim_matches(['.', '-', '_']);
        let goes_on = path.is_some();
        if host.parse::<std::net::Ipv4Addr>().is_ok() || host.contains("xn--") {
            return true;
        }
        if host == "localhost" {
            return goes_on;
        }
        if host.starts_with("www.") && host.len() > 4 {
            return true;
        }
        let Some((first, last)) = host.rsplit_once('.') else { return false };
        !first.is_empty()
            && (DOMAINS.contains(&last) || FILES_TOO.contains(&last) && (goes_on || !may_be_file))
    })
}

/// Words, and whether they stand in a code span.
fn words(text: &str) -> Vec<(&str, bool)> {
    let mut all = Vec::new();
    for line in text.lines() {
        for (n, part) in line.split('`').enumerate() {
            all.extend(part.split_whitespace().map(|word| (word, n % 2 == 1)));
        }
    }
    all
}

fn after(text: &str, sign: &str, follows: impl Fn(char) -> bool) -> bool {
    text.match_indices(sign).any(|(at, _)| {
        let begins = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        let begins = begins || !sign.starts_with(char::is_alphanumeric);
        begins && text[at + sign.len()..].chars().next().is_some_and(&follows)
    })
}

fn has_entity(text: &str) -> bool {
    text.match_indices('&').any(|(at, _)| {
        let name: String =
            text[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '#').collect();
        !name.is_empty() && text[at + 1 + name.len()..].starts_with(';')
    })
}

/// As browsers read an address: full-width forms and other dots are plain ones (UTS #46).
fn folded(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap(),
            '。' | '｡' | '․' => '.',
            '﹫' => '@',
            other => other,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

/// Controls, and what `Default_Ignorable_Code_Point`, `Bidi_Control`, `Private_Use` and
/// `Noncharacter_Code_Point` hold in Unicode; but for an emoji's variation selector.
fn is_hidden(c: char) -> bool {
    let ignorable = matches!(c as u32,
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0e | 0xfeff
        | 0xffa0 | 0xfff0..=0xfffc | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff);
    let unassigned_or_private = matches!(c as u32,
        0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xf0000..=0x0010_ffff)
        || (c as u32) & 0xfffe == 0xfffe;
    // A head of a note without a shape, and the joiners of hieroglyphs.
    let shapeless = matches!(c as u32, 0x1d159 | 0x2800 | 0x13430..=0x1343f);
    (c.is_control() && !matches!(c, '\n' | '\t')) || ignorable || unassigned_or_private || shapeless
}

#[test]
fn the_judge_finds_what_a_reader_would_follow() {
    for bad in [
        "see https://x.y",
        "ftp://a",
        "a @b",
        "x@y.z",
        "[a](b)",
        "<b>",
        "</x",
        "#12",
        "gh-3",
        "&lt;",
        "evil.com",
        "ｅvil.com",
        "evil。com",
        "www.x.y",
        "10.0.0.1:80",
        "xn--a.b",
        "mailto:x",
        "localhost:1",
        "evil.sh/x",
        "evil.sh",
        "a\u{202e}",
        "\u{1b}[1m",
        "x\u{200b}",
        "```",
        "evil.рф",
    ] {
        assert!(!leaks(bad, Place::Prose).is_empty(), "{bad:?}");
    }
    for good in [
        "`main.rs` and v1.2, i.e. a < b & c",
        "std::fs at 12:30",
        "No. 12: 3 of 4",
        "no. 7 ✔️ größer",
    ] {
        assert_eq!(leaks(good, Place::Prose), Vec::<String>::new(), "{good:?}");
    }
    assert!(leaks("main.rs", Place::Name).is_empty());
    assert!(!leaks("evil.com", Place::Name).is_empty());
}
