//! Quotas of each kind of client without a user: the same number of requests passes, and the refusals are those of keys.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use e2e::{Answer, Call, Gateway, Redis, Setup, Upstream};
use sha2::{Digest, Sha256};

use crate::reconcile::agrees;
use crate::redis_keys;

/// `credits_per_day` of the plans `small` and `large`.
const SMALL: usize = 5;
const LARGE: usize = 8;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The hash of `open sesame`, with the lowest cost of Argon2id.
const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$YSBzYWx0IG9mIHRlc3RzIQ$vQs0X0mFnlBVh6mFAhs29A";
/// Keys of the configuration, and keys in Redis.
const LISTED: [&str; 2] = ["0123456789abcdef", "fedcba9876543210"];
const IN_REDIS: [(&str, &str); 3] = [
    ("a-key-in-redis-of-acme", r#"{"name":"acme"}"#),
    ("a-key-in-redis-of-bolt", r#"{"name":"bolt"}"#),
    ("a-key-in-redis-of-acme-large", r#"{"name":"acme","plan":"large"}"#),
];

/// A client: the prefix of its routes, and the field with its credential.
#[derive(Debug, Clone)]
struct Client {
    prefix: &'static str,
    field: (&'static str, String),
}

/// A client that spends its quota, and another subject of the same entry.
struct Pair {
    client: Client,
    quota: usize,
    other: Client,
}

fn setup(upstream: &Upstream, service: &Upstream, redis: &Redis) -> Setup {
    let route = |(kind, auth): &(&str, &str)| {
        let of = format!("auth: {auth}, upstreams: backend");
        format!("{{path: /{kind}/plain, {of}}}, {{path: /{kind}/rows, events: rows, {of}}}")
    };
    let routes = [
        ("users", "{type: key}"),
        ("listed", "{type: key, use: listed}"),
        ("redis", "{type: key, use: shared}"),
        ("jwt", "{type: jwt, use: named}"),
        ("claim", "{type: jwt, use: claimed}"),
        ("basic", "{type: basic, use: ops}"),
        ("forward", "{type: forward, use: gate}"),
    ];
    let [acme, bolt] = LISTED;
    let auth = [
        format!(
            "name: listed, type: key, plan: small, keys: [{{name: acme, value: {acme}}}, {{name: bolt, value: {bolt}}}]"
        ),
        "name: shared, type: key, plan: small, redis: {}".to_owned(),
        format!("name: named, type: jwt, algorithms: [HS256], secret: {SECRET}, plan: small"),
        format!("name: claimed, type: jwt, algorithms: [HS256], secret: {SECRET}, plan: {{claim: tier}}"),
        format!(
            "name: ops, type: basic, plan: small, users: [{{name: acme, hash: \"{HASH}\"}}, {{name: bolt, hash: \"{HASH}\"}}]"
        ),
        format!("name: gate, type: forward, url: \"http://{}/\", subject: X-User, plan: small", service.address()),
    ];
    Setup::routed(upstream.address(), &routes.each_ref().map(route).join(", "))
        .plans(&format!("{{name: small, credits_per_day: {SMALL}}}, {{name: large, credits_per_day: {LARGE}}}"))
        .section("auth", &format!("[{}]", auth.map(|entry| format!("{{{entry}}}")).join(", ")))
        .section("redis", &format!("\"{}\"", redis.url()))
}

/// Returns an access token (RFC 7515) with this payload.
fn token(claims: &str) -> String {
    let encoded = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let message = format!("{}.{}", encoded(r#"{"alg":"HS256"}"#), encoded(claims));
    // HMAC with a key that is shorter than a block (RFC 2104).
    let block = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(SECRET.bytes()).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(block(0x36)).chain_update(&message).finalize();
    let tag = Sha256::new().chain_update(block(0x5c)).chain_update(inner).finalize();
    format!("{message}.{}", Base64UrlUnpadded::encode_string(&tag))
}

/// Returns a client with a token that ends in the year 2100.
fn bearer(prefix: &'static str, name: &str, tier: &str) -> Client {
    let claims = format!(r#"{{"sub":"{name}","exp":4102444800,"tier":"{tier}"}}"#);
    Client { prefix, field: ("authorization", format!("Bearer {}", token(&claims))) }
}

fn with_key(prefix: &'static str, key: &str) -> Client {
    Client { prefix, field: ("x-api-key", key.to_owned()) }
}

fn basic(name: &str) -> Client {
    let credential = Base64::encode_string(format!("{name}:open sesame").as_bytes());
    Client { prefix: "/basic", field: ("authorization", format!("Basic {credential}")) }
}

/// Returns a client whom the service names `name`.
fn forward(name: &str) -> Client {
    Client { prefix: "/forward", field: ("x-session", name.to_owned()) }
}

/// Returns a pair of each kind; the first pair has keys of users.
async fn pairs(gateway: &Gateway) -> Vec<Pair> {
    let users = [gateway.account("small").await.key, gateway.account("small").await.key];
    let [[user, other_user], [listed, other_listed]] =
        [users.each_ref().map(|key| with_key("/users", key)), LISTED.map(|key| with_key("/listed", key))];
    let [in_redis, other_in_redis, _] = IN_REDIS.map(|(key, _)| with_key("/redis", key));
    let pair = |quota, client, other| Pair { client, quota, other };
    vec![
        pair(SMALL, user, other_user),
        pair(SMALL, listed, other_listed),
        pair(SMALL, in_redis, other_in_redis),
        pair(SMALL, bearer("/jwt", "acme", "large"), bearer("/jwt", "bolt", "large")),
        pair(SMALL, bearer("/claim", "acme", "small"), bearer("/claim", "bolt", "small")),
        pair(LARGE, bearer("/claim", "cyan", "large"), bearer("/claim", "dune", "large")),
        pair(SMALL, basic("acme"), basic("bolt")),
        pair(SMALL, forward("acme"), forward("bolt")),
    ]
}

/// A service that names each client after its session.
async fn service() -> Upstream {
    Upstream::start(|mut turn| async move {
        let name = turn.head.header("x-session").unwrap_or_default().to_owned();
        turn.answer(&format!("200 OK\r\nx-user: {name}"), b"").await;
        Some(turn)
    })
    .await
}

async fn call(gateway: &Gateway, path: &str, Client { prefix, field: (name, value) }: &Client) -> Answer {
    gateway.call(Call::get(&format!("{prefix}{path}")).header(name, value)).await
}

/// Sends requests to both routes in turn until one is refused. Returns the number that passed, and the refusal.
async fn spend(gateway: &Gateway, client: &Client) -> (usize, Answer) {
    for (passed, path) in ["/plain", "/rows"].iter().cycle().enumerate() {
        let answer = call(gateway, path, client).await;
        if answer.status() != 200 {
            return (passed, answer);
        }
    }
    unreachable!("the routes are cycled")
}

/// Returns the parts of a refusal that do not depend on the time.
fn refusal(answer: &Answer) -> Vec<Option<String>> {
    let fields = ["x-ratelimit-limit", "x-ratelimit-remaining", "content-type"];
    let has = |name: &str| Some(answer.header(name).is_some().to_string());
    let fields = fields.map(|name| answer.header(name).map(str::to_owned)).into_iter();
    let code = e2e::text(&answer.json()["error"]["code"]);
    fields
        .chain([has("retry-after"), has("x-ratelimit-reset"), Some(answer.status().to_string()), Some(code)])
        .collect()
}

#[tokio::test]
async fn each_kind_of_client_has_its_quota_and_the_refusals_of_keys() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let service = service().await;
    let redis = Redis::start().await;
    for (key, value) in IN_REDIS {
        redis.set(&format!("tollgate:key:{}", e2e::sha256(key.as_bytes())), value).await;
    }
    let setup = setup(&upstream, &service, &redis);
    let gateway = Gateway::start(setup.clone()).await;
    redis_keys::available(&gateway, 1).await;
    let pairs = pairs(&gateway).await;
    let mut of_users = Vec::new();
    for Pair { client, quota, other } in &pairs {
        let (passed, refused) = spend(&gateway, client).await;
        assert_eq!(passed, *quota, "{client:?} {} {}", refused.head.first, refused.text());
        let found = refusal(&refused);
        if of_users.is_empty() {
            of_users.clone_from(&found);
            assert_eq!(found.last().cloned().flatten().as_deref(), Some("quota_exceeded"), "{}", refused.text());
        }
        if *quota == SMALL {
            assert_eq!(found, of_users, "{client:?}");
        }
        for path in ["/plain", "/rows"] {
            call(&gateway, path, client).await.expect(429);
        }
        call(&gateway, "/plain", other).await.expect(200);
    }
    // Another plan of the same subject has its own limit, and the same usage.
    let [_, _, (key, _)] = IN_REDIS;
    for large in [bearer("/claim", "acme", "large"), with_key("/redis", key)] {
        assert_eq!(spend(&gateway, &large).await.0, LARGE - SMALL, "{large:?}");
    }
    call(&gateway, "/plain", &bearer("/claim", "cyan", "small")).await.expect(429);
    let unknown = call(&gateway, "/plain", &bearer("/claim", "acme", "huge")).await.expect(403);
    assert_eq!(unknown.json()["error"]["code"], "forbidden");
    // The store has the usage of each kind.
    let gateway = Gateway::start_in(gateway.stop().await.folder, setup).await;
    redis_keys::available(&gateway, 1).await;
    for Pair { client, quota, other } in &pairs {
        call(&gateway, "/plain", client).await.expect(429);
        assert_eq!(spend(&gateway, other).await.0, quota - 1, "{other:?}");
    }
    agrees(&gateway.stop().await.folder).await;
}
