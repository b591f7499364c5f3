//! The choice of a backend: values of requests, new backends, and panic.

use http::{Method, StatusCode};

use crate::failing_backends::{Switched, before, get, received, yaml};
use crate::gateway::Gateway;
use crate::tokens::{SECRET, call, of_ada};

/// Backends of which the first has failed once, and is out for it. It would respond with 200 now.
async fn first_out(count: usize, more: &str) -> (Gateway, Vec<Switched>) {
    let first = Switched::start(503).await;
    let mut backends = Vec::new();
    for _ in 1..count {
        backends.push(Switched::start(200).await);
    }
    let gateway = before(&std::iter::once(&first).chain(&backends).collect::<Vec<_>>(), more, "");
    let caller = gateway.caller();
    while first.received() == 0 {
        get(&caller).await;
    }
    first.set(200);
    backends.insert(0, first);
    (gateway, backends)
}

#[tokio::test]
async fn too_few_available_backends_are_panic_which_passes_no_breaker() {
    let ejects = "ejection: {failures: 1, time: 1h, max: 100%}";
    let breaks = "circuit_breaker: {failure_threshold: 1, timeout: 1h}";
    for (count, panic, out, is_used) in [
        (2, "50%", ejects, true),
        (3, "50%", ejects, false),
        (2, "0%", ejects, false),
        (2, "49%", ejects, false),
        (2, "100%", breaks, false),
    ] {
        // No checker runs here: the first backend is out by its ejection or breaker.
        let more = format!(", {out}, slow_start: 0s, health_check: {{path: /health, panic: {panic}}}");
        let (gateway, backends) = first_out(count, &more).await;
        let shares = received(&gateway, 12, &backends.iter().collect::<Vec<_>>()).await;
        let expected = if is_used { 12 / count } else { 0 };
        assert_eq!((shares[0], shares.iter().sum::<usize>()), (expected, 12), "{panic} of {count}, {out}: {shares:?}");
    }
}

#[tokio::test]
async fn without_panic_requests_are_refused_while_no_backend_is_available() {
    for (count, panic, expected) in [(1, "off", 503), (2, "off", 503), (2, "0%", 200)] {
        let mut backends = Vec::new();
        for _ in 0..count {
            backends.push(Switched::start(200).await);
        }
        let more = format!(", health_check: {{tcp: true, panic: {panic}}}");
        let gateway = before(&backends.iter().collect::<Vec<_>>(), &more, "");
        let caller = gateway.caller();
        assert_eq!(get(&caller).await.status(), StatusCode::OK, "{panic} of {count}");
        gateway.fail_health_checks();
        let response = get(&caller).await;
        assert_eq!(response.status().as_u16(), expected, "{panic} of {count}");
        assert_eq!(response.headers().contains_key("retry-after"), expected == 503, "{panic} of {count}");
    }
}

#[tokio::test]
async fn a_claim_determines_the_backend() {
    let backends = [Switched::start(200).await, Switched::start(200).await];
    let all: Vec<&Switched> = backends.iter().collect();
    let gateway = Gateway::plain(&format!(
        "auth: [{{name: hmac, type: jwt, algorithms: [HS256], secret: {SECRET}, audience: api}}]\n{}",
        yaml(&all, ", strategy: hash, hash: {claim: team}", ", auth: {type: jwt, use: hmac}")
    ));
    let mut used = 0;
    for nth in 0..40 {
        let before: Vec<usize> = all.iter().map(|backend| backend.received()).collect();
        for more in ["", ",\"other\":1", ",\"x\":2"] {
            let token = of_ada(&format!(",\"team\":\"team-{nth}\"{more}"));
            assert_eq!(call(&gateway, "/", &format!("authorization: Bearer {token}\r\n")).await.0, 200);
        }
        let more: Vec<usize> = all.iter().zip(before).map(|(backend, before)| backend.received() - before).collect();
        assert!(more == [3, 0] || more == [0, 3], "{more:?}");
        used |= if more[0] == 3 { 1 } else { 2 };
    }
    assert_eq!(used, 3, "each backend gets some teams");
}

#[tokio::test]
async fn addresses_of_one_64_have_one_backend() {
    let backends = [Switched::start(200).await, Switched::start(200).await];
    let all: Vec<&Switched> = backends.iter().collect();
    let gateway = Gateway::plain(&format!(
        "trusted_proxies: [127.0.0.1]\nrate_limits: []\n{}",
        yaml(&all, ", strategy: ip_hash", ", auth: {type: none}")
    ));
    let mut used = 0;
    for network in 0..40 {
        let before: Vec<usize> = all.iter().map(|backend| backend.received()).collect();
        for host in ["::1", ":a:b:c:d", ":ffff:ffff:ffff:ffff"] {
            let fields = format!("x-forwarded-for: 2001:db8:7:{network:x}{host}\r\n");
            assert_eq!(call(&gateway, "/", &fields).await.0, 200);
        }
        let more: Vec<usize> = all.iter().zip(before).map(|(backend, before)| backend.received() - before).collect();
        assert!(more == [3, 0] || more == [0, 3], "{network}: {more:?}");
        used |= if more[0] == 3 { 1 } else { 2 };
    }
    assert_eq!(used, 3, "each backend gets some networks");
}

#[tokio::test]
async fn a_new_backend_of_a_hash_has_its_whole_share_at_once() {
    for (strategy, is_whole) in [("hash, hash: {query: id}", true), ("round_robin", false)] {
        let backends = [Switched::start(200).await, Switched::start(200).await];
        let more = format!(", slow_start: 1h, strategy: {strategy}");
        let open = ", auth: {type: none}";
        let gateway = before(&[&backends[0]], &more, open);
        let caller = gateway.caller();
        caller.send(Method::GET, "/?id=0", "").await;
        gateway.reload(&yaml(&[&backends[0], &backends[1]], &more, open));
        for nth in 0..100 {
            let response = caller.send(Method::GET, &format!("/?id=value-{nth}"), "").await;
            assert_eq!(response.status(), StatusCode::OK);
        }
        // Its half is 50; a tenth of its turns are 5.
        let new = backends[1].received();
        assert_eq!(new >= 25, is_whole, "{strategy}: {new}");
    }
}
