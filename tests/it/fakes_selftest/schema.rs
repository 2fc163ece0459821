//! Whatever the fake's schema promises, the fake tells.

use std::fmt::Write as _;

use apollo_compiler::{
    Schema,
    schema::{ExtendedType, FieldDefinition},
};
use serde_json::{Value, json};

use crate::fakes::World;

/// All fields of a type, and of the types below it that are not above it.
fn selection(schema: &Schema, type_name: &str, path: &mut Vec<String>, out: &mut String) {
    let Some(definition) = schema.types.get(type_name) else { return };
    match definition {
        ExtendedType::Union(union) => {
            out.push_str("{ __typename ");
            for member in &union.members {
                let _ = write!(out, "... on {} {{ id }} ", member.name);
            }
            out.push('}');
        }
        ExtendedType::Interface(interface) => {
            out.push_str("{ __typename ");
            fields(schema, interface.fields.values().map(AsRef::as_ref), path, out);
            out.push('}');
        }
        ExtendedType::Object(object) => {
            path.push(type_name.to_owned());
            out.push_str("{ __typename ");
            fields(schema, object.fields.values().map(AsRef::as_ref), path, out);
            out.push('}');
            path.pop();
        }
        _ => {}
    }
}

fn fields<'s>(
    schema: &'s Schema,
    all: impl Iterator<Item = &'s FieldDefinition>,
    path: &mut Vec<String>,
    out: &mut String,
) {
    for field in all {
        let inner = field.ty.inner_named_type().to_string();
        if path.contains(&inner) || path.len() > 6 {
            continue;
        }
        let takes_pages = field.arguments.iter().any(|argument| argument.name == "first");
        let arguments = match field.name.as_str() {
            "pullRequest" => "(number: 431)",
            "repository" => "(owner: \"lighthouse-labs\", name: \"beacon\")",
            _ if takes_pages => "(first: 20)",
            _ => "",
        };
        let _ = write!(out, "{}{arguments} ", field.name);
        selection(schema, &inner, path, out);
        out.push(' ');
    }
}

#[tokio::test]
async fn every_field_of_the_schema_is_told() {
    let world = World::start().await;
    let text = include_str!("../../fakes/github/schema.graphql");
    let schema = Schema::parse_and_validate(text, "schema.graphql").unwrap();
    let mut query = String::new();
    selection(&schema, "Query", &mut Vec::new(), &mut query);
    assert!(query.contains("checkRunCountsByState"), "{query}");
    let client = reqwest::Client::builder().user_agent("selftest").build().unwrap();
    let request = client
        .post(format!("{}/graphql", world.github.url()))
        .bearer_auth(world.github.token_of("octocat"))
        .json(&json!({"query": query}));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer.get("errors"), None, "{}", answer["errors"]);
    let listed = answer["data"]["repository"]["pullRequests"]["nodes"].as_array().unwrap();
    assert_eq!(listed.len(), 14);
}
