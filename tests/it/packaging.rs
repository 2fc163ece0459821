//! What is packed for a release says the same as the program: version, tools, settings, arguments.

use std::{collections::BTreeSet, fs, path::Path};

use clap::Parser as _;
use pr_summarizer::{
    config::{Cli, Command, VARIABLES},
    mcp::tools,
};
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const MANIFEST: &str = "packaging/mcpb/manifest.json";
const SERVER: &str = "packaging/server.json";

/// Everything that version 0.3 of the manifest knows; the hosts' own schema takes nothing else.
const MANIFEST_KEYS: [&str; 24] = [
    "$schema",
    "manifest_version",
    "name",
    "display_name",
    "version",
    "description",
    "long_description",
    "author",
    "repository",
    "homepage",
    "documentation",
    "support",
    "icon",
    "icons",
    "screenshots",
    "localization",
    "server",
    "tools",
    "tools_generated",
    "prompts",
    "prompts_generated",
    "keywords",
    "license",
    "compatibility",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn all_say_the_version_of_the_crate() {
    let (manifest, server) = (json(MANIFEST), json(SERVER));
    assert_eq!(text(&manifest, "/version"), VERSION);
    assert_eq!(text(&server, "/version"), VERSION);
    assert_eq!(text(&server, "/packages/0/version"), VERSION);
    // What was released last is the crate's version, or nothing was.
    let changelog = read("CHANGELOG.md");
    let released = changelog.lines().filter_map(|line| line.strip_prefix("## ["));
    let last = released.filter_map(|line| line.split(']').next()).find(|&it| it != "Unreleased");
    assert!(last.is_none_or(|last| last == VERSION), "CHANGELOG.md ends with {last:?}");
}

#[test]
fn the_bundle_starts_the_program_over_a_pipe() {
    let manifest = json(MANIFEST);
    for key in ["manifest_version", "name", "version", "description", "author", "server"] {
        assert!(manifest.get(key).is_some(), "{key} is missing");
    }
    let known: BTreeSet<_> =
        MANIFEST_KEYS.into_iter().chain(["user_config", "privacy_policies", "_meta"]).collect();
    let unknown: Vec<_> = keys(&manifest).difference(&known).copied().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(text(&manifest, "/manifest_version"), "0.3");
    assert_eq!(text(&manifest, "/server/type"), "binary");
    // Hosts show PNG and nothing else.
    assert_eq!(text(&manifest, "/icon"), "icon.png");
    let config = &manifest["server"]["mcp_config"];
    let arguments = config["args"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    let said = Cli::try_parse_from([env!("CARGO_PKG_NAME")].into_iter().chain(arguments)).unwrap();
    assert_eq!(said.command(), Command::Stdio);
    // Every system has a program of its own in the bundle, and the script puts it there.
    let script = read("packaging/mcpb/build.sh");
    let others = config["platform_overrides"].as_object().unwrap();
    let commands = others.values().map(|other| text(other, "/command"));
    let commands: BTreeSet<_> = commands.chain([text(config, "/command")]).collect();
    assert_eq!(commands.len(), 3);
    for command in commands {
        let path = command.strip_prefix("${__dirname}/").unwrap();
        assert!(script.contains(&format!("\"$folder/{path}\"")), "{path} is not packed");
    }
    assert_eq!(
        manifest["compatibility"]["platforms"],
        serde_json::json!(["darwin", "win32", "linux"])
    );
}

#[test]
fn the_bundle_asks_for_settings_that_exist_and_hides_the_secret_ones() {
    let manifest = json(MANIFEST);
    let asked = manifest["user_config"].as_object().unwrap();
    let env = manifest["server"]["mcp_config"]["env"].as_object().unwrap();
    let mut used = BTreeSet::new();
    for (name, value) in env {
        let variable = VARIABLES.iter().find(|variable| variable.name == name);
        let variable = variable.unwrap_or_else(|| panic!("{name} is no setting"));
        let key = value.as_str().unwrap();
        let key = key.strip_prefix("${user_config.").and_then(|key| key.strip_suffix('}')).unwrap();
        let option = &asked[key];
        used.insert(key);
        assert_eq!(option["sensitive"] == true, variable.secret, "{name}");
        for field in ["type", "title", "description"] {
            assert!(option[field].is_string(), "{key} lacks {field}");
        }
        // Hosts leave the placeholder in place where nothing was entered and nothing is the default.
        assert_eq!(option["default"], "", "{key}");
    }
    assert_eq!(used, asked.keys().map(String::as_str).collect());
}

#[test]
fn the_bundle_names_the_tools() {
    let manifest = json(MANIFEST);
    let named = manifest["tools"].as_array().unwrap().iter().map(|tool| text(tool, "/name"));
    let served = tools::all();
    assert!(named.eq(served.iter().map(|tool| &*tool.name)));
}

#[test]
fn the_registrys_entry_is_what_its_schema_wants() {
    let server = json(SERVER);
    for key in ["$schema", "name", "description", "version", "packages"] {
        assert!(server.get(key).is_some(), "{key} is missing");
    }
    let (namespace, name) = text(&server, "/name").split_once('/').unwrap();
    assert!(namespace.starts_with("io.github.") && name == env!("CARGO_PKG_NAME"));
    assert!(text(&server, "/description").chars().count() <= 100);
    let package = &server["packages"][0];
    assert_eq!(text(package, "/registryType"), "mcpb");
    assert_eq!(text(package, "/transport/type"), "stdio");
    let file = format!("/releases/download/v{VERSION}/pr-summarizer-{VERSION}.mcpb");
    assert!(text(package, "/identifier").ends_with(&file));
    let digest = text(package, "/fileSha256");
    assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
}

#[test]
fn a_release_may_write_only_where_it_publishes() {
    let files = YamlLoader::load_from_str(&read(".github/workflows/release.yml")).unwrap();
    let workflow = &files[0];
    assert_eq!(workflow["on"]["push"]["tags"][0].as_str(), Some("v*"));
    assert_eq!(workflow["permissions"]["contents"].as_str(), Some("read"));
    let jobs = workflow["jobs"].as_hash().unwrap();
    for (name, job) in jobs {
        let name = name.as_str().unwrap();
        assert!(job["timeout-minutes"].as_i64().is_some(), "{name} may run for ever");
        let granted = job["permissions"].as_hash().into_iter().flatten();
        let writes: Vec<_> = granted
            .filter(|(_, right)| right.as_str() == Some("write"))
            .map(|(what, _)| what.as_str().unwrap())
            .collect();
        let expected: &[&str] = match name {
            "image" | "images" => &["packages"],
            "publish" => &["contents"],
            _ => &[],
        };
        assert_eq!(writes, expected, "{name}");
        for step in job["steps"].as_vec().unwrap() {
            let Some(action) = step["uses"].as_str() else { continue };
            let version = action.split_once("@v").map(|(_, version)| version.parse::<u32>());
            assert!(matches!(version, Some(Ok(_))), "{action} is not pinned");
            if action.starts_with("actions/checkout@") {
                let kept = &step["with"]["persist-credentials"];
                assert_eq!(kept, &Yaml::Boolean(false), "{name} keeps a token on the disk");
            }
        }
    }
}

#[test]
fn the_icon_is_a_picture_and_nothing_else() {
    let icon = read("packaging/icon.svg");
    assert!(icon.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox="));
    assert!(icon.len() < 4_000);
    for foreign in ["<script", "href", "url(", "<style", "onload", "<image"] {
        assert!(!icon.contains(foreign), "{foreign}");
    }
}
