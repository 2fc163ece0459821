//! Real sockets under a clock that jumps to the next timer when everybody waits.

use std::sync::Mutex;

use axum::{
    body::Bytes,
    extract::ConnectInfo,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
};

use super::*;

struct Served {
    address: SocketAddr,
    front: Front,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

async fn serve(settings: FrontSettings) -> Served {
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
        .route(
            "/slow",
            get(|| async {
                sleep_until(Instant::now() + Duration::from_secs(40)).await;
                "done"
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (front, closing) = (Front::new(settings), CancellationToken::new());
    let (serving, told) = (front.clone(), closing.clone());
    let task = tokio::spawn(async move { serving.serve(listener, router, told).await });
    Served { address, front, closing, task }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `text` on a new connection, and what came back until it closed, after how long.
    async fn until_cut(&self, text: &str) -> (String, Duration) {
        let mut socket = self.connect().await;
        socket.write_all(text.as_bytes()).await.unwrap();
        let sent = Instant::now();
        let said = rest(&mut socket).await;
        (said, sent.elapsed())
    }
}

async fn rest(socket: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = socket.read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// One answer of a connection that stays open.
async fn one(socket: &mut TcpStream, request: &str) -> String {
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut said = vec![0; 4096];
    let length = socket.read(&mut said).await.unwrap();
    String::from_utf8_lossy(&said[..length]).into_owned()
}

fn is_about(time: Duration, seconds: u64) -> bool {
    time.abs_diff(Duration::from_secs(seconds)) < Duration::from_millis(50)
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_stuck_head_is_cut_after_ten_seconds() {
    let served = serve(FrontSettings::default()).await;
    let (said, time) = served.until_cut("GET / HTTP/1.1\r\nhost: ").await;
    assert_eq!(said, "");
    assert!(is_about(time, 10), "{time:?}");
}

/// Each byte keeps nothing alive: the head has one limit.
#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_after_ten_seconds_too() {
    let served = serve(FrontSettings::default()).await;
    let mut socket = served.connect().await;
    let begun = Instant::now();
    for byte in GET.bytes() {
        if socket.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep_until(Instant::now() + Duration::from_secs(1)).await;
    }
    assert_eq!(rest(&mut socket).await, "");
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
}

/// Each is answered at once, so nothing else would take the thread from them.
#[tokio::test]
async fn requests_that_come_together_take_turns_with_those_of_others() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&order);
    let handler = move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
        noted.lock().unwrap().push(peer.port());
        async { "hello" }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(handler));
    let front = Front::new(FrontSettings::default());
    tokio::spawn(async move { front.serve(listener, router, CancellationToken::new()).await });
    let mut many = TcpStream::connect(address).await.unwrap();
    let mut single = TcpStream::connect(address).await.unwrap();
    for socket in [&mut many, &mut single] {
        one(socket, GET).await;
    }
    order.lock().unwrap().clear();
    let together = GET.repeat(12);
    assert_eq!(many.try_write(together.as_bytes()).unwrap(), together.len());
    one(&mut single, GET).await;
    let port = single.local_addr().unwrap().port();
    let place = order.lock().unwrap().iter().position(|answered| *answered == port).unwrap();
    assert!(place < 4, "{place} of the others came first");
}

/// A balancer connects, and sends, while the server is being told to stop.
#[tokio::test]
async fn whoever_had_connected_when_it_ends_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    socket.write_all(GET.as_bytes()).await.unwrap();
    let (router, closing) =
        (Router::new().route("/", get(|| async { "hello" })), CancellationToken::new());
    closing.cancel();
    let front = Front::new(FrontSettings::default());
    let (said, ()) = tokio::join!(rest(&mut socket), front.serve(listener, router, closing));
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("hello"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_goes_after_75_seconds() {
    let served = serve(FrontSettings::default()).await;
    let (said, time) = served.until_cut("").await;
    assert_eq!(said, "");
    assert!(is_about(time, 75), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answered_connection_goes_after_75_seconds_and_may_ask_until_then() {
    let served = serve(FrontSettings::default()).await;
    let mut socket = served.connect().await;
    for _ in 0..3 {
        assert!(one(&mut socket, GET).await.ends_with("hello"));
        sleep_until(Instant::now() + Duration::from_secs(70)).await;
    }
    let (said, time) = served.until_cut(GET).await;
    assert!(said.ends_with("hello") && is_about(time, 75), "{said} {time:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stuck_body_is_answered_408_after_thirty_seconds() {
    let served = serve(FrontSettings::default()).await;
    let post = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf";
    let (said, time) = served.until_cut(post).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(is_about(time, 30), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_is_cut() {
    let served = serve(FrontSettings::default()).await;
    let mut socket = served.connect().await;
    socket.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleep_until(Instant::now() + Duration::from_secs(29)).await;
    assert_eq!(served.front.connections(), 1);
    sleep_until(Instant::now() + Duration::from_secs(2)).await;
    assert_eq!(served.front.connections(), 0);
    drop(socket);
}

/// What takes long on our side is not the client's fault.
#[tokio::test(start_paused = true)]
async fn a_slow_call_is_not_cut() {
    let served = serve(FrontSettings::default()).await;
    let mut socket = served.connect().await;
    let said = one(&mut socket, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(said.ends_with("done"), "{said}");
}

#[tokio::test]
async fn newcomers_find_room_among_the_idle() {
    let served = serve(FrontSettings { connections: 8, ..FrontSettings::default() }).await;
    let mut guest = served.connect().await;
    assert!(one(&mut guest, GET).await.ends_with("hello"));
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(served.connect().await);
        let mut honest = served.connect().await;
        assert!(one(&mut honest, GET).await.ends_with("hello"));
    }
    assert!(served.front.connections() <= 9, "{}", served.front.connections());
    assert!(one(&mut guest, GET).await.ends_with("hello"), "the guest lost its place");
}

#[tokio::test(start_paused = true)]
async fn when_all_are_served_newcomers_are_told_to_come_back() {
    let served = serve(FrontSettings { connections: 1, ..FrontSettings::default() }).await;
    let mut busy = served.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // Until its request has been read.
    sleep_until(Instant::now() + Duration::from_secs(1)).await;
    let (said, _) = served.until_cut("").await;
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("retry-after: 5"), "{said}");
    assert!(said.ends_with("Try again.\n"), "{said}");
    let mut answer = vec![0; 1024];
    let length = busy.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..length]).ends_with("done"));
}

#[tokio::test]
async fn large_bodies_share_their_room_and_small_ones_do_not_need_it() {
    let settings = FrontSettings { arriving_bodies: 100_000, ..FrontSettings::default() };
    let served = serve(settings).await;
    let post = |length: usize, sent: usize| {
        let head = format!("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        head + &"x".repeat(sent)
    };
    let mut large = served.connect().await;
    large.write_all(post(200_000, 100_000).as_bytes()).await.unwrap();
    // Its room is taken once another large one is refused.
    let refused = loop {
        let (said, _) = served.until_cut(&(post(60_000, 60_000))).await;
        if !said.starts_with("HTTP/1.1 200") {
            break said;
        }
    };
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let mut small = served.connect().await;
    assert!(one(&mut small, &post(8_000, 8_000)).await.starts_with("HTTP/1.1 200"));
    drop(large);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    let settings = FrontSettings { longest_body: 10_000, ..FrontSettings::default() };
    let served = serve(settings).await;
    let text = format!(
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\nconnection: close\r\n\r\n{}",
        "x".repeat(20_000)
    );
    let (said, _) = served.until_cut(&text).await;
    assert!(said.starts_with("HTTP/1.1 4"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_answers_and_not_for_the_idle() {
    let served = serve(FrontSettings::default()).await;
    let (mut idle, mut busy) = (served.connect().await, served.connect().await);
    assert!(one(&mut idle, GET).await.ends_with("hello"));
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleep_until(Instant::now() + Duration::from_secs(1)).await;
    served.closing.cancel();
    let told = Instant::now();
    assert_eq!(rest(&mut idle).await, "");
    assert!(told.elapsed() < Duration::from_secs(2));
    assert!(TcpStream::connect(served.address).await.is_err());
    assert!(rest(&mut busy).await.ends_with("done"));
    served.task.await.unwrap();
    assert!(is_about(told.elapsed(), 39), "{:?}", told.elapsed());
}

/// A client that uses an idle connection in the very moment in which the server is told to stop is
/// answered, and told not to use it again.
#[tokio::test(start_paused = true)]
async fn closing_answers_what_is_on_its_way() {
    let served = serve(FrontSettings::default()).await;
    let (mut late, mut idle) = (served.connect().await, served.connect().await);
    assert!(!one(&mut late, GET).await.contains("connection: close"));
    assert!(one(&mut idle, GET).await.ends_with("hello"));
    served.closing.cancel();
    let told = Instant::now();
    sleep_until(told + Duration::from_millis(500)).await;
    let last = one(&mut late, GET).await;
    assert!(last.contains("connection: close") && last.ends_with("hello"), "{last}");
    assert_eq!(rest(&mut late).await, "");
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(told.elapsed().as_secs(), 1);
    served.task.await.unwrap();
}
