//! Untrusted text made harmless.
//!
//! Titles, bodies, comments, logins, branches, paths, diffs and what an LLM makes of them are all
//! written by people who may wish the reader ill. Two strengths:
//!
//! * [`line()`] and [`block`] take away what is invisible or steers a terminal: for text that goes
//!   to an LLM, where a link is only a word.
//! * [`name`], [`title`] and [`prose`] also take away every link, mention, image and tag: for text
//!   that goes to a reader. Whatever may be shown, [`markdown`] escapes for a Markdown line.
//!
//! All are idempotent, take linear time and end at a number of characters.

mod markup;
mod prose;
mod words;

use std::ops::RangeInclusive;

pub use prose::{REMOVED_LINK, name, prose, title};

/// A mark may carry this many combining marks: enough for every script, too few to bury a line.
const MAX_COMBINING: usize = 4;

/// One line of visible text, white space collapsed, of at most `max_chars` characters.
pub fn line(text: &str, max_chars: usize) -> String {
    let visible = visible(text);
    let mut line = String::with_capacity(visible.len().min(max_chars.saturating_mul(4)));
    for word in visible.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    cut(line, max_chars)
}

/// Visible text that keeps its lines and tabs, of at most `max_chars` characters.
pub fn block(text: &str, max_chars: usize) -> String {
    cut(visible(text), max_chars)
}

/// Escapes what Markdown would render in a line that [`title`] or [`line()`] made, code spans
/// excepted. Not idempotent, as no escaping is: call it once, where the text is shown.
pub fn markdown(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len() + 8);
    let mut in_code = false;
    let ticks = line.matches('`').count();
    let mut seen = 0_usize;
    let mut previous = ' ';
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '`' => {
                seen += 1;
                if !in_code && seen == ticks {
                    // It opens a code span that nothing closes.
                    escaped.push('\\');
                } else {
                    in_code = !in_code;
                }
            }
            // Within a word an underscore is only an underscore.
            '_' if previous.is_alphanumeric()
                && characters.peek().is_some_and(|next| next.is_alphanumeric()) => {}
            '\\' | '*' | '_' | '[' | ']' | '<' | '~' | '|' | '&' if !in_code => escaped.push('\\'),
            '#' | '>' | '+' | '-' if escaped.is_empty() => escaped.push('\\'),
            _ => {}
        }
        escaped.push(character);
        previous = character;
    }
    escaped
}

/// At most `max_chars` characters; what was cut ends in `…`.
fn cut(mut text: String, max_chars: usize) -> String {
    if text.len() > max_chars && text.chars().count() > max_chars {
        let keep = text.char_indices().nth(max_chars.saturating_sub(1)).map_or(0, |(at, _)| at);
        text.truncate(keep);
        if max_chars > 0 {
            text.push('…');
        }
    }
    text
}

/// What remains of `text` when everything invisible, and everything a terminal obeys, is gone.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = '\0';
    let mut combining = 0_usize;
    loop {
        // Nearly all there is of code, and nothing to decide about.
        let (plain, after) = plain_start(rest);
        if let Some(last) = plain.bytes().last() {
            out.push_str(plain);
            previous = char::from(last);
            combining = 0;
        }
        let mut characters = after.chars();
        let Some(character) = characters.next() else { return out };
        rest = characters.as_str();
        let kept = match character {
            // One line break, not two; alone it would let a terminal overwrite the line.
            '\r' if rest.starts_with('\n') => continue,
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
            '\u{1b}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}'..='\u{9f}' => {
                rest = after_escape(character, rest);
                continue;
            }
            // The emoji form of the sign before it; anywhere else a hidden bit.
            '\u{fe0f}' if takes_emoji_form(previous) => character,
            other if is_unwanted(other) => continue,
            other if is_blank(other) => ' ',
            other if is_combining(other) => {
                combining += 1;
                if combining > MAX_COMBINING {
                    continue;
                }
                other
            }
            other => other,
        };
        if !is_combining(kept) {
            combining = 0;
        }
        out.push(kept);
        previous = kept;
    }
}

/// The visible ASCII characters, spaces, tabs and line breaks that a text begins with, and the rest.
fn plain_start(text: &str) -> (&str, &str) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    let end = text.bytes().position(|byte| !is_plain(&byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// What is left behind an escape character and what it introduced: a control sequence to its final
/// byte, a string (title, hyperlink, …) to its end or the end of the line, else one character.
/// Source: ECMA-48, sections 5.4 and 5.6.
fn after_escape(introducer: char, rest: &str) -> &str {
    let without_one = |text, last: RangeInclusive<char>| {
        str::strip_prefix(text, |c| last.contains(&c)).unwrap_or(text)
    };
    let within = |range: RangeInclusive<char>| move |c| range.contains(&c);
    let (kind, rest) = match introducer {
        '\u{1b}' => {
            let Some(kind) = rest.chars().next().filter(|c| "[]PX^_".contains(*c)) else {
                let rest = rest.trim_start_matches(within('\u{20}'..='\u{2f}'));
                return without_one(rest, '\u{30}'..='\u{7e}');
            };
            (kind, rest.split_at(1).1)
        }
        '\u{9b}' => ('[', rest),
        _ => (']', rest),
    };
    if kind == '[' {
        let rest = rest.trim_start_matches(within('\u{20}'..='\u{3f}'));
        return without_one(rest, '\u{40}'..='\u{7e}');
    }
    let Some(end) = rest.find(['\n', '\u{7}', '\u{9c}', '\u{1b}']) else { return "" };
    let (_, end) = rest.split_at(end);
    let mut characters = end.chars();
    match characters.next() {
        Some('\n') | None => end,
        Some('\u{1b}') => characters.as_str().strip_prefix('\\').unwrap_or(characters.as_str()),
        Some(_) => characters.as_str(),
    }
}

/// Controls, direction marks, zero-width and other default-ignorable characters, tags, variation
/// selectors, signs without a shape, private use and noncharacters.
/// Source: Unicode 17, `DerivedCoreProperties` (`Default_Ignorable_Code_Point`), UAX #9.
fn is_unwanted(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}'
            | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
        || (character as u32) & 0xfffe == 0xfffe
}

/// Spaces of every width, and the Braille pattern without dots.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{2800}'
}

fn is_combining(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

fn takes_emoji_form(base: char) -> bool {
    matches!(base, '0'..='9' | '#' | '*' | '©' | '®' | '\u{203c}'..='\u{3299}')
        || ('\u{1f000}'..='\u{1faff}').contains(&base)
}

#[cfg(test)]
mod tests;
