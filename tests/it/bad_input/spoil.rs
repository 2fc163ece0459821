//! How a good request is spoiled at random, and what is no request at all.

use serde_json::{Value, json};

use super::{
    chance::Chance,
    judge::MARKUP,
    wire::{Body, CONTROL, DOUBLE, NOT_UTF8, Request, encoded},
};

/// Without DELETE, which would end the session that the next ones need.
const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW", "get"];

/// Headers that somebody reads somewhere.
const HEADERS: [&str; 26] = [
    "accept",
    "authorization",
    "content-type",
    "cookie",
    "host",
    "origin",
    "referer",
    "user-agent",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "sec-purpose",
    "purpose",
    "mcp-session-id",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "last-event-id",
    "x-forwarded-host",
    "x-forwarded-proto",
    "forwarded",
    "accept-encoding",
    "content-encoding",
    "range",
    "upgrade",
    "te",
];

/// Values that mean something to somebody, or to nobody.
const VALUES: [&str; 28] = [
    "",
    " ",
    "null",
    "true",
    "-1",
    "0",
    "99999999999999999999999",
    "1e400",
    "NaN",
    "[]",
    "{}",
    "{\"a\":[1]}",
    "javascript:alert(1)",
    "http://evil.example/",
    "//evil.example",
    "https://claude.ai@evil.example/",
    "../../etc/passwd",
    "con_AAAA",
    "prsa_AAAA",
    "prs_AAAA.AAAA",
    "\u{202e}txt.exe",
    "\u{feff}",
    "💩",
    "a\r\nLocation: http://evil.example",
    "\0",
    "${x}",
    "' OR 1=1 --",
    MARKUP,
];

/// Encodings that are none, or of bytes that are no text.
const ENCODED: [&str; 12] = [
    "%",
    "%z",
    "%zz",
    "%f",
    "%ff",
    "%c3%28",
    "%ed%a0%80",
    "%f8%88%80%80%80",
    "%00",
    "%0d%0aLocation:%20http://evil.example",
    "%7f",
    "a=b&c",
];

/// Within limits, at them, and beyond.
const LENGTHS: [usize; 9] = [63, 512, 2_049, 4_096, 5_000, 16_384, 17_000, 66_000, 270_000];

/// A request with one to four things wrong.
pub fn spoiled(mut request: Request, chance: &mut Chance) -> Request {
    for _ in 0..=chance.below(4) {
        match chance.below(16) {
            0 => request.method = chance.one_of(&METHODS).to_owned(),
            1 => spoil_path(&mut request.path, chance),
            2..=4 => spoil_header(&mut request, chance),
            5 => spoil_pairs(&mut request.query, chance),
            _ => spoil_body(&mut request, chance),
        }
    }
    request
}

fn value(chance: &mut Chance) -> Vec<u8> {
    match chance.below(6) {
        0 | 1 => encoded(chance.one_of(&VALUES)),
        2 | 3 => chance.one_of(&ENCODED).into(),
        4 => vec![b'x'; chance.one_of(&LENGTHS)],
        _ => {
            let bytes = chance.bytes(60);
            bytes.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect()
        }
    }
}

fn spoil_path(path: &mut Vec<u8>, chance: &mut Chance) {
    let parts =
        ["/", "//", "/..", "/%2e%2e", "/.", "%00", "%ff", ";a=b", "/%2f", "\\", "%zz", "/x", "~"];
    match chance.below(3) {
        0 => path.extend(chance.one_of(&parts).bytes()),
        1 => {
            let at = chance.below(path.len());
            let part: Vec<u8> = chance.one_of(&parts).into();
            path.splice(at..at, part);
            // A target that is not absolute is no target.
            if path.first() != Some(&b'/') {
                path.insert(0, b'/');
            }
        }
        _ => path.extend(value(chance)),
    }
}

fn spoil_header(request: &mut Request, chance: &mut Chance) {
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.clone()).collect();
    names.push(chance.one_of(&HEADERS).to_owned());
    let name = chance.one_of(&names);
    if chance.one_in(4) {
        return request.headers.retain(|(known, _)| *known != name);
    }
    let value = match chance.below(6) {
        // No line ends: they would begin another header.
        0 | 1 => chance.one_of(&VALUES).replace(['\r', '\n', '\0'], " ").into_bytes(),
        2 => vec![b'x'; chance.one_of(&LENGTHS)],
        3 => vec![0xff, 0xfe, 0x80],
        4 => vec![b'a', 1 + u8::try_from(chance.below(8)).unwrap(), b'b'],
        _ => request.header_value(&name).unwrap_or(b"*/*").to_vec(),
    };
    if !chance.one_in(3) {
        request.headers.retain(|(known, _)| *known != name);
    }
    request.headers.push((name, value));
}

fn spoil_pairs(pairs: &mut Vec<(Vec<u8>, Vec<u8>)>, chance: &mut Chance) {
    let at = chance.below(pairs.len());
    let known = pairs.get(at).cloned();
    match (chance.below(7), known) {
        (0, Some(pair)) => pairs.push(pair),
        (1, Some(_)) => {
            pairs.remove(at);
        }
        (2, Some((mut name, value))) => {
            name.extend(chance.one_of(&["[]", "[0]", "%00", "%20", ".", "%ff"]).bytes());
            pairs[at] = (name, value);
        }
        (3, _) => {
            let many = chance.one_of(&[1, 10, 65, 200]);
            pairs.extend((0..many).map(|n| (format!("p{n}").into_bytes(), b"1".to_vec())));
        }
        (4, Some((name, _))) => pairs.push((name, value(chance))),
        (_, Some((name, _))) => pairs[at] = (name, value(chance)),
        (_, None) => pairs.push((chance.one_of(&["state", "done", "x"]).into(), value(chance))),
    }
}

fn spoil_body(request: &mut Request, chance: &mut Chance) {
    if chance.one_in(12) {
        let content = request.content();
        let raw = match chance.below(5) {
            0 => Vec::new(),
            1 => content[..chance.below(content.len())].to_vec(),
            2 => chance.bytes(400),
            3 => vec![b'['; 100_000],
            _ => [&content[..], &chance.bytes(9)].concat(),
        };
        request.body = Body::Raw(raw);
        return;
    }
    match &mut request.body {
        Body::Form(pairs) => spoil_pairs(pairs, chance),
        Body::Json(message) => spoil_json(message, chance),
        // These have no body that anybody reads.
        Body::None | Body::Raw(_) => spoil_pairs(&mut request.query, chance),
    }
}

/// Somewhere in a value: goes down at random.
fn spoil_json(value: &mut Value, chance: &mut Chance) {
    match value {
        Value::Object(members) if !members.is_empty() && !chance.one_in(6) => {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = chance.one_of(&names);
            match chance.below(6) {
                0 => {
                    members.remove(&name);
                }
                1 => {
                    let twin = members[&name].clone();
                    members.insert(format!("{name}{DOUBLE}"), twin);
                }
                2 => {
                    members.insert(chance.one_of(&VALUES).to_owned(), junk(chance));
                }
                _ => spoil_json(&mut members[&name], chance),
            }
        }
        Value::Array(items) if !items.is_empty() && !chance.one_in(4) => {
            let at = chance.below(items.len());
            spoil_json(&mut items[at], chance);
        }
        _ => *value = junk(chance),
    }
}

fn junk(chance: &mut Chance) -> Value {
    match chance.below(12) {
        0 => Value::Null,
        1 => json!(chance.one_in(2)),
        2 => json!(chance.one_of(&[0, 1, -1, i64::MIN, i64::MAX])),
        3 => json!(chance.one_of(&[u64::MAX, 1 << 53])),
        4 => json!(chance.one_of(&[1.5, -0.0, 1e308, 5e-324])),
        5 => json!([]),
        6 => json!({}),
        7 => json!("x".repeat(chance.one_of(&LENGTHS))),
        8 => json!(chance.one_of(&[NOT_UTF8, CONTROL, '\0', '\u{202e}'])),
        9 => json!(vec![chance.below(100); chance.one_of(&[1, 30, 2_000])]),
        10 => {
            let deep = chance.one_of(&[5, 100, 130]);
            (0..deep).fold(json!(1), |inner, _| json!({ "a": [inner] }))
        }
        _ => json!(chance.one_of(&VALUES)),
    }
}

/// Bytes that are hardly HTTP, and what they would have asked for.
pub fn noise(base: &Request, chance: &mut Chance) -> (Request, Vec<u8>) {
    let path = String::from_utf8_lossy(&base.path).into_owned();
    let request = Request { headers: Vec::new(), ..base.clone() };
    let post = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n");
    let text = match chance.below(12) {
        0 => format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n\r\n"),
        1 => format!("{post}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n"),
        2 => format!("{post}content-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        3 => format!("{post}content-length: -1\r\n\r\n"),
        4 => format!("{post}content-length: 99999999999999999999999\r\n\r\n"),
        5 => format!("GET {path} HTTP/9.9\r\n\r\n"),
        6 => format!("GET {path}\r\n\r\n"),
        7 => format!("GET {path} HTTP/1.1\r\nhost : x\r\n no: line\r\n\r\n"),
        8 => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        9 => format!("{}x: y\r\n\r\n", "a: b\r\n".repeat(200)),
        10 => {
            let bytes = [&base.bytes("127.0.0.1")[..20], &chance.bytes(200), b"\r\n\r\n"].concat();
            return (request, bytes);
        }
        _ => return (request, [&chance.bytes(300), &b"\r\n\r\n"[..]].concat()),
    };
    (request, text.into_bytes())
}
