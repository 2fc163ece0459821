//! Text for readers: without links, mentions, images and tags, whoever wrote them.
//!
//! A list of bad patterns is never complete, so the work goes by words: a word that looks as if
//! some renderer could make a link of it is replaced whole by [`REMOVED_LINK`]. The steps run until
//! nothing changes any more; what never settles loses everything but letters, digits and commas.

use std::{borrow::Cow, net::IpAddr};

use super::{
    cut,
    markup::{without_entities, without_links, without_tags},
    visible,
    words::{CODE_TOO, COUNTRIES, FILES_ONLY, OTHER_SCRIPTS, PRODUCTS, SCHEMES, TOP_LEVEL, has},
};

/// What stands where a link stood. Round brackets: square ones are themselves markup.
pub const REMOVED_LINK: &str = "(link removed)";

/// Rounds until a text must have settled.
const MAX_ROUNDS: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Paragraphs; file names become code.
    Paragraphs,
    /// One line; file names become code.
    Line,
    /// One line that is a name itself: a path, a login, a label, a branch.
    Name,
}

/// Paragraphs without links, mentions, images, tags and headings, of at most `max_chars`
/// characters.
pub fn prose(text: &str, max_chars: usize) -> String {
    settle(text, max_chars, Form::Paragraphs)
}

/// The same on one line: for titles.
pub fn title(text: &str, max_chars: usize) -> String {
    settle(text, max_chars, Form::Line)
}

/// The same for what is a name itself (path, login, label, branch): a file's name stays bare.
pub fn name(text: &str, max_chars: usize) -> String {
    settle(text, max_chars, Form::Name)
}

fn settle(text: &str, max_chars: usize, form: Form) -> String {
    let mut settled = round(text, max_chars, form);
    if settled == text {
        return settled;
    }
    for _ in 1..MAX_ROUNDS {
        let next = round(&settled, max_chars, form);
        if next == settled {
            return settled;
        }
        settled = next;
    }
    let bare: String = settled
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, ',' | '\n') { c } else { ' ' })
        .collect();
    round(&bare, max_chars, form)
}

fn round(text: &str, max_chars: usize, form: Form) -> String {
    let text = visible(text);
    let text = plain_signs(&text);
    let text = without_entities(&text);
    let text = without_tags(&text);
    let text = without_links(&text);
    let mut out = String::with_capacity(text.len());
    if form == Form::Paragraphs {
        let mut blank = true;
        for line in text.lines() {
            let line = words(without_markers(line), form);
            if line.is_empty() {
                blank = true;
                continue;
            }
            if !out.is_empty() {
                out.push_str(if blank { "\n\n" } else { "\n" });
            }
            out.push_str(&line);
            blank = false;
        }
    } else {
        out = words(without_markers(&text), form);
    }
    cut_at_word(out, max_chars)
}

/// Full-width forms of the signs that markup is made of, as the plain ones: whoever normalizes the
/// text later would make markup of them.
fn plain_signs(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let plain = |c: char| match c {
        '＜' | '﹤' => '<',
        '＞' | '﹥' => '>',
        '［' => '[',
        '］' => ']',
        '＆' | '﹠' => '&',
        '｀' => '`',
        other => other,
    };
    text.chars().map(plain).collect::<String>().into()
}

/// Without what would make a heading, a quote, a rule or a table row of the line.
fn without_markers(line: &str) -> &str {
    let line = line.trim();
    if line.chars().all(|c| "-=*_~|+#>: ".contains(c)) {
        return "";
    }
    line.trim_start_matches(['#', '>', '=', '|', '~', '+', ' '])
}

/// One line, word by word.
fn words(line: &str, form: Form) -> String {
    let line = single_ticks(line);
    let mut out = String::with_capacity(line.len());
    let mut in_code = false;
    // An @ never survives: its two sides are judged as words of their own.
    let parts = line.split(|c: char| c.is_whitespace() || matches!(c, '@' | '＠' | '﹫'));
    for word in parts.filter(|part| !part.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        for (run, is_joined) in runs(word) {
            let ticks = run.matches('`').count();
            match judge(run, is_joined) {
                Verdict::Link => {
                    let (before, after) = edges(run);
                    out.push_str(before);
                    out.push_str(REMOVED_LINK);
                    out.push_str(after);
                }
                Verdict::File if form != Form::Name && !in_code && ticks == 0 => {
                    let (before, after) = edges(run);
                    let inner = run.get(before.len()..run.len() - after.len()).unwrap_or_default();
                    out.push_str(before);
                    out.push('`');
                    out.push_str(inner);
                    out.push('`');
                    out.push_str(after);
                }
                Verdict::File | Verdict::Plain => push_word(&mut out, run),
            }
            in_code ^= ticks % 2 == 1;
        }
    }
    single_ticks(&out).into_owned()
}

/// The parts of a word between scripts that are written without spaces, and whether other text
/// stands before them: a Chinese sentence must not vanish with the address in it.
fn runs(word: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = word;
    let mut is_joined = false;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_unspaced = unspaced(first);
        let end = rest.find(|c| unspaced(c) != is_unspaced).unwrap_or(rest.len());
        let end = end + foreign_domain(rest, end);
        let (run, after) = rest.split_at(end);
        rest = after;
        Some((run, std::mem::replace(&mut is_joined, true)))
    })
}

/// How many bytes after `dot` still belong to a host: `host.公司` is one word although its end is
/// written in a script without spaces.
fn foreign_domain(text: &str, dot: usize) -> usize {
    let (before, after) = text.split_at(dot);
    if !before.ends_with(['.', '․']) {
        return 0;
    }
    let longest = OTHER_SCRIPTS
        .split(' ')
        .filter(|domain| domain.starts_with(unspaced) && after.starts_with(domain));
    longest.map(str::len).max().unwrap_or_default()
}

/// Ideographs, kana, Hangul and their punctuation; full-width letters can spell an address.
fn unspaced(character: char) -> bool {
    matches!(character,
        '\u{3001}' | '\u{3003}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{ff01}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0c}' | '\u{ff1b}' | '\u{ff1f}'
        | '\u{20000}'..='\u{3ffff}')
}

/// `#12`, `owner/repo#12` and `GH-12` lose the sign that would make a reference of them.
fn push_word(out: &mut String, word: &str) {
    let mut rest = word;
    while let Some(at) = rest.find(['#', '＃', '-']) {
        let (before, after) = rest.split_at(at);
        let sign = after.chars().next().unwrap_or('#');
        let after = after.get(sign.len_utf8()..).unwrap_or_default();
        out.push_str(before);
        let is_number = after.starts_with(|c: char| c.is_ascii_digit());
        if sign == '-' {
            out.push(if is_number && ends_with_gh(out) { ' ' } else { '-' });
        } else if is_number {
            if before.ends_with(|c: char| c.is_alphanumeric()) {
                out.push(' ');
            }
            out.push_str("no. ");
        } else {
            out.push('#');
        }
        rest = after;
    }
    out.push_str(rest);
}

/// Whether the text ends with `GH`, in any case, as a word or behind other letters.
fn ends_with_gh(text: &str) -> bool {
    let end = text.len().checked_sub(2).and_then(|at| text.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case("gh"))
}

/// Runs of backticks become one, runs of tildes none, and an odd backtick goes: no fence, and no
/// code span that swallows what follows.
fn single_ticks(line: &str) -> Cow<'_, str> {
    if !line.contains(['`', '~']) {
        return line.into();
    }
    let mut out = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '`' => {
                while characters.next_if_eq(&'`').is_some() {}
                out.push('`');
            }
            '~' if characters.peek() == Some(&'~') => {
                while characters.next_if_eq(&'~').is_some() {}
            }
            other => out.push(other),
        }
    }
    if out.matches('`').count() % 2 == 1
        && let Some(last) = out.rfind('`')
    {
        out.remove(last);
    }
    out.into()
}

/// Punctuation around a word that stays when the word goes.
fn edges(word: &str) -> (&str, &str) {
    let inner = word.trim_start_matches(['`', '(', '"', '\'', '*', '“', '‘']);
    let before = word.get(..word.len() - inner.len()).unwrap_or_default();
    let trimmed = inner
        .trim_end_matches(['`', '。', ')', '"', '\'', '*', '”', '’', '.', ',', ';', '!', '?', ':']);
    (before, inner.get(trimmed.len()..).unwrap_or_default())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Plain,
    File,
    Link,
}

/// Could some renderer make a link of this word?
fn judge(word: &str, is_joined: bool) -> Verdict {
    // Without one of these there is no scheme, no path, no number and no name of a host.
    if word.is_ascii() && !word.contains(['.', ':', '/', '\\']) && !word.contains("--") {
        return Verdict::Plain;
    }
    let mut folded = folded(word);
    if is_joined && folded.starts_with(['.', '-']) {
        // What stands before it is part of the name, whatever it is.
        folded.insert(0, 'x');
    }
    if folded.replace("[:]", ":").contains("://") || folded.contains(":\\\\") || has_scheme(&folded)
    {
        return Verdict::Link;
    }
    let address = folded.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    if address
        .parse::<IpAddr>()
        .is_ok_and(|ip| ip.is_ipv4() || address.contains(|c: char| c.is_ascii_digit()))
    {
        return Verdict::Link;
    }
    let mut verdict = Verdict::Plain;
    // After `//` or `..` a host may begin, whatever stands before it.
    let mended = folded.replace("[.]", ".").replace("(.)", ".");
    for piece in pieces(&folded).chain(pieces(&mended)) {
        match judge_host(piece, &folded) {
            Verdict::Link => return Verdict::Link,
            Verdict::File => verdict = Verdict::File,
            Verdict::Plain => {}
        }
    }
    verdict
}

fn pieces(word: &str) -> impl Iterator<Item = &str> {
    word.split(|c: char| !c.is_alphanumeric() && !".-_/".contains(c))
        .flat_map(|piece| piece.split("//"))
        .flat_map(|piece| piece.split(".."))
}

/// Lower case, full-width forms and other dots as their plain counterparts.
fn folded(word: &str) -> String {
    word.chars()
        .map(|c| match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
            '。' | '｡' | '․' => '.',
            '⁄' | '∕' | '⧸' => '/',
            '∶' | '꞉' | 'ː' => ':',
            other => other,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

fn has_scheme(word: &str) -> bool {
    let mut from = 0;
    while let Some(at) = word.get(from..).and_then(|rest| rest.find(':')) {
        let colon = from + at;
        let before = word.get(..colon).unwrap_or_default();
        let start =
            before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).map_or(0, |at| {
                at + before.get(at..).and_then(|s| s.chars().next()).map_or(1, char::len_utf8)
            });
        let scheme = before.get(start..).unwrap_or_default();
        let after = word.get(colon + 1..).unwrap_or_default();
        // `data::Row` is a path in code, and `file:` at the end of a word announces something.
        if has(SCHEMES, scheme)
            && after.starts_with(|c: char| c.is_alphanumeric() || "/\\%+.?#[".contains(c))
        {
            return true;
        }
        from = colon + 1;
    }
    false
}

fn judge_host(piece: &str, word: &str) -> Verdict {
    let piece = piece.trim_start_matches('/');
    let host = piece.split('/').next().unwrap_or_default();
    let goes_on = piece.len() > host.len();
    let host = host.trim_matches(['.', '-', '_']);
    if host.starts_with("xn--") || host == "localhost" && (goes_on || word.contains("localhost:")) {
        return Verdict::Link;
    }
    // Renderers make a link of whatever follows `www.`.
    if host.contains('.') && host.split('.').any(|label| label == "www") {
        return Verdict::Link;
    }
    let Some((first, last)) = host.rsplit_once('.') else { return Verdict::Plain };
    if first.is_empty() || host.parse::<IpAddr>().is_ok() {
        return if first.is_empty() { Verdict::Plain } else { Verdict::Link };
    }
    // Marks that combine are part of a word in many scripts.
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || !c.is_ascii() || "-_".contains(c))
    };
    if !host.split('.').all(is_label) || !last.chars().any(char::is_alphabetic) {
        return Verdict::Plain;
    }
    if !goes_on && has(PRODUCTS, host) {
        return Verdict::File;
    }
    if last.starts_with("xn--")
        || [TOP_LEVEL, COUNTRIES, OTHER_SCRIPTS].iter().any(|table| has(table, last))
    {
        return Verdict::Link;
    }
    // A dotted word before a slash is a host, unless it can only be a file or a version.
    let is_word = last.len() > 1 && last.chars().all(char::is_alphabetic);
    if goes_on && is_word && !has(FILES_ONLY, last) {
        return Verdict::Link;
    }
    if has(CODE_TOO, last) { Verdict::File } else { Verdict::Plain }
}

/// As [`cut`], but never within a word: half a word could be a link that the whole was not.
fn cut_at_word(text: String, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text;
    }
    let limit = text.char_indices().nth(max_chars.saturating_sub(2)).map_or(0, |(at, _)| at);
    let head = text.get(..limit).unwrap_or_default();
    let end = head.rfind(char::is_whitespace).unwrap_or(0);
    let mut head = head.get(..end).unwrap_or_default().trim_end().to_owned();
    if !head.is_empty() {
        head.push(' ');
    }
    head.push('…');
    cut(head, max_chars)
}
