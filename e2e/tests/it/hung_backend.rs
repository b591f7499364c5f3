//! The share of a backend that hangs and recovers, second by second.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use e2e::{Call, Gateway, Setup, Turn, Upstream, is_long};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const CLIENTS: usize = 6;
/// The pause of a client between its requests.
const PAUSE: Duration = Duration::from_millis(20);
/// The number of requests in a second that shows a share.
const REQUESTS_MIN: usize = 20;
/// A backend without requests for this time has no share.
const SECOND: Duration = Duration::from_secs(1);
/// It is out within 30 s, which the next second shows.
const OUT_MAX: Duration = Duration::from_secs(31);
const BACK_MAX: Duration = Duration::from_secs(60);

/// A backend that counts the requests of clients. While it hangs, it responds neither to them nor to checks.
struct Backend {
    upstream: Upstream,
    hangs: Arc<AtomicBool>,
    received: Arc<AtomicUsize>,
}

impl Backend {
    async fn start() -> Self {
        let hangs = Arc::<AtomicBool>::default();
        let received = Arc::<AtomicUsize>::default();
        let is_hung = hangs.clone();
        let counted = received.clone();
        let upstream = Upstream::start(move |mut turn: Turn| {
            if turn.head.first.starts_with("GET /x ") {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            let is_hung = is_hung.load(Ordering::SeqCst);
            async move {
                if is_hung {
                    pending::<()>().await;
                }
                turn.answer("200 OK", b"").await;
                Some(turn)
            }
        })
        .await;
        Self { upstream, hangs, received }
    }
}

/// The requests of each second at the first backend and at both.
struct Shares<'a> {
    backends: [&'a Backend; 2],
    seconds: Vec<(usize, usize)>,
}

impl Shares<'_> {
    /// Notes seconds until the share of the first backend, in percent, satisfies `is_reached`. Returns the time.
    async fn wait(&mut self, what: &str, max: Duration, is_reached: impl Fn(usize) -> bool) -> Duration {
        let begin = Instant::now();
        loop {
            let before = self.backends.map(|backend| backend.received.load(Ordering::SeqCst));
            sleep(SECOND).await;
            let after = self.backends.map(|backend| backend.received.load(Ordering::SeqCst));
            let first = after[0] - before[0];
            let all = after[0] + after[1] - before[0] - before[1];
            self.seconds.push((first, all));
            if all >= REQUESTS_MIN && is_reached(first * 100 / all) {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < max, "not within {max:?}: {what}: {}", self.shown());
        }
    }

    fn shown(&self) -> String {
        let share = |(first, all): &(usize, usize)| format!("{first}/{all}");
        self.seconds.iter().map(share).collect::<Vec<_>>().join(" ")
    }
}

async fn send(proxy: SocketAddr) {
    loop {
        Call::get("/x").send(proxy).await;
        sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_backend_is_out_within_30_seconds_and_back_within_60_of_its_recovery() {
    let hung = Backend::start().await;
    let steady = Backend::start().await;
    let urls = [&hung, &steady].map(|backend| format!("{{url: \"http://{}\"}}", backend.upstream.address()));
    // At length, the times are those of the first sketch of the configuration.
    let (check, slow_start) = if is_long() {
        ("interval: 10s, timeout: 5s, unhealthy_threshold: 3, healthy_threshold: 2", "10s")
    } else {
        ("interval: 500ms, timeout: 300ms, unhealthy_threshold: 3, healthy_threshold: 2", "1s")
    };
    let upstream = format!(
        "[{{name: pair, backends: [{}], health_check: {{path: /health, {check}}}, slow_start: {slow_start}}}]",
        urls.join(", ")
    );
    let route = "[{path: /x, upstreams: pair, auth: {type: none}, timeouts: {first_byte: 300ms}}]";
    let setup = Setup::new().section("upstreams", &upstream).section("routes", route);
    let gateway = Gateway::start(setup).await;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(send(gateway.proxy));
    }
    let mut shares = Shares { backends: [&hung, &steady], seconds: Vec::new() };
    shares.wait("both serve", Duration::from_secs(30), |share| (40..=60).contains(&share)).await;
    hung.hangs.store(true, Ordering::SeqCst);
    let out = shares.wait("it is out", OUT_MAX, |share| share == 0).await;
    hung.hangs.store(false, Ordering::SeqCst);
    let back = shares.wait("it is back", BACK_MAX, |share| (40..=60).contains(&share)).await;
    println!("out after {out:?}, back after {back:?}; its requests of all, by second: {}", shares.shown());
}
