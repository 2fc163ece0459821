//! Bodies on a connection: the request's, which must arrive within bounds, and the answer's, whose
//! end is the end of the request.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::meter::{Flaw, Meter};

/// So many bytes of a body are always taken: more than an ordinary call has.
const SMALL: usize = 8 * 1024;

/// Room for the large bodies that are arriving; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Bodies(Arc<AtomicUsize>);

impl Bodies {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A request's body.
pub(super) struct Arriving {
    body: Incoming,
    meter: Meter,
    bodies: Bodies,
    until: Instant,
    /// There once the body let us wait.
    timer: Option<Pin<Box<Sleep>>>,
    read: usize,
    taken: usize,
}

impl Arriving {
    /// The body behind a head that has just ended. `None`: the connection was told to make room.
    pub(super) fn new(body: Incoming, meter: &Meter, bodies: &Bodies) -> Option<Self> {
        if body.is_end_stream() && !meter.body_ended() {
            return None;
        }
        let until = Instant::now() + meter.settings().body;
        let (meter, bodies) = (meter.clone(), bodies.clone());
        Some(Self { body, meter, bodies, until, timer: None, read: 0, taken: 0 })
    }

    /// Whether it is still within its bounds with so many bytes more.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.read += bytes;
        if self.read > self.meter.settings().longest_body {
            return Err(io::Error::other("the body is too long"));
        }
        let large = self.read.saturating_sub(SMALL).saturating_sub(self.taken);
        if !self.bodies.take(large) {
            self.meter.flawed(Flaw::Crowded);
            return Err(io::Error::other("too many large bodies at once"));
        }
        self.taken += large;
        Ok(())
    }
}

/// The bytes without the buffer that they were read into. A body that comes byte by byte would
/// otherwise keep a whole buffer alive for each, and a few thousand such bodies all memory.
fn by_itself(data: Bytes) -> Bytes {
    if data.len() < SMALL { Bytes::copy_from_slice(&data) } else { data }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let counted = this.count(frame.data_ref().map_or(0, Bytes::len));
                if counted.is_ok() && this.body.is_end_stream() {
                    this.meter.body_ended();
                }
                Poll::Ready(Some(counted.map(|()| frame.map_data(by_itself))))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(None) => {
                this.meter.body_ended();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let until = this.until;
                let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
                ready!(timer.as_mut().poll(context));
                this.meter.flawed(Flaw::Late);
                Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.bodies.give_back(self.taken);
    }
}

/// An answer's body.
pub(super) struct Leaving {
    body: axum::body::Body,
    meter: Meter,
}

impl Leaving {
    pub(super) fn new(body: axum::body::Body, meter: Meter) -> Self {
        Self { body, meter }
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Leaving {
    /// The end of an answer: hyper drops the body when it has taken all of it.
    fn drop(&mut self) {
        self.meter.answered();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_part_does_not_keep_its_buffer() {
        let buffer = Bytes::from(vec![b'x'; SMALL]);
        let small = by_itself(buffer.slice(..1));
        assert_eq!((&*small, buffer.is_unique()), (&b"x"[..], true));
        // What is large is its buffer, and is not copied.
        let large = by_itself(buffer.clone());
        assert!(large.len() == SMALL && !buffer.is_unique());
    }
}
