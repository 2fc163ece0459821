//! Progress of a running call, sent on the call's own stream.

use rmcp::{
    Peer, RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
};
use tokio::sync::mpsc;

use crate::summarize::Progress;

/// How many reports may wait for a slow client; further ones are left out, the next says more.
const WAITING: usize = 32;

/// One step.
struct Step {
    done: u32,
    total: u32,
    message: String,
}

/// Takes reports without waiting.
pub(super) struct Reporter(mpsc::Sender<Step>);

/// A client that asked for progress, and the name that it gave to it.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) peer: Peer<RoleServer>,
    pub(super) token: ProgressToken,
}

/// Sends them to the client, if it asked for them.
pub(super) struct Forwarder {
    steps: mpsc::Receiver<Step>,
    listener: Option<Listener>,
}

/// The two ends.
pub(super) fn channel(listener: Option<Listener>) -> (Reporter, Forwarder) {
    let (sender, steps) = mpsc::channel(WAITING);
    (Reporter(sender), Forwarder { steps, listener })
}

impl Progress for Reporter {
    fn report(&self, done: u32, total: u32, message: String) {
        let _ = self.0.try_send(Step { done, total, message });
    }
}

impl Forwarder {
    /// Says at once that the call runs: until its first message an answer has no HTTP headers, and
    /// proxies cut what stays silent.
    pub(super) async fn begin(&self, message: &str) {
        self.send(Step { done: 0, total: 0, message: message.to_owned() }).await;
    }

    /// Forwards until there is nothing more to come.
    pub(super) async fn run(mut self) {
        while let Some(step) = self.steps.recv().await {
            self.send(step).await;
        }
    }

    async fn send(&self, step: Step) {
        let Some(Listener { peer, token }) = &self.listener else { return };
        let mut progress = ProgressNotificationParam::new(token.clone(), f64::from(step.done))
            .with_message(step.message);
        if step.total > 0 {
            progress = progress.with_total(f64::from(step.total));
        }
        // A client that has gone is noticed by the call itself.
        let _ = peer.notify_progress(progress).await;
    }
}
