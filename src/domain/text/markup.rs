//! Markup taken out of text: HTML entities and tags, Markdown links and images.

use std::borrow::Cow;

use super::words::{ELEMENTS, has};

/// Drops `&…;`: after a renderer has decoded it, it could be anything.
pub(super) fn without_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        let length =
            after.bytes().take(32).take_while(|b| b.is_ascii_alphanumeric() || *b == b'#').count();
        if length > 0 && after.as_bytes().get(length) == Some(&b';') {
            out.push(' ');
            rest = after.get(length + 1..).unwrap_or_default();
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
    out.into()
}

/// Drops HTML tags and comments. Other angle brackets that could open a tag become `‹ ›`.
pub(super) fn without_tags(text: &str) -> Cow<'_, str> {
    if !text.contains('<') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        let end = after.find(['<', '>', '\n']);
        let inner = end.filter(|end| after.as_bytes().get(*end) == Some(&b'>'));
        let inner = inner.and_then(|end| after.get(..end));
        match inner {
            Some(inner) if is_tag(inner) => {
                out.push(' ');
                rest = after.get(inner.len() + 1..).unwrap_or_default();
            }
            Some(inner) if !inner.is_empty() && !inner.starts_with([' ', '=', '-']) => {
                out.push('‹');
                out.push_str(inner);
                out.push('›');
                rest = after.get(inner.len() + 1..).unwrap_or_default();
            }
            _ => {
                // A comparison or an arrow stays; whatever else could still open a tag.
                let harmless = after.starts_with([' ', '=', '-'])
                    || after.starts_with(|c: char| c.is_ascii_digit());
                out.push(if harmless { '<' } else { '‹' });
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.into()
}

fn is_tag(inner: &str) -> bool {
    let inner = inner.trim_start_matches('/');
    let element = inner.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    inner.starts_with(['!', '?'])
        || inner.contains(['=', '/', '"', '\'', '@'])
        || has(ELEMENTS, &element.to_ascii_lowercase())
}

/// Keeps the label of `[label](target)`, `![label](target)`, `[label][target]` and drops the rest;
/// drops `[label]: target` definitions.
pub(super) fn without_links(text: &str) -> Cow<'_, str> {
    // All that this changes begins with a bracket that closes.
    if !text.contains(']') {
        return text.into();
    }
    let mut out: Vec<char> = Vec::with_capacity(text.len());
    let mut open: Vec<usize> = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '[' => {
                open.push(out.len());
                out.push(character);
            }
            ']' => {
                let start = open.pop();
                let closes = match characters.peek() {
                    Some('(' | '（') => ')',
                    Some('[') => ']',
                    Some(':') => '\n',
                    _ => {
                        out.push(character);
                        continue;
                    }
                };
                let mut depth = 0_usize;
                while let Some(skipped) = characters.next_if(|&c| c != '\n') {
                    match skipped {
                        '(' | '（' | '[' => depth += 1,
                        _ if skipped == closes || skipped == '）' && closes == ')' => {
                            depth = depth.saturating_sub(1);
                            if depth == 0 {
                                break;
                            }
                        }
                        _ => {}
                    }
                }
                out.push(' ');
                if let Some(bracket) = start.and_then(|at| out.get_mut(at)) {
                    *bracket = ' ';
                }
                if let Some(bang) =
                    start.and_then(|at| at.checked_sub(1)).and_then(|at| out.get_mut(at))
                    && *bang == '!'
                {
                    *bang = ' ';
                }
            }
            // Nothing closes over a line: it keeps the work linear and the damage small.
            '\n' => {
                open.clear();
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out.into_iter().collect::<String>().into()
}
