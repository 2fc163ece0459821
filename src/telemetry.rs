//! The log: what is written to standard error, and what never is.
//!
//! `RUST_LOG` decides how much is said, below a ceiling that it cannot lift: libraries that write
//! headers, bodies or addresses into their debug records are never louder than `warn`, and the one
//! that quotes an upstream's answers in its errors is silent.

use std::io;

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _,
    filter::Targets,
    fmt::{MakeWriter, writer::BoxMakeWriter},
    layer::SubscriberExt as _,
};

use crate::config::{LogFormat, LogSettings};

/// How loud a library may be, whatever `RUST_LOG` says. A name covers all targets under it.
const CEILINGS: &[(&str, LevelFilter)] = &[
    // Logs and displays the bodies of failed requests.
    ("async_openai", LevelFilter::OFF),
    // Logs who each client says it is, and messages whole.
    ("rmcp", LevelFilter::WARN),
    // Log headers (with credentials) and addresses (with a flow's id or state).
    ("reqwest", LevelFilter::WARN),
    ("hyper", LevelFilter::WARN),
    ("hyper_util", LevelFilter::WARN),
    ("h2", LevelFilter::WARN),
    ("axum", LevelFilter::WARN),
    ("tower", LevelFilter::WARN),
    ("tower_http", LevelFilter::WARN),
    ("rustls", LevelFilter::WARN),
];

/// Starts the log. To be called once, at the start of the program; a second call, or one after
/// somebody else has set up a log, changes nothing.
pub fn init(settings: &LogSettings) {
    // Fails only when there is a log already.
    let _ = tracing::subscriber::set_global_default(subscriber(settings, standard_error()));
}

/// On Linux standard error without the standard library's lock, at which the threads that answer calls
/// would wait for each other with every line. A line is one write, which a pipe takes whole up to
/// 4 KiB (pipe(7), `PIPE_BUF`); a longer one, of which there are few, may be parted by another when the
/// pipe is full. Elsewhere a pipe takes less.
fn standard_error() -> BoxMakeWriter {
    #[cfg(target_os = "linux")]
    if let Ok(own) = std::os::fd::AsFd::as_fd(&io::stderr()).try_clone_to_owned() {
        return BoxMakeWriter::new(std::fs::File::from(own));
    }
    BoxMakeWriter::new(io::stderr)
}

/// What [`init`] starts, for a log that is written elsewhere.
pub fn subscriber<W>(settings: &LogSettings, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = match settings.format {
        LogFormat::Text => tracing_subscriber::fmt::layer().with_writer(writer).boxed(),
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer).boxed()
        }
    };
    let ceilings =
        Targets::new().with_default(LevelFilter::TRACE).with_targets(CEILINGS.iter().copied());
    // Both must let a record through.
    tracing_subscriber::registry().with(lines).with(settings.filter.clone()).with(ceilings)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written by records of every kind under these settings.
    fn written(format: LogFormat, filter: &str) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let settings = LogSettings { format, filter: filter.parse().unwrap() };
        let subscriber = subscriber(&settings, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(count = 3, "our info");
            tracing::debug!("our debug");
            tracing::trace!(target: "pr_summarizer::mcp", "our trace");
            tracing::warn!(target: "rmcp::service", "their warning");
            tracing::info!(target: "rmcp", "canary");
            tracing::debug!(target: "rmcp::transport::streamable", "canary");
            tracing::error!(target: "async_openai::client", "canary");
            tracing::trace!(target: "hyper::proto::h1", "canary");
            tracing::debug!(target: "hyper_util::client", "canary");
            tracing::trace!(target: "h2", "canary");
            tracing::debug!(target: "reqwest::connect", "canary");
            tracing::trace!(target: "rustls::client", "canary");
        });
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_filter_lifts_the_ceiling() {
        for filter in
            ["trace", "rmcp=trace", "trace,rmcp::transport=trace,async_openai=trace,hyper=trace,h2"]
        {
            let log = written(LogFormat::Text, filter);
            assert!(!log.contains("canary"), "{filter}: {log}");
            assert!(log.contains("their warning"), "{filter}: {log}");
        }
    }

    #[test]
    fn a_filter_can_say_more_or_less_of_the_rest() {
        let unset = written(LogFormat::Text, "info");
        assert!(unset.contains("our info") && !unset.contains("our debug"), "{unset}");
        let more = written(LogFormat::Text, "debug,pr_summarizer::mcp=trace");
        assert!(more.contains("our debug") && more.contains("our trace"), "{more}");
        let less = written(LogFormat::Text, "off");
        assert_eq!(less, "");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let log = written(LogFormat::Json, "info");
        let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(first["message"], "our info");
        assert_eq!(first["count"], 3);
        assert_eq!(first["level"], "INFO");
        assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
    }
}
