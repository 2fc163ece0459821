//! `POST /graphql`: validate the document against the schema, then answer it from the state.
//!
//! A document that GitHub would refuse is a mistake of the program, so it fails the test. Errors
//! that GitHub answers beside data (`NOT_FOUND`, `FORBIDDEN`, …) carry GitHub's `type`.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use apollo_compiler::{
    ExecutableDocument, Schema,
    executable::{Field as Selected, Selection, SelectionSet},
    resolvers::{Execution, FieldError, ObjectValue, ResolveInfo, ResolvedValue},
    response::{JsonMap, JsonValue},
    validation::Valid,
};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::{
    State, Visit,
    model::{Person, Repository},
    resolve,
};
use crate::fakes::traffic::{Call, Traffic};

/// A field that shall fail, as `Type.field` or, for one pull request only, `PullRequest#7.field`.
#[derive(Debug, Clone)]
pub struct BrokenField {
    pub coordinate: String,
    /// GitHub's word, such as `FORBIDDEN`.
    pub kind: &'static str,
    pub message: String,
    pub left: usize,
}

/// What every resolver may look at.
#[derive(Clone, Copy)]
pub(super) struct Context<'s> {
    pub(super) state: &'s State,
    pub(super) viewer: &'s Person,
    pub(super) visit: &'s Visit,
    broken: &'s RefCell<Vec<BrokenField>>,
    /// What GitHub would refuse although the document is valid.
    mistakes: &'s RefCell<Vec<String>>,
}

pub(super) type Resolved<'s> = Result<Outcome<'s>, FieldError>;

/// What a field is.
pub(super) enum Outcome<'s> {
    Leaf(JsonValue),
    Object(Object<'s>),
    List(Vec<Object<'s>>),
}

/// An object of this type whose fields are told by a function.
pub(super) struct Object<'s> {
    type_name: &'static str,
    key: Option<u64>,
    context: Context<'s>,
    tell: Box<dyn Fn(&Field<'_>) -> Resolved<'s> + 's>,
}

/// The field that is asked for.
pub(super) struct Field<'f>(&'f ResolveInfo<'f>);

impl Field<'_> {
    pub(super) fn name(&self) -> &str {
        self.0.field_name()
    }

    pub(super) fn argument(&self, name: &str) -> Option<Value> {
        let value = self.0.arguments().get(name).filter(|value| !value.is_null())?;
        serde_json::to_value(value).ok()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.argument(name)?.as_str().map(str::to_owned)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.argument(name)?.as_u64()
    }

    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        serde_json::from_value(self.argument(name)?).ok()
    }

    fn selects_nodes(&self) -> bool {
        fn in_fields(selections: &[Selection]) -> bool {
            selections.iter().any(|selection| match selection {
                Selection::Field(field) => matches!(field.name.as_str(), "nodes" | "edges"),
                Selection::InlineFragment(inline) => in_fields(&inline.selection_set.selections),
                // Nobody spreads a fragment over a connection; if so, page sizes are expected.
                Selection::FragmentSpread(_) => true,
            })
        }
        self.0
            .field_selections()
            .iter()
            .any(|one: &&Selected| in_fields(&one.selection_set.selections))
    }
}

pub(super) fn leaf<'s>(value: impl Into<JsonValue>) -> Resolved<'s> {
    Ok(Outcome::Leaf(value.into()))
}

pub(super) fn optional(object: Option<Object<'_>>) -> Resolved<'_> {
    Ok(object.map_or(Outcome::Leaf(JsonValue::Null), Outcome::Object))
}

/// GitHub's error of this `type`; the type travels in the message until the answer is complete.
pub(super) fn refusal(kind: &str, message: &str) -> FieldError {
    FieldError { message: format!("\u{1}{kind}\u{1}{message}") }
}

impl ObjectValue for Object<'_> {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let field = Field(info);
        self.context.check_broken(self.type_name, self.key, field.name())?;
        Ok(match (self.tell)(&field)? {
            Outcome::Leaf(value) => ResolvedValue::Leaf(value),
            Outcome::Object(object) => ResolvedValue::object(object),
            Outcome::List(all) => ResolvedValue::list(all.into_iter().map(ResolvedValue::object)),
        })
    }
}

impl<'s> Context<'s> {
    pub(super) fn object(
        self,
        type_name: &'static str,
        tell: impl Fn(&Field<'_>) -> Resolved<'s> + 's,
    ) -> Object<'s> {
        Object { type_name, key: None, context: self, tell: Box::new(tell) }
    }

    pub(super) fn keyed(
        self,
        type_name: &'static str,
        key: u64,
        tell: impl Fn(&Field<'_>) -> Resolved<'s> + 's,
    ) -> Object<'s> {
        Object { key: Some(key), ..self.object(type_name, tell) }
    }

    fn check_broken(self, of: &str, key: Option<u64>, field: &str) -> Result<(), FieldError> {
        let mut broken = self.broken.borrow_mut();
        let any = format!("{of}.{field}");
        let this = key.map(|key| format!("{of}#{key}.{field}"));
        let hit = broken.iter_mut().find(|one| {
            one.left > 0 && (one.coordinate == any || Some(&one.coordinate) == this.as_ref())
        });
        let Some(hit) = hit else { return Ok(()) };
        hit.left -= 1;
        Err(refusal(hit.kind, &hit.message))
    }

    /// A connection over `all`, cut by the field's page arguments.
    pub(super) fn connection<T: Clone + 's>(
        self,
        type_name: &'static str,
        field: &Field<'_>,
        all: impl IntoIterator<Item = T>,
        node: impl Fn(T) -> Object<'s> + Copy + 's,
    ) -> Resolved<'s> {
        let (first, last) = (field.number("first"), field.number("last"));
        if field.selects_nodes() && first.is_none() && last.is_none() {
            return Err(self.mistake(
                "MISSING_PAGINATION_BOUNDARIES",
                field,
                "wants first or last",
            ));
        }
        if first.max(last) > Some(100) {
            return Err(self.mistake("EXCESSIVE_PAGINATION", field, "wants at most 100 records"));
        }
        let all: Vec<T> = all.into_iter().collect();
        let total = all.len();
        let place = |name| {
            field.text(name).and_then(|cursor| cursor.strip_prefix("Y3Vyc29y")?.parse().ok())
        };
        let mut start = place("after").unwrap_or(0_usize).min(total);
        let mut end = place("before").map_or(total, |end: usize| (end - 1).min(total));
        if let Some(first) = first {
            end = end.min(start + usize::try_from(first).expect("at most 100"));
        }
        if let Some(last) = last {
            start = start.max(end.saturating_sub(usize::try_from(last).expect("at most 100")));
        }
        let page: Vec<T> = all[start..end.max(start)].to_vec();
        Ok(Outcome::Object(self.object(type_name, move |field| match field.name() {
            "totalCount" => leaf(total as u64),
            "nodes" => Ok(Outcome::List(page.iter().cloned().map(node).collect())),
            "edges" => {
                let edges = page.iter().cloned().enumerate().map(|(index, one)| {
                    self.object("PullRequestEdge", move |field| match field.name() {
                        "cursor" => leaf(cursor(start + index + 1)),
                        _ => Ok(Outcome::Object(node(one.clone()))),
                    })
                });
                Ok(Outcome::List(edges.collect()))
            }
            "pageInfo" => {
                Ok(Outcome::Object(self.object("PageInfo", move |field| match field.name() {
                    "hasNextPage" => leaf(end < total),
                    "hasPreviousPage" => leaf(start > 0),
                    "startCursor" => leaf((start < end).then(|| cursor(start + 1))),
                    _ => leaf((start < end).then(|| cursor(end))),
                })))
            }
            other => unreachable!("{type_name}.{other}"),
        })))
    }

    fn mistake(self, kind: &str, field: &Field<'_>, why: &str) -> FieldError {
        let message = format!("the `{}` connection {why}", field.name());
        self.mistakes.borrow_mut().push(format!("{kind}: {message}"));
        refusal(kind, &message)
    }

    /// The repository of this name as far as the viewer may see it.
    pub(super) fn repository(
        self,
        owner: &str,
        name: &str,
        follow_renames: bool,
    ) -> Result<&'s Repository, FieldError> {
        let full = format!("{owner}/{name}");
        let found = self.state.find_repository(&full, follow_renames);
        let Some(repository) = found.filter(|one| State::may_read(self.viewer, one)) else {
            let text = format!("Could not resolve to a Repository with the name '{full}'.");
            return Err(refusal("NOT_FOUND", &text));
        };
        if repository.sso_protected && !self.viewer.sso.contains(&repository.owner) {
            return Err(refusal("FORBIDDEN", super::rest::SSO_MESSAGE));
        }
        Ok(repository)
    }
}

fn cursor(position: usize) -> String {
    format!("Y3Vyc29y{position}")
}

type Document = Arc<Valid<ExecutableDocument>>;

/// The document of this text; each is parsed once, since a program has but a few.
fn document(text: &str) -> Result<Document, String> {
    static KNOWN: Mutex<BTreeMap<String, Document>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(document) = known.get(text) {
        return Ok(Arc::clone(document));
    }
    let read = ExecutableDocument::parse_and_validate(schema(), text, "query.graphql");
    let document = Arc::new(read.map_err(|wrong| wrong.errors.to_string())?);
    known.insert(text.to_owned(), Arc::clone(&document));
    Ok(document)
}

fn schema() -> &'static Valid<Schema> {
    static SCHEMA: OnceLock<Valid<Schema>> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let text = include_str!("schema.graphql");
        Schema::parse_and_validate(text, "schema.graphql").expect("the fake's schema is valid")
    })
}

/// Answers one request by this viewer.
pub(super) fn answer(
    traffic: &Traffic,
    call: &Call,
    state: &State,
    viewer: &Person,
    visit: &Visit,
) -> Response {
    let request = call.json();
    let known = ["query", "variables", "operationName"];
    let foreign =
        request.as_object().map(|all| all.keys().any(|key| !known.contains(&key.as_str())));
    let Some(text) = request["query"].as_str().filter(|_| foreign == Some(false)) else {
        return traffic.unexpected(call, "the body is not {query, variables?, operationName?}");
    };
    let document = match document(text) {
        Ok(document) => document,
        Err(wrong) => return traffic.unexpected(call, &format!("invalid document\n{wrong}")),
    };
    if !viewer.read_org && reads_teams(&document) {
        return insufficient_scopes();
    }
    let variables: JsonMap =
        serde_json::from_value(request["variables"].clone()).unwrap_or_default();
    let (broken, mistakes) = (RefCell::new(state.broken_fields()), RefCell::default());
    let context = Context { state, viewer, visit, broken: &broken, mistakes: &mistakes };
    let root = resolve::query(context);
    let executed = Execution::new(schema(), &document)
        .operation_name(request["operationName"].as_str())
        .and_then(|one| one.raw_variable_values(&variables).execute_sync(&root));
    drop(root);
    state.keep_broken_fields(broken.into_inner());
    if let Some(mistake) = mistakes.into_inner().first() {
        return traffic.unexpected(call, mistake);
    }
    match executed {
        Ok(answer) => {
            let mut answer = serde_json::to_value(answer).expect("an answer is JSON");
            finish_errors(&mut answer);
            axum::Json(answer).into_response()
        }
        Err(wrong) => traffic.unexpected(call, &format!("invalid request: {}", wrong.message())),
    }
}

/// Whether the document asks anything of teams but that they are teams. GitHub looks at the document,
/// not at what it would come to.
fn reads_teams(document: &ExecutableDocument) -> bool {
    fn in_set(set: &SelectionSet) -> bool {
        set.selections.iter().any(|selection| match selection {
            Selection::Field(field) => {
                set.ty == "Team" && field.name != "__typename" || in_set(&field.selection_set)
            }
            Selection::InlineFragment(inline) => in_set(&inline.selection_set),
            Selection::FragmentSpread(_) => false,
        })
    }
    document.operations.iter().any(|operation| in_set(&operation.selection_set))
        || document.fragments.values().any(|fragment| in_set(&fragment.selection_set))
}

/// No data at all, not even where no team is asked.
fn insufficient_scopes() -> Response {
    let message = "Your token has not been granted the required scopes to execute this query. The \
                   'combinedSlug' field requires one of the following scopes: ['read:org'], but \
                   your token has only been granted the: ['repo'] scopes.";
    axum::Json(json!({"errors": [{"type": "INSUFFICIENT_SCOPES", "message": message}]}))
        .into_response()
}

/// Moves each error's `type` to where GitHub has it.
fn finish_errors(answer: &mut Value) {
    let Some(errors) = answer.get_mut("errors").and_then(Value::as_array_mut) else { return };
    for error in errors {
        let message = error["message"].as_str().unwrap_or_default().to_owned();
        // The executor puts words of its own before a resolver's.
        let mut parts = message.splitn(3, '\u{1}').skip(1);
        if let (Some(kind), Some(text)) = (parts.next(), parts.next()) {
            (error["type"], error["message"]) = (json!(kind), json!(text));
            if text == super::rest::SSO_MESSAGE {
                error["extensions"] = json!({"saml_failure": true});
            }
        }
    }
}
