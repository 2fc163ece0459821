//! The client against a server that answers from a script, over real HTTP.

use std::sync::Mutex;

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use serde_json::{Value, json};

use super::*;
use crate::domain::SystemEntropy;

type Script = Arc<Mutex<(Vec<(u16, String)>, Vec<Value>)>>;

/// An address as Azure's: its query goes with every request, behind the path.
#[tokio::test]
async fn the_query_of_the_address_goes_along() {
    let app = Router::new().route(
        "/openai/deployments/small/chat/completions",
        post(|uri: axum::http::Uri| async move {
            assert_eq!(uri.query(), Some("api-version=2024-10-21"));
            said("Adds a cache.").1
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let base = format!("http://{address}/openai/deployments/small?api-version=2024-10-21");
    let settings = LlmSettings {
        base_url: Some(base.parse().unwrap()),
        api_key: None,
        model: "small".to_owned(),
        answer_timeout: Duration::from_secs(5),
    };
    let llm = Llm::new(settings, Arc::new(SystemEntropy)).unwrap();
    assert_eq!(ask(&llm).await.unwrap().text, "Adds a cache.");
    assert!(!format!("{llm:?} {}", llm.host()).contains("api-version"));
}

/// Serves the answers in order, the last one for ever; keeps the requests.
async fn serve(answers: Vec<(u16, String)>) -> (Llm, Script) {
    let script: Script = Arc::new(Mutex::new((answers, Vec::new())));
    let app = Router::new()
        .route(
            "/v1/chat/completions",
            post(|State(script): State<Script>, Json(request): Json<Value>| async move {
                let mut script = script.lock().unwrap();
                script.1.push(request);
                let (status, body) =
                    if script.0.len() > 1 { script.0.remove(0) } else { script.0[0].clone() };
                (StatusCode::from_u16(status).unwrap(), body).into_response()
            }),
        )
        .with_state(Arc::clone(&script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let settings = LlmSettings {
        base_url: Some(format!("http://{address}/v1/").parse().unwrap()),
        api_key: Some(Secret::from("sk-canary")),
        model: "small".to_owned(),
        answer_timeout: Duration::from_secs(5),
    };
    (Llm::new(settings, Arc::new(SystemEntropy)).unwrap(), script)
}

fn said(text: &str) -> (u16, String) {
    let body = json!({ "choices": [{ "message": { "content": text } }],
        "usage": { "prompt_tokens": 11, "completion_tokens": 3 } });
    (200, body.to_string())
}

async fn ask(llm: &Llm) -> Result<Completion> {
    llm.complete("rules", "data", 300, &Call::within(Duration::from_secs(10))).await
}

#[tokio::test]
async fn a_meagre_answer_is_enough() {
    let (llm, script) = serve(vec![said("Adds a cache.")]).await;
    let completion = ask(&llm).await.unwrap();
    assert_eq!(completion.text, "Adds a cache.");
    assert_eq!((completion.prompt_tokens, completion.completion_tokens), (Some(11), Some(3)));
    let request = script.lock().unwrap().1[0].clone();
    assert_eq!(request["messages"][0], json!({ "role": "system", "content": "rules" }));
    assert_eq!(request["messages"][1], json!({ "role": "user", "content": "data" }));
    assert_eq!(request["max_tokens"], 300);
    assert!(llm.host().starts_with("127.0.0.1:"));
}

#[tokio::test]
async fn tokens_that_are_not_told_are_unknown() {
    let usage = |usage: Value| {
        let answer = json!({ "choices": [{ "message": { "content": "Fine." } }], "usage": usage });
        (200, answer.to_string())
    };
    let answers = vec![usage(Value::Null), usage(json!({ "prompt_tokens": 11 }))];
    let (llm, _) = serve(answers).await;
    for _ in 0..2 {
        let completion = ask(&llm).await.unwrap();
        assert_eq!(completion.text, "Fine.");
        assert_eq!((completion.prompt_tokens, completion.completion_tokens), (None, None));
    }
}

#[tokio::test]
async fn refused_parameters_are_dropped_once_and_for_all() {
    let (llm, script) = serve(vec![
        (400, r#"{"error":{"message":"Unsupported value: 'temperature'"}}"#.to_owned()),
        (
            400,
            r#"{"error":{"message":"Use 'max_completion_tokens', not 'max_tokens'"}}"#.to_owned(),
        ),
        said("Fine."),
    ])
    .await;
    assert_eq!(ask(&llm).await.unwrap().text, "Fine.");
    assert_eq!(ask(&llm).await.unwrap().text, "Fine.");
    let requests = script.lock().unwrap().1.clone();
    assert_eq!(requests.len(), 4);
    for request in &requests[2..] {
        assert!(request.get("temperature").is_none() && request.get("max_tokens").is_none());
        // Thinking is counted there too.
        assert_eq!(request["max_completion_tokens"], 300 + REASONING_TOKENS);
    }
    assert_eq!(llm.most_tokens(300), 300 + REASONING_TOKENS);
}

fn refused(error: &Value) -> (u16, String) {
    (400, json!({ "error": error }).to_string())
}

#[tokio::test]
async fn refusals_end() {
    let refusals = vec![
        refused(&json!({ "message": "temperature" })),
        refused(&json!({ "message": "max_tokens", "param": null })),
        refused(&json!({ "message": "temperature" })),
    ];
    let (llm, script) = serve(refusals).await;
    assert_eq!(ask(&llm).await.unwrap_err().code, FailureCode::LlmUnavailable);
    assert_eq!(script.lock().unwrap().1.len(), 3);
}

/// Nothing of these is about a parameter, whatever words they hold.
#[tokio::test]
async fn a_refusal_that_repeats_the_prompt_names_no_parameter() {
    let quoting = format!("Invalid request. {} temperature, max_tokens", "word ".repeat(60));
    for refusal in [
        (400, "temperature max_tokens".to_owned()),
        refused(&json!({ "message": "No.", "input": "sets the temperature and max_tokens" })),
        refused(&json!({ "message": "the temperature of max_tokens", "param": "messages" })),
        refused(&json!({ "message": quoting })),
        refused(&json!({ "message": "max_tokens is too large: 500. This model's maximum context \
                                    length is 4096 tokens" })),
    ] {
        let (llm, script) = serve(vec![refusal.clone()]).await;
        assert_eq!(ask(&llm).await.unwrap_err().code, FailureCode::LlmUnavailable);
        assert_eq!(script.lock().unwrap().1.len(), 1, "{refusal:?}");
    }
}

/// What a refusal seems to say is tried once, and believed only if it helped.
#[tokio::test]
async fn what_did_not_help_is_not_remembered() {
    let misleading = refused(&json!({ "message": "the temperature of the sensor is not allowed" }));
    let (llm, script) = serve(vec![misleading.clone(), misleading, said("Fine.")]).await;
    assert!(ask(&llm).await.is_err());
    assert_eq!(ask(&llm).await.unwrap().text, "Fine.");
    let requests = script.lock().unwrap().1.clone();
    let has = |request: &Value| request.get("temperature").is_some();
    assert_eq!(requests.iter().map(has).collect::<Vec<_>>(), [true, false, true]);
}

#[tokio::test]
async fn an_answer_that_the_server_ended_is_known() {
    let ended = |reason: Value| {
        let choice = json!({ "message": { "content": "Adds a" }, "finish_reason": reason });
        (200, json!({ "choices": [choice] }).to_string())
    };
    for (reason, is_cut) in [
        (json!("length"), true),
        (json!("content_filter"), true),
        (json!("stop"), false),
        (json!("eos"), false),
        (Value::Null, false),
    ] {
        let (llm, _) = serve(vec![ended(reason.clone())]).await;
        assert_eq!(ask(&llm).await.unwrap().is_cut, is_cut, "{reason}");
    }
}

#[tokio::test]
async fn failures_carry_a_code_and_no_text_of_the_server() {
    for (status, body, code, requests) in [
        (401, "canary", FailureCode::LlmRejectedUs, 1),
        (403, "canary", FailureCode::LlmRejectedUs, 1),
        (404, "canary", FailureCode::LlmRejectedUs, 1),
        (400, "canary", FailureCode::LlmUnavailable, 1),
        (429, "canary", FailureCode::LlmUnavailable, 1),
        (500, "canary", FailureCode::LlmUnavailable, 1),
        (503, "canary", FailureCode::LlmUnavailable, 2),
        (302, "canary", FailureCode::LlmUnavailable, 1),
        (200, "<html>canary</html>", FailureCode::LlmUnavailable, 1),
        (200, r#"{"canary":1}"#, FailureCode::LlmUnavailable, 1),
        (200, "", FailureCode::LlmUnavailable, 1),
    ] {
        let (llm, script) = serve(vec![(status, body.to_owned())]).await;
        let failure = ask(&llm).await.unwrap_err();
        assert_eq!(failure.code, code, "{status} {body}");
        assert!(!format!("{failure:?} {failure} {llm:?}").contains("canary"), "{failure:?}");
        assert_eq!(script.lock().unwrap().1.len(), requests, "{status} {body}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read() {
    let (llm, _) = serve(vec![said(&"x".repeat(1_100_000))]).await;
    assert_eq!(ask(&llm).await.unwrap_err().code, FailureCode::LlmUnavailable);
}
