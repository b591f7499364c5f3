//! Stale responses: revalidated, used while the gateway revalidates them, or used in place of a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::{Call, Gateway, Setup, Turn, Upstream, eventually};
use tokio::sync::watch;

use super::{check, gateway};

#[tokio::test]
async fn a_stale_response_is_revalidated() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |mut turn: Turn| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            turn.read_body().await;
            let tag = "cache-control: no-cache\r\netag: \"a\"";
            if turn.head.header("if-none-match") == Some("\"a\"") && number < 3 {
                turn.write(format!("HTTP/1.1 304 Not Modified\r\n{tag}\r\nx-number: {number}\r\n\r\n").as_bytes())
                    .await;
            } else {
                turn.answer(&format!("200 OK\r\n{tag}"), format!("response {number}").as_bytes()).await;
            }
            Some(turn)
        }
    })
    .await;
    let gateway = gateway(&upstream).await;
    for (number, content, status) in [
        (None, "response 0", "fwd=miss"),
        (Some("1"), "response 0", "fwd=stale; fwd-status=304"),
        (Some("2"), "response 0", "fwd=stale; fwd-status=304"),
        (None, "response 3", "fwd=stale"),
    ] {
        let answer = gateway.call(Call::get("/o")).await.expect(200);
        check(&answer, content, status);
        assert_eq!(answer.header("x-number"), number);
    }
}

/// The first response is old, and neither it nor the confirmation has another date.
#[tokio::test]
async fn a_confirmed_response_is_as_old_as_its_confirmation() {
    for (age, third) in [("", "; hit"), ("age: 60\r\n", "fwd=stale; fwd-status=304")] {
        let upstream = Upstream::start(move |mut turn: Turn| async move {
            turn.read_body().await;
            let fields = "cache-control: max-age=60\r\netag: \"a\"";
            if turn.head.header("if-none-match").is_some() {
                turn.write(format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n{age}\r\n").as_bytes()).await;
            } else {
                turn.answer(&format!("200 OK\r\n{fields}\r\ndate: Tue, 01 Nov 2022 00:00:00 GMT"), b"old").await;
            }
            Some(turn)
        })
        .await;
        let gateway = gateway(&upstream).await;
        for status in ["fwd=miss", "fwd=stale; fwd-status=304", third] {
            check(&gateway.call(Call::get("/o")).await.expect(200), "old", status);
        }
    }
}

#[tokio::test]
async fn a_stale_response_replaces_a_failure() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |mut turn: Turn| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            turn.read_body().await;
            match number {
                0 => turn.answer("200 OK\r\ncache-control: max-age=1, stale-if-error=60\r\nage: 1", b"first").await,
                1 => turn.answer("503 Service Unavailable", b"failed").await,
                _ => return None,
            };
            Some(turn)
        }
    })
    .await;
    let gateway = gateway(&upstream).await;
    // The response is stored stale, because it has the age of its lifetime and a later use.
    let first = gateway.call(Call::get("/o")).await.expect(200);
    assert_eq!(first.text(), "first");
    for _ in 0..2 {
        let answer = gateway.call(Call::get("/o")).await.expect(200);
        check(&answer, "first", "; hit");
    }
    assert_eq!(gateway.call(Call::get("/plain")).await.status(), 502);
}

#[tokio::test]
async fn a_stale_response_replaces_a_failure_whose_body_the_route_changes() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |mut turn: Turn| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            turn.read_body().await;
            let head = match number {
                0 => {
                    "200 OK\r\ncontent-type: application/json\r\ncache-control: max-age=1, stale-if-error=60\r\nage: 1"
                }
                _ => "503 Service Unavailable\r\ncontent-type: application/json",
            };
            turn.answer(head, format!("{{\"number\":{number}}}").as_bytes()).await;
            Some(turn)
        }
    })
    .await;
    let route = "{path: /o, upstreams: backend, auth: {type: none}, cache: {}, \
        transformations: {response: {body: {set: {/via: gw}}}}}";
    let gateway = Gateway::start(Setup::routed(upstream.address(), route)).await;
    check(&gateway.call(Call::get("/o")).await.expect(200), "{\"number\":0,\"via\":\"gw\"}", "fwd=miss");
    for _ in 0..2 {
        check(&gateway.call(Call::get("/o")).await.expect(200), "{\"number\":0,\"via\":\"gw\"}", "; hit");
    }
}

#[tokio::test]
async fn a_stale_response_is_used_while_the_gateway_revalidates_it() {
    let (go, wait) = watch::channel(false);
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |mut turn: Turn| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let mut wait = wait.clone();
        async move {
            if number > 0 {
                wait.wait_for(|go| *go).await.ok()?;
            }
            // The first response is stale at once: its age is its lifetime.
            let age = if number == 0 { "\r\nage: 60" } else { "" };
            let head =
                format!("200 OK\r\ncache-control: max-age=60, stale-while-revalidate=60{age}\r\netag: \"{number}\"");
            turn.answer(&head, format!("response {number}").as_bytes()).await;
            Some(turn)
        }
    })
    .await;
    let gateway = gateway(&upstream).await;
    let key = gateway.key().await;
    check(&gateway.call(Call::get("/k/a").key(&key)).await.expect(200), "response 0", "fwd=miss");
    // The upstream does not respond, and no client waits for it. One request revalidates.
    for _ in 0..3 {
        check(&gateway.call(Call::get("/k/a").key(&key)).await.expect(200), "response 0", "; hit");
    }
    eventually("the gateway revalidates", async || (upstream.seen().len() == 2).then_some(())).await;
    assert_eq!(upstream.seen()[1].head.header("if-none-match"), Some("\"0\""));
    go.send_replace(true);
    eventually("the new response is stored", async || {
        let answer = gateway.call(Call::get("/k/a").key(&key)).await.expect(200);
        (answer.text() == "response 1").then_some(())
    })
    .await;
    assert_eq!(upstream.seen().len(), 2);
    // Only the first request of the client went to the upstream.
    gateway.uses(&key, 1).await;
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("tollgate_cache_requests_total{route=\"/k\",result=\"refresh\"} 1"), "{metrics}");
}

/// One place is a tenth of ten. Without it, the response would be aborted and requested again.
#[tokio::test]
async fn a_revalidation_without_a_place_for_slow_content_is_not_sent() {
    let (go, wait) = watch::channel(false);
    let upstream = Upstream::start(move |mut turn: Turn| {
        let mut wait = wait.clone();
        async move {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncache-control: max-age=60, stale-while-revalidate=60\r\n";
            if turn.head.header("if-none-match").is_none() {
                turn.write(format!("{head}etag: \"a\"\r\nage: 60\r\n\r\nold").as_bytes()).await;
            } else {
                turn.write(format!("{head}etag: \"b\"\r\n\r\nn").as_bytes()).await;
                wait.wait_for(|go| *go).await.ok()?;
                turn.write(b"ew").await;
            }
            Some(turn)
        }
    })
    .await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), super::ROUTES).section("in_flight", "10")).await;
    let sent = |path: &str| upstream.seen().iter().filter(|seen| seen.head.first.contains(path)).count();
    let asks = async |path| gateway.call(Call::get(path)).await.expect(200).text();
    for path in ["/o/a", "/o/b"] {
        assert_eq!(asks(path).await, "old");
    }
    assert_eq!(asks("/o/a").await, "old");
    eventually("the first one is revalidated", async || (sent("/o/a") == 2).then_some(())).await;
    for _ in 0..3 {
        assert_eq!(asks("/o/b").await, "old");
    }
    go.send_replace(true);
    for path in ["/o/a", "/o/b"] {
        eventually("the new response is stored", async || (asks(path).await == "new").then_some(())).await;
        assert_eq!(sent(path), 2, "{path}");
    }
}

#[tokio::test]
async fn a_stale_response_is_used_in_the_background_of_a_failing_upstream_only_within_its_time() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |mut turn: Turn| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number > 0 {
                return None;
            }
            turn.answer(
                "200 OK\r\ncache-control: max-age=60, must-revalidate, stale-if-error=60\r\nage: 60\r\netag: \"a\"",
                b"first",
            )
            .await;
            Some(turn)
        }
    })
    .await;
    let gateway = gateway(&upstream).await;
    gateway.call(Call::get("/o")).await.expect(200);
    assert_eq!(gateway.call(Call::get("/o")).await.status(), 502);
}

#[tokio::test]
async fn an_upstream_that_never_responds_does_not_end_revalidation() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |mut turn: Turn| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number > 0 {
                std::future::pending::<()>().await;
            }
            turn.answer("200 OK\r\ncache-control: max-age=60, stale-while-revalidate=60\r\nage: 60", b"first").await;
            Some(turn)
        }
    })
    .await;
    let route = "{path: /o, upstreams: backend, auth: {type: none}, cache: {}, timeouts: {first_byte: 1s}}";
    let gateway = Gateway::start(Setup::routed(upstream.address(), route)).await;
    // The next revalidation begins once the one before it has ended.
    eventually("the gateway revalidates again", async || {
        check(&gateway.call(Call::get("/o")).await.expect(200), "first", "");
        (upstream.seen().len() > 2).then_some(())
    })
    .await;
}

/// Starts an upstream whose first response is stale at once, and whose others are `head`. Status 304 confirms the first.
async fn replacing(head: &'static str) -> Upstream {
    let count = Arc::new(AtomicUsize::new(0));
    Upstream::start(move |mut turn: Turn| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 0 {
                let first =
                    "200 OK\r\ncache-control: max-age=60, stale-while-revalidate=86400\r\nage: 60\r\netag: \"a\"";
                turn.answer(first, b"old").await;
            } else if !head.starts_with("304") {
                turn.answer(head, b"new").await;
            } else if turn.head.header("if-none-match").is_some() {
                turn.write(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).await;
            } else {
                turn.answer("200 OK\r\ncache-control: private", b"new").await;
            }
            Some(turn)
        }
    })
    .await
}

#[tokio::test]
async fn a_response_that_is_not_stored_replaces_a_stale_one() {
    for head in [
        "404 Not Found",
        "200 OK\r\ncache-control: private",
        "304 Not Modified\r\ncache-control: private",
        "304 Not Modified\r\ncache-control: no-store",
    ] {
        let upstream = replacing(head).await;
        let gateway = gateway(&upstream).await;
        check(&gateway.call(Call::get("/o")).await.expect(200), "old", "fwd=miss");
        check(&gateway.call(Call::get("/o")).await.expect(200), "old", "; hit");
        eventually("the old response is gone", async || {
            (gateway.call(Call::get("/o")).await.text() == "new").then_some(())
        })
        .await;
        let replaced = gateway.call(Call::get("/o")).await;
        assert_eq!(replaced.text(), "new", "{head}");
    }
}

#[tokio::test]
async fn a_stale_response_remains_if_the_upstream_was_not_able_to_respond() {
    for head in ["503 Service Unavailable", "429 Too Many Requests"] {
        let upstream = replacing(head).await;
        let gateway = gateway(&upstream).await;
        check(&gateway.call(Call::get("/o")).await.expect(200), "old", "fwd=miss");
        check(&gateway.call(Call::get("/o")).await.expect(200), "old", "; hit");
        eventually("the revalidation has ended", async || {
            let metrics = gateway.metrics().await;
            metrics.contains("tollgate_cache_requests_total{route=\"/o\",result=\"refresh\"} 1").then_some(())
        })
        .await;
        check(&gateway.call(Call::get("/o")).await.expect(200), "old", "; hit");
    }
}

#[tokio::test]
async fn a_response_to_the_credential_of_one_client_does_not_replace_what_others_get() {
    let upstream = Upstream::start(|mut turn: Turn| async move {
        if turn.head.header("authorization").is_some() {
            turn.answer("401 Unauthorized", b"refused").await;
        } else {
            turn.answer("200 OK\r\ncache-control: max-age=60", b"old").await;
        }
        Some(turn)
    })
    .await;
    let gateway = gateway(&upstream).await;
    check(&gateway.call(Call::get("/o")).await.expect(200), "old", "fwd=miss");
    let own = Call::get("/o").header("authorization", "Basic YTpi").header("cache-control", "no-cache");
    assert_eq!(gateway.call(own).await.text(), "refused");
    check(&gateway.call(Call::get("/o")).await.expect(200), "old", "; hit");
}
