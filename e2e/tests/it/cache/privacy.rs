//! No response of one client reaches another, whatever upstreams and clients say.

use std::sync::Arc;

use e2e::{Call, Gateway, Head, Setup, Turn, Upstream};
use tokio::task::JoinSet;

/// The requests of each client.
const REQUESTS: usize = 150;
/// The clients that send requests at the same time.
const CLIENTS: usize = 12;

const ROUTES: &str = "{path: {prefix: /k}, upstreams: backend, cache: {ttl: 60s}}, \
    {path: {prefix: /o}, upstreams: backend, auth: {type: none}, cache: {ttl: 60s}}, \
    {path: {prefix: /s}, upstreams: backend, cache: {ttl: 60s, shared: true}}";

const CONTROLS: [&str; 15] = [
    "",
    "public",
    "max-age=60",
    "max-age=60, public",
    "max-age=60, private",
    "max-age=60, PRIVATE=\"a\"",
    "max-age=60, must-revalidate",
    "s-maxage=60",
    "no-store, max-age=60",
    "no-cache",
    "max-age=0",
    "no-cache=\"x-a\", max-age=60",
    "max-age=0, stale-while-revalidate=60",
    "max-age=1, stale-while-revalidate=60, stale-if-error=60",
    "max-age=60, no-store, must-understand",
];
const VARIES: [&str; 7] = ["", "accept", "Accept, x-part", "x-part", "cookie", "*", "accept, *"];
const PARTS: [&str; 3] = ["", "a", "b"];

/// A generator of pseudo-random numbers (xorshift), which a seed repeats.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The headers that the response repeats.
const REPEATED: [&str; 5] = ["x-client", "authorization", "accept", "x-part", "cookie"];

fn repeated(head: &Head) -> String {
    REPEATED.map(|name| head.header(name).unwrap_or_default().to_owned()).join("|")
}

/// Starts an upstream that says what the request tells it to say, and repeats what identifies the request.
async fn obedient() -> Upstream {
    Upstream::start(|mut turn: Turn| async move {
        turn.read_body().await;
        let said = |name: &str| turn.head.header(name).unwrap_or_default().to_owned();
        let mut head = "200 OK\r\ncontent-type: text/plain".to_owned();
        for (name, value) in [
            ("cache-control", said("say-control")),
            ("vary", said("say-vary")),
            ("set-cookie", said("say-cookie")),
            ("etag", said("say-tag")),
        ] {
            if !value.is_empty() {
                head.push_str(&format!("\r\n{name}: {value}"));
            }
        }
        let content = repeated(&turn.head);
        if said("say-slowly").is_empty() {
            turn.answer(&head, content.as_bytes()).await;
        } else {
            let (first, rest) = content.split_at(content.len() / 2);
            turn.stream(&head).await;
            for piece in [first, rest, ""] {
                turn.chunk(piece.as_bytes()).await;
                tokio::task::yield_now().await;
            }
        }
        Some(turn)
    })
    .await
}

/// Checks that a response may be that of another request: of the same client, or one that its upstream allows for others.
#[track_caller]
fn check(route: &str, sent: &[String], received: &[&str], head: &Head) {
    let control = head.header("cache-control").unwrap_or_default().to_ascii_lowercase();
    let vary = head.header("vary").unwrap_or_default().to_ascii_lowercase();
    let is_other = sent.iter().zip(received).any(|(sent, received)| sent != received);
    if !is_other {
        return;
    }
    let case = format!("{route}: sent {sent:?}, received {received:?} with {head:?}");
    // No upstream has consented to the use of a response that is always validated.
    assert!(!matches!(&*control, "no-cache" | "max-age=0"), "{case}");
    assert!(!control.contains("private") && head.header("set-cookie").is_none(), "{case}");
    assert!(!control.contains("no-store") || control.contains("must-understand"), "{case}");
    assert!(!vary.contains('*'), "{case}");
    // Only the upstream knows whether a response to a cookie is for others.
    let has_lifetime = ["max-age", "s-maxage"].iter().any(|lifetime| control.contains(lifetime));
    assert!(has_lifetime || received[4].is_empty(), "{case}");
    for (at, name) in REPEATED.iter().enumerate() {
        let is_same = sent[at] == received[at];
        assert!(is_same || !vary.contains(name), "{name}: {case}");
    }
    if route == "/k" {
        assert_eq!(sent[0], received[0], "{case}");
    }
    if sent[1] != received[1] && !received[1].is_empty() {
        let is_allowed = ["public", "s-maxage", "must-revalidate"].iter().any(|allows| control.contains(allows));
        assert!(is_allowed, "{case}");
    }
}

#[tokio::test]
async fn a_response_that_varies_by_a_header_of_the_gateway_is_not_stored() {
    let upstream = Upstream::start(|mut turn: Turn| async move {
        turn.read_body().await;
        let content = turn.head.header("x-org").unwrap_or_default().to_owned();
        turn.answer("200 OK\r\ncache-control: max-age=60\r\nvary: X-Org", content.as_bytes()).await;
        Some(turn)
    })
    .await;
    let routes = "{path: {prefix: /t}, upstreams: backend, auth: {type: none}, cache: {shared: true}, \
        transformations: {request: {add_headers: {X-Org: \"${header.X-Team}\"}}}}";
    let gateway = Gateway::start(Setup::routed(upstream.address(), routes)).await;
    for team in ["a", "b", "a"] {
        let answer = gateway.call(Call::get("/t").header("x-team", team)).await.expect(200);
        assert_eq!(answer.text(), team, "{:?}", answer.head);
    }
    let upstream = obedient().await;
    let setup = Setup::routed(upstream.address(), ROUTES).section("forwarded", "true").section("via", "true");
    let gateway = Gateway::start(setup).await;
    for name in ["X-Forwarded-For", "Forwarded", "via", "x-request-id", "x-correlation-id", "traceparent", "tracestate"]
    {
        for _ in 0..2 {
            let call = Call::get(&format!("/o/{name}")).header("say-control", "max-age=60").header("say-vary", name);
            let answer = gateway.call(call).await.expect(200);
            assert!(answer.header("cache-status").unwrap().contains("fwd=miss"), "{name} {:?}", answer.head);
        }
    }
}

#[tokio::test]
async fn a_listed_header_that_the_route_writes_distinguishes_its_clients() {
    let upstream = Upstream::start(|mut turn: Turn| async move {
        turn.read_body().await;
        let content = turn.head.header("x-org").unwrap_or_default().to_owned();
        turn.answer("200 OK", content.as_bytes()).await;
        Some(turn)
    })
    .await;
    let changes = "transformations: {request: {add_headers: {X-Org: \"${header.X-Team}\"}}}";
    let cached = "auth: {type: none}, cache: {ttl: 60s, vary: [X-Org]}";
    let routes = format!(
        "{{path: {{prefix: /t}}, upstreams: backend, {cached}, {changes}}}, \
         {{path: {{prefix: /u}}, upstreams: [{{name: backend, {changes}}}], {cached}}}"
    );
    let gateway = Gateway::start(Setup::routed(upstream.address(), &routes)).await;
    for path in ["/t", "/u"] {
        for (team, status) in [("a", "fwd=miss"), ("b", "fwd=miss"), ("a", "; hit")] {
            let answer = gateway.call(Call::get(path).header("x-team", team)).await.expect(200);
            super::check(&answer, team, status);
        }
    }
}

#[tokio::test]
async fn clients_that_a_trusted_proxy_identifies_get_their_own_responses() {
    const NAMES: [&str; 4] = ["x-ssl-client-s-dn", "remote-user", "x-auth-request-email", "X_Remote_User"];
    let upstream = Upstream::start(|mut turn: Turn| async move {
        turn.read_body().await;
        let content = NAMES.map(|name| turn.head.header(name).unwrap_or_default().to_owned()).concat();
        turn.answer("200 OK", content.as_bytes()).await;
        Some(turn)
    })
    .await;
    let setup = Setup::routed(upstream.address(), ROUTES).section("trusted_proxies", "[127.0.0.1]");
    let gateway = Gateway::start(setup).await;
    for name in NAMES {
        for (client, status) in [("CN=A", "fwd=miss"), ("CN=B", "fwd=miss"), ("CN=A", "; hit")] {
            let answer = gateway.call(Call::get("/o").header(name, client)).await.expect(200);
            super::check(&answer, client, status);
        }
    }
    // Addresses and ids of requests name no other response.
    for (reference, status) in [("1", "fwd=miss"), ("2", "; hit")] {
        let answer = gateway.call(Call::get("/o").header("x-azure-ref", reference)).await.expect(200);
        super::check(&answer, "", status);
    }
}

#[tokio::test]
async fn no_response_of_a_client_reaches_another() {
    let seed = std::env::var("TOLLGATE_CACHE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 1);
    println!("TOLLGATE_CACHE_SEED={seed}");
    let upstream = obedient().await;
    let gateway = Arc::new(Gateway::start(Setup::routed(upstream.address(), ROUTES)).await);
    let keys = [gateway.key().await, gateway.key().await, gateway.key().await];
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let gateway = gateway.clone();
        let keys = keys.clone();
        let mut numbers = Numbers(seed.wrapping_mul(client as u64 * 2 + 1) | 1);
        clients.spawn(async move {
            let mut used = 0;
            for _ in 0..REQUESTS {
                let route = numbers.one_of(&["/k", "/o", "/s"]);
                let identity = numbers.below(keys.len());
                let mut call = Call::get(&format!("{route}/{}", numbers.below(4)));
                call = call.header("x-client", &identity.to_string());
                let mut sent = vec![identity.to_string()];
                let credential = numbers.one_of(&["", "Basic YTpi", "Basic Yzpk"]);
                sent.push(credential.to_owned());
                if !credential.is_empty() {
                    call = call.header("authorization", credential);
                }
                if route != "/o" {
                    call = call.header("x-api-key", &keys[identity]);
                }
                for name in ["accept", "x-part", "cookie"] {
                    let part = numbers.one_of(&PARTS);
                    sent.push(part.to_owned());
                    if !part.is_empty() {
                        call = call.header(name, part);
                    }
                }
                for (name, value) in [
                    ("say-control", numbers.one_of(&CONTROLS)),
                    ("say-vary", numbers.one_of(&VARIES)),
                    ("say-tag", numbers.one_of(&["", "\"a\""])),
                    ("say-cookie", numbers.one_of(&["", "", "", "id=1"])),
                    ("say-slowly", numbers.one_of(&["", "yes"])),
                    ("cache-control", numbers.one_of(&["", "", "", "no-cache", "max-age=0"])),
                ] {
                    if !value.is_empty() {
                        call = call.header(name, value);
                    }
                }
                let answer = gateway.call(call).await.expect(200);
                let text = answer.text();
                let received: Vec<&str> = text.split('|').collect();
                check(route, &sent, &received, &answer.head);
                used += usize::from(!answer.header("cache-status").unwrap().contains("bypass"));
            }
            used
        });
    }
    let used: usize = clients.join_all().await.into_iter().sum();
    // The test is about the cache only if requests use it.
    assert!(used * 2 > CLIENTS * REQUESTS, "{used}");
    assert!(upstream.seen().len() < CLIENTS * REQUESTS);
}

#[tokio::test]
async fn a_client_whose_key_is_beside_another_credential_gets_its_own_responses() {
    let upstream = obedient().await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTES)).await;
    let key = gateway.key().await;
    let received = async |target: &str, credential: &str, control: &str| {
        let call = Call::get(target).header("x-api-key", &key).header("authorization", credential);
        let answer = gateway.call(call.header("say-control", control)).await.expect(200);
        answer.text().split('|').nth(1).unwrap_or_default().to_owned()
    };
    let [first, second] = ["Basic YTpi", "Basic Yzpk"];
    for (target, control, is_for_all) in [
        ("/k/a", "", false),
        ("/s/a", "", false),
        ("/k/b", "max-age=60", false),
        ("/s/b", "max-age=60", false),
        ("/k/c", "public", true),
        ("/s/c", "max-age=60, public", true),
    ] {
        assert_eq!(received(target, first, control).await, first, "{target} {control}");
        let expected = if is_for_all { first } else { second };
        assert_eq!(received(target, second, control).await, expected, "{target} {control}");
    }
}

#[tokio::test]
async fn a_key_that_a_service_accepts_without_a_name_has_its_own_responses() {
    let upstream = Upstream::answering("200 OK", "x").await;
    let service = Upstream::answering("200 OK", "").await;
    let routes =
        "{path: {prefix: /f}, upstreams: backend, auth: {type: forward, use: gate}, cache: {ttl: 60s, shared: true}}";
    let entry = format!("[{{name: gate, type: forward, url: \"http://{}/\"}}]", service.address());
    let gateway = Gateway::start(Setup::routed(upstream.address(), routes).section("auth", &entry)).await;
    for key in ["a", "b"] {
        gateway.call(Call::get("/f").header("x-api-key", key)).await.expect(200);
    }
    assert_eq!(upstream.seen().len(), 2);
    // Clients without a key share a response.
    for _ in 0..2 {
        gateway.call(Call::get("/f")).await.expect(200);
    }
    assert_eq!(upstream.seen().len(), 3);
}
