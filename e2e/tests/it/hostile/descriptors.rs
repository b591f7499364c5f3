//! Out of file descriptors: who is connected goes on, who comes waits, and nobody spins.

use std::time::Duration;

use e2e::{Call, Canary, Gateway, Setup, Upstream, Wire};

use super::say;

const ROUTE: &str = "{path: {prefix: /up}, upstreams: backend, auth: {type: none}}";
/// Descriptors that are left when the flood begins, and callers that come.
const LEFT: u64 = 12;
const CALLERS: usize = 60;
/// How long the process is watched, and what it may spend on processors meanwhile.
const WATCHED: Duration = Duration::from_millis(1500);
const CPU_MAX: Duration = Duration::from_millis(150);
const COMPLAINT: &str = "cannot accept connections";

#[tokio::test]
async fn without_descriptors_callers_wait_and_the_accept_loop_does_not_spin() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTE).flag("--workers").flag("2")).await;
    let call = Call::get("/up");
    let (answer, kept) = call.open(gateway.proxy).await.reuse().await;
    assert_eq!(answer.status(), 200);
    let vitals = gateway.vitals();
    vitals.limit_descriptors(vitals.descriptors() as u64 + LEFT);

    let mut flood = Vec::new();
    for _ in 0..CALLERS {
        // The kernel completes these, whether or not anybody accepts them.
        flood.push(Wire::connect(gateway.proxy).await.unwrap());
    }
    gateway.logs(COMPLAINT).await;
    let before = vitals.cpu();
    tokio::time::sleep(WATCHED).await;
    let spent = vitals.cpu() - before;
    say(&format!("out of descriptors: {spent:?} of processors in {WATCHED:?}"));
    assert!(spent < CPU_MAX, "{spent:?} in {WATCHED:?}");

    let since = Canary::new();
    let exchange = call.over(kept, gateway.proxy).await;
    since.assert_within(Duration::from_secs(1), "who is connected");
    assert_eq!(exchange.unwrap().rest().await.text(), "fine");
    let told = gateway.stderr().lines().filter(|line| line.contains(COMPLAINT)).count();
    assert_eq!(told, 1, "once a period, whatever the number of failures and workers");

    // Who waited is served as soon as others leave, and then everybody.
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
