//! Requests at a fixed rate without traces, and with a receiver of traces that accepts, is busy, refuses, hangs and is gone. Each
//! request counts from the time at which it is due, so a server that stalls delays all requests of that time. With any receiver,
//! requests take as long as without traces, the memory remains, and each trace that is not exported is counted.
//!
//! `TOLLGATE_SOAK_RATE` changes the rate; `make soak` sets 10,000 requests a second, with an optimized binary.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use e2e::{Canary, Gateway, Setup, eventually_within};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::GROWTH_MAX;
use super::trace_receiver::{NOTICED_MAX, REQUEST_MAX, Receives, TraceCounts, TraceReceiver, percentiles};
use crate::storms::rounds::tell;

/// Requests a second that a debug build bears beside other tests.
const RATE: u64 = 500;
/// Connections, each with a thread that sends its share of the requests.
const LANES: u64 = 16;
const REQUEST: &[u8] = b"GET /fine HTTP/1.1\r\nhost: fine.example\r\n\r\n";
const RESPONSE_END: &[u8] = b"\r\n\r\nfine";
/// All lanes are connected before the first request is due.
const LEAD: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);
/// The load before a measurement, which also gives the exporter spans to send.
const WARM_UP: Duration = Duration::from_secs(1);
/// A percentile may be a multiple of that without traces, and this much more.
const NOISE: (u32, Duration) = (2, Duration::from_millis(5));
const NOISE_OF_A_BUSY_MACHINE: (u32, Duration) = (3, Duration::from_millis(20));
/// The last response may be this late: the rate that is reached is at least 93 % of the rate that is asked for.
const LATE_MAX: Duration = Duration::from_millis(500);

const STATES: [Receives; 5] =
    [Receives::All, Receives::IsBusy, Receives::RefusesAll, Receives::Hangs, Receives::IsGone];

/// A load at a fixed rate.
#[derive(Debug, Clone, Copy)]
struct Pace {
    rate: u64,
    duration: Duration,
}

/// The median, the 99th percentile and the maximum of the times of a load.
type Percentiles = [Duration; 3];

impl Pace {
    fn requests(self) -> u64 {
        self.rate * self.duration.as_secs()
    }

    /// Sends all requests, and returns their percentiles. Timers of Tokio have milliseconds, so other threads send them.
    async fn run(self, proxy: SocketAddr, what: &str) -> Percentiles {
        let since = Canary::new();
        let (times, took) = spawn_blocking(move || self.send_all(proxy)).await.unwrap();
        let allowed = since.allows(self.duration + self.duration / 20 + LATE_MAX);
        let times = percentiles(times);
        let [median, most, longest] = times;
        let per_second = u128::from(self.requests()) * 1_000 / took.as_millis().max(1);
        tell(&format!("{what}: {per_second} requests a second, p50 {median:?}, p99 {most:?}, max {longest:?}"));
        assert!(took < allowed, "{what}: {} requests took {took:?}, of {allowed:?}", self.requests());
        assert!(longest < since.allows(REQUEST_MAX), "{what}: {longest:?}");
        times
    }

    fn send_all(self, proxy: SocketAddr) -> (Vec<Duration>, Duration) {
        let begins = Instant::now() + LEAD;
        let times = thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES).map(|lane| scope.spawn(move || self.send(proxy, begins, lane))).collect();
            lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
        });
        (times, begins.elapsed())
    }

    /// Sends every [`LANES`]th request over one connection, and returns their times.
    fn send(self, proxy: SocketAddr, begins: Instant, lane: u64) -> Vec<Duration> {
        let mut stream = TcpStream::connect(proxy).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut number = lane;
        let mut times = Vec::new();
        while number < self.requests() {
            let due = begins + Duration::from_nanos(number * 1_000_000_000 / self.rate);
            rest_until(due);
            stream.write_all(REQUEST).unwrap();
            read_response(&mut stream);
            times.push(due.elapsed());
            number += LANES;
        }
        times
    }
}

#[expect(clippy::disallowed_methods, reason = "a separate thread sleeps")]
fn rest_until(due: Instant) {
    thread::sleep(due.saturating_duration_since(Instant::now()));
}

fn read_response(stream: &mut TcpStream) {
    let mut received = Vec::new();
    let mut buffer = [0; 1_024];
    while !received.ends_with(RESPONSE_END) {
        let bytes = stream.read(&mut buffer).unwrap();
        assert!(bytes > 0, "the connection ends: {}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&buffer[..bytes]);
    }
    assert!(received.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&received));
}

fn setup() -> Setup {
    Setup::new()
        .section("routes", "[{name: fine, path: /fine, auth: {type: none}, respond: {body: fine}}]")
        .section("log", "{modules: {proxy: warn}}")
}

#[tokio::test]
async fn at_a_fixed_rate_requests_take_as_long_as_without_traces_whatever_the_receiver_does() {
    let asked: Option<u64> = std::env::var("TOLLGATE_SOAK_RATE").ok().map(|text| text.parse().unwrap());
    let rate = asked.unwrap_or(RATE);
    let pace = Pace { rate, duration: Duration::from_secs(if e2e::is_long() { 20 } else { 2 }) };
    let warm_up = Pace { rate, duration: WARM_UP };
    // Spans wait for at most half a second before they are sent; at 10,000 requests a second, this is the default.
    let queue = rate * 4 / 5;
    let mut receiver = TraceReceiver::start().await;
    let traces = format!("{{otlp: \"http://{}\", sample: 100%, queue: {queue}}}", receiver.address);
    let plain = Gateway::start(setup()).await;
    let traced = Gateway::start(setup().section("traces", &traces)).await;

    warm_up.run(plain.proxy, "warm-up without traces").await;
    let before = pace.run(plain.proxy, "without traces").await;
    let mut measured = Vec::new();
    let mut memory = Vec::new();
    for state in STATES {
        let change = receiver.change(state, &traced).await;
        warm_up.run(traced.proxy, &format!("warm-up, the receiver {state:?}")).await;
        eventually_within(NOTICED_MAX, &format!("the server notices that the receiver {state:?}"), async || {
            receiver.is_met(&change, &TraceCounts::read(&traced).await).then_some(())
        })
        .await;
        measured.push((state, pace.run(traced.proxy, &format!("the receiver {state:?}")).await));
        let counts = TraceCounts::read(&traced).await;
        tell(&format!("{counts:?}"));
        let dropped = |counts: &TraceCounts| counts.queue_full + counts.refused;
        assert!(counts.waiting <= queue, "{counts:?}");
        assert!(state == Receives::All || dropped(&counts) > dropped(&change.counts), "{state:?}: {counts:?}");
        memory.push(traced.vitals().memory_bytes());
    }
    let after = pace.run(plain.proxy, "without traces, again").await;

    let noise = if asked.is_some() { NOISE } else { NOISE_OF_A_BUSY_MACHINE };
    for (state, times) in measured {
        for (name, nth) in [("p50", 0), ("p99", 1)] {
            let usual = before[nth].max(after[nth]);
            assert!(times[nth] <= usual * noise.0 + noise.1, "{state:?}: {name} {:?}, without {usual:?}", times[nth]);
        }
    }
    tell(&format!("memory {memory:?}"));
    assert!(memory.iter().all(|bytes| *bytes < memory[0] + GROWTH_MAX), "{memory:?}");
    traced.at_rest().await;
    let sent = (pace.requests() + warm_up.requests()) * STATES.len() as u64;
    TraceCounts::read(&traced).await.assert_complete(sent);
}
