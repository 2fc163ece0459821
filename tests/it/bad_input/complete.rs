//! That nothing was forgotten: the tables against the source and against the server itself.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    rpc::{MESSAGES, TOOLS},
    scene::Scene,
    table::{OPERATIONS, Place, ROUTES},
    wire::{Connection, Request},
};
use crate::attacks::house::Mode;

/// The source below these folders, without tests.
fn source(folders: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut source = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && name != "tests.rs" {
                let text = fs::read_to_string(&path).unwrap();
                source += text.split("#[cfg(test)]").next().unwrap();
            }
        }
    }
    source
}

/// The first string behind each of these beginnings, if nothing but blanks or `between` is there.
fn strings_after(source: &str, beginning: &str, between: &str) -> BTreeSet<String> {
    source
        .split(beginning)
        .skip(1)
        .filter_map(|rest| {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix(between).unwrap_or(rest).trim_start();
            rest.strip_prefix('"')?.split('"').next()
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_route_of_the_source_is_in_the_table() {
    let source = source(&[""]);
    let mut routed = strings_after(&source, ".route(", "");
    for named in source.split(".route(").skip(1).filter(|rest| !rest.trim_start().starts_with('"'))
    {
        let name = named.split(',').next().unwrap().trim();
        let declared = strings_after(&source, &format!("const {name}: &str = "), "");
        assert_eq!(declared.len(), 1, "{name} is no route that this can read");
        routed.extend(declared);
    }
    for other in [".nest(", ".nest_service(", ".route_service(", ".fallback_service("] {
        assert!(!source.contains(other), "{other} has routes that this does not see");
    }
    let listed: BTreeSet<String> = ROUTES.iter().map(|(path, ..)| (*path).to_owned()).collect();
    assert_eq!(routed, listed);
    // And each can be asked something.
    for (path, _, methods) in ROUTES {
        for method in methods.iter().filter(|method| !["HEAD", "OPTIONS"].contains(method)) {
            let name = format!("{method} {path}");
            let has = |operation: &&super::Operation| {
                operation.name == name || operation.name.starts_with(&format!("{name} "))
            };
            assert!(OPERATIONS.iter().any(|operation| has(&operation)), "{name}");
        }
    }
}

#[test]
fn every_parameter_of_the_source_is_in_the_table() {
    let listed = |places: &[Place]| -> BTreeSet<&str> {
        let all = OPERATIONS.iter().flat_map(|operation| operation.parameters);
        all.filter(|parameter| places.contains(&parameter.place)).map(|p| p.name).collect()
    };
    let pages = source(&["http"]);
    let mut read = strings_after(&pages, "parameter(body,", "");
    read.extend(strings_after(&pages, "parameter(&body,", ""));
    read.extend(strings_after(&pages, "read(", ""));
    read.extend(strings_after(&pages, "as_bytes(),", ""));
    assert!(["csrf", "state", "done", "grant"].iter().all(|n| read.contains(*n)), "{read:?}");
    let clients = source(&["oauth"]);
    for getter in ["parameters.get(", "form.get(", "form.require(", "parameters.require("] {
        read.extend(strings_after(&clients, getter, ""));
    }
    let listed_pairs = listed(&[Place::Query, Place::Form]);
    let forgotten: Vec<_> = read.iter().filter(|n| !listed_pairs.contains(n.as_str())).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
    // Browsers say with these headers how they came.
    let mut headers = strings_after(&pages, "all_say(headers,", "");
    headers.extend(strings_after(&pages, " is(", ""));
    headers.extend(strings_after(&pages, "speculative = [", ""));
    headers.extend(strings_after(&pages, "headers.get(", ""));
    assert!(
        ["sec-fetch-site", "sec-fetch-mode", "sec-purpose"].iter().all(|n| headers.contains(*n))
    );
    let listed = listed(&[Place::Header]);
    let forgotten: Vec<_> = headers.iter().filter(|n| !listed.contains(n.as_str())).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

#[tokio::test]
async fn every_argument_of_every_tool_is_in_the_table() {
    let scene = Scene::open(Mode::Session).await;
    let listed = scene.own.resident.agent.request("tools/list", json!({})).await;
    for tool in listed["result"]["tools"].as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let found = TOOLS.iter().find(|known| known.name == name);
        let known: BTreeSet<&str> =
            found.unwrap_or_else(|| panic!("{name}")).arguments.iter().map(|a| a.name).collect();
        let told: BTreeSet<&str> = tool["inputSchema"]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(known, told, "{name}");
    }
    // What the server says that it can do.
    let asked: BTreeSet<&str> = MESSAGES.iter().map(|message| message.method).collect();
    for method in ["initialize", "tools/list", "tools/call", "prompts/list", "prompts/get"] {
        assert!(asked.contains(method), "{method}");
    }
    assert!(asked.contains("completion/complete"));
    scene.others_go_on().await;
}

/// Methods that a route does not know are refused, with those that it does (RFC 9110 section
/// 15.5.6); those that it knows are not.
async fn every_method(mode: Mode) {
    let scene = Scene::open(mode).await;
    let mut connection = Connection::new(&scene.house.authority());
    let mut wrong = Vec::new();
    for (path, modes, known) in ROUTES {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
        {
            let mut request = Request::new(method, &path.replace("{flow}", "x"));
            if let Some(key) = &scene.own.key {
                request = request.header("authorization", &format!("Bearer {key}"));
            }
            let answer = connection.send(&request).await.expect("an answer");
            let what = format!("{method} {path}: {}", answer.status);
            wrong.extend(
                scene.judge.objections(&request, &answer).iter().map(|o| format!("{what}: {o}")),
            );
            let right = match (modes.includes(mode), known.contains(&method)) {
                (false, _) => answer.status == 404,
                (true, false) => answer.status == 405,
                (true, true) => answer.status != 405,
            };
            if !right {
                wrong.push(what);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    scene.others_go_on().await;
}

#[tokio::test]
async fn every_method_in_session_mode() {
    every_method(Mode::Session).await;
}

#[tokio::test]
async fn every_method_in_oauth_mode() {
    every_method(Mode::OAuth).await;
}
