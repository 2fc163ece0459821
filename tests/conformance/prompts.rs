//! Prompts, with and without arguments.

use rmcp::{
    ErrorData,
    model::{GetPromptRequestParams, GetPromptResponse, GetPromptResult, ListPromptsResult},
};
use serde_json::{Value, json};

use crate::{inputs, tools};

pub fn list() -> ListPromptsResult {
    let prompt = |name: &str, arguments: &[&str]| {
        let argument =
            |name| json!({ "name": name, "description": "Taken as it is.", "required": true });
        json!({
            "name": name,
            "description": "A prompt of the conformance suite.",
            "arguments": arguments.iter().map(argument).collect::<Vec<_>>(),
        })
    };
    let prompts = json!([
        prompt("test_simple_prompt", &[]),
        prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
        prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
        prompt("test_prompt_with_image", &[]),
        prompt(inputs::PROMPT, &[]),
    ]);
    tools::read(json!({ "prompts": prompts }))
}

pub fn get(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| {
        let arguments = request.arguments.as_ref();
        arguments.and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default()
    };
    let contents = match &*request.name {
        "test_simple_prompt" => vec![tools::text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (one, two) = (argument("arg1"), argument("arg2"));
            let said = format!("Prompt with arguments: arg1='{one}', arg2='{two}'");
            vec![tools::text(&said)]
        }
        "test_prompt_with_embedded_resource" => vec![
            tools::resource(
                argument("resourceUri"),
                "text/plain",
                "Embedded resource content for testing.",
            ),
            tools::text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => {
            vec![tools::image(), tools::text("Please analyze the image above.")]
        }
        inputs::PROMPT => match inputs::context_of(request.input_responses.as_ref()) {
            Some(context) => vec![tools::text(&format!("Use this context: {context}"))],
            None => return Ok(inputs::ask_for_context().into()),
        },
        _ => return Err(ErrorData::invalid_params("There is no prompt of this name.", None)),
    };
    let said = |content| json!({ "role": "user", "content": content });
    let messages: Vec<_> = contents.into_iter().map(said).collect();
    let result: GetPromptResult = tools::read(json!({ "messages": messages }));
    Ok(result.into())
}
