//! Exhausted file descriptors: existing connections are served, new ones wait, and the accept loop does not spin.

use std::time::Duration;

use e2e::{Call, Canary, Gateway, Setup, Upstream, Wire};

use super::say;

const ROUTE: &str = "{path: {prefix: /up}, upstreams: backend, auth: {type: none}}";
/// Free descriptors at the start of the test, and the number of new connections.
const LEFT: u64 = 12;
const CALLERS: usize = 60;
/// Duration of the measurement, and the CPU time that the process may use during it.
const WATCHED: Duration = Duration::from_millis(1500);
const CPU_MAX: Duration = Duration::from_millis(150);
const COMPLAINT: &str = "cannot accept connections";

#[tokio::test]
async fn without_descriptors_clients_wait_and_the_accept_loop_does_not_spin() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTE).flag("--workers").flag("2")).await;
    let call = Call::get("/up");
    let (answer, remaining) = call.open(gateway.proxy).await.reuse().await;
    assert_eq!(answer.status(), 200);
    let vitals = gateway.vitals();
    vitals.limit_descriptors(vitals.descriptors() as u64 + LEFT);

    let mut flood = Vec::new();
    for _ in 0..CALLERS {
        // The kernel completes these connections even if the server does not accept them.
        flood.push(Wire::connect(gateway.proxy).await.unwrap());
    }
    gateway.logs(COMPLAINT).await;
    let before = vitals.cpu();
    tokio::time::sleep(WATCHED).await;
    let spent = vitals.cpu() - before;
    say(&format!("out of descriptors: {spent:?} of processors in {WATCHED:?}"));
    assert!(spent < CPU_MAX, "{spent:?} in {WATCHED:?}");

    let since = Canary::new();
    let exchange = call.over(remaining, gateway.proxy).await;
    since.assert_within(Duration::from_secs(1), "a request on an existing connection");
    assert_eq!(exchange.unwrap().rest().await.text(), "fine");
    let reported = gateway.stderr().lines().filter(|line| line.contains(COMPLAINT)).count();
    assert_eq!(reported, 1, "one log line per period, for any number of failures and workers");

    // A waiting client is served as soon as other connections close, and afterwards every client is.
    let mut last = flood.pop().unwrap();
    drop(flood);
    last.write(call.head(gateway.proxy).as_bytes()).await.unwrap();
    assert_eq!(last.head().await.unwrap().word(1), "200");
    drop(last);
    for _ in 0..10 {
        gateway.call(call.clone()).await.expect(200);
    }
    gateway.at_rest().await;
}
