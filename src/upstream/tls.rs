//! Which cryptography TLS uses: ring's, for this process.

/// To be called before a client that may speak TLS is built. Clients take the process's provider, and
/// there is none until somebody says which; a second call, or one after somebody else has chosen,
/// changes nothing.
pub fn provide() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
