//! The transport against real sockets: what is repeated, what is cut, what is given up.

mod outages;

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Router, body::Body, extract::State, http::header::LOCATION, response::IntoResponse};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::*;
use crate::domain::SystemEntropy;

fn transport(settings: TransportSettings) -> Transport {
    Transport::new(settings, Arc::new(SystemEntropy)).unwrap()
}

fn quick() -> TransportSettings {
    TransportSettings { backoff: Duration::from_millis(1), ..TransportSettings::default() }
}

fn dispatch(retry: Retry, cap: BodyCap) -> Dispatch {
    Dispatch { retry, cap, purpose: Purpose::GitHub }
}

fn call() -> Call {
    Call::within(Duration::from_secs(10))
}

/// Many zeros, gzipped.
const BOMB: &str = "H4sIAAAAAAACA+3BMQEAAADCoErrn84aHkABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAArwaFwk3FoIYBAA==";

type Counter = Arc<AtomicUsize>;

/// Serves `answer`, which is told how many requests came before.
async fn serve<F, R>(answer: F) -> (Url, Counter)
where
    F: Fn(usize) -> R + Clone + Send + Sync + 'static,
    R: IntoResponse + 'static,
{
    let count = Counter::default();
    let fallback = move |State(count): State<Counter>| {
        let answer = answer(count.fetch_add(1, Ordering::SeqCst)).into_response();
        async move { answer }
    };
    let router = Router::new().fallback(fallback).with_state(Arc::clone(&count));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, count)
}

/// Reads requests off raw sockets and lets `act` do with each what no server would.
async fn misbehave<F, R>(act: F) -> (Url, Counter)
where
    F: Fn(usize, TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let count = Counter::default();
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0_u8; 4096];
            let _ = socket.read(&mut request).await;
            tokio::spawn(act(counted.fetch_add(1, Ordering::SeqCst), socket));
        }
    });
    (url, count)
}

#[tokio::test]
async fn a_safe_request_survives_two_bad_gateways_and_counts_each_try() {
    let (url, count) =
        serve(|n| if n < 2 { StatusCode::BAD_GATEWAY } else { StatusCode::OK }).await;
    let transport = transport(quick());
    let call = call();
    let answer = transport
        .send(transport.request(Method::GET, url), dispatch(Retry::Safe, BodyCap::JSON), &call)
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert_eq!(call.clone().github_requests(), 3);
}

#[tokio::test]
async fn bad_answers_are_repeated_only_where_that_is_safe() {
    for (retry, sent) in [(Retry::Never, 1), (Retry::Unanswered, 1), (Retry::Safe, 3)] {
        let (url, count) = serve(|_| StatusCode::SERVICE_UNAVAILABLE).await;
        let transport = transport(quick());
        let answer = transport
            .send(transport.request(Method::GET, url), dispatch(retry, BodyCap::JSON), &call())
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(count.load(Ordering::SeqCst), sent, "{retry:?}");
    }
}

#[tokio::test]
async fn a_reset_is_repeated_except_under_never() {
    for (retry, sent) in [(Retry::Never, 1), (Retry::Unanswered, 3)] {
        let (url, count) = misbehave(|_, socket| async move { drop(socket) }).await;
        let transport = transport(quick());
        let error = transport
            .send(transport.request(Method::POST, url), dispatch(retry, BodyCap::JSON), &call())
            .await
            .unwrap_err();
        assert!(matches!(error, TransportError::Interrupted(_)), "{error:?}");
        assert_eq!(count.load(Ordering::SeqCst), sent, "{retry:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_interrupted_and_bad_gzip_is_malformed() {
    let (url, _) = misbehave(|_, mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    })
    .await;
    let transport = transport(quick());
    let never = dispatch(Retry::Never, BodyCap::JSON);
    let error =
        transport.send(transport.request(Method::GET, url), never, &call()).await.unwrap_err();
    assert!(matches!(error, TransportError::Interrupted(_)), "{error:?}");

    let (url, _) = serve(|_| ([("content-encoding", "gzip")], "this is not gzip at all")).await;
    let safe = dispatch(Retry::Safe, BodyCap::JSON);
    let error =
        transport.send(transport.request(Method::GET, url), safe, &call()).await.unwrap_err();
    assert!(matches!(error, TransportError::Malformed(_)), "{error:?}");
}

#[tokio::test]
async fn the_budget_bounds_how_much_an_outage_is_amplified() {
    let (bad, count) = serve(|_| StatusCode::BAD_GATEWAY).await;
    let (good, _) = serve(|_| StatusCode::OK).await;
    let transport = transport(TransportSettings { retry_reserve: 1, ..quick() });
    let safe = dispatch(Retry::Safe, BodyCap::JSON);
    for _ in 0..40 {
        // In between an answer, so that only the budget stands in the way.
        for url in [&bad, &good] {
            let request = transport.request(Method::GET, url.clone());
            transport.send(request, safe, &call()).await.unwrap();
        }
    }
    let sent = count.load(Ordering::SeqCst);
    assert!((41..=49).contains(&sent), "{sent} requests for 40, and 40 others");
}

#[tokio::test]
async fn a_limit_is_waited_for_only_when_its_end_is_known_and_near() {
    for (retry_after, sent) in [(Some("0"), 2), (Some("3600"), 1), (None, 1)] {
        let (url, count) = serve(move |n| {
            let status = if n == 0 { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
            let mut response = status.into_response();
            if let Some(value) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, value.parse().unwrap());
            }
            response
        })
        .await;
        let transport = transport(quick());
        let request = transport.request(Method::GET, url);
        let safe = dispatch(Retry::Safe, BodyCap::JSON);
        transport.send(request, safe, &call()).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), sent, "{retry_after:?}");
    }
}

#[tokio::test]
async fn a_date_to_retry_after_is_read_against_the_answers_own_clock() {
    let mut headers = HeaderMap::new();
    headers.insert(DATE, "Tue, 14 Nov 2023 22:13:20 GMT".parse().unwrap());
    headers.insert(RETRY_AFTER, "Tue, 14 Nov 2023 22:14:20 GMT".parse().unwrap());
    let mut answer =
        Answer { status: StatusCode::OK, headers, body: Bytes::new(), truncated: false };
    assert_eq!(answer.retry_after(), Some(Duration::from_mins(1)));
    answer.headers.remove(DATE);
    assert_eq!(answer.retry_after(), None);
    answer.headers.insert(RETRY_AFTER, u64::MAX.to_string().parse().unwrap());
    assert_eq!(answer.retry_after(), Some(LONGEST));
    assert!(Call::within(Duration::MAX).at_most(Duration::MAX).remaining() <= LONGEST);
}

#[tokio::test]
async fn bodies_are_capped_after_decompression_and_while_streaming() {
    let endless = || {
        let chunks = futures_util::stream::repeat(Ok::<_, std::convert::Infallible>(
            Bytes::from_static(b"0123456789"),
        ));
        Body::from_stream(chunks).into_response()
    };
    let (url, _) = serve(move |_| endless()).await;
    let transport = transport(quick());
    let cut = dispatch(Retry::Safe, BodyCap::Cut(25));
    let answer =
        transport.send(transport.request(Method::GET, url.clone()), cut, &call()).await.unwrap();
    assert!(answer.truncated);
    assert_eq!(&answer.body[..], b"0123456789012345678901234");

    // 100,000 zeros in 133 bytes.
    let bomb = || ([("content-encoding", "gzip")], BASE64.decode(BOMB).unwrap());
    let (packed, _) = serve(move |_| bomb()).await;
    let get = |cap| {
        let request = transport.request(Method::GET, packed.clone());
        let transport = transport.clone();
        async move { transport.send(request, dispatch(Retry::Safe, cap), &call()).await }
    };
    assert_eq!(get(BodyCap::Whole(100_000)).await.unwrap().body.len(), 100_000);
    assert!(matches!(get(BodyCap::Whole(99_999)).await, Err(TransportError::TooLarge(99_999))));

    let whole = dispatch(Retry::Safe, BodyCap::Whole(25));
    let error = transport.send(transport.request(Method::GET, url), whole, &call()).await;
    assert!(matches!(error, Err(TransportError::TooLarge(25))));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (elsewhere, visits) = serve(|_| StatusCode::OK).await;
    let (url, _) = serve(move |_| (StatusCode::FOUND, [(LOCATION, elsewhere.to_string())])).await;
    let transport = transport(quick());
    let request = transport.request(Method::GET, url).bearer_auth("secret");
    let answer =
        transport.send(request, dispatch(Retry::Safe, BodyCap::JSON), &call()).await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_outlasts_the_calls_deadline_or_a_body_that_stands_still() {
    let silent = |_, socket: TcpStream| async move {
        std::future::pending::<()>().await;
        drop(socket);
    };
    let (url, count) = misbehave(silent).await;
    let client = transport(quick());
    let brief = Call::within(Duration::from_millis(50));
    let safe = dispatch(Retry::Safe, BodyCap::JSON);
    let error = client.send(client.request(Method::GET, url), safe, &brief).await;
    assert!(matches!(error, Err(TransportError::TimedOut)));
    assert_eq!(count.load(Ordering::SeqCst), 1);

    let (url, _) = misbehave(|_, mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let impatient = TransportSettings { read_idle_timeout: Duration::from_millis(50), ..quick() };
    let client = transport(impatient);
    let error = client.send(client.request(Method::GET, url), safe, &call()).await;
    assert!(matches!(error, Err(TransportError::TimedOut)));
}

#[tokio::test]
async fn a_caller_who_leaves_takes_the_connection_along() {
    let (closed, was_closed) = oneshot::channel();
    let (arrived, has_arrived) = oneshot::channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0_u8; 4096];
        assert!(socket.read(&mut request).await.unwrap() > 0);
        arrived.send(()).unwrap();
        let _ = closed.send(socket.read(&mut request).await);
    });
    let transport = transport(quick());
    let running = tokio::spawn(async move {
        let request = transport.request(Method::GET, url);
        transport.send(request, dispatch(Retry::Safe, BodyCap::JSON), &call()).await.map(drop)
    });
    has_arrived.await.unwrap();
    running.abort();
    let read = tokio::time::timeout(Duration::from_secs(5), was_closed).await.unwrap().unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "the socket stayed open");
}

#[tokio::test]
async fn a_refused_connection_is_told_apart_and_errors_name_no_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = Url::parse(&format!("http://{address}/?identifier=usr_canary")).unwrap();
    let transport = transport(quick());
    let request = transport.request(Method::GET, url);
    let error =
        transport.send(request, dispatch(Retry::Never, BodyCap::JSON), &call()).await.unwrap_err();
    assert!(matches!(error, TransportError::Connect(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn a_shortened_call_ends_earlier_and_shares_its_count() {
    let whole = call();
    let part = whole.shortened(Duration::from_secs(4)).at_most(Duration::from_mins(1));
    assert!(part.remaining() <= Duration::from_secs(6));
    part.count(Purpose::GitHub);
    part.count(Purpose::Scalekit);
    assert_eq!(whole.github_requests(), 1);
}
