//! The memory of buffered bodies is divided among keys: one key cannot cause refusals of another.

use std::io::Write;
use std::time::Duration;

use e2e::{Answer, Call, Canary, Gateway, Setup, Upstream, commands, eventually};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format};
use crate::hostile::say;

const MIB: usize = 1 << 20;
/// The default maximum size of a body.
const LARGEST: usize = 32 * MIB;

/// Returns a request of `bytes` bytes. With `dense`, one in 64 bytes of the padding is random, so that the body
/// compresses less well.
fn padded(model: &str, bytes: usize, dense: bool) -> Vec<u8> {
    let mut body =
        format!(r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "hi"}}], "x": ""#).into_bytes();
    let mut seed = 1_u32;
    while body.len() < bytes - 66 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        body.extend_from_slice(&[b'z'; 63]);
        body.push(if dense { b'a' + u8::try_from(seed >> 28).unwrap() } else { b'z' });
    }
    body.resize(bytes - 2, b'z');
    body.extend_from_slice(b"\"}");
    body
}

fn gzip(plain: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn small(key: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(key)
}

fn refusal(answer: &Answer) -> Value {
    answer.json()["error"]["code"].clone()
}

/// Sends the requests in the background until the result is dropped; the response is `None` if the connection was
/// closed first.
fn send_all(gateway: &Gateway, calls: impl IntoIterator<Item = Call>) -> JoinSet<Option<Answer>> {
    let mut sent = JoinSet::new();
    for call in calls {
        let to = gateway.proxy;
        sent.spawn(async move { Some(call.attempt(to).await.ok()?.rest().await) });
    }
    sent
}

#[tokio::test]
async fn compressed_bodies_of_one_key_at_a_provider_that_hangs_leave_others_alone() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account("open").await;
    let (first, second) = (&account.key, gateway.key().await);
    let beside = commands::keys_create(gateway.folder(), &account.email, "second").await;
    let bomb = gzip(&padded("mock/hang", LARGEST, false), Compression::best());
    let dense = gzip(&padded("mock/hang", LARGEST, true), Compression::fast());
    assert!(bomb.len() < 40_000 && dense.len() < LARGEST / 10, "{} {}", bomb.len(), dense.len());
    let of = |body: &[u8]| Call::post(CHAT, body).key(first).header("content-encoding", "gzip");
    let calls = (0..24).map(|nth| of(if nth % 2 == 0 { &bomb } else { &dense }));
    // One is sure to be sent before the crowd's parts take each other's room.
    let _first = send_all(&gateway, [of(&dense)]);
    eventually("one hangs", async || (gateway.mock().requests("hang").await == 1).then_some(())).await;
    let mut sent = send_all(&gateway, calls);
    let since = Canary::new();
    let large = padded("mock/tokens-1", LARGEST, true);
    for round in 0..10 {
        gateway.call(small(&second)).await.expect(200);
        gateway.call(small(&beside)).await.expect(200);
        if round % 5 == 0 {
            gateway.call(Call::post(CHAT, &large).key(&second)).await.expect(200);
        }
    }
    since.assert_within(Duration::from_secs(60), "twenty small calls and two large ones");
    // The bodies were sent upstream and are no longer buffered, although no response has arrived.
    eventually("what was sent is let go", async || (gateway.gauge("tollgate_buffered_bytes").await == 0).then_some(()))
        .await;
    assert!(gateway.gauge("tollgate_requests_in_flight").await > 0);
    while let Some(Ok(answer)) = sent.try_join_next() {
        let answer = answer.expect("a compressed body is read whole before it is refused");
        let code = refusal(&answer);
        assert!(code == "overloaded" || code == "payload_too_large", "{}", answer.text());
    }
}

#[tokio::test]
async fn bodies_that_a_provider_does_not_take_fill_the_share_of_their_key_alone() {
    let deaf = Upstream::start(|turn| async move {
        std::future::pending::<()>().await;
        Some(turn)
    })
    .await;
    let answering = Upstream::json(&json!({})).await;
    let of = |name, address| e2e::setup::provider(name, "openai", address);
    let providers = format!("[{}, {}]", of("deaf", deaf.address()), of("up", answering.address()));
    let gateway = Gateway::start(Setup::new().section("providers", &providers)).await;
    let account = gateway.account("open").await;
    let (first, second) = (&account.key, gateway.key().await);
    let beside = commands::keys_create(gateway.folder(), &account.email, "second").await;
    let held = Call::post(CHAT, padded("deaf/m", 24 * MIB, false)).key(first);
    let mut sent = Vec::new();
    for bodies in 1..=2 {
        sent.push(send_all(&gateway, [held.clone()]));
        eventually("it is held", async || {
            (gateway.gauge("tollgate_buffered_bytes").await == bodies * 24 * (1 << 20)).then_some(())
        })
        .await;
    }
    let answer = gateway.call(held.clone()).await.expect(503);
    assert_eq!(refusal(&answer), "overloaded");
    let share = "of the 67108864 bytes of request bodies that it may hold now";
    assert!(answer.text().contains(share), "{}", answer.text());
    let largest = padded("up/m", LARGEST, false);
    for key in [&second, &beside] {
        gateway.call(Call::post(CHAT, &largest).key(key)).await.expect(200);
        gateway.call(Call::json(CHAT, &Format::Chat.body("up/m", false)).key(key)).await.expect(200);
    }
    drop(sent);
    gateway.at_rest().await;
    assert_eq!(gateway.gauge("tollgate_buffered_bytes").await, 0);
}

#[tokio::test]
async fn calls_of_one_key_in_flight_are_bounded() {
    let gateway = Gateway::start(Setup::mocked().section("connections", "{in_flight_per_key: 3}")).await;
    let (first, second) = (gateway.key().await, gateway.key().await);
    let hang = Call::json(CHAT, &Format::Chat.body("mock/hang", false)).key(&first);
    let sent = send_all(&gateway, (0..3).map(|_| hang.clone()));
    eventually("three are in flight", async || (gateway.mock().requests("hang").await == 3).then_some(())).await;
    let answer = gateway.call(small(&first)).await.expect(429);
    assert_eq!((refusal(&answer), answer.header("retry-after")), (json!("rate_limit_exceeded"), Some("1")));
    assert!(answer.text().contains("3 calls of this key are in flight"), "{}", answer.text());
    gateway.call(small(&second)).await.expect(200);
    drop(sent);
    eventually("a place is free again", async || (gateway.call(small(&first)).await.status() == 200).then_some(()))
        .await;
}

#[tokio::test]
async fn memory_is_bounded_and_goes_back_after_many_large_bodies_at_once() {
    let upstream = Upstream::json(&json!({})).await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(gateway.key().await);
    }
    let before = gateway.vitals().memory_bytes();
    let (plain, dense) = (padded("m", LARGEST, false), padded("m", LARGEST, true));
    let (bomb, packed) = (gzip(&plain, Compression::best()), zstd::encode_all(dense.as_slice(), 1).unwrap());
    let calls = (0..80).map(|nth| {
        let call = |body: &[u8]| Call::post(CHAT, body).key(&keys[nth % keys.len()]);
        match nth % 5 {
            0 => call(&plain),
            1 | 2 => call(&bomb).header("content-encoding", "gzip"),
            _ => call(&packed).header("content-encoding", "zstd"),
        }
    });
    let mut codes = std::collections::BTreeMap::new();
    for answer in send_all(&gateway, calls).join_all().await {
        let code = answer.map_or((0, String::new()), |answer| (answer.status(), refusal(&answer).to_string()));
        *codes.entry(code).or_insert(0) += 1;
    }
    let peak = gateway.vitals().peak_bytes();
    say(&format!("{codes:?}: {} KiB before, {} at most", before >> 10, peak >> 10));
    assert!(peak < 400 << 20, "{} KiB", peak >> 10);
    // How many pass depends on their order: large bodies of one key may refuse one another.
    assert!(codes.keys().all(|(status, _)| [200, 413, 503].contains(status)), "{codes:?}");
    gateway.at_rest().await;
    for key in &keys {
        gateway.call(Call::post(CHAT, &packed).key(key).header("content-encoding", "zstd")).await.expect(200);
    }
    gateway.at_rest().await;
    eventually("memory goes back", async || (gateway.vitals().memory_bytes() < before + (64 << 20)).then_some(()))
        .await;
    say(&format!("{} KiB after", gateway.vitals().memory_bytes() >> 10));
}
