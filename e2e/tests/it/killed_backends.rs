//! Chaos: one of three backends at a time is killed and comes back, while clients send requests.

mod http2;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{Call, Gateway, Setup, Turn, Upstream, is_long};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use http2::{StreamClient, StreamServer};

/// The time that a backend needs for a request.
const WORK: Duration = Duration::from_millis(2);
const CLIENTS: usize = 6;

/// The protocol of both clients and backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// Returns an address that no other test uses, so that the port of a killed backend remains free.
    const fn host(self) -> [u8; 4] {
        match self {
            Self::Http1 => [127, 77, 0, 1],
            Self::Http2 => [127, 77, 0, 2],
        }
    }
}

/// How often a POST with each id has arrived at any backend.
type Arrivals = Arc<Mutex<HashMap<String, usize>>>;

fn count(arrivals: &Arrivals, id: Option<&str>) {
    if let Some(id) = id {
        *arrivals.lock().unwrap().entry(id.to_owned()).or_default() += 1;
    }
}

enum Backend {
    Http1(Upstream),
    Http2(StreamServer),
}

impl Backend {
    async fn start_at(at: SocketAddr, protocol: Protocol, arrivals: &Arrivals) -> Self {
        if protocol == Protocol::Http2 {
            return Self::Http2(StreamServer::start_at(at, arrivals).await);
        }
        let arrivals = arrivals.clone();
        let script = move |mut turn: Turn| {
            let arrivals = arrivals.clone();
            async move {
                turn.read_body().await;
                count(&arrivals, turn.head.header("x-id"));
                sleep(WORK).await;
                turn.answer("200 OK", b"ok").await;
                Some(turn)
            }
        };
        Self::Http1(Upstream::start_at(at, script).await)
    }

    const fn address(&self) -> SocketAddr {
        match self {
            Self::Http1(upstream) => upstream.address(),
            Self::Http2(server) => server.address,
        }
    }

    fn url(&self) -> String {
        let scheme = match self {
            Self::Http1(_) => "http",
            Self::Http2(_) => "h2c",
        };
        format!("{scheme}://{}", self.address())
    }
}

async fn gateway(backends: &[Backend], more: &str) -> Gateway {
    let urls: Vec<String> = backends.iter().map(|backend| format!("{{url: \"{}\"}}", backend.url())).collect();
    let setup = Setup::new()
        .section("upstreams", &format!("[{{name: three, backends: [{}]{more}}}]", urls.join(", ")))
        .section("routes", "[{path: /x, upstreams: three, auth: {type: none}}]");
    Gateway::start(setup).await
}

/// The requests of all clients of one gateway.
#[derive(Default)]
struct Sent {
    gets: AtomicUsize,
    failed_gets: AtomicUsize,
    posts: AtomicUsize,
    failed_posts: AtomicUsize,
}

/// A client: over HTTP/1.1 it opens a connection for each request.
enum Client {
    Http1(SocketAddr),
    Http2(StreamClient),
}

impl Client {
    async fn connect(proxy: SocketAddr, protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http1 => Self::Http1(proxy),
            Protocol::Http2 => Self::Http2(StreamClient::connect(proxy).await),
        }
    }

    /// Sends a POST with this id, or a GET without one. Returns the status of the response.
    async fn send(&mut self, id: Option<&str>) -> u16 {
        match self {
            Self::Http1(proxy) => {
                let call = id.map_or_else(|| Call::get("/x"), |id| Call::post("/x", "{}").header("x-id", id));
                call.send(*proxy).await.status()
            }
            Self::Http2(client) => client.send(id).await,
        }
    }
}

/// Sends requests until `end`: two GETs for each POST.
async fn send(mut client: Client, name: String, sent: Arc<Sent>, end: Instant) {
    for nth in 0.. {
        if Instant::now() >= end {
            return;
        }
        let id = (nth % 3 == 0).then(|| format!("{name}-{nth}"));
        let is_served = client.send(id.as_deref()).await == 200;
        let (all, failed) =
            if id.is_some() { (&sent.posts, &sent.failed_posts) } else { (&sent.gets, &sent.failed_gets) };
        all.fetch_add(1, Ordering::Relaxed);
        failed.fetch_add(usize::from(!is_served), Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_survive_backends_that_are_killed_and_no_post_arrives_twice() {
    check(Protocol::Http1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_over_http2_survive_backends_that_are_killed_and_no_post_arrives_twice() {
    check(Protocol::Http2).await;
}

#[expect(clippy::print_stdout, reason = "the test harness shows it where somebody asks for it, or a test failed")]
async fn check(protocol: Protocol) {
    let (duration, every) = if is_long() {
        (Duration::from_secs(60), Duration::from_secs(10))
    } else {
        (Duration::from_secs(10), Duration::from_secs(2))
    };
    let arrivals = Arrivals::default();
    let mut backends = Vec::new();
    for _ in 0..3 {
        backends.push(Backend::start_at(SocketAddr::from((protocol.host(), 0)), protocol, &arrivals).await);
    }
    let retrying = gateway(&backends, ", retry: {attempts: 2, on: [connect, reset, 502, 503, 504]}").await;
    let plain = gateway(&backends, "").await;
    let end = Instant::now() + duration;
    let with = Arc::<Sent>::default();
    let without = Arc::<Sent>::default();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        for (gateway, name, sent) in [(&retrying, "with", &with), (&plain, "without", &without)] {
            let connected = Client::connect(gateway.proxy, protocol).await;
            clients.spawn(send(connected, format!("{name}-{client}"), sent.clone(), end));
        }
    }
    let mut kills = 0;
    while Instant::now() + every < end {
        let killed = backends.remove(kills % 3);
        let at = killed.address();
        drop(killed);
        kills += 1;
        sleep(every / 2).await;
        backends.insert((kills - 1) % 3, Backend::start_at(at, protocol, &arrivals).await);
        sleep(every / 2).await;
    }
    clients.join_all().await;
    let total = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let shown = |sent: &Sent| {
        let [gets, failed, posts, failed_posts] =
            [&sent.gets, &sent.failed_gets, &sent.posts, &sent.failed_posts].map(total);
        format!("{failed} of {gets} GETs and {failed_posts} of {posts} POSTs failed")
    };
    println!("{protocol:?}, {kills} kills; with retries: {}; without: {}", shown(&with), shown(&without));
    assert!(kills >= 4 && total(&with.gets) > 100 && total(&with.posts) > 50, "{}", shown(&with));
    assert_eq!(total(&with.failed_gets), 0, "with retries: {}", shown(&with));
    // A kill breaks no more than the requests that the backend is serving.
    for sent in [&with, &without] {
        assert!(total(&sent.failed_gets) + total(&sent.failed_posts) <= kills * CLIENTS, "{}", shown(sent));
    }
    if is_long() {
        assert!(total(&without.failed_gets) * 1_000 < total(&without.gets), "{}", shown(&without));
    }
    let twice: Vec<_> =
        arrivals.lock().unwrap().iter().filter(|(_, times)| **times > 1).map(|(id, _)| id.clone()).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
