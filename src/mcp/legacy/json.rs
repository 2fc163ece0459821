//! JSON in which every object has each name once.
//!
//! RFC 8259 section 4 leaves open which of two members of the same name counts, so this door and the
//! SDK behind it could each believe another one. RFC 7493 section 2.3 forbids it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, error::Category};

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is not JSON.
    NotJson,
    /// A name occurs twice in an object.
    Doubled,
}

/// Reads one value.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Flaw> {
    let read: Result<Unambiguous, _> = serde_json::from_slice(bytes);
    read.map(|value| value.0).map_err(|error| match error.classify() {
        // The one thing that is demanded beyond the grammar.
        Category::Data => Flaw::Doubled,
        Category::Io | Category::Syntax | Category::Eof => Flaw::NotJson,
    })
}

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, _>()? {
            if read.insert(name, value).is_some() {
                return Err(A::Error::custom("a name occurs twice in an object"));
            }
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_counts_once_at_every_depth() {
        for doubled in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"[{"x":{"a":null,"a":null}}]"#,
            r#"{"":0,"":0}"#,
        ] {
            assert_eq!(parse(doubled.as_bytes()), Err(Flaw::Doubled), "{doubled}");
        }
        for broken in ["", "{", "{]", "[1,]", "nul", "{\"a\" 1}", "\u{0}", "1e999", "{} {}"] {
            assert_eq!(parse(broken.as_bytes()), Err(Flaw::NotJson), "{broken}");
        }
        assert_eq!(parse(b"\"\xff\""), Err(Flaw::NotJson));
        assert_eq!(parse("[".repeat(100_000).as_bytes()), Err(Flaw::NotJson));
        assert!(parse(br#"{"a":{"a":[{"a":1},{"a":1}]},"A":2}"#).is_ok());
    }

    proptest! {
        /// What is read is what everybody else reads.
        #[test]
        fn it_reads_what_serde_reads(text in r#"[\[\]{}:,"a0-9.eE\\ntrufals -]{0,40}"#) {
            let usual: Option<Value> = serde_json::from_str(&text).ok();
            match parse(text.as_bytes()) {
                Ok(read) => prop_assert_eq!(Some(read), usual),
                Err(Flaw::NotJson) => prop_assert_eq!(None, usual),
                Err(Flaw::Doubled) => {}
            }
        }
    }
}
