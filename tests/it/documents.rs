//! What the documents name exists: the tools with their arguments, and the tests of attacks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pr_summarizer::{domain::FailureCode, mcp::tools};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The text of every Rust and JavaScript file below these folders.
fn source(folders: &[&str]) -> String {
    let mut text = String::new();
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with(".venv") {
                left.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// What stands between backticks in the last column of the table of attacks that are not in the
/// catalogue. The catalogue's own table is made from its tests (`crate::attacks`).
fn tests_named(document: &str) -> Vec<&str> {
    let rows =
        document.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 3);
    let tests = rows.filter_map(|row| row.rsplit('|').nth(1));
    tests.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_test_named_in_the_security_document_exists() {
    let (document, source) = (read("SECURITY.md"), source(&["src", "tests"]));
    let named = tests_named(&document);
    assert!(named.len() > 4, "{named:?}");
    for name in named {
        let is_file = root().join(format!("tests/it/{name}.rs")).exists();
        assert!(
            is_file || source.contains(&format!("fn {name}(")),
            "SECURITY.md names {name}, which does not exist"
        );
    }
}

#[test]
fn the_readme_names_every_tool_and_its_arguments() {
    let readme = read("README.md");
    for tool in tools::all() {
        let row = format!("| `{}` |", tool.name);
        assert!(readme.contains(&row), "README.md lacks the tool {}", tool.name);
        for argument in tool.input_schema["properties"].as_object().unwrap().keys() {
            assert!(readme.contains(&format!("`{argument}`")), "README.md lacks {argument}");
        }
    }
}

/// Whoever looks a code up finds it, and finds no other.
#[test]
fn every_failure_code_has_its_place_in_the_troubleshooting_page() {
    let page = read("docs/troubleshooting.md");
    let described: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let codes: Vec<_> = FailureCode::ALL.iter().map(|code| code.slug()).collect();
    for code in &codes {
        assert_eq!(described.iter().filter(|place| *place == code).count(), 1, "{code}");
        let place = page.split(&format!("### `{code}`\n")).nth(1).unwrap();
        let place = place.split("\n### ").next().unwrap();
        let fault = FailureCode::ALL.iter().find(|c| c.slug() == *code).unwrap().fault().slug();
        assert!(place.contains(&format!("*Fault: {fault}.*")), "{code} is the {fault}'s: {place}");
    }
    assert_eq!(described.len(), codes.len(), "{described:?}");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for document in [
        "README.md",
        "SECURITY.md",
        "examples/README.md",
        "docs/operating.md",
        "docs/security.md",
        "docs/troubleshooting.md",
    ] {
        let text = read(document);
        let folder = Path::new(document).parent().unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = folder.join(path);
            let target = if path.is_empty() { Path::new(document) } else { &target };
            assert!(root().join(target).exists(), "{document}: {link}");
            if !anchor.is_empty() && target.extension().is_some_and(|kind| kind == "md") {
                let anchors: Vec<_> = read(target.to_str().unwrap())
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(|line| anchor_of(line.trim_start_matches('#').trim()))
                    .collect();
                assert!(anchors.iter().any(|known| known == anchor), "{document}: {link}");
            }
        }
    }
}

/// As GitHub makes them of headings.
fn anchor_of(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
