//! Values that must never be shown.

/// A secret: no `Display`, a redacted `Debug`, wiped from memory on drop.
pub type Secret = secrecy::SecretString;
