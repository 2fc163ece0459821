//! The ways in which a payload hides from a filter.

/// Its name, and what it makes of a text.
pub type Encoding = (&'static str, fn(&str) -> String);

fn each(text: &str, write: impl Fn(char) -> String) -> String {
    text.chars().map(write).collect()
}

/// Of whatever could become a link or markup.
pub const ENCODINGS: &[Encoding] = &[
    ("plain", |text| text.to_owned()),
    ("in brackets", |text| format!("({text})")),
    ("in code", |text| format!("`{text}`")),
    ("in a fence", |text| format!("```\n{text}\n```\n{text}")),
    ("in capitals", |text| text.to_uppercase()),
    ("full-width", |text| {
        each(text, |c| match c {
            '!'..='~' => char::from_u32(c as u32 + 0xfee0).unwrap().to_string(),
            other => other.to_string(),
        })
    }),
    ("with zero widths", |text| each(text, |c| format!("{c}\u{200b}"))),
    ("with soft hyphens", |text| text.replace('e', "e\u{ad}").replace(':', "\u{2060}:")),
    ("as entities", |text| each(text, |c| format!("&#{};", c as u32))),
    ("as hexadecimal entities", |text| {
        text.replace(':', "&colon;").replace('.', "&#x2E;").replace('@', "&commat;")
    }),
    ("percent-encoded", |text| {
        text.bytes()
            .map(|b| match b {
                b'a'..=b'z' => char::from(b).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect()
    }),
    ("as tags", |text| {
        each(text, |c| char::from_u32(0xe_0000 + c as u32).unwrap_or(c).to_string())
    }),
    ("in homoglyphs", |text| {
        text.replace('e', "е").replace('o', "о").replace('a', "а").replace('.', "․")
    }),
    ("with foreign dots", |text| {
        text.replace('.', "。").replace('/', "⁄").replace(':', "∶").replace('#', "＃")
    }),
    ("right to left", |text| {
        format!("\u{202e}{}\u{202c}\u{2066}{text}\u{2069}", text.chars().rev().collect::<String>())
    }),
    ("split by tags", |text| text.replace("ev", "e<b></b>v").replace("tt", "t<!-- -->t")),
    ("split by lines", |text| text.replace("//", "//\n").replace('@', "\r@")),
    ("doubled", |text| format!("{text}{text} {text}.{text}")),
    ("behind Chinese", |text| format!("请看{text}。谢谢")),
    ("as JSON", |text| format!("{{\"note\": {}}}", serde_json::Value::from(text))),
];

/// Of sentences.
pub const WRAPPINGS: &[Encoding] = &[
    ("plain", |text| text.to_owned()),
    ("as a comment", |text| format!("<!-- {text} -->{text}")),
    ("as a quote", |text| format!("> {text}\n>\n> {text}")),
    ("as a heading", |text| format!("# {text}\n---\n{text}")),
    ("with zero widths", |text| each(text, |c| format!("{c}\u{200d}"))),
    ("as tags", |text| {
        format!(
            "Hello{}",
            each(text, |c| char::from_u32(0xe_0000 + c as u32 % 0x80).unwrap().into())
        )
    }),
    ("in capitals", |text| text.to_uppercase()),
    ("with a link", |text| format!("{text} See [here](https://evil.example/{}).", text.len())),
];
