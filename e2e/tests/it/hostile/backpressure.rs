//! Clients that send without pause, or never read: the data waits at the sender, and Tollgate buffers little of it.

use std::time::Duration;

use e2e::{Call, eventually_within};

use super::crowd::{CrowdServer, MIB, PIECE, crowd, push};

#[tokio::test]
async fn bodies_that_an_upstream_does_not_read_are_not_read_from_clients() {
    let place = CrowdServer::start(|setup| setup.section("timeouts", "{idle: 1s, first_byte: 1s}")).await;
    let call = Call::new("POST", "/deaf").header("content-length", &(32 * MIB).to_string());
    let pushed = crowd(&place, 200, call.head(place.gateway.proxy).as_bytes()).await;
    tokio::join!(push(pushed, vec![b' '; PIECE], Duration::ZERO), place.others_are_served());
    place.bounded("200 callers that push at a deaf upstream", 80 * MIB);
    place.rests("200 callers that push", 60 * MIB).await;
}

#[tokio::test]
async fn clients_that_never_read_are_disconnected_in_bounded_memory() {
    let place = CrowdServer::start(|setup| setup.section("timeouts", "{idle: 1s}")).await;
    let all = crowd(&place, 100, Call::get("/up/large").head(place.gateway.proxy).as_bytes()).await;
    place.others_are_served().await;
    // The kernel's buffers fill first, several MB per connection. Meanwhile a client is not idle, because its kernel
    // accepts bytes.
    eventually_within(Duration::from_secs(60), "all are cut", async || {
        (place.gateway.gauge("tollgate_connections").await == 0).then_some(())
    })
    .await;
    place.bounded("100 callers that never read 32 MiB", 48 * MIB);
    drop(all);
    place.rests("100 callers that never read", 40 * MIB).await;
}
