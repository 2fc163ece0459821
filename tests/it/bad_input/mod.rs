//! Bad input over every route, on the wire: each parameter missing, doubled, too long, of the wrong
//! type, not UTF-8 and with control characters ([`table`]), messages of MCP likewise ([`rpc`]), and
//! ten thousand random requests ([`random`]). Every answer is the standard's own error, none is a
//! fault of the server, none leads to a foreign place or tells a secret ([`judge`]), and what was
//! under way before goes on afterwards ([`scene`]).

pub mod chance;
mod complete;
mod judge;
mod kinds;
mod random;
mod rpc;
mod scene;
mod spoil;
mod table;
mod wire;

use serde_json::{Value, json};

use self::{
    scene::Scene,
    table::{
        AUTHORIZATION, BADNESS, Badness, HOST, In, OPERATIONS, Operation, Parameter, Place, Right,
        right_for_huge,
    },
    wire::{Answer, Body, CONTROL, Connection, DOUBLE, NOT_UTF8, Request, encoded},
};
use crate::{attacks::house::Mode, oauth::client::STATE};

/// Longer than any parameter, and than a small form.
const OVERSIZE: usize = 5_000;
/// Longer than any head or body.
const HUGE: usize = 300_000;
/// No parameter is of this type where text is expected.
const WRONG_TYPE: &str = "{\"a\": [1]}";

impl In {
    fn includes(self, mode: Mode) -> bool {
        match self {
            Self::Every => true,
            Self::OAuth => mode == Mode::OAuth,
            Self::Loopback => mode != Mode::OAuth,
        }
    }
}

impl Request {
    /// Spoils one parameter.
    fn spoil(&mut self, place: Place, name: &str, badness: Badness) {
        match place {
            Place::Path => self.spoil_segment(badness),
            Place::Query => spoil_pairs(&mut self.query, name, badness),
            Place::Form => match &mut self.body {
                Body::Form(pairs) => spoil_pairs(pairs, name, badness),
                body => panic!("no form: {body:?}"),
            },
            Place::Cookie => self.spoil_cookie(badness),
            Place::Header => self.spoil_header(name, badness),
            Place::Member => match &mut self.body {
                Body::Json(value) => spoil_member(value, name, badness),
                body => panic!("no JSON: {body:?}"),
            },
        }
    }

    fn spoil_segment(&mut self, badness: Badness) {
        let start = self.path.iter().rposition(|b| *b == b'/').expect("an absolute path") + 1;
        let segment = self.path.split_off(start);
        self.path.extend(match badness {
            Badness::Missing => Vec::new(),
            Badness::Doubled => [&segment, &b"/"[..], &segment].concat(),
            Badness::Oversize => vec![b'x'; OVERSIZE],
            Badness::WrongType => encoded(WRONG_TYPE),
            Badness::NotUtf8 => b"%ff".to_vec(),
            Badness::Control => b"%00".to_vec(),
        });
    }

    fn spoil_cookie(&mut self, badness: Badness) {
        let sent = self.header_value("cookie").expect("a cookie").to_vec();
        let equals = sent.iter().position(|b| *b == b'=').expect("a pair") + 1;
        let (name, value) = sent.split_at(equals);
        self.headers.retain(|(name, _)| name != "cookie");
        let spoiled = match badness {
            Badness::Missing => return,
            Badness::Doubled => [&sent, &b"; "[..], &sent].concat(),
            Badness::Oversize => [name, &vec![b'x'; OVERSIZE]].concat(),
            Badness::WrongType => [name, b"[1]"].concat(),
            Badness::NotUtf8 => [name, &vec![0xff; value.len()]].concat(),
            Badness::Control => [name, &[0x01]].concat(),
        };
        self.headers.push(("cookie".to_owned(), spoiled));
    }

    fn spoil_header(&mut self, name: &str, badness: Badness) {
        let mut sent: Vec<_> = self.headers.extract_if(.., |(n, _)| n == name).collect();
        let value = match badness {
            // A host is written by whoever sends the request, unless it is said to be none.
            Badness::Missing if name == "host" => Vec::new(),
            Badness::Missing => return,
            Badness::Doubled => {
                if sent.is_empty() {
                    sent.push((name.to_owned(), b"x".to_vec()));
                }
                self.headers.append(&mut sent);
                b"x".to_vec()
            }
            Badness::Oversize => vec![b'x'; OVERSIZE],
            Badness::WrongType => WRONG_TYPE.into(),
            Badness::NotUtf8 => vec![0xff, 0xfe],
            Badness::Control => vec![b'x', 0x01],
        };
        self.headers.push((name.to_owned(), value));
    }

    /// What no route reads, in every unreadable form.
    fn with_noise(mut self) -> Self {
        for (name, value) in [
            ("user-agent", &b"\xff\xfe"[..]),
            ("referer", b"\xff"),
            ("x-unknown", b"1"),
            ("x-unknown", b"\xff"),
            ("accept-language", b"{}"),
            ("range", b"bytes=9-1"),
            ("if-none-match", b"*"),
        ] {
            self.headers.push((name.to_owned(), value.to_vec()));
        }
        // Another program's, of the same host.
        for (_, cookie) in self.headers.iter_mut().filter(|(name, _)| name == "cookie") {
            cookie.splice(0..0, *b"caf\xe9=\xff; ");
        }
        self
    }

    fn path(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

fn spoil_pairs(pairs: &mut Vec<(Vec<u8>, Vec<u8>)>, name: &str, badness: Badness) {
    let mut sent: Vec<_> = pairs.extract_if(.., |(n, _)| n == name.as_bytes()).collect();
    let value = match badness {
        Badness::Missing => return,
        Badness::Doubled => {
            let pair = sent.pop().unwrap_or_else(|| (name.into(), b"x".to_vec()));
            pairs.push(pair.clone());
            pair.1
        }
        Badness::Oversize => vec![b'x'; OVERSIZE],
        Badness::WrongType => encoded(WRONG_TYPE),
        Badness::NotUtf8 => b"%ff".to_vec(),
        Badness::Control => b"%00".to_vec(),
    };
    pairs.push((name.into(), value));
}

/// `name` may be a path through objects: `params arguments limit`.
fn spoil_member(value: &mut Value, name: &str, badness: Badness) {
    let (parents, name) = name.rsplit_once(' ').unwrap_or(("", name));
    let mut inner = value;
    for parent in parents.split_whitespace() {
        inner = &mut inner[parent];
    }
    let members = inner.as_object_mut().expect("an object");
    let sent = members.remove(name);
    let spoiled = match badness {
        Badness::Missing => return,
        Badness::Doubled => {
            let sent = sent.unwrap_or_else(|| json!("x"));
            members.insert(format!("{name}{DOUBLE}"), sent.clone());
            sent
        }
        Badness::Oversize => json!("x".repeat(OVERSIZE)),
        Badness::WrongType if sent.as_ref().is_some_and(Value::is_number) => json!("one"),
        Badness::WrongType => json!(7.5),
        Badness::NotUtf8 => json!(NOT_UTF8),
        Badness::Control => json!(CONTROL),
    };
    members.insert(name.to_owned(), spoiled);
}

/// Whether this is the right answer.
fn is_right(right: Right, good: Right, answer: &Answer) -> bool {
    let status = answer.status;
    let is_error =
        |code: &str| answer.kind() == "application/json" && answer.json()["error"] == code;
    match right {
        Right::Served => is_right(good, good, answer),
        Right::Page(wanted) | Right::Ends(wanted) => {
            let kinds = ["text/html", "application/problem+json"];
            status == wanted && kinds.contains(&answer.kind())
        }
        Right::Script(wanted) => status == wanted && answer.kind() == "text/javascript",
        Right::Text(wanted) => status == wanted && answer.kind() == "text/plain",
        Right::Json(wanted) => status == wanted && !answer.json().is_null(),
        Right::Moved => (300..400).contains(&status) && answer.header("location").is_some(),
        Right::Error(code) => status == 400 && is_error(code),
        Right::TooLong(code) => status == 413 && is_error(code),
        Right::Told(code) => {
            let location = answer.header("location").unwrap_or_default();
            let told = url::Url::parse(location).ok();
            let told = told.and_then(|url| {
                url.query_pairs().find(|(n, _)| n == "error").map(|(_, v)| v.into_owned())
            });
            status == 303 && told.as_deref() == Some(code)
        }
        Right::Rpc(wanted, code) => status == wanted && answer.json()["error"]["code"] == code,
        Right::Bare(wanted) => status == wanted && answer.body.is_empty(),
    }
}

/// Asks, and notes what is wrong with the answer.
struct Asked {
    connection: Connection,
    count: usize,
    wrong: Vec<String>,
}

impl Asked {
    fn new(scene: &Scene) -> Self {
        let connection = Connection::new(&scene.house.authority());
        Self { connection, count: 0, wrong: Vec::new() }
    }

    async fn ask(&mut self, scene: &Scene, what: &str, request: &Request, right: (Right, Right)) {
        self.count += 1;
        let Some(answer) = self.connection.send(request).await else {
            return self.wrong.push(format!("{what}: no answer"));
        };
        for objection in scene.judge.objections(request, &answer) {
            self.wrong.push(format!("{what}: {objection}"));
        }
        let (wanted, good) = right;
        if !is_right(wanted, good, &answer) {
            let told = answer.text().chars().take(200).collect::<String>();
            let location = answer.header("location").unwrap_or_default();
            self.wrong.push(format!(
                "{what}: not {wanted:?} but {} {:?} {location} {told}",
                answer.status,
                answer.kind(),
            ));
        }
        let is_told = matches!(wanted, Right::Told(_)) && !what.contains(" state ");
        if is_told && !answer.header("location").unwrap_or_default().contains(STATE) {
            self.wrong.push(format!("{what}: the client's state does not come back"));
        }
    }

    fn assert_right(self) {
        println!("{} requests", self.count);
        assert!(self.wrong.is_empty(), "\n{}\n", self.wrong.join("\n"));
    }
}

async fn every_parameter(mode: Mode) {
    let mut scene = Scene::open(mode).await;
    let mut asked = Asked::new(&scene);
    for operation in OPERATIONS.iter().filter(|operation| operation.modes.includes(mode)) {
        every_parameter_of(operation, &mut scene, &mut asked).await;
    }
    asked.assert_right();
    scene.others_go_on().await;
}

/// First what is refused, which must not use up what works once; then the good request itself; then
/// what is served all the same; and last what ends a connection that is under way.
async fn every_parameter_of(operation: &Operation, scene: &mut Scene, asked: &mut Asked) {
    let name = operation.name;
    let base = scene.fresh(name).await;
    let path = base.path();
    let mut everywhere = Vec::new();
    if !["/healthz", "/readyz", "/metrics"].contains(&path.as_str()) {
        everywhere.push(Parameter { place: Place::Header, name: "host", right: HOST });
    }
    if path == "/mcp" && scene.own.key.is_some() {
        let mut right = AUTHORIZATION;
        if scene.house.is_oauth() {
            right[1] = Right::Rpc(400, -32600);
        }
        everywhere.push(Parameter { place: Place::Header, name: "authorization", right });
    }
    let parameters = || operation.parameters.iter().chain(&everywhere);
    let rows = || parameters().flat_map(|p| BADNESS.into_iter().zip(p.right).map(move |b| (p, b)));
    let is_late = |right| matches!(right, Right::Served | Right::Ends(_));
    for (parameter, (badness, right)) in rows().filter(|(_, (_, right))| !is_late(*right)) {
        let mut request = base.clone();
        request.spoil(parameter.place, parameter.name, badness);
        let what = format!("{name}, {} {badness:?}", parameter.name);
        asked.ask(scene, &what, &request, (right, operation.good)).await;
    }
    for parameter in parameters() {
        let mut request = base.clone();
        request.spoil_huge(parameter);
        let right = right_for_huge(parameter.place, &path);
        let what = format!("{name}, {} huge", parameter.name);
        asked.ask(scene, &what, &request, (right, operation.good)).await;
    }
    let good = (operation.good, operation.good);
    asked.ask(scene, name, &base.with_noise(), good).await;
    for served in [true, false] {
        let rows = rows().filter(|(_, (_, right))| is_late(*right));
        for (parameter, (badness, right)) in rows.filter(|r| (r.1.1 == Right::Served) == served) {
            let mut request = scene.fresh(name).await;
            request.spoil(parameter.place, parameter.name, badness);
            let what = format!("{name}, {} {badness:?}", parameter.name);
            asked.ask(scene, &what, &request, (right, operation.good)).await;
        }
    }
}

impl Request {
    fn spoil_huge(&mut self, parameter: &Parameter) {
        let huge = "x".repeat(HUGE);
        let name = parameter.name;
        match parameter.place {
            Place::Path => self.path.extend(huge.into_bytes()),
            Place::Query => self.query.push((name.into(), huge.into_bytes())),
            Place::Cookie => self.headers.push(("cookie".to_owned(), huge.into_bytes())),
            Place::Header => self.headers.push((name.to_owned(), huge.into_bytes())),
            Place::Form => match &mut self.body {
                Body::Form(pairs) => pairs.push((name.into(), huge.into_bytes())),
                body => panic!("no form: {body:?}"),
            },
            Place::Member => match &mut self.body {
                Body::Json(value) => value[name] = json!(huge),
                body => panic!("no JSON: {body:?}"),
            },
        }
    }
}

#[tokio::test]
async fn every_parameter_in_session_mode() {
    every_parameter(Mode::Session).await;
}

#[tokio::test]
async fn every_parameter_in_single_user_mode() {
    every_parameter(Mode::SingleUser).await;
}

#[tokio::test]
async fn every_parameter_in_oauth_mode() {
    every_parameter(Mode::OAuth).await;
}
