//! What people paste into their hosts (`examples/hosts`) can be read, and leads to this program.

use std::{collections::BTreeMap, fs, path::Path};

use clap::Parser as _;
use pr_summarizer::config::{Cli, Command, Fallback, VARIABLES};
use serde_json::{Map, Value, json};
use yaml_rust2::{Yaml, YamlLoader};

/// The folder's files with their texts.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hosts");
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    entries.map(|entry| (entry.file_name().into_string().unwrap(), read(&entry.path()))).collect()
}

/// Tables, strings and lists of strings: all that these files need, and nothing else is taken.
fn toml(text: &str) -> Value {
    let mut root = json!({});
    let mut path = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            path = name.split('.').map(str::to_owned).collect();
            continue;
        }
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("no value: {line}"));
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{key}");
        // Strings and lists of them are written as in JSON.
        let value: Value = serde_json::from_str(value).unwrap();
        let table = path.iter().fold(&mut root, |table, name| {
            table.as_object_mut().unwrap().entry(name).or_insert(json!({}))
        });
        let twice = table.as_object_mut().unwrap().insert(key.to_owned(), value);
        assert!(twice.is_none(), "{key} is said twice");
    }
    root
}

fn yaml(text: &str) -> Value {
    fn value(yaml: &Yaml) -> Value {
        match yaml {
            Yaml::String(text) => text.as_str().into(),
            Yaml::Integer(number) => (*number).into(),
            Yaml::Boolean(truth) => (*truth).into(),
            Yaml::Array(items) => items.iter().map(value).collect(),
            Yaml::Hash(entries) => {
                let entries = entries.iter();
                let entry = |(k, v): (&Yaml, &Yaml)| (k.as_str().unwrap().to_owned(), value(v));
                Value::Object(entries.map(entry).collect())
            }
            other => panic!("{other:?}"),
        }
    }
    value(&YamlLoader::load_from_str(text).unwrap()[0])
}

/// The one line of a shell file, as what a host's own command makes of it.
fn shell(text: &str) -> Value {
    let words: Vec<_> = text.split_whitespace().collect();
    assert_eq!(words[..3], ["claude", "mcp", "add"], "{text}");
    let at = |word: &str| words.iter().position(|it| *it == word);
    let transport = words[at("--transport").expect("a transport") + 1];
    let server = match transport {
        "http" => json!({ "type": "http", "url": words.last().unwrap() }),
        "stdio" => {
            let command = &words[at("--").expect("a command") + 1..];
            let (name, value) = words[at("--env").unwrap() + 1].split_once('=').unwrap();
            json!({ "command": command[0], "args": command[1..], "env": { name: value } })
        }
        other => panic!("{other}"),
    };
    json!({ "mcpServers": { "prs": server } })
}

/// Under which names the servers stand in the file of this host.
fn heading(file: &str) -> &'static str {
    let host = file.split(['.']).next().unwrap();
    match host.trim_end_matches("-stdio").trim_end_matches("-remote") {
        "vscode" => "servers",
        "zed" => "context_servers",
        "codex" => "mcp_servers",
        "goose" => "extensions",
        "cursor" | "windsurf" | "gemini-cli" | "claude-desktop" | "claude-code" => "mcpServers",
        other => panic!("{other} is a host this test does not know"),
    }
}

fn address() -> String {
    let port = VARIABLES.iter().find(|variable| variable.name == "PORT").unwrap();
    let Fallback::Value(port) = port.fallback else { panic!("PORT has a default") };
    format!("http://127.0.0.1:{port}/mcp")
}

fn server(file: &str, text: &str) -> Map<String, Value> {
    let whole = match file.rsplit('.').next().unwrap() {
        "json" => serde_json::from_str(text).unwrap(),
        "toml" => toml(text),
        "yaml" => yaml(text),
        "sh" => shell(text),
        other => panic!("{file}: {other}"),
    };
    let servers = whole[heading(file)].as_object().unwrap_or_else(|| panic!("{file}: no servers"));
    assert_eq!(servers.len(), 1, "{file}");
    servers["prs"].as_object().unwrap().clone()
}

/// Which key holds the address differs by host; with another one a host connects to nothing.
fn address_key(file: &str) -> &'static str {
    match file.split('.').next().unwrap() {
        "windsurf" => "serverUrl",
        "gemini-cli" => "httpUrl",
        "goose" => "uri",
        _ => "url",
    }
}

#[test]
fn every_file_leads_to_this_program() {
    for (file, text) in files() {
        let server = server(&file, &text);
        let command = server.get("command").or(server.get("cmd")).and_then(Value::as_str);
        let arguments: Vec<&str> = server
            .get("args")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|it| it.as_str().unwrap())
            .collect();
        match command {
            None => assert_eq!(server[address_key(&file)], address(), "{file}"),
            Some("npx") => assert_eq!(arguments, ["-y", "mcp-remote", &address()], "{file}"),
            Some(command) => {
                assert!(file.contains("-stdio."), "{file} is not called by its way");
                assert_eq!(command, env!("CARGO_PKG_NAME"), "{file}");
                let said = Cli::try_parse_from([command].into_iter().chain(arguments)).unwrap();
                assert_eq!(said.command(), Command::Stdio, "{file}");
                let env = server.get("env").or(server.get("envs")).unwrap().as_object().unwrap();
                for name in env.keys() {
                    assert!(VARIABLES.iter().any(|it| it.name == name), "{file}: {name}");
                }
            }
        }
    }
}

#[test]
fn the_documents_name_every_file_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let named: Vec<_> = readme
        .split("(examples/hosts/")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
        .collect();
    let files = files();
    for file in files.keys() {
        assert!(named.contains(&file.as_str()), "README.md does not name {file}");
    }
    for name in named {
        assert!(files.contains_key(name), "README.md names {name}, which is not there");
    }
}
