//! What the blueprints, the compose file and the `Dockerfile` set is what the settings want.

use std::collections::BTreeSet;

use super::*;

const BLUEPRINT: &str = include_str!("../../../render.yaml");
const SEVERAL: &str = include_str!("../../../examples/operations/render.yaml");
const COMPOSE: &str = include_str!("../../../examples/operations/compose.yaml");
const DOCKERFILE: &str = include_str!("../../../Dockerfile");

/// Read by the image's build, not by the program.
const BUILD_ARGUMENT: &str = "IMAGE_VARIANT";

/// The value after `name:` in a line of YAML, or in a line that begins a list's entry.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.trim().trim_start_matches("- ");
    line.strip_prefix(name)?.strip_prefix(':').map(str::trim)
}

/// The blueprint's variables, each with the line that says where its value comes from.
fn variables() -> Vec<(&'static str, &'static str)> {
    variables_of(BLUEPRINT)
}

fn variables_of(blueprint: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut lines = blueprint.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(key) = field(line, "key") {
            found.push((key, lines.next().unwrap().trim()));
        }
    }
    found
}

/// As Render starts it once the operator has answered its questions.
fn started(answer: impl Fn(&str) -> &'static str) -> Environment {
    started_from(BLUEPRINT, answer)
}

fn started_from(blueprint: &'static str, answer: impl Fn(&str) -> &'static str) -> Environment {
    // The folder is the image's.
    let set_by_render = [
        ("RENDER_EXTERNAL_URL", "https://prs.onrender.com"),
        ("PORT", "10000"),
        ("STATE_DIR", "/state"),
    ];
    let set_by_us = variables_of(blueprint).into_iter().map(|(key, source)| match source {
        "fromService:" => (key, "redis://red-abc123:6379"),
        "sync: false" => (key, answer(key)),
        // 256 bits as base64.
        "generateValue: true" => (key, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        _ => (key, field(source, "value").unwrap().trim_matches('"')),
    });
    Environment::of(set_by_render.into_iter().chain(set_by_us))
}

fn needed(key: &str) -> &'static str {
    match key {
        "SCALEKIT_ENVIRONMENT_URL" => "https://example.scalekit.com",
        key if key.starts_with("OPENAI_") => "",
        _ => "answer",
    }
}

#[test]
fn the_blueprint_starts_a_sound_server_in_public() {
    let settings = load(&started(needed)).unwrap();
    assert_eq!(settings.auth_mode, AuthMode::OAuth);
    assert_eq!(settings.public_base_url.as_str(), "https://prs.onrender.com/");
    assert_eq!(settings.listen.to_string(), "0.0.0.0:10000");
    assert_eq!(settings.warnings.len(), 1, "no language model: {:?}", settings.warnings);
    let disk = BLUEPRINT.lines().find_map(|line| field(line, "mountPath")).unwrap();
    let StoreLocation::Sqlite(store) = settings.store else {
        panic!("what is stored would be lost")
    };
    assert!(store.starts_with(disk), "the store is not on the disk");
}

#[test]
fn the_blueprint_asks_for_what_is_needed_and_knows_every_name() {
    assert_eq!(
        problems(&started(|_| "")),
        [
            "SCALEKIT_ENVIRONMENT_URL",
            "SCALEKIT_CLIENT_ID",
            "SCALEKIT_CLIENT_SECRET",
            "GITHUB_CONNECTION_NAME"
        ]
    );
    for (key, source) in variables() {
        let Some(variable) = VARIABLES.iter().find(|variable| variable.name == key) else {
            assert_eq!(key, BUILD_ARGUMENT);
            continue;
        };
        assert!(!variable.secret || !source.starts_with("value"), "{key} would be public");
    }
}

#[test]
fn the_blueprint_and_the_image_agree() {
    let (_, variant) = variables().into_iter().find(|(key, _)| *key == BUILD_ARGUMENT).unwrap();
    let stage = format!(" AS {}", field(variant, "value").unwrap());
    assert!(DOCKERFILE.lines().any(|line| line.starts_with("FROM ") && line.ends_with(&stage)));
    assert!(DOCKERFILE.ends_with(&format!("FROM ${{{BUILD_ARGUMENT}}}\n")));
    let disk = BLUEPRINT.lines().find_map(|line| field(line, "mountPath")).unwrap();
    assert!(DOCKERFILE.contains(&format!("ENV STATE_DIR={disk}\n")));
}

/// The line for one's own machine in the Dockerfile's first comment.
#[test]
fn the_documented_container_is_sound() {
    let line = DOCKERFILE.lines().find(|line| line.contains("-e AUTH_MODE=")).unwrap();
    let given = line.split_whitespace().filter_map(|word| word.split_once('='));
    let state = [("STATE_DIR", "/state"), ("SESSION_SECRET", SECRET)];
    let base = scalekit().into_iter().filter(|(name, _)| *name != "STATE_DIR");
    let settings = load(&Environment::of(base.chain(state).chain(given))).unwrap();
    assert_eq!(settings.auth_mode, AuthMode::OAuth);
    assert_eq!(settings.public_base_url.as_str(), "http://127.0.0.1:3000/");
    assert_eq!(settings.listen.to_string(), "0.0.0.0:3000");
}

#[test]
fn the_blueprint_for_several_instances_is_sound() {
    let settings = load(&started_from(SEVERAL, needed)).unwrap();
    assert_eq!(settings.auth_mode, AuthMode::OAuth);
    assert!(matches!(settings.store, StoreLocation::Redis(_)), "{:?}", settings.store);
    assert_eq!(settings.warnings.len(), 1, "no language model: {:?}", settings.warnings);
    let field = |name| SEVERAL.lines().find_map(|line| field(line, name)).unwrap();
    let declared = variables_of(SEVERAL).into_iter().find(|(key, _)| *key == "INSTANCES").unwrap();
    assert!(declared.1.contains(field("numInstances")), "{declared:?}");
    assert_eq!(field("maxmemoryPolicy"), "noeviction");
    assert!(!SEVERAL.contains("disk:"), "a disk belongs to one instance");
}

/// Both ask for the same and differ in the store alone.
#[test]
fn the_two_blueprints_agree() {
    let names = |blueprint, without: &[&str]| -> BTreeSet<&str> {
        let names = variables_of(blueprint).into_iter().map(|(key, _)| key);
        names.filter(|key| !without.contains(key)).collect()
    };
    let one = names(BLUEPRINT, &[BUILD_ARGUMENT, "STATE_DIR"]);
    assert_eq!(one, names(SEVERAL, &["INSTANCES", "STORE_URL"]));
}

#[test]
fn the_compose_file_is_sound() {
    let files = yaml_rust2::YamlLoader::load_from_str(COMPOSE).unwrap();
    let services = &files[0]["services"];
    let server = &services["server"];
    let given = server["environment"].as_hash().unwrap().iter().map(|(name, value)| {
        let (name, value) = (name.as_str().unwrap(), value.as_str().unwrap());
        assert!(VARIABLES.iter().any(|variable| variable.name == name), "{name}");
        let value = match (name, value.strip_prefix("${")) {
            ("SESSION_SECRET", Some(_)) => SECRET,
            // Not set beside the file: empty, which counts as unset.
            (_, Some(optional)) if optional.ends_with(":-}") => "",
            (name, Some(_)) => needed(name),
            ("PUBLIC_BASE_URL", None) => "https://prs.example.com",
            (_, None) => value,
        };
        (name.to_owned(), value.to_owned())
    });
    let by_the_image = ("STATE_DIR".to_owned(), "/state".to_owned());
    let settings = load(&Environment::of(given.chain([by_the_image]))).unwrap();
    assert_eq!(settings.public_base_url.as_str(), "https://prs.example.com/");
    assert_eq!(settings.listen.to_string(), "0.0.0.0:3000");
    let StoreLocation::Redis(store) = settings.store else { panic!("{:?}", settings.store) };
    assert_eq!(store.to_string(), "redis://valkey:6379/0");
    assert_eq!(server["deploy"]["replicas"].as_i64(), Some(2));
    assert_eq!(server["environment"]["INSTANCES"].as_str(), Some("2"));
    let command: Vec<_> = services["valkey"]["command"]
        .as_vec()
        .unwrap()
        .iter()
        .filter_map(|it| it.as_str())
        .collect();
    for (name, value) in [("--appendonly", "yes"), ("--maxmemory-policy", "noeviction")] {
        assert!(command.windows(2).any(|pair| pair == [name, value]), "{command:?}");
    }
}

#[test]
fn the_blueprints_are_yaml_with_services() {
    for blueprint in [BLUEPRINT, SEVERAL] {
        let files = yaml_rust2::YamlLoader::load_from_str(blueprint).unwrap();
        let services = files[0]["services"].as_vec().unwrap();
        let web = services.iter().find(|one| one["type"].as_str() == Some("web")).unwrap();
        let keys: Vec<_> = web["envVars"]
            .as_vec()
            .unwrap()
            .iter()
            .map(|variable| variable["key"].as_str().unwrap())
            .collect();
        assert_eq!(keys, variables_of(blueprint).iter().map(|(key, _)| *key).collect::<Vec<_>>());
    }
}
