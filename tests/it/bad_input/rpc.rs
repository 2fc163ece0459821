//! Messages of MCP: every member of every message and every argument of every tool, spoiled.

use serde_json::{Value, json};

use super::{
    Place,
    rpc::Said::{Accepted, Error, Failed, Result},
    scene::Scene,
    table::BADNESS,
    wire::{Answer, Connection, Request},
};
use crate::attacks::house::{BEACON, Mode};

/// The right answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// A result, which is no failure.
    Result,
    /// A failure of the tool, by its code.
    Failed(&'static str),
    /// JSON-RPC's error, with this HTTP status.
    Error(u16, i64),
    /// Nothing is answered to a notification (202).
    Accepted,
    /// Not tried: it would be a good request that changes something.
    Untried,
}

pub struct Argument {
    pub name: &'static str,
    pub right: [Said; 6],
}

pub struct Tool {
    pub name: &'static str,
    pub good: fn() -> Value,
    pub arguments: &'static [Argument],
}

pub struct Message {
    pub method: &'static str,
    pub params: fn() -> Value,
    good: Said,
    /// Names from the message's root on, with blanks between them.
    members: &'static [Argument],
}

const fn row(name: &'static str, right: [Said; 6]) -> Argument {
    Argument { name, right }
}

/// -32700 and -32600 of <https://www.jsonrpc.org/specification>, section 5.1.
const NO_JSON: Said = Error(400, -32700);
const INVALID: Said = Error(400, -32600);
const PARAMS: Said = Error(200, -32602);

const MISFIT: Said = Failed("invalid_arguments");
/// Of a type of its own.
const TYPED: [Said; 6] = [Result, INVALID, MISFIT, MISFIT, NO_JSON, NO_JSON];
/// Where any short text will do.
const FILTER: [Said; 6] = TYPED;
const HANDLE: [Said; 6] = [Result, INVALID, Failed("not_found"), MISFIT, NO_JSON, NO_JSON];

/// Columns: missing, doubled, oversize, wrong type, not UTF-8, control character.
pub const TOOLS: &[Tool] = &[
    Tool {
        name: "summarize_prs",
        good: || json!({ "repository": BEACON, "limit": 1 }),
        arguments: &[
            row(
                "repository",
                [MISFIT, INVALID, Failed("invalid_repository"), MISFIT, NO_JSON, NO_JSON],
            ),
            row("limit", TYPED),
            row("pull_requests", TYPED),
            row("order", TYPED),
            row("exclude_drafts", TYPED),
            row("exclude_bots", TYPED),
            row("author", FILTER),
            row("label", FILTER),
            row("base", FILTER),
            row("language", FILTER),
            row("detail", TYPED),
            row("connection", HANDLE),
        ],
    },
    Tool {
        name: "connect_github",
        good: || json!({}),
        arguments: &[row("connection", HANDLE), row("reconnect", TYPED)],
    },
    Tool { name: "auth_status", good: || json!({}), arguments: &[row("connection", HANDLE)] },
    Tool {
        name: "disconnect_github",
        // With a handle that is none: nothing is disconnected.
        good: || json!({ "connection": format!("con_{}", "x".repeat(43)) }),
        arguments: &[row(
            "connection",
            [Said::Untried, INVALID, Failed("not_found"), MISFIT, NO_JSON, NO_JSON],
        )],
    },
];

const NO_PARAMS: fn() -> Value = || json!({});

/// What every request has.
const ENVELOPE: &[Argument] = &[
    row("jsonrpc", [INVALID, INVALID, INVALID, INVALID, NO_JSON, NO_JSON]),
    row("method", [INVALID, INVALID, Error(200, -32601), INVALID, NO_JSON, NO_JSON]),
    // Without one it is a notification.
    row("id", [Accepted, INVALID, Said::Untried, INVALID, NO_JSON, NO_JSON]),
    row("params", [Said::Untried, INVALID, INVALID, INVALID, NO_JSON, NO_JSON]),
    row("result", [Said::Untried, INVALID, INVALID, INVALID, NO_JSON, NO_JSON]),
    row("error", [Said::Untried, INVALID, INVALID, INVALID, NO_JSON, NO_JSON]),
];

/// A member that must be there, of the type that it is.
const NEEDED: [Said; 6] = [PARAMS, INVALID, PARAMS, PARAMS, NO_JSON, NO_JSON];
/// The same of `initialize`, which the door reads.
const INITIAL: Said = Error(400, -32602);
const NEEDED_INITIALLY: [Said; 6] = [INITIAL, INVALID, INITIAL, INITIAL, NO_JSON, NO_JSON];

pub const MESSAGES: &[Message] = &[
    Message {
        method: "initialize",
        params: || {
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": "Test", "version": "1" },
            })
        },
        good: Result,
        members: &[
            // Any text names a version; the answer names one that is served.
            row("params protocolVersion", [INITIAL, INVALID, Result, INITIAL, NO_JSON, NO_JSON]),
            row("params capabilities", NEEDED_INITIALLY),
            row("params clientInfo", NEEDED_INITIALLY),
            row("params clientInfo name", [INITIAL, INVALID, Result, INITIAL, NO_JSON, NO_JSON]),
            row("params clientInfo version", [INITIAL, INVALID, Result, INITIAL, NO_JSON, NO_JSON]),
        ],
    },
    Message {
        method: "tools/list",
        params: NO_PARAMS,
        good: Result,
        // There is one page. What is no text the SDK takes for no cursor.
        members: &[row("params cursor", [Result, INVALID, PARAMS, Result, NO_JSON, NO_JSON])],
    },
    Message {
        method: "tools/call",
        params: || json!({ "name": "auth_status", "arguments": {}, "_meta": { "progressToken": 1 } }),
        good: Result,
        members: &[
            row("params name", [PARAMS, INVALID, PARAMS, PARAMS, NO_JSON, NO_JSON]),
            row("params arguments", [Result, INVALID, PARAMS, PARAMS, NO_JSON, NO_JSON]),
            row("params _meta", [Result, INVALID, INVALID, INVALID, NO_JSON, NO_JSON]),
            row("params _meta progressToken", [Result, INVALID, Result, Result, NO_JSON, NO_JSON]),
            row("params requestState", [Result, INVALID, Result, PARAMS, NO_JSON, NO_JSON]),
            row("params inputResponses", [Result, INVALID, PARAMS, PARAMS, NO_JSON, NO_JSON]),
            row("params unknown", [Result, INVALID, Result, Result, NO_JSON, NO_JSON]),
        ],
    },
    Message {
        method: "prompts/list",
        params: NO_PARAMS,
        good: Result,
        // There is one page. What is no text the SDK takes for no cursor.
        members: &[row("params cursor", [Result, INVALID, PARAMS, Result, NO_JSON, NO_JSON])],
    },
    Message {
        method: "prompts/get",
        params: || json!({ "name": "pr_digest", "arguments": { "repository": BEACON } }),
        good: Result,
        members: &[
            row("params name", NEEDED),
            row("params arguments", NEEDED),
            row("params arguments repository", NEEDED),
            row("params arguments language", [Result, INVALID, PARAMS, PARAMS, NO_JSON, NO_JSON]),
        ],
    },
    Message {
        method: "completion/complete",
        params: || {
            json!({
                "ref": { "type": "ref/prompt", "name": "pr_digest" },
                "argument": { "name": "repository", "value": "l" },
            })
        },
        good: Result,
        members: &[
            row("params ref", NEEDED),
            row("params ref type", NEEDED),
            row("params ref name", NEEDED),
            row("params argument", NEEDED),
            row("params argument name", NEEDED),
            row("params argument value", [PARAMS, INVALID, Result, PARAMS, NO_JSON, NO_JSON]),
        ],
    },
    Message { method: "ping", params: NO_PARAMS, good: Result, members: &[] },
    Message {
        method: "resources/list",
        params: NO_PARAMS,
        good: Result,
        members: &[row("params cursor", [Result, INVALID, PARAMS, Result, NO_JSON, NO_JSON])],
    },
    Message {
        method: "resources/templates/list",
        params: NO_PARAMS,
        good: Result,
        members: &[row("params cursor", [Result, INVALID, PARAMS, Result, NO_JSON, NO_JSON])],
    },
    Message {
        method: "resources/read",
        params: || json!({ "uri": "ui://pr-summarizer/card" }),
        good: Result,
        members: &[row(
            "params uri",
            [PARAMS, INVALID, Error(200, -32002), PARAMS, NO_JSON, NO_JSON],
        )],
    },
    Message {
        method: "resources/subscribe",
        params: NO_PARAMS,
        good: Error(200, -32601),
        members: &[],
    },
    Message { method: "no/such", params: NO_PARAMS, good: Error(200, -32601), members: &[] },
];

/// MCP 2026-07-28: a header that does not say what the message says.
const MISMATCH: Said = Error(400, -32020);
/// The HTTP server's own, without a word.
const BARE: Said = Error(400, 0);

/// What the era without sessions says with each message in headers, which must agree with it.
const MODERN_HEADERS: &[Argument] = &[
    row("mcp-protocol-version", [MISMATCH, INVALID, MISMATCH, MISMATCH, INVALID, BARE]),
    row("mcp-method", [MISMATCH, INVALID, MISMATCH, MISMATCH, MISMATCH, BARE]),
    row("mcp-name", [MISMATCH, INVALID, MISMATCH, MISMATCH, MISMATCH, BARE]),
];

/// And in the message itself.
const MODERN_META: &[Argument] = &[
    row("protocolVersion", [INITIAL, INVALID, MISMATCH, INITIAL, NO_JSON, NO_JSON]),
    // Only a name to be shown: one that is none counts as absent.
    row("clientInfo", [Result, INVALID, Result, Result, NO_JSON, NO_JSON]),
    row("clientCapabilities", [INITIAL, INVALID, INITIAL, INITIAL, NO_JSON, NO_JSON]),
];

fn said(answer: &Answer) -> Said {
    let message = answer.json();
    if let Some(code) = message["error"]["code"].as_i64() {
        return Error(answer.status, code);
    }
    if answer.status == 202 && answer.body.is_empty() {
        return Accepted;
    }
    let result = &message["result"];
    if result["isError"] == true {
        let code = result["_meta"]["pr-summarizer/failure"]["code"].as_str().unwrap_or_default();
        return Failed(Box::leak(code.to_owned().into_boxed_str()));
    }
    if answer.status == 200 && result.is_object() { Result } else { Error(answer.status, 0) }
}

/// Asks, and notes what is wrong with the answer.
struct Asked<'s> {
    scene: &'s Scene,
    connection: Connection,
    wrong: Vec<String>,
}

impl Asked<'_> {
    async fn ask(&mut self, what: &str, request: &Request, right: Said) {
        if right == Said::Untried {
            return;
        }
        let Some(answer) = self.connection.send(request).await else {
            return self.wrong.push(format!("{what}: no answer"));
        };
        for objection in self.scene.judge.objections(request, &answer) {
            self.wrong.push(format!("{what}: {objection}"));
        }
        let said = said(&answer);
        if said != right {
            let told: String = answer.text().chars().take(200).collect();
            self.wrong.push(format!("{what}: not {right:?} but {said:?} {told}"));
        }
    }

    async fn ask_each(&mut self, what: &str, base: &Request, rows: &[Argument], below: &str) {
        self.ask_each_in(Place::Member, what, base, rows, below).await;
    }

    async fn ask_each_in(
        &mut self,
        place: Place,
        what: &str,
        base: &Request,
        rows: &[Argument],
        below: &str,
    ) {
        for argument in rows {
            for (badness, right) in BADNESS.into_iter().zip(argument.right) {
                let mut request = base.clone();
                request.spoil(place, &format!("{below}{}", argument.name), badness);
                self.ask(&format!("{what}, {} {badness:?}", argument.name), &request, right).await;
            }
        }
    }
}

async fn every_member(mode: Mode) {
    let scene = Scene::open(mode).await;
    let connection = Connection::new(&scene.house.authority());
    let mut asked = Asked { scene: &scene, connection, wrong: Vec::new() };
    for message in MESSAGES {
        let mut base = scene.own.rpc(message.method, &(message.params)());
        if message.method == "initialize" {
            base.headers.retain(|(name, _)| !name.starts_with("mcp-"));
        }
        asked.ask(message.method, &base, message.good).await;
        if message.method != "initialize" {
            asked.ask_each(message.method, &base, ENVELOPE, "").await;
        }
        asked.ask_each(message.method, &base, message.members, "").await;
    }
    for tool in TOOLS {
        let params = json!({ "name": tool.name, "arguments": (tool.good)() });
        let base = scene.own.rpc("tools/call", &params);
        asked.ask_each(tool.name, &base, tool.arguments, "params arguments ").await;
        let rows = [row("unknown", [Said::Untried, INVALID, MISFIT, MISFIT, NO_JSON, NO_JSON])];
        asked.ask_each(tool.name, &base, &rows, "params arguments ").await;
    }
    let params = json!({ "name": "auth_status", "arguments": {} });
    let modern = scene.own.modern("tools/call", params);
    asked.ask("modern", &modern, Result).await;
    asked.ask_each_in(Place::Header, "modern", &modern, MODERN_HEADERS, "").await;
    let below = "params _meta io.modelcontextprotocol/";
    asked.ask_each("modern", &modern, MODERN_META, below).await;
    let wrong = asked.wrong;
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    scene.others_go_on().await;
}

#[tokio::test]
async fn every_member_in_session_mode() {
    every_member(Mode::Session).await;
}

#[tokio::test]
async fn every_member_in_oauth_mode() {
    every_member(Mode::OAuth).await;
}
