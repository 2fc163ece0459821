//! What agents write to name a repository.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pr_summarizer::domain::{
    ConnectionHandle, FlowId, RepositoryName, RepositoryReference, SessionId, repository::host,
};

fuzz_target!(|text: &str| {
    if let Ok(reference) = RepositoryReference::parse(text) {
        let written = reference.repository.to_string();
        // It becomes a part of requests.
        assert!(written.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b)));
        assert_eq!(written.matches('/').count(), 1);
        assert!(written.split('/').all(|part| part != "." && part != ".."), "{written}");
        let again: RepositoryName = written.parse().expect("what is written can be read");
        assert_eq!(again, reference.repository);
        // Among the names that can be meant there is at most one reading.
        if let Ok(short) = RepositoryReference::parse(&written) {
            assert_eq!(short.repository, reference.repository);
        }
        assert_ne!(reference.pull_request, Some(0));
    }
    if let Some(host) = host(text) {
        assert_eq!(host, host.to_lowercase());
    }
    for known in [
        ConnectionHandle::parse(text).map(|handle| handle.as_str().to_owned()),
        FlowId::parse(text).map(|flow| flow.as_str().to_owned()),
        SessionId::parse(text).map(|session| session.as_str().to_owned()),
    ] {
        assert!(known.is_none_or(|known| known == text));
    }
});
