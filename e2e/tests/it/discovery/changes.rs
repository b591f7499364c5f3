//! Registrations that change much more often than lists do, under load, while the source is cut off and returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use e2e::{Call, Consul, Gateway, TcpRelay, Wire, eventually};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::{address, admin, backends, has, source_reports};

const NET: u8 = 101;
const MEMBERS: u8 = 8;
const CLIENTS: usize = 8;
/// The time between two registrations.
const EVERY: Duration = Duration::from_millis(50);

/// Sends requests over one connection until it is stopped, and returns the first failure.
async fn keep_sending(to: std::net::SocketAddr, stops: Arc<AtomicBool>, sent: Arc<AtomicU64>) -> Option<String> {
    let mut wire = match Wire::connect(to).await {
        Ok(wire) => wire,
        Err(error) => return Some(error.to_string()),
    };
    while !stops.load(Ordering::Relaxed) {
        let (answer, next) = match Call::get("/x").over(wire, to).await {
            Ok(exchange) => exchange.reuse().await,
            Err(error) => return Some(error.to_string()),
        };
        if answer.status() != 200 {
            return Some(format!("{} {}", answer.head.first, answer.text()));
        }
        sent.fetch_add(1, Ordering::Relaxed);
        wire = next;
    }
    None
}

/// Registers and removes members in turn for `time`. The first one remains.
async fn keep_registering(consul: &Consul, port: u16, time: Duration) {
    let begun = Instant::now();
    let mut ticks = interval(EVERY);
    for change in 0_usize.. {
        ticks.tick().await;
        if begun.elapsed() >= time {
            return;
        }
        let host = 2 + u8::try_from(change % usize::from(MEMBERS - 1)).unwrap();
        if change / usize::from(MEMBERS - 1) % 2 == 0 {
            consul.register(&host.to_string(), "user-service", (&address(NET, host), port));
        } else {
            consul.deregister(&host.to_string());
        }
    }
}

fn applied(gateway: &Gateway) -> usize {
    gateway.stderr().matches("the members of a source have changed").count()
}

#[tokio::test]
async fn many_changes_fail_no_request_and_are_applied_at_most_once_a_second() {
    let time = Duration::from_secs(if e2e::is_long() { 60 } else { 5 });
    let consul = Consul::start(1).await;
    let servers = backends(NET, MEMBERS).await;
    let port = servers[0].address().port();
    consul.register("1", "user-service", (&address(NET, 1), port));
    let relay = TcpRelay::to(&consul.address().to_string()).await;
    let settings = format!("{{url: \"http://{}\"}}", relay.address());
    let setup = super::sourced("discover: {consul: user-service}").section("consul", &settings);
    let gateway = Gateway::start(setup).await;
    let token = admin(&gateway, "root").await.token;
    let stops = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(keep_sending(gateway.proxy, stops.clone(), sent.clone()));
    }
    let before = applied(&gateway);
    let begun = Instant::now();
    keep_registering(&consul, port, time / 2).await;
    relay.cut();
    source_reports(&gateway, &token, "response").await;
    keep_registering(&consul, port, time / 4).await;
    relay.mend();
    keep_registering(&consul, port, time / 4).await;
    source_reports(&gateway, &token, "").await;
    for host in 2..=MEMBERS {
        consul.deregister(&host.to_string());
    }
    has(&gateway, &token, &[format!("http://{}:{port}", address(NET, 1))]).await;
    let changes = applied(&gateway) - before;
    let seconds = begun.elapsed().as_secs();
    assert!(changes >= 2 && changes as u64 <= seconds + 1, "{changes} changes in {seconds} s");
    let during = sent.load(Ordering::Relaxed);
    eventually("clients still send", async || (sent.load(Ordering::Relaxed) > during).then_some(())).await;
    stops.store(true, Ordering::Relaxed);
    let failures: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
    assert_eq!(failures, Vec::<String>::new(), "after {during} requests");
}
