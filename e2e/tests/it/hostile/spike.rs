//! A spike: beside one client, many connections open at once, and all of them remain. Each is served, and the client continues.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use e2e::vitals::raise_descriptors;
use e2e::{Call, Wire, eventually, is_long, timed};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::crowd::{CrowdServer, MIB};
use crate::hostile::say;

/// New connections: those of a long run, and what two cores bear beside other tests.
const LONG: usize = 20_000;
const SHORT: usize = 500;
/// Both ends are in separate processes.
const DESCRIPTORS: u64 = 24_000;
/// Connections that are opened at the same time: the queue of the kernel is shorter than all of them.
const AT_ONCE: usize = 512;
/// Maximum memory of a connection that has sent a request.
const CONNECTION_BYTES_MAX: u64 = 32 * 1024;
/// Memory that a second spike may need beyond the first one.
const GROWTH_MAX: u64 = 24 * MIB;

/// Opens connections, each of which gets a response and remains.
async fn opened(place: &CrowdServer, count: usize) -> Vec<Wire> {
    let to = place.gateway.proxy;
    let request = Arc::new(Call::get("/nowhere").head(to));
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let request = Arc::clone(&request);
        let permits = Arc::clone(&permits);
        opening.spawn(async move {
            let _permit = permits.acquire().await.unwrap();
            let mut wire = Wire::connect(to).await.unwrap();
            wire.write(request.as_bytes()).await.unwrap();
            let head = wire.head().await.expect("a response");
            let (_, is_whole) = wire.body(head.framing().unwrap()).await;
            assert!(is_whole && head.word(1) == "404", "{}", head.first);
            wire
        });
    }
    opening.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_connections_open_at_once_beside_a_client_that_is_served() {
    let count = if is_long() { LONG } else { SHORT };
    raise_descriptors(if is_long() { DESCRIPTORS } else { 4_000 });
    let limits = "{max: 25000, per_address: 25000, in_flight_per_key: 5000, in_flight_per_address: 5000}";
    let place = CrowdServer::start(|setup| setup.section("connections", limits)).await;
    let open = i64::try_from(count).unwrap();
    let mut peaks = Vec::new();
    for round in ["first", "second"] {
        let is_over = Cell::new(false);
        let longest = Cell::new(Duration::ZERO);
        let client = async {
            while !is_over.get() {
                let ((), took) = timed(place.others_are_served()).await;
                longest.set(longest.get().max(took));
            }
        };
        let spike = async {
            let opened = timed(opened(&place, count)).await;
            is_over.set(true);
            opened
        };
        let ((wires, took), ()) = tokio::join!(spike, client);
        eventually("all connections are open", async || {
            (place.gateway.gauge("tollgate_connections").await >= open).then_some(())
        })
        .await;
        place.others_are_served().await;
        say(&format!(
            "{round} spike: {count} connections in {took:?}; two requests of the client took {:?} at most",
            longest.get()
        ));
        place.bounded(&format!("the {round} spike"), open.unsigned_abs() * CONNECTION_BYTES_MAX + GROWTH_MAX);
        peaks.push(place.gateway.vitals().peak_bytes());
        drop(wires);
        place.gateway.at_rest().await;
        place.others_are_served().await;
    }
    assert!(peaks[1] < peaks[0] + GROWTH_MAX, "{peaks:?}");
}
