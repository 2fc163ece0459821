//! What hostile text becomes: by example, and for anything a generator can put together.

use proptest::prelude::*;

use super::*;

/// Payloads in the manner of what injects links, commands and invisible text elsewhere.
const PAYLOADS: &[&str] = &[
    "http://evil.example/x",
    "https://evil.example",
    "HTTPS://EVIL.EXAMPLE/a?b=c#d",
    "hxxp://evil.example",
    "http:\\\\evil.example",
    "https:evil.example",
    "http:/evil.example",
    "//evil.example/x",
    "ftp://evil.example",
    "data:text/html,<b>x</b>",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "vbscript:msgbox",
    "mailto:a@evil.example",
    "a@evil.example",
    "www.evil.example",
    "WWW.EVIL.COM",
    "evil.example/x",
    "evil.com",
    "evil.com:8080/path",
    "(evil.com)",
    "see:evil.com",
    "evil[.]com",
    "evil(.)com",
    "ｈｔｔｐ：／／evil.example",
    "evil。com",
    "еvil.com",
    "xn--80ak6aa92e.com",
    "http://127.0.0.1/",
    "10.0.0.1",
    "10.0.0.1:80",
    "http://[::1]/",
    "2001:db8::1",
    "http://2130706433/",
    "localhost:3000/x",
    "evil.sh/install",
    "evil.rs/x",
    "[label](http://evil.example)",
    "![alt](http://evil.example/p.png)",
    "[label][ref]",
    "[ref]: http://evil.example",
    "[a](<http://evil.example> \"t\")",
    "[a](javascript:alert`1`)",
    "[![x](http://evil.example/i)](http://evil.example)",
    "[x](evil 'a')",
    "<http://evil.example>",
    "<a href=\"http://evil.example\">x</a>",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example>",
    "<svg/onload=alert(1)>",
    "<!-- hidden -->",
    "<<b>script>",
    "<style>*{}</style>",
    "</details>",
    "&lt;script&gt;",
    "&#104;ttp://evil.example",
    "&#x68;ttps&colon;//evil.example",
    "&amp;lt;",
    "@octocat",
    "@octo/team",
    "＠octocat",
    "#123",
    "octo/hello#1",
    "GH#1",
    "owner/repo@abc",
    "```\nfence",
    "~~~\nfence",
    "````markdown",
    "`unclosed",
    "``` `` `",
    "# heading",
    "> quote",
    "---",
    "| a | b |",
    "===",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{1b}]8;;http://evil.example\u{7}x",
    "\u{1b}]0;title\u{1b}\\",
    "\u{9b}31m",
    "\u{9d}8;;x\u{9c}",
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}c",
    "\r overwrite",
    "\u{8}\u{8}\u{8}",
    "\u{202e}gnp.exe",
    "\u{2066}x\u{2069}",
    "\u{200f}",
    "a\u{200b}b",
    "ht\u{200b}tp://evil.example",
    "ev\u{ad}il.com",
    "\u{feff}",
    "\u{2060}",
    "\u{e0041}\u{e0042}",
    "x\u{fe00}\u{fe01}\u{e0100}\u{e01ef}",
    "\u{fe0f}\u{fe0f}",
    "\u{3164}",
    "\u{115f}",
    "\u{2800}",
    "z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}",
    "\u{2028}x\u{2029}",
    "hthttp://tp://evil.example",
    "[x]<b>(http://evil.example)",
    "ev<b>il.com",
    "w<i>ww.evil.com",
    "java\tscript:alert(1)",
    "https://\nevil.com",
    "[.](x)com",
    "a](b",
    "[a][b][c](d)",
    "!![a](b)",
    "[link removed](x)",
    "(link removed)",
    "a.b.c.d.com.",
    "..evil.com..",
    "_evil.com_",
    "**evil.com**",
    "`evil.com`",
    "\"evil.com\"",
    "evil.com,evil.org;evil.net",
    "e.g.",
    "…",
];

/// What must never be found in text for readers.
fn assert_harmless(text: &str, from: &str) {
    let lower = text.to_lowercase();
    for pattern in ["://", "@", "](", "][", "]:", "```", "~~", " javascript:a", "&lt;"] {
        assert!(!lower.contains(pattern), "{pattern:?} in {text:?} from {from:?}");
    }
    for host in lower.split(|c: char| !c.is_alphanumeric() && !".-_/".contains(c)) {
        let host = host.rsplit("//").next().unwrap_or_default().trim_start_matches('/');
        let host = host.split('/').next().unwrap_or_default().trim_matches(['.', '-', '_']);
        let is_link = host.starts_with("www.") && host.len() > 4
            || [".example", ".com", ".org", ".net"].iter().any(|tld| host.ends_with(tld));
        assert!(!is_link, "{host:?} in {text:?} from {from:?}");
    }
    let follows = |sign: char, test: fn(char) -> bool| {
        text.match_indices(sign)
            .any(|(at, _)| text[at + sign.len_utf8()..].chars().next().is_some_and(test))
    };
    assert!(!follows('<', |c| c.is_alphabetic() || "/!?".contains(c)), "a tag in {text:?}");
    assert!(!follows('#', |c| c.is_ascii_digit()), "a reference in {text:?}");
    for line in text.lines() {
        assert_eq!(line.matches('`').count() % 2, 0, "an open code span in {text:?}");
        assert!(!line.starts_with(['#', '>', '|', '=']), "a marker in {text:?}");
    }
    assert_visible(text);
}

fn assert_visible(text: &str) {
    let hidden = |c: char| !matches!(c, '\n' | '\t' | '\u{fe0f}') && is_unwanted(c);
    assert!(!text.contains(hidden), "{text:?}");
}

#[test]
fn no_payload_survives() {
    for payload in PAYLOADS {
        for around in ["{}", "see {} now", "x{}", "({})", "`{}`", "*{}*,", "{}\n{}"] {
            let text = around.replace("{}", payload);
            for made in [prose(&text, 2_000), title(&text, 2_000), name(&text, 2_000)] {
                assert_harmless(&made, &text);
            }
            assert_visible(&block(&text, 2_000));
            assert_visible(&line(&text, 2_000));
        }
    }
}

#[test]
fn ordinary_prose_is_left_alone() {
    for text in [
        "Adds a cache (LRU, 64 MB) to `Client::send`; nothing else changes.",
        "Moves src/main.tsx to src/app/main.tsx, e.g. for v1.2.3, i.e. a < b and c -> d.",
        "Uses std::fs::read, client.send() and data::Row; the file: Cargo.toml.",
        "Größe und 漢字 stay, so do 👍🏽 and ✔️ and arr[0] or [WIP].",
        "50% of `a[i]` <= 5 && x != y.\n\nA second paragraph.",
    ] {
        assert_eq!(prose(text, 2_000), text);
    }
}

#[test]
fn what_is_dropped_and_what_stays() {
    for (text, expected) in [
        ("See [the docs](https://x.example/y) for more.", "See the docs for more."),
        ("![shot](https://x.example/y.png) new look", "shot new look"),
        ("Read https://evil.example/x, then go.", "Read (link removed), then go."),
        (
            "@ada asks for tests, see #12 and octo/hello#3",
            "ada asks for tests, see no. 12 and octo/hello no. 3",
        ),
        ("Fix main.rs and setup.py", "Fix `main.rs` and `setup.py`"),
        ("Returns Vec<String> now", "Returns Vec‹String› now"),
        ("a <b>bold</b> <!-- x --> claim", "a bold claim"),
        ("# Ready to merge\n> quoted\n---\nend", "Ready to merge\nquoted\n\nend"),
        ("bump serde@1.0.2", "bump serde 1.0.2"),
        ("Ports ASP.NET to Socket.IO", "Ports `ASP.NET` to `Socket.IO`"),
        (
            "添加缓存，参见https://evil.example/x。修改main.rs文件",
            "添加缓存，参见(link removed)。修改`main.rs`文件",
        ),
        ("例え.comを見る", "例え(link removed)を見る"),
        ("见evil.中国/x吧", "见(link removed)/x吧"),
        ("см. ПРИМЕР.РФ и пример.рф/x", "см. (link removed) и (link removed)"),
        ("открой api.localhost:3000", "открой (link removed)"),
        ("join zoommtg:join?x or callto:eve", "join (link removed) or (link removed)"),
        ("as in GH-12 and gh-7", "as in GH 12 and gh 7"),
        ("［a］（b） ＜b＞bold＜/b＞", "a bold"),
        ("pass\u{13430}wo\u{1d159}rd", "password"),
    ] {
        assert_eq!(prose(text, 2_000), expected);
    }
    assert_eq!(name("src/main.rs", 99), "src/main.rs");
    assert_eq!(name("main.rs", 99), "main.rs");
    assert_eq!(name("vendor/github.com/x/y.go", 99), "vendor/github.com/x/y.go");
}

#[test]
fn markdown_escapes_what_would_render() {
    assert_eq!(
        markdown("*a* _b_ snake_case `c*d` [e] |"),
        r"\*a\* \_b\_ snake_case `c*d` \[e\] \|"
    );
    assert_eq!(markdown("# x `y"), r"\# x \`y");
}

#[test]
fn text_ends_at_its_limit() {
    assert_eq!(line("a\n b\t c", 99), "a b c");
    assert_eq!(line("größer", 4), "grö…");
    assert_eq!(block("ab\ncd", 4), "ab\n…");
    assert_eq!(block("abcd", 4), "abcd");
    assert_eq!(line("abc", 0), "");
    assert_eq!(prose("one two three", 9), "one …");
    assert_eq!(prose("one two three", 10), "one two …");
}

#[test]
fn the_tables_are_sorted() {
    assert!(words::TABLES.iter().all(|table| table.split(' ').is_sorted()));
}

#[test]
fn a_megabyte_of_brackets_takes_no_time() {
    for unit in ["[", "](", "<", "&a", "`", "\u{1b}]", "#", "a.", "@", "[a]("] {
        let text = unit.repeat(1_000_000 / unit.len());
        let made = prose(&text, 4_000);
        assert!(made.chars().count() <= 4_000);
        assert_harmless(&made, unit);
    }
}

fn mixture() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(PAYLOADS).prop_map(str::to_owned),
        2 => "[a-z./:@#<>()\\[\\]`!&;*_~| \n-]{0,12}",
        1 => any::<String>(),
        1 => Just(" ".to_owned()),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn mixtures_are_harmless_and_settled(text in mixture(), max in 0_usize..300) {
        for clean in [prose, title, name] {
            let made = clean(&text, max);
            assert_harmless(&made, &text);
            prop_assert!(made.chars().count() <= max);
            prop_assert_eq!(clean(&made, max), made);
        }
        for strip in [line, block] {
            let made = strip(&text, max);
            assert_visible(&made);
            prop_assert!(made.chars().count() <= max);
            prop_assert_eq!(strip(&made, max), made);
        }
        prop_assert!(!markdown(&title(&text, max)).contains('\n'));
    }
}
