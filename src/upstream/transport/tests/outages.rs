//! What outages cost, and that nothing else is taken for one.

use std::sync::atomic::AtomicU16;

use futures_util::future::join_all;

use super::*;

const SAFE: Dispatch =
    Dispatch { retry: Retry::Safe, cap: BodyCap::JSON, purpose: Purpose::GitHub };

/// Looks often, so that a test need not wait.
fn watchful() -> Transport {
    transport(TransportSettings { outage_pause: Duration::from_millis(50), ..quick() })
}

/// A server that answers with whatever status stands in the second value.
async fn with_status(status: u16) -> (Url, Arc<AtomicU16>, Counter) {
    let status = Arc::new(AtomicU16::new(status));
    let told = Arc::clone(&status);
    let (url, count) =
        serve(move |_| StatusCode::from_u16(told.load(Ordering::SeqCst)).unwrap()).await;
    (url, status, count)
}

async fn get(
    transport: &Transport,
    url: &Url,
    dispatch: Dispatch,
    call: &Call,
) -> Result<Answer, TransportError> {
    transport.send(transport.request(Method::GET, url.clone()), dispatch, call).await
}

/// Asks until it is answered well.
async fn outlast(transport: &Transport, url: &Url) -> Duration {
    let start = Instant::now();
    let mut again = tokio::time::interval(Duration::from_millis(5));
    while !matches!(get(transport, url, SAFE, &call()).await, Ok(answer) if answer.status == 200) {
        again.tick().await;
    }
    start.elapsed()
}

#[tokio::test]
async fn an_upstream_that_is_down_is_asked_only_now_and_then_and_found_when_it_is_back() {
    let (url, status, count) = with_status(503).await;
    let transport = transport(quick());
    let mut refused = 0;
    for _ in 0..200 {
        match get(&transport, &url, SAFE, &call()).await {
            Err(TransportError::Down(wait)) => {
                assert!(wait <= Duration::from_secs(2));
                refused += 1;
            }
            outcome => assert_eq!(outcome.unwrap().status, 503),
        }
    }
    let sent = count.load(Ordering::SeqCst);
    assert!(sent <= 20, "{sent} requests for 200");
    assert!(refused >= 190, "{refused} refused");
    let health = transport.health(Purpose::GitHub).unwrap();
    assert_eq!(health.state, BreakerState::Open);
    assert_eq!(health.last_failure, Some(FailureKind::ServerError));

    // Another upstream is another matter, be it at the same address.
    let scalekit = Dispatch { purpose: Purpose::Scalekit, ..SAFE };
    assert!(get(&transport, &url, scalekit, &call()).await.is_ok());
    assert_eq!(transport.health(Purpose::Scalekit).unwrap().state, BreakerState::Closed);

    status.store(200, Ordering::SeqCst);
    let time = outlast(&transport, &url).await;
    assert!(time < Duration::from_secs(5), "{time:?}");
    assert_eq!(transport.health(Purpose::GitHub).unwrap().state, BreakerState::Closed);
}

#[tokio::test]
async fn a_crowd_that_fails_at_once_does_not_come_back_at_once() {
    let (url, _, count) = with_status(503).await;
    let transport = transport(quick());
    let call = call();
    let all = (0..200).map(|_| get(&transport, &url, SAFE, &call));
    assert!(
        join_all(all).await.iter().all(|outcome| outcome.as_ref().is_ok_and(|a| a.status == 503))
    );
    let sent = count.load(Ordering::SeqCst);
    assert!((200..=220).contains(&sent), "{sent} requests for 200");
}

#[tokio::test]
async fn no_refusal_is_taken_for_an_outage() {
    for status in [400, 401, 403, 404, 406, 409, 410, 422, 429, 451, 301] {
        let (url, _, count) = with_status(status).await;
        let transport = transport(quick());
        for _ in 0..20 {
            assert_eq!(get(&transport, &url, SAFE, &call()).await.unwrap().status, status);
        }
        assert_eq!(count.load(Ordering::SeqCst), 20, "{status}");
    }
}

#[tokio::test]
async fn what_fails_one_caller_does_not_stop_the_others() {
    let (url, count) = misbehave(|_, mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
    })
    .await;
    let (good, _) = serve(|_| StatusCode::OK).await;
    let transport = transport(quick());
    let once = Dispatch { retry: Retry::Unanswered, ..SAFE };
    let (ann, bob) = (call().asked_by("ann"), call().asked_by("bob"));
    for _ in 0..50 {
        assert!(get(&transport, &url, once, &ann).await.is_err());
    }
    let sent = count.load(Ordering::SeqCst);
    assert!(sent < 20, "{sent} requests for one caller whose input breaks an upstream");
    assert!(matches!(get(&transport, &good, once, &ann).await, Err(TransportError::Down(_))));
    assert!(get(&transport, &good, once, &bob).await.is_ok());
    assert!(get(&transport, &good, once, &ann).await.is_ok(), "it answers, so Ann may ask again");
}

#[tokio::test]
async fn what_is_sent_but_once_proves_no_outage_unless_nobody_answers_the_door() {
    let never = Dispatch { retry: Retry::Never, ..SAFE };
    let (url, _, count) = with_status(500).await;
    let client = transport(quick());
    for _ in 0..20 {
        assert_eq!(get(&client, &url, never, &call()).await.unwrap().status, 500);
    }
    assert_eq!(count.load(Ordering::SeqCst), 20);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    for _ in 0..5 {
        let refused = get(&client, &url, never, &call().asked_by("ann")).await;
        assert!(matches!(refused, Err(TransportError::Connect(_))));
    }
    let shut = get(&client, &url, SAFE, &call().asked_by("bob")).await;
    assert!(matches!(shut, Err(TransportError::Down(_))), "{shut:?}");
}

#[tokio::test]
async fn callers_in_a_hurry_prove_no_outage_and_patient_ones_do() {
    for (patience, is_open) in [(Duration::from_mins(1), false), (Duration::from_millis(60), true)]
    {
        let (url, _) = misbehave(|_, socket| async move {
            std::future::pending::<()>().await;
            drop(socket);
        })
        .await;
        let transport = transport(TransportSettings { answer_timeout: patience, ..quick() });
        for _ in 0..5 {
            let hurried = Call::within(Duration::from_millis(40));
            let outcome = get(&transport, &url, SAFE, &hurried).await;
            assert!(matches!(outcome, Err(TransportError::TimedOut)));
        }
        let state = transport.health(Purpose::GitHub).unwrap().state;
        assert_eq!(state == BreakerState::Open, is_open, "{patience:?}");
    }
}

#[tokio::test]
async fn one_looks_while_the_others_are_told_to_wait() {
    let (url, status, count) = with_status(500).await;
    let transport = watchful();
    for _ in 0..5 {
        get(&transport, &url, SAFE, &call()).await.unwrap();
    }
    status.store(200, Ordering::SeqCst);
    let before = count.load(Ordering::SeqCst);
    let time = outlast(&transport, &url).await;
    assert_eq!(count.load(Ordering::SeqCst), before + 1, "one look sufficed");
    assert!(time < Duration::from_secs(1), "{time:?}");
}
