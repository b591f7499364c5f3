//! The memory of buffered bodies is divided among keys: one key cannot cause refusals of another.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::{Answer, Call, Canary, Exchange, Gateway, Piece, Setup, Upstream, Wire, commands, eventually};
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
async fn compressed_bodies_of_one_key_at_a_stalled_provider_do_not_block_other_keys() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account("open").await;
    let first = &account.key;
    let second = gateway.key().await;
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
    // Each call of the crowd was refused, or hangs at the provider as the first call does.
    let mut refused = 0;
    eventually("each call is refused or hangs", async || {
        while let Some(answer) = sent.try_join_next() {
            let answer = answer.unwrap().expect("a compressed body is read whole before it is refused");
            let status = answer.status();
            let code = refusal(&answer);
            assert!(
                (status, &code) == (503, &json!("overloaded")) || (status, &code) == (413, &json!("payload_too_large"))
            );
            refused += 1;
        }
        (refused + gateway.mock().requests("hang").await == 24 + 1).then_some(())
    })
    .await;
    assert!(refused >= 12, "no bomb passes: {refused}");
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
    let first = &account.key;
    let second = gateway.key().await;
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
    let share = "this key may hold 67108864 bytes of request bodies now, and its other calls hold 50331648 of them";
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
async fn calls_of_one_key_and_of_one_user_in_flight_are_bounded() {
    let gateway = Gateway::start(Setup::mocked().section("connections", "{in_flight_per_key: 3}")).await;
    let account = gateway.account("open").await;
    let first = &account.key;
    let other_user = gateway.key().await;
    let second = commands::keys_create(gateway.folder(), &account.email, "second").await;
    let third = commands::keys_create(gateway.folder(), &account.email, "third").await;
    let hang = |key: &str| Call::json(CHAT, &Format::Chat.body("mock/hang", false)).key(key);
    let sent = send_all(&gateway, (0..3).map(|_| hang(first)));
    eventually("three are in flight", async || (gateway.mock().requests("hang").await == 3).then_some(())).await;
    let answer = gateway.call(small(first)).await.expect(429);
    assert_eq!((refusal(&answer), answer.header("retry-after")), (json!("rate_limit_exceeded"), Some("1")));
    assert!(answer.text().contains("3 calls of this key are in flight"), "{}", answer.text());
    gateway.call(small(&third)).await.expect(200);
    let sent_too = send_all(&gateway, (0..3).map(|_| hang(&second)));
    eventually("six are in flight", async || (gateway.mock().requests("hang").await == 6).then_some(())).await;
    let answer = gateway.call(small(&third)).await.expect(429);
    assert_eq!((refusal(&answer), answer.header("retry-after")), (json!("rate_limit_exceeded"), Some("1")));
    assert!(answer.text().contains("6 calls of this user, over all keys, are in flight"), "{}", answer.text());
    gateway.call(small(&other_user)).await.expect(200);
    drop((sent, sent_too));
    eventually("a place is free again", async || (gateway.call(small(first)).await.status() == 200).then_some(()))
        .await;
}

/// A request of `bytes` bytes, whose padding is random words: compressors make a tenth of it, or less.
fn wordy(model: &str, bytes: usize) -> Vec<u8> {
    let mut seed = 7_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap()
    };
    let words: Vec<[u8; 32]> =
        (0..256).map(|_| std::array::from_fn(|_| b'a' + u8::try_from(random() % 26).unwrap())).collect();
    let mut body =
        format!(r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "hi"}}], "x": ""#).into_bytes();
    while body.len() < bytes - 34 {
        body.extend_from_slice(&words[random() % words.len()]);
    }
    body.resize(bytes - 2, b'z');
    body.extend_from_slice(b"\"}");
    body
}

/// An upstream that reads each body without keeping it, and counts the bytes of those that are whole.
async fn counting() -> (Upstream, Arc<AtomicUsize>) {
    let received = Arc::new(AtomicUsize::new(0));
    let counted = received.clone();
    let upstream = Upstream::start(move |mut turn| {
        let received = counted.clone();
        async move {
            let mut framing = turn.head.framing()?;
            let mut bytes = 0;
            loop {
                match turn.wire.piece(&mut framing).await {
                    Piece::Data(data) => bytes += data.len(),
                    Piece::End => break,
                    Piece::Cut => return None,
                }
            }
            received.fetch_add(bytes, Ordering::SeqCst);
            turn.answer("200 OK\r\ncontent-type: application/json", b"{}").await;
            Some(turn)
        }
    })
    .await;
    (upstream, received)
}

/// Posts a body that many calls share.
async fn post(to: SocketAddr, key: &str, coding: &str, body: Arc<Vec<u8>>) -> Answer {
    let call = Call::new("POST", CHAT).header("content-type", "application/json").header("content-encoding", coding);
    let head = call.key(key).header("content-length", &body.len().to_string()).head(to);
    let mut wire = Wire::connect(to).await.unwrap();
    // An early answer may close the connection while the body is on its way: what counts is the answer.
    let mut written = wire.write(head.as_bytes()).await;
    for piece in body.chunks(64 * 1024) {
        if written.is_err() {
            break;
        }
        written = wire.write(piece).await;
    }
    // Many large bodies at once are inflated one after the other.
    let head = tokio::time::timeout(Duration::from_secs(120), wire.idle_head()).await.expect("an answer in time");
    let head = head.unwrap_or_else(|| panic!("no answer to a body of {} bytes: {written:?}", body.len()));
    Exchange::new(wire, head, "POST").rest().await
}

#[tokio::test]
async fn memory_is_bounded_and_returned_after_many_large_bodies() {
    let (upstream, received) = counting().await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(gateway.key().await);
    }
    let before = gateway.vitals().memory_bytes();
    let plain = wordy("m", LARGEST);
    let gzipped = gzip(&plain, Compression::default());
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    for packed in [&gzipped, &zstd] {
        // Below the ratio at which a body is refused for its compression alone.
        assert!((3..50).contains(&(LARGEST / packed.len())), "{} bytes", packed.len());
    }
    let kinds = [("identity", plain), ("gzip", gzipped), ("zstd", zstd)].map(|(coding, body)| (coding, Arc::new(body)));
    for (coding, body) in &kinds {
        post(gateway.proxy, &keys[0], coding, body.clone()).await.expect(200);
    }
    assert_eq!(
        received.swap(0, Ordering::SeqCst),
        kinds.len() * LARGEST,
        "each kind of body reaches the provider whole"
    );

    let [plain, gzipped, zstd] = kinds;
    let mut sent = JoinSet::new();
    for nth in 0..80 {
        // Of five bodies one is plain, and two of each coding are compressed: 16 and 64 in all.
        let (coding, body) = [&plain, &gzipped, &zstd, &gzipped, &zstd][nth % 5].clone();
        let to = gateway.proxy;
        let key = keys[nth % keys.len()].clone();
        sent.spawn(async move { post(to, &key, coding, body).await });
    }
    let mut codes = std::collections::BTreeMap::new();
    for answer in sent.join_all().await {
        let code = match answer.status() {
            200 => answer.text(),
            _ => refusal(&answer).to_string(),
        };
        *codes.entry((answer.status(), code)).or_insert(0) += 1;
    }
    let peak = gateway.vitals().peak_bytes();
    say(&format!("{codes:?}: {} KiB before, {} at most", before >> 10, peak >> 10));
    assert!(peak < 400 << 20, "{} KiB", peak >> 10);
    // How many pass depends on their order: large bodies may refuse one another. Whatever passes, the gateway has held many.
    assert!(peak > before + (96 << 20), "{} KiB before, {} at most", before >> 10, peak >> 10);
    let known =
        [(200, "{}"), (413, "\"payload_too_large\""), (429, "\"rate_limit_exceeded\""), (503, "\"overloaded\"")];
    assert!(codes.keys().all(|(status, code)| known.contains(&(*status, code))), "{codes:?}");
    let passed = codes.get(&(200, "{}".to_owned())).copied().unwrap_or(0);
    assert_eq!(received.load(Ordering::SeqCst), passed * LARGEST, "{codes:?}");
    gateway.at_rest().await;
    for key in &keys {
        post(gateway.proxy, key, zstd.0, zstd.1.clone()).await.expect(200);
    }
    gateway.at_rest().await;
    eventually("memory goes back", async || (gateway.vitals().memory_bytes() < before + (64 << 20)).then_some(()))
        .await;
    say(&format!("{} KiB after", gateway.vitals().memory_bytes() >> 10));
}
