//! Requests of one key at the same time: one goes to the upstream, and no client can cancel it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::{Call, Framing, Gateway, Head, Piece, Setup, Turn, Upstream, Wire, eventually};
use tokio::process::Command;
use tokio::sync::{Barrier, watch};
use tokio::task::JoinSet;

use super::{ROUTES, gateway};

/// Sends a request on a new connection.
async fn send(gateway: &Gateway, call: Call) -> Wire {
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    wire.write(&call.bytes(gateway.proxy)).await.unwrap();
    wire
}

/// Waits until this number of requests is in flight.
async fn in_flight(gateway: &Gateway, requests: usize) {
    let expected = i64::try_from(requests).unwrap();
    eventually("all requests are in flight", async || {
        (gateway.gauge("tollgate_requests_in_flight").await == expected).then_some(())
    })
    .await;
}

/// Reads the head of a response, and its first piece.
async fn begun(wire: &mut Wire) -> (Head, String, Framing) {
    let head = wire.head().await.unwrap();
    let mut framing = head.framing().unwrap();
    let Piece::Data(first) = wire.piece(&mut framing).await else { panic!("no content") };
    (head, String::from_utf8(first).unwrap(), framing)
}

/// Starts an upstream that sends half of its content, and the rest after a signal. `head` has no framing.
async fn halting(head: &'static str, rest: &'static [u8], wait: watch::Receiver<bool>) -> Upstream {
    Upstream::start(move |mut turn: Turn| {
        let mut wait = wait.clone();
        async move {
            turn.stream(head).await;
            turn.chunk(b"first ").await;
            wait.wait_for(|go| *go).await.ok()?;
            turn.chunk(rest).await;
            turn.chunk(b"").await;
            Some(turn)
        }
    })
    .await
}

#[tokio::test]
async fn clients_get_the_bytes_of_one_fill_as_they_come() {
    let (go, wait) = watch::channel(false);
    let upstream = halting("200 OK\r\ncache-control: max-age=60\r\netag: \"a\"", b"second", wait).await;
    let gateway = gateway(&upstream).await;
    let mut wires = Vec::new();
    for status in ["fwd=miss; ttl", "fwd=miss; collapsed; ttl"] {
        let mut wire = send(&gateway, Call::get("/o/a")).await;
        let (head, first, framing) = begun(&mut wire).await;
        assert_eq!((first.as_str(), head.word(1)), ("first ", "200"));
        assert!(head.header("cache-status").unwrap().contains(status), "{head:?}");
        wires.push((wire, framing));
    }
    // A client that has the response needs no content.
    gateway.call(Call::get("/o/a").header("if-none-match", "\"a\"")).await.expect(304);
    go.send_replace(true);
    for (mut wire, framing) in wires {
        assert_eq!(wire.body(framing).await, (b"second".to_vec(), true));
    }
    eventually("the response is stored", async || {
        let answer = gateway.call(Call::get("/o/a")).await.expect(200);
        answer.header("cache-status").unwrap().contains("; hit").then_some(answer.text())
    })
    .await;
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_response_that_arrives_but_is_stale_or_unwanted_is_not_used() {
    const FRESH: &str = "200 OK\r\ncache-control: max-age=60";
    const STALE: &str = "200 OK\r\ncache-control: max-age=60\r\nage: 60\r\netag: \"a\"";
    for (head, field) in [(STALE, ("x-none", "1")), (FRESH, ("cache-control", "no-cache"))] {
        let (go, wait) = watch::channel(false);
        let upstream = halting(head, b"second", wait).await;
        let gateway = gateway(&upstream).await;
        let mut first = send(&gateway, Call::get("/o/a")).await;
        begun(&mut first).await;
        let mut second = send(&gateway, Call::get("/o/a").header(field.0, field.1)).await;
        begun(&mut second).await;
        assert_eq!(upstream.seen().len(), 2, "{head} {field:?}");
        go.send_replace(true);
    }
}

/// The upstream needs longer than the lifetime of a second.
#[tokio::test]
async fn a_response_that_arrives_after_its_lifetime_is_shared_by_those_who_waited_and_may_get_it() {
    const UNBOUNDED: [&str; 4] = ["x-none: 1", "cache-control: max-age=60", "accept: */*", "cache-control: max-stale"];
    const BOUNDED: [&str; 4] = ["no-cache", "max-age=0", "min-fresh=1", "max-age=60, min-fresh=30"];
    for (head, are_shared) in
        [("200 OK", true), ("200 OK\r\ncache-control: max-age=1", true), ("200 OK\r\nage: 1", false)]
    {
        let (go, wait) = watch::channel(false);
        let upstream = Upstream::start(move |mut turn: Turn| {
            let mut wait = wait.clone();
            async move {
                wait.wait_for(|go| *go).await.ok()?;
                turn.answer(head, b"one").await;
                Some(turn)
            }
        })
        .await;
        let route = "{path: /o, upstreams: backend, auth: {type: none}, cache: {ttl: 1s}}";
        let gateway = Arc::new(Gateway::start(Setup::routed(upstream.address(), route)).await);
        let mut clients = JoinSet::new();
        let mut begin = |name: &'static str, value: &'static str| {
            let gateway = gateway.clone();
            let call = async move { gateway.call(Call::get("/o").header(name, value)).await.expect(200).text() };
            clients.spawn(call);
        };
        begin("x-none", "0");
        eventually("the upstream has the request", async || (upstream.seen().len() == 1).then_some(())).await;
        UNBOUNDED.iter().filter_map(|field| field.split_once(": ")).for_each(|(name, value)| begin(name, value));
        BOUNDED.iter().for_each(|value| begin("cache-control", value));
        in_flight(&gateway, 1 + UNBOUNDED.len() + BOUNDED.len()).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        go.send_replace(true);
        assert!(clients.join_all().await.iter().all(|content| content == "one"));
        let own = BOUNDED.len() + if are_shared { 0 } else { UNBOUNDED.len() };
        assert_eq!(upstream.seen().len(), 1 + own, "{head}");
    }
}

/// The responses have a validator, so that they are stored.
#[tokio::test]
async fn a_response_that_is_always_validated_is_not_shared_by_those_who_wait_for_it() {
    for (control, is_streamed) in [("no-cache", false), ("no-cache", true), ("max-age=0", false), ("max-age=0", true)] {
        let (go, wait) = watch::channel(false);
        let upstream = Upstream::start(move |mut turn: Turn| {
            let mut wait = wait.clone();
            async move {
                let content = turn.head.header("cookie").unwrap_or_default().to_owned();
                wait.wait_for(|go| *go).await.ok()?;
                let head = format!("200 OK\r\ncache-control: {control}\r\netag: \"a\"");
                if is_streamed {
                    turn.stream(&head).await;
                    for piece in [content.as_bytes(), b""] {
                        turn.chunk(piece).await;
                        tokio::task::yield_now().await;
                    }
                } else {
                    turn.answer(&head, content.as_bytes()).await;
                }
                Some(turn)
            }
        })
        .await;
        let gateway = Arc::new(gateway(&upstream).await);
        let mut clients = JoinSet::new();
        for client in ["id=a", "id=b", "id=c"] {
            let gateway = gateway.clone();
            clients.spawn(async move { (client, gateway.call(Call::get("/o").header("cookie", client)).await) });
        }
        in_flight(&gateway, 3).await;
        go.send_replace(true);
        for (client, answer) in clients.join_all().await {
            assert_eq!(answer.expect(200).text(), client, "{control} {is_streamed}");
        }
    }
}

/// At most a tenth of the requests in flight may have no client.
#[tokio::test]
async fn content_that_has_lost_its_clients_is_read_only_in_place_of_other_such_requests() {
    let (_go, wait) = watch::channel(false);
    let upstream = halting("200 OK\r\ncache-control: max-age=60", b"second", wait).await;
    let setup = Setup::routed(upstream.address(), ROUTES).section("in_flight", "10");
    let gateway = Gateway::start(setup).await;
    for target in ["/o/a", "/o/b"] {
        let mut wire = send(&gateway, Call::get(target)).await;
        begun(&mut wire).await;
        wire.stream().set_zero_linger().unwrap();
    }
    eventually("one of the two fills has ended", async || {
        for target in ["/o/a", "/o/b"] {
            let mut wire = send(&gateway, Call::get(target)).await;
            let (head, _, _) = begun(&mut wire).await;
            wire.stream().set_zero_linger().unwrap();
            if !head.header("cache-status").unwrap().contains("collapsed") {
                return Some(());
            }
        }
        None
    })
    .await;
}

/// The upstream never responds to the first request, and at once to others.
#[tokio::test]
async fn a_fill_without_a_client_ends_at_the_deadline_of_its_upstream() {
    for protocol in ["--http1.1", "--http2-prior-knowledge"] {
        let count = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::start(move |mut turn: Turn| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            async move {
                if number == 0 {
                    std::future::pending::<()>().await;
                }
                turn.answer("200 OK\r\ncache-control: max-age=60", b"one").await;
                Some(turn)
            }
        })
        .await;
        let route = "{path: /o, upstreams: backend, auth: {type: none}, cache: {}, timeouts: {first_byte: 1s}}";
        let gateway = Gateway::start(Setup::routed(upstream.address(), route)).await;
        let url = format!("http://{}/o", gateway.proxy);
        let mut client = Command::new("curl").args([protocol, "--silent", &url]).kill_on_drop(true).spawn().unwrap();
        eventually("the upstream has the request", async || (upstream.seen().len() == 1).then_some(())).await;
        client.kill().await.unwrap();
        // It may arrive before or after the client has left: it waits for the fill in both cases.
        assert_eq!(gateway.call(Call::get("/o")).await.expect(200).text(), "one", "{protocol}");
        assert_eq!(upstream.seen().len(), 2, "{protocol}");
    }
}

#[tokio::test]
async fn no_client_can_cancel_a_fill() {
    for hangup in ["cancel", "drain"] {
        let (go, wait) = watch::channel(false);
        let upstream = halting("200 OK\r\ncache-control: max-age=60", b"second", wait).await;
        let setup = Setup::routed(upstream.address(), ROUTES);
        let setup = if hangup == "cancel" { setup.section("on_hangup", "cancel") } else { setup };
        let gateway = Gateway::start(setup).await;
        let mut first = send(&gateway, Call::get("/o/a")).await;
        begun(&mut first).await;
        let mut second = send(&gateway, Call::get("/o/a")).await;
        let (_, _, framing) = begun(&mut second).await;
        // The end of its sending alone would not mean that it has gone.
        first.stream().set_zero_linger().unwrap();
        drop(first);
        gateway.logs("caller_gone").await;
        go.send_replace(true);
        assert_eq!(second.body(framing).await, (b"second".to_vec(), true), "{hangup}");
        assert_eq!(upstream.seen().len(), 1);
    }
}

#[tokio::test]
async fn requests_continue_alone_once_the_response_proves_uncacheable() {
    const CLIENTS: usize = 8;
    let (go, wait) = watch::channel(false);
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |mut turn: Turn| {
        let mut wait = wait.clone();
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            wait.wait_for(|go| *go).await.ok()?;
            turn.answer("200 OK\r\ncache-control: private", number.to_string().as_bytes()).await;
            Some(turn)
        }
    })
    .await;
    let gateway = Arc::new(gateway(&upstream).await);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let gateway = gateway.clone();
        clients.spawn(async move { gateway.call(Call::get("/o/p")).await.expect(200).text() });
    }
    in_flight(&gateway, CLIENTS).await;
    let seen = eventually("a request reaches the upstream", async || match upstream.seen().len() {
        0 => None,
        seen => Some(seen),
    });
    assert_eq!(seen.await, 1);
    go.send_replace(true);
    let mut contents: Vec<String> = clients.join_all().await;
    contents.sort();
    let expected: Vec<String> = (0..CLIENTS).map(|number| number.to_string()).collect();
    assert_eq!(contents, expected);
}

#[tokio::test]
async fn content_that_proves_too_large_reaches_all_its_clients_and_is_not_stored() {
    let (go, wait) = watch::channel(false);
    let rest: &'static [u8] = vec![b'x'; 400_000].leak();
    let upstream = halting("200 OK\r\ncache-control: max-age=60", rest, wait).await;
    let gateway = gateway(&upstream).await;
    let mut wires = Vec::new();
    for _ in 0..3 {
        let mut wire = send(&gateway, Call::get("/small/a")).await;
        let (_, _, framing) = begun(&mut wire).await;
        wires.push((wire, framing));
    }
    go.send_replace(true);
    for (mut wire, framing) in wires {
        let (content, is_whole) = wire.body(framing).await;
        assert!(is_whole && content == rest, "{} bytes", content.len());
    }
    let answer = gateway.call(Call::get("/small/a")).await.expect(200);
    assert!(answer.header("cache-status").unwrap().contains("fwd=miss"), "{:?}", answer.head);
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn content_that_the_upstream_aborts_is_not_stored() {
    let upstream = Upstream::start(|mut turn: Turn| async move {
        turn.read_body().await;
        turn.write(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 100\r\n\r\npart").await;
        None
    })
    .await;
    let gateway = gateway(&upstream).await;
    for sent in 1..=3 {
        let mut wire = send(&gateway, Call::get("/o/cut")).await;
        let head = wire.head().await.unwrap();
        let (content, is_whole) = wire.body(head.framing().unwrap()).await;
        assert_eq!((content.as_slice(), is_whole), (&b"part"[..], false));
        assert_eq!(upstream.seen().len(), sent);
    }
}

/// The upstream fails after its first response, which may be used in place of errors.
#[tokio::test]
async fn all_clients_that_wait_get_the_stale_response_if_the_upstream_fails() {
    const CLIENTS: usize = 10;
    let (go, wait) = watch::channel(false);
    let count = Arc::<AtomicUsize>::default();
    let upstream = Upstream::start(move |mut turn: Turn| {
        let mut wait = wait.clone();
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 0 {
                turn.answer("200 OK\r\ncache-control: max-age=1, stale-if-error=600\r\nage: 1", b"old").await;
            } else {
                wait.wait_for(|go| *go).await.ok()?;
                turn.answer("503 Service Unavailable", b"").await;
            }
            Some(turn)
        }
    })
    .await;
    let gateway = Arc::new(gateway(&upstream).await);
    assert_eq!(gateway.call(Call::get("/o")).await.expect(200).text(), "old");
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let gateway = gateway.clone();
        clients.spawn(async move { gateway.call(Call::get("/o")).await.expect(200).text() });
    }
    in_flight(&gateway, CLIENTS).await;
    go.send_replace(true);
    while let Some(content) = clients.join_next().await {
        assert_eq!(content.unwrap(), "old");
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn a_thousand_clients_of_a_cold_key_are_one_request() {
    const CLIENTS: usize = 1_000;
    let (go, wait) = watch::channel(false);
    let upstream = Upstream::start(move |mut turn: Turn| {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|go| *go).await.ok()?;
            turn.answer("200 OK\r\ncache-control: max-age=60", b"one").await;
            Some(turn)
        }
    })
    .await;
    let setup = Setup::routed(upstream.address(), ROUTES);
    let setup = setup.section("connections", "{max: 5000, per_address: 5000, in_flight_per_address: 2000}");
    let gateway = Arc::new(Gateway::start(setup).await);
    let mut clients = JoinSet::new();
    let barrier = Arc::new(Barrier::new(CLIENTS + 1));
    for _ in 0..CLIENTS {
        let gateway = gateway.clone();
        let barrier = barrier.clone();
        clients.spawn(async move {
            barrier.wait().await;
            gateway.call(Call::get("/o/cold")).await.expect(200).text()
        });
    }
    barrier.wait().await;
    in_flight(&gateway, CLIENTS).await;
    go.send_replace(true);
    while let Some(content) = clients.join_next().await {
        assert_eq!(content.unwrap(), "one");
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_fill_survives_the_client_that_began_it() {
    let (go, wait) = watch::channel(false);
    let upstream = Upstream::start(move |mut turn: Turn| {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|go| *go).await.ok()?;
            turn.answer("200 OK\r\ncache-control: max-age=60", b"one").await;
            Some(turn)
        }
    })
    .await;
    let gateway = gateway(&upstream).await;
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    wire.write(&Call::get("/o").bytes(gateway.proxy)).await.unwrap();
    eventually("the upstream has the request", async || (upstream.seen().len() == 1).then_some(())).await;
    wire.stream().set_zero_linger().unwrap();
    drop(wire);
    let waiting = gateway.call(Call::get("/o"));
    go.send_replace(true);
    assert_eq!(waiting.await.expect(200).text(), "one");
    assert_eq!(upstream.seen().len(), 1);
}
