//! A receiver of traces that refuses, hangs and is gone, while clients send requests as fast as the server responds. No
//! request waits for the receiver, the memory remains, and each trace that is not exported is counted.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{Call, Canary, Gateway, Setup, Wire, eventually_within};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::GROWTH_MAX;
use super::trace_receiver::{NOTICED_MAX, REQUEST_MAX, Receives, TraceCounts, TraceReceiver, percentiles};
use crate::storms::rounds::tell;

const CLIENTS: usize = 8;
/// Traces that wait in memory. Fewer than the default, so that a short load fills the queue.
const QUEUE: u64 = 1_024;
/// The 99th percentile may be a multiple of that with a receiver that accepts, and this much more.
const NOISE: (u32, Duration) = (3, Duration::from_millis(20));

const PHASES: [Receives; 4] = [Receives::All, Receives::RefusesAll, Receives::Hangs, Receives::IsGone];

/// The requests of all clients, by the phase in which they began.
struct TracedLoad {
    proxy: SocketAddr,
    phase: AtomicUsize,
    is_over: AtomicBool,
    times: [Mutex<Vec<Duration>>; PHASES.len()],
}

impl TracedLoad {
    /// Sends requests over one connection until the load is over. Any response except 200 is an error.
    async fn keep_sending(self: Arc<Self>) -> Result<(), String> {
        let mut wire = Wire::connect(self.proxy).await.map_err(|error| error.to_string())?;
        while !self.is_over.load(Ordering::Relaxed) {
            let began = Instant::now();
            let phase = self.phase.load(Ordering::Relaxed);
            let exchange = Call::get("/fine").over(wire, self.proxy).await.map_err(|error| error.to_string())?;
            let (answer, next) = exchange.reuse().await;
            if answer.status() != 200 {
                return Err(format!("{} {}", answer.head.first, answer.text()));
            }
            self.times[phase].lock().unwrap().push(began.elapsed());
            wire = next;
        }
        Ok(())
    }

    fn sent(&self, phase: usize) -> usize {
        self.times[phase].lock().unwrap().len()
    }

    /// Returns the median, the 99th percentile and the maximum of the times of a phase.
    fn percentiles(&self, phase: usize) -> [Duration; 3] {
        percentiles(self.times[phase].lock().unwrap().clone())
    }
}

#[tokio::test]
async fn a_failing_receiver_of_traces_delays_no_request_and_each_dropped_trace_is_counted() {
    let requests = if e2e::is_long() { 100_000 } else { 5_000 };
    let mut receiver = TraceReceiver::start().await;
    let setup = Setup::new()
        .section("routes", "[{name: fine, path: /fine, auth: {type: none}, respond: {body: fine}}]")
        .section("traces", &format!("{{otlp: \"http://{}\", sample: 100%, queue: {QUEUE}}}", receiver.address));
    let gateway = Gateway::start(setup).await;
    let (phase, is_over, times) = Default::default();
    let load = Arc::new(TracedLoad { proxy: gateway.proxy, phase, is_over, times });
    let mut clients = JoinSet::new();
    let since = Canary::new();
    for _ in 0..CLIENTS {
        clients.spawn(load.clone().keep_sending());
    }
    let mut memory = Vec::new();
    for (nth, phase) in PHASES.into_iter().enumerate() {
        let change = receiver.change(phase, &gateway).await;
        load.phase.store(nth, Ordering::Relaxed);
        eventually_within(NOTICED_MAX, &format!("the server notices that the receiver {phase:?}"), async || {
            let counts = TraceCounts::read(&gateway).await;
            let is_full = phase == Receives::All || counts.queue_full > change.counts.queue_full;
            assert!(counts.waiting <= QUEUE, "{counts:?}");
            (receiver.is_met(&change, &counts) && is_full && load.sent(nth) >= requests).then_some(())
        })
        .await;
        memory.push(gateway.vitals().memory_bytes());
    }
    load.is_over.store(true, Ordering::Relaxed);
    let failures: Vec<String> = clients.join_all().await.into_iter().filter_map(Result::err).collect();
    assert_eq!(failures, Vec::<String>::new());
    assert_times(&load, &since);
    assert!(memory.iter().all(|bytes| *bytes < memory[0] + GROWTH_MAX), "{memory:?}");
    gateway.at_rest().await;
    let sent = (0..PHASES.len()).map(|phase| load.sent(phase) as u64).sum::<u64>();
    let counts = TraceCounts::read(&gateway).await;
    tell(&format!("{sent} requests, {counts:?}, memory {memory:?}"));
    counts.assert_complete(sent);
    let ended = gateway.stop().await;
    assert!(ended.stderr.contains("spans of the last requests were not exported"), "{}", ended.stderr);
}

/// Asserts that requests take as long with a failing receiver as with one that accepts.
#[track_caller]
fn assert_times(load: &TracedLoad, since: &Canary) {
    let [_, usual, _] = load.percentiles(0);
    for (nth, phase) in PHASES.into_iter().enumerate() {
        let [median, most, longest] = load.percentiles(nth);
        tell(&format!("{phase:?}: {} requests, p50 {median:?}, p99 {most:?}, max {longest:?}", load.sent(nth)));
        assert!(most <= usual * NOISE.0 + NOISE.1, "{phase:?}: {most:?}, with a good receiver {usual:?}");
        assert!(longest < since.allows(REQUEST_MAX), "{phase:?}: {longest:?}");
    }
}
