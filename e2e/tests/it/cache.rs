//! The cache of responses: `routes[].cache`.

mod coalescing;
mod nodes;
mod privacy;
mod purge;
mod stale;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::{Answer, Call, Gateway, Setup, Turn, Upstream, eventually};
use tokio::process::Command;

const ROUTES: &str = "{path: {prefix: /o}, upstreams: backend, auth: {type: none}, cache: {vary: [X-Tenant]}}, \
    {path: {prefix: /ttl}, upstreams: backend, auth: {type: none}, cache: {ttl: 60s}}, \
    {path: {prefix: /k}, upstreams: backend, cache: {ttl: 60s}}, \
    {path: {prefix: /s}, upstreams: backend, cache: {ttl: 60s, shared: true}}, \
    {path: {prefix: /small}, upstreams: backend, auth: {type: none}, cache: {entry_max: 100B}}, \
    {path: {prefix: /plain}, upstreams: backend, auth: {type: none}}";

/// Starts an upstream whose content is the number of the response, with this head.
async fn numbered(head: &'static str) -> Upstream {
    let count = Arc::new(AtomicUsize::new(0));
    Upstream::start(move |mut turn: Turn| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            turn.read_body().await;
            turn.answer(head, format!("response {number}").as_bytes()).await;
            Some(turn)
        }
    })
    .await
}

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(Setup::routed(upstream.address(), ROUTES)).await
}

#[track_caller]
fn check(answer: &Answer, content: &str, status: &str) {
    assert_eq!(answer.text(), content, "{:?}", answer.head);
    let cache = answer.header("cache-status").unwrap_or_default();
    assert!(cache.contains(status), "{cache} has no {status}");
}

#[tokio::test]
async fn a_stored_response_is_used_until_it_is_stale() {
    let upstream = numbered("200 OK\r\ncache-control: max-age=60\r\netag: \"a\"\r\nx-own: 1").await;
    let gateway = gateway(&upstream).await;
    let first = gateway.call(Call::get("/o/a?x=1")).await.expect(200);
    check(&first, "response 0", "fwd=miss; ttl=");
    let second = gateway.call(Call::get("/o/a?x=1")).await.expect(200);
    check(&second, "response 0", "; hit; ttl=");
    assert!(second.header("age").unwrap().parse::<u64>().unwrap() < 60);
    for name in ["etag", "x-own", "cache-control", "content-length"] {
        assert_eq!(second.header(name), first.header(name), "{name}");
    }
    let head = gateway.call(Call::new("HEAD", "/o/a?x=1")).await.expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("10"), 0));
    // Another URL, another host, and another value of a configured header are other responses.
    check(&gateway.call(Call::get("/o/a?x=2")).await.expect(200), "response 1", "fwd=miss");
    check(&gateway.call(Call::get("/o/a?x=1").header("x-tenant", "b")).await.expect(200), "response 2", "fwd=miss");
    check(&gateway.call(Call::get("/o/a?x=1").header("x-tenant", "b")).await.expect(200), "response 2", "hit");
    // The client may insist on the upstream's response.
    let call = Call::get("/o/a?x=1").header("cache-control", "no-cache");
    check(&gateway.call(call).await.expect(200), "response 3", "fwd=stale");
    let plain = gateway.call(Call::get("/plain/a")).await.expect(200);
    assert_eq!(plain.header("cache-status"), None);
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("tollgate_cache_requests_total{route=\"/o\",result=\"hit\"}"), "{metrics}");
}

#[tokio::test]
async fn a_request_with_a_key_over_16_kib_is_not_cached() {
    let upstream = numbered("200 OK\r\ncache-control: max-age=60").await;
    let gateway = gateway(&upstream).await;
    let call = |bytes: usize| Call::get("/o/a").header("x-tenant", &"t".repeat(bytes));
    for (number, kib) in [16, 16, 60, 60].into_iter().enumerate() {
        let answer = gateway.call(call(kib * 1024)).await.expect(200);
        assert_eq!((answer.text(), answer.header("age")), (format!("response {number}"), None), "{kib} KiB");
    }
    check(&gateway.call(call(15 * 1024)).await.expect(200), "response 4", "fwd=miss");
    check(&gateway.call(call(15 * 1024)).await.expect(200), "response 4", "; hit");
    assert_eq!(gateway.gauge("tollgate_cache_responses").await, 1);
}

#[tokio::test]
async fn hits_count_in_the_rate_of_responses_of_the_gateway_itself() {
    let upstream = numbered("200 OK").await;
    let setup = Setup::routed(upstream.address(), ROUTES).plans("{name: one, requests_per_minute: 1}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("one").await.key;
    // Such responses have ten times `requests_per_minute`.
    for (left, status) in [("0", "fwd=miss"), ("9", "; hit"), ("8", "; hit")] {
        let answer = gateway.call(Call::get("/k/a").key(&key)).await.expect(200);
        check(&answer, "response 0", status);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left));
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn ranges_and_conditions_are_answered_from_stored_responses() {
    let date = "Tue, 24 Nov 2026 00:00:00 GMT";
    let upstream =
        numbered("200 OK\r\ncache-control: max-age=60\r\netag: \"a\"\r\nlast-modified: Tue, 24 Nov 2026 00:00:00 GMT")
            .await;
    let gateway = gateway(&upstream).await;
    // The upstream gets no condition of the client: its response is stored.
    let first = gateway.call(Call::get("/o").header("if-none-match", "W/\"a\"")).await.expect(304);
    assert_eq!((first.header("etag"), first.body.len()), (Some("\"a\""), 0));
    assert_eq!(upstream.only().head.header("if-none-match"), None);
    // The client has its whole response before the upstream's is stored.
    eventually("the response is stored", async || (gateway.gauge("tollgate_cache_responses").await == 1).then_some(()))
        .await;
    for (name, value, status, content, range) in [
        ("if-none-match", "\"b\", W/\"a\"", 304, "", None),
        ("if-none-match", "*", 304, "", None),
        ("if-none-match", "\"b\"", 200, "response 0", None),
        ("if-modified-since", date, 304, "", None),
        ("if-modified-since", "Mon, 23 Nov 2026 00:00:00 GMT", 200, "response 0", None),
        ("range", "bytes=0-3", 206, "resp", Some("bytes 0-3/10")),
        ("range", "bytes=-1", 206, "0", Some("bytes 9-9/10")),
        ("range", "bytes=10-", 416, "", Some("bytes */10")),
        ("range", "bytes=0-1,3-4", 200, "response 0", None),
    ] {
        let answer = gateway.call(Call::get("/o").header(name, value)).await.expect(status);
        check(&answer, content, "hit");
        assert_eq!(answer.header("content-range"), range, "{name}: {value}");
    }
    for (condition, status) in [("\"a\"", 206), ("\"b\"", 200), ("W/\"a\"", 200), (date, 206)] {
        let call = Call::get("/o").header("range", "bytes=0-3").header("if-range", condition);
        gateway.call(call).await.expect(status);
    }
    assert_eq!(upstream.seen().len(), 1);
    // A range of a response that is not stored is the upstream's.
    gateway.call(Call::get("/o/b").header("range", "bytes=0-3")).await.expect(200);
    assert_eq!(upstream.seen()[1].head.header("range"), Some("bytes=0-3"));
}

#[tokio::test]
async fn what_must_not_be_stored_is_not() {
    for (head, target, field) in [
        ("200 OK\r\ncache-control: private, max-age=60", "/o", None),
        ("200 OK\r\ncache-control: no-store", "/ttl", None),
        ("200 OK\r\ncache-control: max-age=60\r\nset-cookie: a=b", "/o", None),
        ("200 OK\r\ncache-control: max-age=60\r\nvary: *", "/o", None),
        ("200 OK", "/o", None),
        ("500 Internal Server Error", "/ttl", None),
        ("200 OK", "/ttl", Some(("cookie", "session=1"))),
        ("200 OK", "/ttl", Some(("x-api-key", "of the upstream"))),
        // The gateway writes this field, so requests with equal fields may get other responses.
        ("200 OK\r\ncache-control: max-age=60\r\nvary: X-Forwarded-For", "/o", None),
        ("200 OK\r\ncache-control: max-age=60", "/o", Some(("authorization", "Basic eDp5"))),
        ("200 OK\r\ncache-control: max-age=60", "/o", Some(("cache-control", "no-store"))),
        (
            "200 OK\r\ncache-control: max-age=60\r\nx-long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "/small/x",
            None,
        ),
    ] {
        let upstream =
            if target == "/small/x" { Upstream::answering(head, "x".repeat(101)).await } else { numbered(head).await };
        let gateway = gateway(&upstream).await;
        for sent in 1..=3 {
            let mut call = Call::get(target);
            if let Some((name, value)) = field {
                call = call.header(name, value);
            }
            let answer = gateway.call(call).await;
            assert!(!answer.header("cache-status").unwrap().contains("hit"), "{head} {field:?}");
            assert_eq!(upstream.seen().len(), sent, "{head} {field:?}");
        }
    }
}

#[tokio::test]
async fn a_change_on_another_route_removes_the_responses_of_its_url() {
    let upstream = numbered("200 OK\r\ncache-control: max-age=60").await;
    let route = "path: {prefix: /c}, upstreams: backend, auth: {type: none}";
    let routes = format!("{{methods: [GET], cache: {{}}, {route}}}, {{methods: [PUT], {route}}}");
    let gateway = Gateway::start(Setup::routed(upstream.address(), &routes)).await;
    for (method, content, status) in
        [("GET", "response 0", "fwd=miss"), ("GET", "response 0", "; hit"), ("PUT", "response 1", "")]
    {
        check(&gateway.call(Call::new(method, "/c/7")).await.expect(200), content, status);
    }
    check(&gateway.call(Call::get("/c/7")).await.expect(200), "response 2", "fwd=miss");
}

#[tokio::test]
async fn a_client_gets_only_its_own_responses_unless_the_route_shares_them() {
    let upstream = numbered("200 OK").await;
    let gateway = gateway(&upstream).await;
    let keys = [gateway.key().await, gateway.key().await];
    for (target, expected) in [("/k", ["response 0", "response 1"]), ("/s", ["response 2", "response 2"])] {
        for _ in 0..2 {
            for (key, content) in keys.iter().zip(expected) {
                let answer = gateway.call(Call::get(target).key(key)).await.expect(200);
                assert_eq!(answer.text(), content, "{target}");
            }
        }
        gateway.call(Call::get(target)).await.expect(401);
    }
    // Only requests to the upstream cost credits.
    gateway.uses(&keys[0], 2).await;
    gateway.uses(&keys[1], 1).await;
}

#[tokio::test]
async fn a_change_removes_the_stored_responses_of_its_url() {
    let upstream = numbered("200 OK\r\ncache-control: max-age=60\r\nlocation: /o/b").await;
    let gateway = gateway(&upstream).await;
    for target in ["/o/a", "/o/b", "/o/c"] {
        gateway.call(Call::get(target)).await.expect(200);
    }
    gateway.call(Call::post("/o/a", "{}")).await.expect(200);
    for (target, content) in [("/o/a", "response 4"), ("/o/b", "response 5"), ("/o/c", "response 2")] {
        assert_eq!(gateway.call(Call::get(target)).await.expect(200).text(), content, "{target}");
    }
}

#[tokio::test]
async fn vary_distinguishes_requests() {
    let upstream = numbered("200 OK\r\ncache-control: max-age=60\r\nvary: Accept-Language, Accept").await;
    let gateway = gateway(&upstream).await;
    for (language, content) in [
        ("de", "response 0"),
        ("en", "response 1"),
        ("de", "response 0"),
        ("en , fr", "response 2"),
        ("en,fr", "response 2"),
    ] {
        let answer = gateway.call(Call::get("/o").header("accept-language", language)).await.expect(200);
        assert_eq!(answer.text(), content, "{language}");
    }
}

/// The fields of the second request are those of the first one, if their names and values are put in a row.
#[tokio::test]
async fn values_of_one_header_are_not_taken_for_another_header() {
    let upstream = numbered("200 OK\r\ncache-control: max-age=60").await;
    let route =
        "path: {prefix: /v}, upstreams: backend, auth: {type: none}, cache: {vary: [Accept-Language, X-Tenant]}";
    let gateway = Gateway::start(Setup::routed(upstream.address(), &format!("{{{route}}}"))).await;
    let repeated = ["en", "X-Tenant", "acme"].map(|value| ("accept-language", value));
    let named = [("accept-language", "en"), ("x-tenant", "acme")];
    for (fields, content) in [(&repeated[..], "response 0"), (&named, "response 1"), (&repeated, "response 0")] {
        let call = fields.iter().fold(Call::get("/v"), |call, (name, value)| call.header(name, value));
        assert_eq!(gateway.call(call).await.expect(200).text(), content, "{fields:?}");
    }
}

#[tokio::test]
async fn stored_responses_are_used_over_http2_and_compressed() {
    let route = "{path: {prefix: /o}, upstreams: backend, auth: {type: none}, cache: {}, compression: [gzip]}";
    let content = "text ".repeat(10_000);
    let upstream =
        Upstream::answering("200 OK\r\ncontent-type: text/plain\r\ncache-control: max-age=60\r\netag: \"a\"", &content)
            .await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), route)).await;
    for (round, protocol) in ["--http1.1", "--http2-prior-knowledge", "--http2-prior-knowledge"].iter().enumerate() {
        let output = Command::new("curl")
            .args([protocol, "--silent", "--show-error", "--max-time", "20", "--compressed"])
            .args(["--dump-header", "-", &format!("http://{}/o", gateway.proxy)])
            .output()
            .await
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let (head, body) = printed.split_once("\r\n\r\n").unwrap();
        assert!(body == content, "{protocol} {head}");
        let head = head.to_lowercase();
        assert!(head.contains("content-encoding: gzip") && head.contains("etag: w/\"a\""), "{head}");
        assert_eq!(head.contains("; hit"), round > 0, "{head}");
    }
    assert_eq!(upstream.seen().len(), 1);
}
