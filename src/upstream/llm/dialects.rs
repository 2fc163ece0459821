//! What Ollama and Azure answer in their own words, by their documentation, and what is made of it.

use std::sync::Mutex;

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::IntoResponse as _,
};
use serde_json::{Value, json};

use super::*;
use crate::domain::SystemEntropy;

type Reply = (u16, Vec<(&'static str, &'static str)>, Value);

/// A server that always answers so, at an address that ends in `path`; and the headers it gets.
async fn served(path: &str, reply: Reply) -> (Llm, Arc<Mutex<Vec<HeaderMap>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (status, headers, body) = reply;
    let keep = Arc::clone(&seen);
    let app = axum::Router::new().fallback(move |request: Request| {
        keep.lock().unwrap().push(request.headers().clone());
        let mut answer = (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
        for (name, value) in &headers {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        async move { answer }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let settings = LlmSettings {
        base_url: Some(format!("http://{address}{path}").parse().unwrap()),
        api_key: Some(Secret::from("key-canary")),
        model: "small".to_owned(),
        answer_timeout: Duration::from_secs(5),
    };
    (Llm::new(settings, Arc::new(SystemEntropy)).unwrap(), seen)
}

const OLLAMA: &str = "/v1";
const AZURE_V1: &str = "/openai/v1/";
const AZURE_DEPLOYMENT: &str = "/openai/deployments/small?api-version=2024-10-21";

async fn answer(path: &str, body: Value) -> Completion {
    ask(&served(path, (200, Vec::new(), body)).await.0).await.unwrap()
}

async fn refusal(path: &str, status: u16, body: Value) -> Box<Failure> {
    let (llm, seen) = served(path, (status, Vec::new(), body)).await;
    let failure = ask(&llm).await.unwrap_err();
    assert_eq!(seen.lock().unwrap().len(), 1, "asked again: {failure:?}");
    failure
}

async fn ask(llm: &Llm) -> Result<Completion> {
    llm.complete("rules", "data", 300, &Call::within(Duration::from_secs(10))).await
}

#[tokio::test]
async fn ollama_keeps_what_a_model_thought_apart() {
    let completion = answer(
        OLLAMA,
        json!({
            "id": "chatcmpl-512", "object": "chat.completion", "created": 1_760_000_000,
            "model": "small:latest", "system_fingerprint": "fp_ollama",
            "choices": [{ "index": 0, "finish_reason": "stop", "message": {
                "role": "assistant", "content": "Adds a cache.", "reasoning": "First I read …",
            }}],
            "usage": { "prompt_tokens": 412, "completion_tokens": 31, "total_tokens": 443 },
        }),
    )
    .await;
    assert_eq!((completion.text.as_str(), completion.is_cut), ("Adds a cache.", false));
    assert_eq!((completion.prompt_tokens, completion.completion_tokens), (Some(412), Some(31)));
}

#[tokio::test]
async fn ollama_without_the_model_is_the_operators_to_cure() {
    let words = "model \"small\" not found, try pulling it first";
    for body in [
        json!({ "error": {
            "message": words, "type": "not_found_error", "param": null, "code": null,
        }}),
        json!({ "error": words }),
    ] {
        let failure = refusal(OLLAMA, 404, body).await;
        assert_eq!(failure.code, FailureCode::LlmRejectedUs);
        assert!(failure.detail.contains("no such model"), "{failure:?}");
    }
    let body = json!({ "error": {
        "message": "model requires more system memory (6.1 GiB) than is available (3.8 GiB)",
        "type": "api_error", "param": null, "code": null,
    }});
    assert_eq!(refusal(OLLAMA, 500, body).await.code, FailureCode::LlmUnavailable);
}

#[tokio::test]
async fn azure_gets_its_key_where_it_looks_for_it() {
    let body = || json!({ "choices": [{ "message": { "content": "Fine." } }] });
    for (path, name, value) in [
        (AZURE_DEPLOYMENT, "api-key", "key-canary"),
        (AZURE_V1, "authorization", "Bearer key-canary"),
        (OLLAMA, "authorization", "Bearer key-canary"),
    ] {
        let (llm, seen) = served(path, (200, Vec::new(), body())).await;
        ask(&llm).await.unwrap();
        let headers = seen.lock().unwrap().remove(0);
        assert_eq!(headers[name], value, "{path}");
        let other = if name == "api-key" { "authorization" } else { "api-key" };
        assert!(!headers.contains_key(other), "{path}: the key went out twice");
    }
}

fn azures_filters(hit: bool) -> Value {
    let severity = if hit { "medium" } else { "safe" };
    json!({
        "hate": { "filtered": false, "severity": "safe" },
        "violence": { "filtered": hit, "severity": severity },
    })
}

#[tokio::test]
async fn azure_says_what_its_filters_saw() {
    let body = |content: Value, reason: &str, usage: Value| {
        json!({
            "id": "chatcmpl-A1", "object": "chat.completion", "created": 1_760_000_000,
            "model": "small-2025-04-14",
            "prompt_filter_results": [
                { "prompt_index": 0, "content_filter_results": azures_filters(false) },
            ],
            "choices": [{
                "index": 0, "finish_reason": reason, "logprobs": null,
                "content_filter_results": azures_filters(reason != "stop"),
                "message": { "role": "assistant", "content": content, "refusal": null },
            }],
            "usage": usage,
        })
    };
    let usage = json!({
        "prompt_tokens": 412, "completion_tokens": 31, "total_tokens": 443,
        "completion_tokens_details": { "reasoning_tokens": 0 },
    });
    let whole = answer(AZURE_DEPLOYMENT, body(json!("Adds a cache."), "stop", usage)).await;
    assert_eq!((whole.text.as_str(), whole.is_cut), ("Adds a cache.", false));
    assert_eq!((whole.prompt_tokens, whole.completion_tokens), (Some(412), Some(31)));
    let cut = answer(AZURE_V1, body(Value::Null, "content_filter", Value::Null)).await;
    assert_eq!((cut.text.as_str(), cut.is_cut), ("", true));
    assert_eq!((cut.prompt_tokens, cut.completion_tokens), (None, None));
}

#[tokio::test]
async fn azure_refuses_what_its_filter_does_not_like_once() {
    let body = json!({ "error": {
        "message": "The response was filtered because max_tokens canary", "type": null,
        "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": azures_filters(true),
        },
    }});
    let failure = refusal(AZURE_DEPLOYMENT, 400, body).await;
    assert_eq!(failure.code, FailureCode::LlmUnavailable);
    assert!(failure.detail.contains("content filter"), "{failure:?}");
    assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
}

#[tokio::test]
async fn azures_other_refusals_say_who_can_cure_them() {
    for (status, code, ours) in [
        (401, "401", FailureCode::LlmRejectedUs),
        (404, "DeploymentNotFound", FailureCode::LlmRejectedUs),
        (404, "Resource not found", FailureCode::LlmRejectedUs),
        (500, "InternalServerError", FailureCode::LlmUnavailable),
    ] {
        let body = json!({ "error": { "code": code, "message": "In Azure's words." } });
        assert_eq!(refusal(AZURE_DEPLOYMENT, status, body).await.code, ours, "{status} {code}");
    }
    let headers = vec![("retry-after", "59"), ("retry-after-ms", "58210")];
    let body = json!({ "error": { "code": "429", "message": "Retry after 59 seconds." } });
    let (llm, seen) = served(AZURE_DEPLOYMENT, (429, headers, body)).await;
    let failure = ask(&llm).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::LlmUnavailable);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(59)));
    assert_eq!(seen.lock().unwrap().len(), 1);
}
