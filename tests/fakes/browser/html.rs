//! A small tolerant reader of HTML: forms, buttons, links, the title and a refresh.

/// A form as it would be submitted.
#[derive(Debug, Clone, Default)]
pub struct Form {
    pub method: String,
    pub action: String,
    /// Fields with their values, buttons not included.
    pub fields: Vec<(String, String)>,
    pub buttons: Vec<Button>,
}

#[derive(Debug, Clone, Default)]
pub struct Button {
    pub name: Option<String>,
    pub value: String,
    pub text: String,
}

#[derive(Debug, Clone)]
pub struct Link {
    pub href: String,
    pub text: String,
}

#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) title: String,
    pub(super) forms: Vec<Form>,
    pub(super) links: Vec<Link>,
    pub(super) refresh: Option<String>,
}

struct Tag<'t> {
    name: String,
    attributes: Vec<(String, String)>,
    /// Everything behind the tag.
    rest: &'t str,
}

impl Tag<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    /// The text up to the closing tag, without tags inside.
    fn text(&self) -> String {
        let end = self.rest.find(&format!("</{}", self.name)).unwrap_or(self.rest.len());
        let mut text = String::new();
        for (index, part) in self.rest[..end].split('<').enumerate() {
            text += if index == 0 { part } else { part.split_once('>').map_or("", |(_, t)| t) };
        }
        decoded(text.trim())
    }
}

pub(super) fn read(html: &str) -> Read {
    let mut read = Read::default();
    let mut rest = html;
    while let Some(place) = rest.find('<') {
        let Some(tag) = tag(&rest[place + 1..]) else {
            rest = &rest[place + 1..];
            continue;
        };
        rest = tag.rest;
        match tag.name.as_str() {
            "title" => read.title = tag.text(),
            "a" => {
                if let Some(href) = tag.get("href") {
                    read.links.push(Link { href, text: tag.text() });
                }
            }
            "meta" if tag.get("http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("refresh")) => {
                read.refresh = tag.get("content").and_then(|content| target(&content));
            }
            "form" => read.forms.push(Form {
                method: tag.get("method").unwrap_or_else(|| "get".to_owned()),
                action: tag.get("action").unwrap_or_default(),
                ..Form::default()
            }),
            "input" | "button" => control(&mut read, &tag),
            _ => {}
        }
    }
    read
}

fn control(read: &mut Read, tag: &Tag<'_>) {
    let Some(form) = read.forms.last_mut() else { return };
    let (name, kind) = (tag.get("name"), tag.get("type").unwrap_or_default());
    let value = tag.get("value").unwrap_or_default();
    let unchecked = kind == "checkbox" && tag.get("checked").is_none();
    match (tag.name.as_str(), kind.as_str(), name) {
        ("button", "" | "submit", name) => {
            form.buttons.push(Button { name, value, text: tag.text() });
        }
        ("input", "submit", name) => {
            form.buttons.push(Button { name, text: value.clone(), value });
        }
        ("input", _, Some(name)) if !unchecked => form.fields.push((name, value)),
        _ => {}
    }
}

/// The address in `content="0; url=…"`.
fn target(content: &str) -> Option<String> {
    let (_, rest) = content.split_once([';', ','])?;
    let rest = rest.trim();
    let url =
        rest.get(..4).filter(|start| start.eq_ignore_ascii_case("url=")).map(|_| &rest[4..])?;
    Some(url.trim().trim_matches(['\'', '"']).to_owned())
}

/// Reads the tag that begins here (behind its `<`).
fn tag(html: &str) -> Option<Tag<'_>> {
    if !html.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let end = html.find(|c: char| c.is_whitespace() || c == '>' || c == '/')?;
    let (name, mut rest) = (html[..end].to_ascii_lowercase(), &html[end..]);
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(behind) = rest.strip_prefix('>') {
            return Some(Tag { name, attributes, rest: behind });
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'))?;
        let key = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = String::new();
        if let Some(behind) = rest.strip_prefix('=') {
            let behind = behind.trim_start();
            let first = behind.chars().next()?;
            let (text, left) = if matches!(first, '"' | '\'') {
                behind[1..].split_once(first)?
            } else {
                let end = behind.find(|c: char| c.is_whitespace() || c == '>')?;
                behind.split_at(end)
            };
            value = decoded(text);
            rest = left;
        }
        attributes.push((key, value));
    }
}

pub(super) fn decoded(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&nbsp;", " ")
        .replace("&amp;", "&")
}
