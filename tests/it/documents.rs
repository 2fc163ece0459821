//! What the documents name exists: the tools with their arguments, and the tests of attacks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pr_summarizer::mcp::tools;

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
