//! Reads git's unified diffs, as GitHub serves them for a pull request.
//!
//! One pass, no look-behind. Whatever does not look like a diff is passed over: the text is
//! somebody else's, and may be cut anywhere.
//! Source: <https://git-scm.com/docs/diff-format#generate_patch_text_with_p>

use crate::domain::pull_request::{ChangeType, Diff, FileDiff};

/// Reads a whole diff. `is_cut` says that the text ends before the diff does.
pub fn parse(text: &str, is_cut: bool) -> Diff {
    let mut diff = Diff { is_truncated: is_cut, ..Diff::default() };
    let mut current: Option<Section> = None;
    let mut offset = 0;
    // The cut fell where the next file begins: the one before it is whole.
    let mut is_between = false;
    for line in text.split_inclusive('\n') {
        let (start, end) = (offset, offset + line.len());
        offset = end;
        // Half a name is a wrong name; half a line of a hunk is still what was read.
        let is_half = is_cut && !line.ends_with('\n');
        let in_hunk = current.as_ref().is_some_and(|section| section.patch.is_some());
        if is_half && (!in_hunk || line.starts_with("diff ")) {
            is_between = line.starts_with("diff ");
            break;
        }
        // Inside a hunk every line has a mark before its text, so this always begins a file.
        if let Some(names) = begins_file(line) {
            diff.files.extend(current.take().map(|section| section.finish(text)));
            current = Some(Section::new(names));
        } else if let Some(section) = &mut current {
            section.line(line, start, end);
        }
    }
    diff.files.extend(
        current.map(|section| FileDiff { is_cut: is_cut && !is_between, ..section.finish(text) }),
    );
    diff
}

fn begins_file(line: &str) -> Option<&str> {
    let names = line
        .strip_prefix("diff --git ")
        .or_else(|| line.strip_prefix("diff --cc "))
        .or_else(|| line.strip_prefix("diff --combined "))?;
    Some(without_newline(names))
}

/// One file's part of the diff while it is being read.
struct Section<'a> {
    /// What follows `diff --git`.
    names: &'a str,
    old: Option<String>,
    new: Option<String>,
    change: ChangeType,
    is_rename: bool,
    is_binary: bool,
    /// Where the hunks begin and end in the text.
    patch: Option<(usize, usize)>,
    additions: u64,
    deletions: u64,
}

impl<'a> Section<'a> {
    fn new(names: &'a str) -> Self {
        Self {
            names,
            old: None,
            new: None,
            change: ChangeType::Modified,
            is_rename: false,
            is_binary: false,
            patch: None,
            additions: 0,
            deletions: 0,
        }
    }

    fn line(&mut self, line: &str, start: usize, end: usize) {
        if let Some((_, patch_end)) = &mut self.patch {
            *patch_end = end;
            match line.as_bytes().first() {
                Some(b'+') => self.additions += 1,
                Some(b'-') => self.deletions += 1,
                _ => {}
            }
        } else if line.starts_with("@@") {
            self.patch = Some((start, end));
        } else {
            self.header(without_newline(line));
        }
    }

    fn header(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("--- ") {
            self.old = side(name, "a/");
        } else if let Some(name) = line.strip_prefix("+++ ") {
            self.new = side(name, "b/");
        } else if let Some(name) = line.strip_prefix("rename from ") {
            (self.is_rename, self.change) = (true, ChangeType::Renamed);
            self.old = Some(unquote(name));
        } else if let Some(name) = line.strip_prefix("rename to ") {
            (self.is_rename, self.change) = (true, ChangeType::Renamed);
            self.new = Some(unquote(name));
        } else if let Some(name) = line.strip_prefix("copy to ") {
            self.new = Some(unquote(name));
        } else if line.starts_with("new file mode") {
            self.change = ChangeType::Added;
        } else if line.starts_with("deleted file mode") {
            self.change = ChangeType::Deleted;
        } else if line.starts_with("Binary files ") || line.starts_with("GIT binary patch") {
            self.is_binary = true;
        }
    }

    fn finish(self, text: &str) -> FileDiff {
        let is_deleted = self.change == ChangeType::Deleted;
        let (old, new) = (self.old, self.new);
        let previous_path = if self.is_rename { old.clone() } else { None };
        let named = if is_deleted { old.or(new) } else { new.or(old) };
        let patch = self.patch.and_then(|(start, end)| text.get(start..end));
        FileDiff {
            path: named.unwrap_or_else(|| path_of_names(self.names)),
            previous_path,
            change: self.change,
            additions: self.additions,
            deletions: self.deletions,
            // As in the REST API: without the last newline.
            patch: patch.map(|patch| patch.strip_suffix('\n').unwrap_or(patch).to_owned()),
            is_binary: self.is_binary,
            is_cut: false,
        }
    }
}

fn without_newline(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The path on a `---` or `+++` line; `None` for `/dev/null`.
fn side(name: &str, prefix: &str) -> Option<String> {
    // Git ends a name that holds spaces with a tab.
    let name = unquote(name.strip_suffix('\t').unwrap_or(name));
    if name == "/dev/null" {
        return None;
    }
    Some(name.strip_prefix(prefix).unwrap_or(&name).to_owned())
}

/// The path in `a/PATH b/PATH`, for files that have no other line naming them: binary ones, empty
/// ones and changes of mode, none of which is a rename. So both halves are alike.
fn path_of_names(names: &str) -> String {
    let middle = names.len() / 2;
    if let (Some(old), Some(" "), Some(new)) =
        (names.get(..middle), names.get(middle..=middle), names.get(middle + 1..))
    {
        let (old, new) = (unquote(old), unquote(new));
        if let (Some(old), Some(new)) = (old.strip_prefix("a/"), new.strip_prefix("b/"))
            && old == new
        {
            return new.to_owned();
        }
    }
    let last = names.rsplit_once(" b/").map_or(names, |(_, last)| last);
    unquote(last)
}

/// Undoes git's quoting of unusual names: `"caf\303\251.txt"`.
fn unquote(name: &str) -> String {
    let Some(inner) = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) else {
        return name.to_owned();
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(digit @ b'0'..=b'7') => {
                let mut value = digit - b'0';
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = rest.peek().copied() else { break };
                    value = value.wrapping_mul(8).wrapping_add(digit - b'0');
                    rest.next();
                }
                bytes.push(value);
            }
            Some(b'a') => bytes.push(7),
            Some(b'b') => bytes.push(8),
            Some(b't') => bytes.push(b'\t'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b'v') => bytes.push(11),
            Some(b'f') => bytes.push(12),
            Some(b'r') => bytes.push(b'\r'),
            Some(other) => bytes.push(other),
            None => bytes.push(b'\\'),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn only(text: &str) -> FileDiff {
        let mut diff = parse(text, false);
        assert_eq!(diff.files.len(), 1, "{text}");
        diff.files.remove(0)
    }

    #[test]
    fn a_change_in_place_is_read_with_its_hunks_and_counts() {
        let text = "diff --git a/src/a b.rs b/src/a b.rs\nindex 1..2 100644\n--- a/src/a b.rs\t\n\
            +++ b/src/a b.rs\t\n@@ -1,2 +1,2 @@ fn main\n context\r\n--- not a header\n+++ nor this\n\
            \\ No newline at end of file\n";
        let file = only(text);
        assert_eq!(file.path, "src/a b.rs");
        assert_eq!(file.change, ChangeType::Modified);
        assert_eq!((file.additions, file.deletions), (1, 1));
        let patch = file.patch.unwrap();
        assert!(patch.starts_with("@@ -1,2 +1,2 @@ fn main\n context\r\n--- not a header\n"));
        assert!(patch.ends_with("\\ No newline at end of file"));
        assert_eq!(file.previous_path, None);
    }

    #[test]
    fn each_kind_of_change_is_told_apart() {
        let added = only(
            "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
        );
        assert_eq!((added.change, added.path.as_str()), (ChangeType::Added, "n"));
        let deleted = only(
            "diff --git a/o b/o\ndeleted file mode 100644\n--- a/o\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
        );
        assert_eq!((deleted.change, deleted.path.as_str()), (ChangeType::Deleted, "o"));
        let renamed =
            only("diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n");
        assert_eq!(renamed.change, ChangeType::Renamed);
        assert_eq!((renamed.path.as_str(), renamed.previous_path.as_deref()), ("y", Some("x")));
        assert_eq!(renamed.patch, None);
        let mode = only("diff --git a/run me b/run me\nold mode 100644\nnew mode 100755\n");
        assert_eq!((mode.change, mode.path.as_str()), (ChangeType::Modified, "run me"));
        let binary = only(
            "diff --git a/i.png b/i.png\nindex 1..2 100644\nBinary files a/i.png and b/i.png differ\n",
        );
        assert!(binary.is_binary && binary.patch.is_none());
        let submodule = only(
            "diff --git a/lib b/lib\nindex 1..2 160000\n--- a/lib\n+++ b/lib\n@@ -1 +1 @@\n\
            -Subproject commit 1\n+Subproject commit 2\n",
        );
        assert_eq!((submodule.additions, submodule.deletions), (1, 1));
    }

    #[test]
    fn quoted_names_are_read_as_they_were_meant() {
        let text = "diff --git \"a/caf\\303\\251\\t.txt\" \"b/caf\\303\\251\\t.txt\"\nindex 1..2\n\
            Binary files differ\n";
        assert_eq!(only(text).path, "café\t.txt");
        let text = "diff --git a/x \"b/q\\\"\\\\.md\"\n--- a/x\n+++ \"b/q\\\"\\\\.md\"\n@@ -1 +1 @@\n-a\n+b\n";
        assert_eq!(only(text).path, "q\"\\.md");
    }

    #[test]
    fn a_cut_diff_keeps_what_was_read() {
        let text =
            "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\ndiff --git a/c b/c\n--- a";
        let diff = parse(text, true);
        assert!(diff.is_truncated);
        let paths: Vec<_> = diff.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a", "c"]);
        let are_cut = |text| -> Vec<bool> {
            parse(text, true).files.iter().map(|file| file.is_cut).collect()
        };
        assert_eq!(are_cut(text), [false, true]);
        assert_eq!(are_cut("diff --git a/a b/a\n@@ -1 +1 @@\n-a\n+b"), [true]);
        let half_a_name =
            parse("diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\ndiff --git a/c", true);
        assert_eq!(half_a_name.files.len(), 1);
        assert!(!half_a_name.files[0].is_cut);
        assert_eq!(parse("", false), Diff::default());
        assert_eq!(parse("<html>not a diff</html>", false).files, []);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            parse(&text, false);
        }

        #[test]
        fn nothing_that_nearly_is_a_diff_panics_or_loses_lines(
            lines in prop::collection::vec(
                "(diff --git |--- |\\+\\+\\+ |@@ |rename to |Binary files |[-+ ])?[ab/\"\\\\0-7é ]{0,12}",
                0..60,
            )
        ) {
            let text = lines.join("\n");
            let diff = parse(&text, false);
            let begun = lines.iter().filter(|line| line.starts_with("diff --git ")).count();
            prop_assert_eq!(diff.files.len(), begun);
        }

        #[test]
        fn what_was_written_is_read_back(
            files in prop::collection::vec(
                ("[a-z]{1,8}(/[a-z é]{1,8}){0,3}[a-z]", prop::collection::vec("[-+ ][a-z+-]{0,9}", 1..9)),
                0..9,
            )
        ) {
            let mut text = String::new();
            for (path, lines) in &files {
                let body = lines.join("\n");
                write!(text, "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n{body}\n").unwrap();
            }
            let diff = parse(&text, false);
            prop_assert_eq!(diff.files.len(), files.len());
            for (read, (path, lines)) in diff.files.iter().zip(&files) {
                let count = |mark| lines.iter().filter(|line| line.starts_with(mark)).count() as u64;
                prop_assert_eq!(&read.path, path);
                prop_assert_eq!(read.additions, count('+'));
                prop_assert_eq!(read.deletions, count('-'));
                let written = format!("@@ -1 +1 @@\n{}", lines.join("\n"));
                prop_assert_eq!(read.patch.as_deref(), Some(written.as_str()));
            }
        }
    }
}
