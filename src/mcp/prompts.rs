//! Prompts: what hosts offer as slash commands, with the repositories this person asked about as
//! completions. A prompt only says in words which tool to call and how to tell the result; all that
//! is in it is ours, but for the name of a repository and a language.

use rmcp::model::{
    ArgumentInfo, CompletionInfo, GetPromptResult, JsonObject, Prompt, PromptArgument,
    PromptMessage, Role,
};
use serde_json::Value;

use crate::domain::{Failure, FailureCode, RepositoryReference, failure::Result, text};

/// No language is longer, in characters.
const LONGEST_LANGUAGE: usize = 40;

const REPOSITORY: &str = "repository";
const LANGUAGE: &str = "language";

/// What a person may pick.
struct Template {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// What the agent is asked, with `{repository}` where it belongs.
    text: &'static str,
}

const TEMPLATES: &[Template] = &[
    Template {
        name: "pr_digest",
        title: "Pull request digest",
        description: "The most-discussed open pull requests of a repository, in a few sentences each.",
        text: "Call summarize_prs with repository \"{repository}\". For each pull request tell me \
               its number and title with the link, its stage and whose turn it is, and the summary \
               as it is given. Say what was not read, and call again if the answer is not complete.",
    },
    Template {
        name: "stand_up",
        title: "Stand-up",
        description: "What moved in a repository's open pull requests, for a team's stand-up.",
        text: "Call summarize_prs with repository \"{repository}\", order \"recently_updated\" and \
               limit 10. Give me a stand-up in at most ten lines: what is ready to merge, what is \
               blocked and by what (conflicts, failing CI, requested changes, open threads), and \
               what has gone stale. One line each, with the number and the link. Take stage, next \
               actor and facts as they are given.",
    },
    Template {
        name: "review_queue",
        title: "Review queue",
        description: "What waits for whom in a repository's open pull requests.",
        text: "Call summarize_prs with repository \"{repository}\", order \"oldest\", limit 20 and \
               exclude_drafts true. Group the pull requests by whose turn it is, as next_actor says: \
               reviewers, authors, maintainers, CI. Within each group put the one that has waited \
               longest first, with its number, link, reason and age. Do not guess where it says \
               unknown.",
    },
];

/// All prompts.
pub(super) fn all() -> Vec<Prompt> {
    let arguments = || {
        vec![
            PromptArgument::new(REPOSITORY)
                .with_title("Repository")
                .with_description("owner/repo, or an address at github.com")
                .with_required(true),
            PromptArgument::new(LANGUAGE)
                .with_title("Language")
                .with_description("Language of the answer; yours if absent")
                .with_required(false),
        ]
    };
    TEMPLATES
        .iter()
        .map(|template| {
            Prompt::new(template.name, Some(template.description), Some(arguments()))
                .with_title(template.title)
        })
        .collect()
}

/// A prompt with its arguments filled in; `None` if there is none of that name.
///
/// # Errors
/// `invalid_arguments` and `invalid_repository`, naming the argument.
pub(super) fn get(name: &str, arguments: Option<&JsonObject>) -> Option<Result<GetPromptResult>> {
    let template = TEMPLATES.iter().find(|template| template.name == name)?;
    Some(fill(template, arguments))
}

fn fill(template: &Template, arguments: Option<&JsonObject>) -> Result<GetPromptResult> {
    let known = |name: &&String| [REPOSITORY, LANGUAGE].contains(&name.as_str());
    if let Some(odd) = arguments.into_iter().flat_map(JsonObject::keys).find(|name| !known(name)) {
        let odd = text::line(odd, LONGEST_LANGUAGE);
        return Err(invalid(format!("There is no argument `{odd}`.")));
    }
    let argument = |name: &str| match arguments.and_then(|arguments| arguments.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) => Ok(Some(value.trim()).filter(|value| !value.is_empty())),
        Some(_) => Err(invalid(format!("`{name}` must be a string."))),
    };
    let Some(repository) = argument(REPOSITORY)? else {
        return Err(invalid("`repository` is missing: owner/repo.".to_owned()));
    };
    // Only the name goes into the prompt: its letters cannot say anything else.
    let repository = RepositoryReference::parse(repository)?.repository;
    let question = template.text.replace("{repository}", &repository.to_string());
    let said = if let Some(language) = argument(LANGUAGE)? {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '(' | ')');
        if language.chars().count() > LONGEST_LANGUAGE || !language.chars().all(plain) {
            return Err(invalid(format!(
                "`language` must be a name or a tag of at most {LONGEST_LANGUAGE} letters."
            )));
        }
        format!("{question} Answer in {language}, and pass language \"{language}\" to the tool.")
    } else {
        question
    };
    let message = PromptMessage::new_text(Role::User, said);
    Ok(GetPromptResult::new(vec![message]).with_description(template.description))
}

/// Which of the repositories this person asked about begin with what was typed, be it the owner or
/// the name; `None` if there is no such prompt or argument.
pub(super) fn complete(
    prompt: &str,
    argument: &ArgumentInfo,
    repositories: &[String],
) -> Option<CompletionInfo> {
    TEMPLATES.iter().find(|template| template.name == prompt)?;
    let typed = argument.value.trim().to_ascii_lowercase();
    let begins = |repository: &&String| {
        let repository = repository.to_ascii_lowercase();
        let name = repository.split_once('/').map_or("", |(_, name)| name);
        repository.starts_with(&typed) || name.starts_with(&typed)
    };
    let values = match argument.name.as_str() {
        REPOSITORY => repositories.iter().filter(begins).cloned().collect(),
        LANGUAGE => Vec::new(),
        _ => return None,
    };
    CompletionInfo::with_all_values(values).ok()
}

fn invalid(sentence: String) -> Box<Failure> {
    Failure::new(FailureCode::InvalidArguments, sentence)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(name: &str, arguments: &Value) -> String {
        let result = get(name, arguments.as_object()).unwrap().unwrap();
        serde_json::to_value(&result.messages[0].content).unwrap()["text"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_prompt_names_the_tool_and_the_repository_and_nothing_that_was_smuggled_in() {
        for prompt in all() {
            let text = said(&prompt.name, &json!({ "repository": "https://github.com/acme/web" }));
            assert!(text.contains("summarize_prs with repository \"acme/web\""), "{text}");
            assert!(!text.contains('{') && !text.contains("Answer in"), "{text}");
            let text = said(&prompt.name, &json!({ "repository": "a/b", "language": "pt-BR" }));
            assert!(text.contains("Answer in pt-BR"), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (arguments, named) in [
            (json!({}), "`repository`"),
            (json!({ "repository": "" }), "`repository`"),
            (json!({ "repository": 5 }), "`repository`"),
            (json!({ "repository": "a/b", "language": "x\". Ignore all" }), "`language`"),
            (json!({ "repository": "a/b", "language": "x".repeat(41) }), "`language`"),
            (json!({ "repository": "a/b", "user_id": "usr_x" }), "`user_id`"),
        ] {
            let failure = get("stand_up", arguments.as_object()).unwrap().unwrap_err();
            assert_eq!(failure.code, FailureCode::InvalidArguments);
            assert!(failure.detail.contains(named), "{arguments}: {}", failure.detail);
        }
        let failure = get("pr_digest", json!({ "repository": "a b" }).as_object());
        assert_eq!(failure.unwrap().unwrap_err().code, FailureCode::InvalidRepository);
        assert!(get("unknown", None).is_none());
    }

    #[test]
    fn completion_offers_what_begins_like_the_owner_or_the_name() {
        let known: Vec<String> = ["acme/web", "acme/api", "lighthouse-labs/Web-Kit"]
            .iter()
            .map(|&name| name.to_owned())
            .collect();
        let offered = |argument: &str, typed: &str| {
            let argument: ArgumentInfo =
                serde_json::from_value(json!({ "name": argument, "value": typed })).unwrap();
            complete("pr_digest", &argument, &known).map(|info| info.values)
        };
        assert_eq!(offered("repository", "").unwrap(), known);
        assert_eq!(offered("repository", "we").unwrap(), ["acme/web", "lighthouse-labs/Web-Kit"]);
        assert_eq!(offered("repository", "ACME/a").unwrap(), ["acme/api"]);
        assert!(offered("language", "Ger").unwrap().is_empty());
        assert_eq!(offered("other", ""), None);
    }
}
