//! Scalekit's tools for GitHub, as they are published: names, parameters, and lists in `array`.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Map, Value, json};

use super::{FakeScalekit, json_answer, refusal};
use crate::fakes::{github::random, traffic::Call};

/// A tool: the path it asks GitHub for, what must be given, and what may be.
struct Tool {
    name: &'static str,
    path: &'static str,
    wanted: &'static [&'static str],
    optional: &'static [&'static str],
}

const REPOSITORY: &[&str] = &["owner", "repo"];
const PULL_REQUEST: &[&str] = &["owner", "repo", "pull_number"];
const COMMIT: &[&str] = &["owner", "repo", "ref"];

const TOOLS: &[Tool] = &[
    Tool { name: "github_user_get_authenticated", path: "/user", wanted: &[], optional: &[] },
    Tool {
        name: "github_repo_get",
        path: "/repos/{owner}/{repo}",
        wanted: REPOSITORY,
        optional: &[],
    },
    Tool {
        name: "github_pull_requests_list",
        path: "/repos/{owner}/{repo}/pulls",
        wanted: REPOSITORY,
        optional: &["state", "head", "base", "sort", "direction", "page", "per_page"],
    },
    Tool {
        name: "github_pull_request_get",
        path: "/repos/{owner}/{repo}/pulls/{pull_number}",
        wanted: PULL_REQUEST,
        optional: &[],
    },
    Tool {
        name: "github_pull_request_files_list",
        path: "/repos/{owner}/{repo}/pulls/{pull_number}/files",
        wanted: PULL_REQUEST,
        optional: &[],
    },
    Tool {
        name: "github_pull_request_reviews_list",
        path: "/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
        wanted: PULL_REQUEST,
        optional: &[],
    },
    Tool {
        name: "github_pull_request_review_comments_list",
        path: "/repos/{owner}/{repo}/pulls/{pull_number}/comments",
        wanted: PULL_REQUEST,
        optional: &[],
    },
    Tool {
        name: "github_issue_comments_list",
        path: "/repos/{owner}/{repo}/issues/{issue_number}/comments",
        wanted: &["owner", "repo", "issue_number"],
        optional: &["since", "page", "per_page"],
    },
    Tool {
        name: "github_check_runs_list_for_ref",
        path: "/repos/{owner}/{repo}/commits/{ref}/check-runs",
        wanted: COMMIT,
        optional: &[],
    },
    Tool {
        name: "github_commit_combined_status_get",
        path: "/repos/{owner}/{repo}/commits/{ref}/status",
        wanted: COMMIT,
        optional: &[],
    },
];

impl FakeScalekit {
    /// The names of the tools that were run, in order.
    pub fn tools_run(&self) -> Vec<String> {
        let runs = self.calls().into_iter().filter(|call| call.path == "/api/v1/execute_tool");
        runs.map(|call| call.json()["tool_name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub(super) async fn execute_tool(&self, call: &Call) -> Response {
        let known = ["tool_name", "connector", "identifier", "params"];
        if let Some(wrong) = self.wrong_body(call, &known) {
            return wrong;
        }
        let body = call.json();
        let Some(tool) = TOOLS.iter().find(|tool| body["tool_name"] == tool.name) else {
            return self.unexpected(call, "this tool is not known");
        };
        let Some(address) = body["params"].as_object().and_then(|params| tool.address(params))
        else {
            return self
                .unexpected(call, &format!("not what {} takes: {}", tool.name, body["params"]));
        };
        let token = match self.github_token(body["identifier"].as_str().unwrap_or_default()) {
            Ok(token) => token,
            Err(refusal) => return refusal,
        };
        let url = format!("{}{address}", self.0.github.url());
        let request = self.0.client.get(url).bearer_auth(token).header("user-agent", "Scalekit");
        let request = request.header("accept", "application/vnd.github+json");
        let Ok(answer) = request.send().await else {
            return refusal(502, 14, "UNAVAILABLE", "the provider did not answer");
        };
        let status = answer.status();
        let data: Value = answer.json().await.unwrap_or_default();
        if status != StatusCode::OK {
            return tool_error(status, &data);
        }
        let data = if data.is_array() { json!({ "array": data }) } else { data };
        let data = with_doubles(data);
        json_answer(200, &json!({"data": data, "execution_id": format!("exe_{}", random())}))
    }
}

impl Tool {
    /// The address at GitHub; `None` if a parameter is missing, foreign or of the wrong kind.
    fn address(&self, params: &Map<String, Value>) -> Option<String> {
        let is_known = |name: &&str| self.wanted.contains(name) || self.optional.contains(name);
        if !params.keys().all(|name| is_known(&name.as_str())) {
            return None;
        }
        let mut path = self.path.to_owned();
        for name in self.wanted {
            let value = written(name, params.get(*name)?)?;
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in self.optional {
            if let Some(value) = params.get(*name) {
                query.append_pair(name, &written(name, value)?);
            }
        }
        let query = query.finish();
        Some(if query.is_empty() { path } else { format!("{path}?{query}") })
    }
}

/// Numbers are numbers, and words are words.
fn written(name: &str, value: &Value) -> Option<String> {
    match name {
        "pull_number" | "issue_number" | "page" | "per_page" => {
            value.as_u64().map(|number| number.to_string())
        }
        _ => value.as_str().filter(|text| !text.is_empty()).map(str::to_owned),
    }
}

/// The tools' numbers are protobuf doubles.
fn with_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(all) => all.into_iter().map(with_doubles).collect(),
        Value::Object(all) => {
            all.into_iter().map(|(name, value)| (name, with_doubles(value))).collect()
        }
        other => other,
    }
}

fn tool_error(status: StatusCode, data: &Value) -> Response {
    let info = json!({
        "tool_error_code": status.as_u16().to_string(),
        "tool_error_message": data["message"],
    });
    let kind = "type.googleapis.com/scalekit.v1.errdetails.ErrorInfo";
    let details = json!([{"@type": kind, "error_code": "TOOL_ERROR", "tool_error_info": info}]);
    let body = json!({"code": 13, "message": "tool execution failed", "details": details});
    let mut response = json_answer(status.as_u16(), &body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
