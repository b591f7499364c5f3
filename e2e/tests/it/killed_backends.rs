//! Chaos: one of three backends at a time is killed and comes back, while clients send requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{Call, Gateway, Setup, Turn, Upstream, is_long};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// The time that a backend needs for a request.
const WORK: Duration = Duration::from_millis(2);
const CLIENTS: usize = 6;
/// An address that no other test uses, so that the port of a killed backend remains free.
const HOST: [u8; 4] = [127, 77, 0, 1];

/// How often a POST with each id has arrived at any backend.
type Arrivals = Arc<Mutex<HashMap<String, usize>>>;

async fn backend(at: SocketAddr, arrivals: &Arrivals) -> Upstream {
    let arrivals = arrivals.clone();
    Upstream::start_at(at, move |mut turn: Turn| {
        let arrivals = arrivals.clone();
        async move {
            turn.read_body().await;
            if let Some(id) = turn.head.header("x-id") {
                *arrivals.lock().unwrap().entry(id.to_owned()).or_default() += 1;
            }
            sleep(WORK).await;
            turn.answer("200 OK", b"ok").await;
            Some(turn)
        }
    })
    .await
}

async fn gateway(backends: &[Upstream], more: &str) -> Gateway {
    let urls: Vec<String> =
        backends.iter().map(|backend| format!("{{url: \"http://{}\"}}", backend.address())).collect();
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

/// Sends requests until `end`: two GETs for each POST.
async fn send(proxy: SocketAddr, name: String, sent: Arc<Sent>, end: Instant) {
    for nth in 0.. {
        if Instant::now() >= end {
            return;
        }
        let is_post = nth % 3 == 0;
        let call =
            if is_post { Call::post("/x", "{}").header("x-id", &format!("{name}-{nth}")) } else { Call::get("/x") };
        let is_served = call.send(proxy).await.status() == 200;
        let (all, failed) = if is_post { (&sent.posts, &sent.failed_posts) } else { (&sent.gets, &sent.failed_gets) };
        all.fetch_add(1, Ordering::Relaxed);
        failed.fetch_add(usize::from(!is_served), Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_survive_backends_that_are_killed_and_no_post_arrives_twice() {
    let (duration, every) = if is_long() {
        (Duration::from_secs(60), Duration::from_secs(10))
    } else {
        (Duration::from_secs(10), Duration::from_secs(2))
    };
    let arrivals = Arrivals::default();
    let mut backends = Vec::new();
    for _ in 0..3 {
        backends.push(backend(SocketAddr::from((HOST, 0)), &arrivals).await);
    }
    let retrying = gateway(&backends, ", retry: {attempts: 2, on: [connect, reset, 502, 503, 504]}").await;
    let plain = gateway(&backends, "").await;
    let end = Instant::now() + duration;
    let (with, without) = (Arc::<Sent>::default(), Arc::<Sent>::default());
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(send(retrying.proxy, format!("with-{client}"), with.clone(), end));
        clients.spawn(send(plain.proxy, format!("without-{client}"), without.clone(), end));
    }
    let mut kills = 0;
    while Instant::now() + every < end {
        let killed = backends.remove(kills % 3);
        let at = killed.address();
        drop(killed);
        kills += 1;
        sleep(every / 2).await;
        backends.insert((kills - 1) % 3, backend(at, &arrivals).await);
        sleep(every / 2).await;
    }
    clients.join_all().await;
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let shown = |sent: &Sent| {
        let [gets, failed, posts, failed_posts] =
            [&sent.gets, &sent.failed_gets, &sent.posts, &sent.failed_posts].map(count);
        format!("{failed} of {gets} GETs and {failed_posts} of {posts} POSTs failed")
    };
    println!("{kills} kills; with retries: {}; without: {}", shown(&with), shown(&without));
    assert!(kills >= 4 && count(&with.gets) > 100 && count(&with.posts) > 50, "{}", shown(&with));
    assert_eq!(count(&with.failed_gets), 0, "with retries: {}", shown(&with));
    // A kill breaks no more than the requests that the backend is serving.
    for sent in [&with, &without] {
        assert!(count(&sent.failed_gets) + count(&sent.failed_posts) <= kills * CLIENTS, "{}", shown(sent));
    }
    if is_long() {
        assert!(count(&without.failed_gets) * 1_000 < count(&without.gets), "{}", shown(&without));
    }
    let twice: Vec<_> =
        arrivals.lock().unwrap().iter().filter(|(_, times)| **times > 1).map(|(id, _)| id.clone()).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
