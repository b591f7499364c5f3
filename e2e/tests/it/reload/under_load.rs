use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::{Call, Gateway, Setup, Wire, eventually_within, is_long};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{FILE, fine, reloads};

const ROUTES: usize = 5_000;
/// The interval of reloads, each of which compiles all routes.
const INTERVAL: Duration = Duration::from_millis(200);
const CLIENTS: usize = 8;
/// Bound of the increase of the 99th percentile on a machine whose cores other tests use.
const INCREASE_MAX: Duration = Duration::from_millis(500);

fn setup(address: std::net::SocketAddr, version: u32) -> Setup {
    let route = |number: usize| {
        format!("{{name: r{number}, path: /r{number}, credits: {version}, upstreams: backend, auth: {{type: none}}}}")
    };
    Setup::routed(address, &(0..ROUTES).map(route).collect::<Vec<_>>().join(", ")).section("workers", "2")
}

/// Sends requests until `is_over`; returns the sorted durations of all of them. A request that fails panics.
async fn durations(gateway: &Gateway, is_over: &Arc<AtomicBool>) -> Vec<Duration> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let proxy = gateway.proxy;
        let is_over = is_over.clone();
        clients.spawn(async move {
            let mut wire = Wire::connect(proxy).await.unwrap();
            let mut all = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let path = format!("/r{}", (client * 613 + all.len() * 7) % ROUTES);
                let began = Instant::now();
                let (answer, open) = Call::get(&path).over(wire, proxy).await.unwrap().reuse().await;
                assert_eq!(answer.status(), 200, "{path}");
                all.push(began.elapsed());
                wire = open;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            all
        });
    }
    let mut all = clients.join_all().await.concat();
    all.sort_unstable();
    all
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_of_five_thousand_routes_lose_no_request() {
    let count: u32 = if is_long() { 50 } else { 15 };
    let upstream = fine().await;
    let gateway = Gateway::start(setup(upstream.address(), 1)).await;
    let run = async |is_over: Arc<AtomicBool>, changes: bool| {
        let began = Instant::now();
        let reload = async {
            for number in 0..count {
                if changes {
                    gateway.folder().write("next", &setup(upstream.address(), 2 + number % 2).yaml().unwrap());
                    std::fs::rename(gateway.folder().path().join("next"), gateway.folder().path().join(FILE)).unwrap();
                    gateway.process().hang_up();
                }
                tokio::time::sleep_until(began + INTERVAL * (number + 1)).await;
            }
            is_over.store(true, Ordering::Relaxed);
        };
        tokio::join!(durations(&gateway, &is_over), reload).0
    };
    let quiet = run(Arc::default(), false).await;
    let busy = run(Arc::default(), true).await;
    let applied = eventually_within(Duration::from_secs(60), "all signals are handled", async || {
        let before = reloads(&gateway, "applied").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        (before > 0 && before == reloads(&gateway, "applied").await).then_some(before)
    })
    .await;
    println!(
        "{applied} reloads; {} requests without them, p99 {:?}; {} with them, p99 {:?}",
        quiet.len(),
        p99(&quiet),
        busy.len(),
        p99(&busy)
    );
    assert_eq!(reloads(&gateway, "refused").await, 0);
    assert!(p99(&busy) < p99(&quiet) + INCREASE_MAX);
}
