//! The parameters of a request, as a query or a form: each at most once.
//!
//! RFC 6749 section 3.1: parameters must not be included more than once, those without a value
//! count as omitted, unknown ones are ignored. A doubled one is refused rather than one of the two
//! believed, because another reader of the same request may believe the other.

use std::collections::{BTreeMap, btree_map::Entry};

use url::form_urlencoded;

use super::error::{ErrorCode, OAuthError};

/// The longest query or form, in bytes. A registered `client_id` is at most about 4 KB of it.
pub const MAX_BYTES: usize = 16 * 1024;

/// How many parameters a request may have.
const MOST_PARAMETERS: usize = 64;

/// What a request carries.
pub struct Parameters(BTreeMap<String, Value>);

enum Value {
    Once(String),
    Doubled,
    Unreadable,
}

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// `invalid_request` for what is too long. What is not UTF-8, or contains control characters,
    /// counts against the parameter alone, so that whoever may be told is told.
    pub fn parse(encoded: &[u8]) -> Result<Self, OAuthError> {
        let refuse = |why| Err(OAuthError::new(ErrorCode::InvalidRequest, why));
        if encoded.len() > MAX_BYTES {
            return refuse("The request is too long.");
        }
        let mut parameters = BTreeMap::new();
        for (count, (name, value)) in form_urlencoded::parse(encoded).enumerate() {
            if count >= MOST_PARAMETERS {
                return refuse("The request has too many parameters.");
            }
            // The decoder puts U+FFFD in the place of bytes that are not UTF-8.
            let unreadable = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
            let read = if name.contains(unreadable) || value.contains(unreadable) {
                Value::Unreadable
            } else {
                Value::Once(value.into_owned())
            };
            match parameters.entry(name.into_owned()) {
                Entry::Occupied(mut taken) => {
                    taken.insert(Value::Doubled);
                }
                Entry::Vacant(free) => {
                    free.insert(read);
                }
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter's value; `None` if it is omitted or empty.
    ///
    /// # Errors
    /// `invalid_request` if it was sent twice, or nobody can read it.
    pub fn get(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Once(value)) => Ok((!value.is_empty()).then_some(value.as_str())),
            Some(Value::Doubled) => Err(doubled()),
            Some(Value::Unreadable) => Err(unreadable()),
        }
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request`, with `missing` as its description if the parameter is.
    pub fn require(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name)?.ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, missing))
    }

    /// Fails if any parameter, known or not, was sent twice or cannot be read.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn all_sound(&self) -> Result<(), OAuthError> {
        for value in self.0.values() {
            match value {
                Value::Once(_) => {}
                Value::Doubled => return Err(doubled()),
                Value::Unreadable => return Err(unreadable()),
            }
        }
        Ok(())
    }
}

fn doubled() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "A parameter was sent more than once.")
}

fn unreadable() -> OAuthError {
    let why = "The request contains control characters or is not UTF-8.";
    OAuthError::new(ErrorCode::InvalidRequest, why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_doubled_parameter_is_not_believed() {
        let read = Parameters::parse(b"a=1&b=2&a=1&c=").unwrap();
        assert_eq!(read.get("a").unwrap_err().code, ErrorCode::InvalidRequest);
        assert_eq!(read.get("b").unwrap(), Some("2"));
        assert_eq!(read.get("c").unwrap(), None);
        assert_eq!(read.get("d").unwrap(), None);
        assert!(read.all_sound().is_err());
        // Spelled differently it is the same parameter.
        assert!(Parameters::parse(b"state=1&st%61te=2").unwrap().get("state").is_err());
        assert!(Parameters::parse(b"a=1&A=1").unwrap().all_sound().is_ok());
    }

    #[test]
    fn what_nobody_can_read_alike_is_refused() {
        for bad in
            ["a=%00", "a=%0d%0aLocation:%20x", "%0a=1", "a=%ff", "a=%c3", "a=%7f", "a=%c2%85"]
        {
            let read = Parameters::parse(format!("{bad}&state=1").as_bytes()).unwrap();
            assert!(read.all_sound().is_err(), "{bad}");
            assert!(!matches!(read.get("a"), Ok(Some(_))), "{bad}");
            assert_eq!(read.get("state").unwrap(), Some("1"));
        }
        let read = Parameters::parse(&[b'a', b'=', 0xff]).unwrap();
        assert_eq!(read.get("a").unwrap_err().code, ErrorCode::InvalidRequest);
        assert!(Parameters::parse(&vec![b'a'; MAX_BYTES + 1]).is_err());
        assert!(Parameters::parse(&vec![b'a'; 16_384]).is_ok());
        let many: Vec<_> = (0..=MOST_PARAMETERS).map(|n| format!("p{n}=1")).collect();
        let many = many.join("&");
        assert!(Parameters::parse(many.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_confuse_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(read) = Parameters::parse(&bytes) {
                let _ = read.get("state");
                for value in read.0.values() {
                    if let Value::Once(value) = value {
                        prop_assert!(!value.contains(char::is_control));
                    }
                }
            }
        }
    }
}
