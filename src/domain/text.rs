//! Untrusted text made harmless.
