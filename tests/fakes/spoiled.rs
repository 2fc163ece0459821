//! Answers that no server should give.

use std::{sync::LazyLock, time::Duration};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::time::interval;

use super::traffic::Sent;

/// Half an answer; then the connection is cut.
pub(super) fn half() -> Response {
    let start = stream::once(async { Ok(Bytes::from_static(b"{\"data\":")) });
    let cut = stream::once(async {
        // What came before leaves the machine first.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("cut"))
    });
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_LENGTH, "4096")];
    (headers, Body::from_stream(start.chain(cut))).into_response()
}

pub(super) fn page(content_type: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// One byte at a time, without an end.
pub(super) fn dripping(every: Duration) -> Response {
    let bytes = stream::unfold(interval(every), |mut interval| async {
        interval.tick().await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), interval))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(bytes)).into_response()
}

/// A beginning, and then the same again and again, without an end.
pub(super) fn endless(start: &'static str, again: &'static str, sent: Sent) -> Response {
    let start = stream::once(async move { Bytes::from_static(start.as_bytes()) });
    let rest = stream::repeat(Bytes::from(again.repeat(1 + 16_384 / again.len())));
    let body = Body::from_stream(start.chain(rest).map(move |part| {
        sent.add(part.len());
        Ok::<_, std::io::Error>(part)
    }));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Says that it is gzipped, and is not.
pub(super) fn bad_gzip() -> Response {
    ([(header::CONTENT_ENCODING, "gzip")], "this is not gzip at all").into_response()
}

/// Twenty megabytes in some kilobytes.
pub(super) fn bomb() -> Response {
    static ZEROS: LazyLock<Bytes> = LazyLock::new(|| zeros().into());
    ([(header::CONTENT_ENCODING, "gzip")], ZEROS.clone()).into_response()
}

/// A gzip file (RFC 1952) of one deflate block with fixed codes (RFC 1951 section 3.2.6): a zero,
/// and then "258 times the byte before" over and over. It has no end; nobody should read that far.
fn zeros() -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut byte, mut filled) = (0_u8, 0);
    let mut put = |bits: &str| {
        for bit in bits.bytes() {
            byte |= (bit - b'0') << filled;
            filled += 1;
            if filled == 8 {
                file.push(byte);
                (byte, filled) = (0, 0);
            }
        }
    };
    // A block that is not the last, with fixed codes; the literal 0.
    put("01000110000");
    for _ in 0..20_000_000 / 258 {
        // The length 258; the distance 1.
        put("1100010100000");
    }
    file
}
