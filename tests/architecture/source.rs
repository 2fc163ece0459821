//! Just enough of a Rust reader: which rooms a file names, and what of it is code.

/// Every room that a file leads to, with its line: also in groups (`crate::{a, b::{c, d}}`), across
/// lines, in expressions, by the crate's own name, and by `super::` from a module `depth` below the
/// crate's root.
pub(crate) fn crate_paths(text: &str, depth: usize) -> Vec<(usize, String)> {
    let code = code_without_comments(text);
    let mut found = paths(&code, "crate");
    found.extend(paths(&code, "pr_summarizer"));
    // Inline modules need one `super` more to get as far.
    for steps in depth..=depth + 1 {
        let up = paths(&code, &vec!["super"; steps].join("::"));
        found.extend(up.into_iter().filter(|(_, name)| name != "super"));
    }
    found
}

/// What comes first after each `prefix::`, with its line.
pub(crate) fn paths(code: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices(prefix) {
        // The end of a longer name or path is not it; a leading `::` (`::std`) belongs to it.
        let before = &code[..start];
        let before = before.strip_suffix("::").unwrap_or(before).chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
            continue;
        }
        let end = start + prefix.len();
        let Some(path) = code[end..].trim_start().strip_prefix("::") else { continue };
        let path_start = code.len() - path.len();
        for offset in first_segments(path) {
            let name: String = code[path_start + offset..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let line = code[..path_start + offset].matches('\n').count() + 1;
            found.push((line, name));
        }
    }
    found
}

/// Where the first segments of a path begin: one, or as many as the outermost group holds.
fn first_segments(path: &str) -> Vec<usize> {
    let start = path.len() - path.trim_start().len();
    if !path[start..].starts_with('{') {
        return vec![start];
    }
    let mut segments = Vec::new();
    let (mut depth, mut expecting) = (0, false);
    for (offset, c) in path.char_indices().skip_while(|(offset, _)| *offset < start) {
        match c {
            '{' => {
                depth += 1;
                expecting = depth == 1;
            }
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' => expecting = depth == 1,
            c if expecting && !c.is_whitespace() => {
                segments.push(offset);
                expecting = false;
            }
            _ => {}
        }
    }
    segments
}

/// The text with everything in comments and between quotes blanked; lines stay where they are.
pub(crate) fn code_without_comments(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let skipped = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['r', '"' | '#', ..] if !continues_a_name(&code) => raw_string(rest),
            ['"', ..] => string(rest),
            // A character, not a lifetime: '"' and '\'' would otherwise open a string.
            ['\'', '\\', _, ..] => {
                rest.iter().skip(3).position(|c| *c == '\'').map_or(1, |n| n + 4)
            }
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        for c in &rest[..skipped] {
            code.push(if *c == '\n' { '\n' } else { ' ' });
        }
        at += skipped;
        if skipped == 0 {
            code.push(chars[at]);
            at += 1;
        }
    }
    code
}

fn continues_a_name(code: &str) -> bool {
    // `br"…"` is a raw string too: its `b` is no name.
    let name: String =
        code.chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    !name.is_empty() && name != "b"
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => {
                depth += 1;
                at += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `r"…"` or `r#"…"#`; 0 for a raw name such as `r#type`.
fn raw_string(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = &rest[2 + hashes..];
    body.windows(end.len())
        .position(|window| window == end)
        .map_or(rest.len(), |n| 2 + hashes + n + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(text: &str) -> Vec<String> {
        crate_paths(text, 2).into_iter().map(|(_, room)| room).collect()
    }

    #[test]
    fn paths_are_found_in_every_form() {
        assert_eq!(rooms("use crate::store::Store;"), ["store"]);
        assert_eq!(rooms("use crate::store;"), ["store"]);
        assert_eq!(
            rooms("use crate::{\n  domain::{a, b::{c, d}, e},\n  store::{self, Store},\n app};"),
            ["domain", "store", "app"]
        );
        assert_eq!(rooms("fn f(x: &crate::http::Page) { crate :: mcp :: g() }"), ["http", "mcp"]);
        assert_eq!(rooms("use pr_summarizer::config::load;"), ["config"]);
        assert_eq!(
            rooms("use super::super::http; mod m { use super::super::super::mcp; }"),
            ["http", "mcp"]
        );
        assert!(rooms("use super::worker;").is_empty());
        assert_eq!(
            crate_paths("\n\nuse crate::{\n  domain,\n  store};", 1)[1],
            (5, "store".into())
        );
    }

    #[test]
    fn what_only_looks_like_a_path_is_not_one() {
        for text in [
            "// crate::http",
            "/* /* crate::http */ crate::http */",
            "\"crate::http \\\" crate::mcp\"",
            "r#\"crate::http \" crate::mcp\"#",
            "br\"crate::http\"",
            "my_crate::http",
            "pub(crate) fn f()",
            "$crate::http",
        ] {
            assert!(rooms(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn characters_and_lifetimes_do_not_open_strings() {
        let text = "fn f<'a>(c: char, s: &'a str) { c == '\"' || c == '\\'' || c == '\\u{22}'; crate::http::g() } // \"";
        assert_eq!(rooms(text), ["http"]);
        assert_eq!(rooms("let r#type = 1; crate::http::g()"), ["http"]);
        assert_eq!(rooms("let for_ = \"\"; crate::http::g()"), ["http"]);
    }
}
