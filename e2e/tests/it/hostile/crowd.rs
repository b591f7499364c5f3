//! Many clients that send or read as slowly as possible: memory stays bounded, and other clients are served.

use std::time::Duration;

use e2e::vitals::raise_descriptors;
use e2e::{Call, Canary, Gateway, Setup, Turn, Upstream, Vitals, Wire, eventually, timed};
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format, MESSAGES};
use crate::hostile::say;

const ROUTES: &str = "{path: {prefix: /up}, upstreams: backend, auth: {type: none}}, \
    {path: {prefix: /deaf}, upstreams: deaf, auth: {type: none}}";
pub(crate) const MIB: u64 = 1 << 20;
/// Bytes of one write by a hostile client.
pub(crate) const PIECE: usize = 64 * 1024;
/// More bytes than the kernel buffers.
const LARGE: usize = 32 << 20;
/// Descriptors for both ends of the largest number of connections here, and for upstreams.
const DESCRIPTORS: u64 = 4_000;
/// Maximum memory per client that sends almost nothing, including its upstream connection.
const CALLER_BYTES_MAX: u64 = 64 * 1024;
/// Maximum duration of another client's request in the meantime (two cores, debug build).
const OTHERS_WAIT_MAX: Duration = Duration::from_secs(5);
/// Timeout after which aborted connections must have ended, on a busy machine.
const HANGS: Duration = Duration::from_secs(60);

/// A server with an upstream that answers after the whole body, one that never reads, and a provider.
pub(crate) struct CrowdServer {
    pub(crate) gateway: Gateway,
    key: String,
    before: u64,
    _upstreams: [Upstream; 2],
}

impl CrowdServer {
    pub(crate) async fn start(setup: impl FnOnce(Setup) -> Setup) -> Self {
        raise_descriptors(DESCRIPTORS);
        let upstream = Upstream::start(answer).await;
        let deaf = Upstream::start(|turn| async move {
            std::future::pending::<()>().await;
            Some(turn)
        })
        .await;
        let backend = |name: &str, address| format!("{{name: {name}, backends: [{{url: \"http://{address}\"}}]}}");
        let upstreams = format!("[{}, {}]", backend("backend", upstream.address()), backend("deaf", deaf.address()));
        let base = Setup::routed(upstream.address(), ROUTES)
            .section("upstreams", &upstreams)
            .section("providers", &format!("[{}]", e2e::setup::provider("up", "openai", upstream.address())))
            .section(
                "connections",
                "{max: 10000, per_address: 5000, in_flight_per_key: 5000, in_flight_per_address: 5000}",
            );
        let gateway = Gateway::start(setup(base)).await;
        let key = gateway.key().await;
        let place = Self { gateway, key, before: 0, _upstreams: [upstream, deaf] };
        place.others_are_served().await;
        let before = place.vitals().memory_bytes();
        Self { before, ..place }
    }

    fn vitals(&self) -> Vitals {
        self.gateway.vitals()
    }

    fn chat(&self) -> Call {
        Call::json(CHAT, &Format::Chat.body("m", false)).key(&self.key)
    }

    /// Sends one request to each kind of route.
    pub(crate) async fn others_are_served(&self) {
        for call in [self.chat(), Call::post("/up", "small")] {
            let since = Canary::new();
            self.gateway.call(call).await.expect(200);
            since.assert_within(OTHERS_WAIT_MAX, "another client's request");
        }
    }

    /// Asserts that peak memory is less than `most` above the memory before the test.
    pub(crate) fn bounded(&self, what: &str, most: u64) {
        let now = self.vitals().memory_bytes();
        let peak = self.vitals().peak_bytes();
        say(&format!("{what}: {} KiB before, {} now, {} at most", self.before >> 10, now >> 10, peak >> 10));
        assert!(peak < self.before + most, "{what}: {} KiB more than before", (peak - self.before) >> 10);
    }

    /// Asserts that all resources are released after the clients have disconnected.
    pub(crate) async fn rests(&self, what: &str, most: u64) {
        self.gateway.at_rest().await;
        self.others_are_served().await;
        let now = self.vitals().memory_bytes();
        say(&format!("{what}: {} KiB when it has gone", now >> 10));
        assert!(now < self.before + most, "{what}: {} KiB are left of it", now.saturating_sub(self.before) >> 10);
    }
}

/// Answers with `{}`, or with [`LARGE`] bytes for `/up/large`.
async fn answer(mut turn: Turn) -> Option<Turn> {
    turn.read_body().await;
    if turn.head.word(1) != "/up/large" {
        turn.answer("200 OK\r\ncontent-type: application/json", b"{}").await;
        return Some(turn);
    }
    turn.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").as_bytes()).await;
    let piece = vec![b'x'; PIECE];
    for _ in 0..LARGE / PIECE {
        if !turn.write(&piece).await {
            return None;
        }
    }
    Some(turn)
}

/// Opens `count` connections that each send `bytes`.
pub(crate) async fn crowd(place: &CrowdServer, count: usize, bytes: &[u8]) -> Vec<Wire> {
    let mut crowd = Vec::with_capacity(count);
    for _ in 0..count {
        let mut wire = Wire::connect(place.gateway.proxy).await.unwrap();
        wire.write(bytes).await.unwrap();
        crowd.push(wire);
    }
    crowd
}

/// Writes `piece` repeatedly until each connection ends or accepts no more bytes.
pub(crate) async fn push(mut wires: Vec<Wire>, piece: Vec<u8>, every: Duration) -> Vec<Wire> {
    let mut pushing = JoinSet::new();
    for mut wire in wires.drain(..) {
        let piece = piece.clone();
        pushing.spawn(async move {
            while wire.stream().writable().await.is_ok() {
                match wire.stream().try_write(&piece) {
                    Ok(_) => tokio::time::sleep(every).await,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            wire.closed().await;
            wire
        });
    }
    pushing.join_all().await
}

#[tokio::test]
async fn two_thousand_clients_that_announce_32_mib_use_memory_only_for_sent_bytes() {
    let place = CrowdServer::start(|setup| setup).await;
    let length = (32 * MIB).to_string();
    // A second round detects memory that the first one leaked: it would be used twice.
    for round in ["first", "second"] {
        let mut all = Vec::new();
        for (path, count) in [(CHAT, 700), (MESSAGES, 300), ("/up", 500), ("/deaf", 500)] {
            let call = Call::new("POST", path).key(&place.key).header("content-length", &length);
            let bytes = [call.head(place.gateway.proxy).as_bytes(), b"{\"model\": "].concat();
            all.extend(crowd(&place, count, &bytes).await);
        }
        eventually("all requests are in flight", async || {
            (place.gateway.gauge("tollgate_requests_in_flight").await >= 1_700).then_some(())
        })
        .await;
        place.others_are_served().await;
        place.bounded(&format!("the {round} 2,000 callers that announce 32 MiB"), 2_000 * CALLER_BYTES_MAX);
        drop(all);
        place.gateway.at_rest().await;
        place.others_are_served().await;
    }
}

#[tokio::test]
async fn buffered_bodies_have_a_shared_maximum() {
    let place =
        CrowdServer::start(|setup| setup.section("sizes", "{buffered: 16MiB}").section("timeouts", "{idle: 1s}")).await;
    let call = Call::new("POST", CHAT).key(&place.key).header("content-length", &(32 * MIB).to_string());
    let pushed = crowd(&place, 100, call.head(place.gateway.proxy).as_bytes()).await;
    let pushing = push(pushed, vec![b' '; PIECE], Duration::ZERO);
    let others = async {
        for _ in 0..20 {
            place.gateway.call(Call::post("/up", "small")).await.expect(200);
        }
    };
    tokio::join!(pushing, others);
    place.bounded("100 callers that push 32 MiB each", 80 * MIB);
    place.rests("100 callers that push", 60 * MIB).await;
}

#[tokio::test]
async fn slow_bodies_end_at_the_total_timeout_and_delay_no_other_client() {
    let total = "{timeouts: {total: 2s}}";
    let place =
        CrowdServer::start(|setup| setup.section("timeouts", "{idle: 1s, total: 2s}").section("ai", total)).await;
    let length = (32 * MIB).to_string();
    let mut all = Vec::new();
    for path in [CHAT, "/up"] {
        let call = Call::new("POST", path).key(&place.key).header("content-length", &length);
        all.extend(crowd(&place, 200, call.head(place.gateway.proxy).as_bytes()).await);
    }
    let others = async {
        for _ in 0..5 {
            place.others_are_served().await;
        }
    };
    let (_, took) = timed(async { tokio::join!(push(all, vec![b' '], Duration::from_millis(100)), others) }).await;
    assert!(took > Duration::from_millis(1_900) && took < HANGS, "{took:?}");
    place.bounded("400 bodies that trickle", 60 * MIB);
    place.rests("400 bodies that trickle", 40 * MIB).await;
}

#[tokio::test]
async fn slow_heads_are_aborted_and_delay_no_other_client() {
    let place = CrowdServer::start(|setup| setup.section("timeouts", "{idle: 2s}")).await;
    let head = format!("GET /up HTTP/1.1\r\nhost: x\r\na: {}", "b".repeat(20_000));
    let all = crowd(&place, 400, head.as_bytes()).await;
    let others = async {
        for _ in 0..5 {
            place.others_are_served().await;
        }
    };
    let (_, took) = timed(async { tokio::join!(push(all, vec![b'b'], Duration::from_millis(100)), others) }).await;
    assert!(took > Duration::from_millis(1_500) && took < HANGS, "{took:?}");
    place.bounded("400 heads of 20 KiB that trickle", 60 * MIB);
    place.rests("400 heads that trickle", 40 * MIB).await;
}

#[tokio::test]
async fn heads_without_end_are_refused_in_bounded_memory() {
    let place = CrowdServer::start(|setup| setup).await;
    let many = b"a: b\r\n".repeat(PIECE / 6);
    let cookies = [b"cookie: ".to_vec(), b"a=b; ".repeat(PIECE / 5), b"\r\n".to_vec()].concat();
    for piece in [many, vec![b'a'; PIECE], cookies] {
        let all = crowd(&place, 100, b"GET /up HTTP/1.1\r\nhost: x\r\n").await;
        push(all, piece, Duration::ZERO).await;
    }
    place.bounded("300 heads without end", 60 * MIB);
    place.rests("300 heads without end", 40 * MIB).await;
}
