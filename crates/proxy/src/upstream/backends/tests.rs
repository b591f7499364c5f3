use std::rc::Rc;
use std::time::Duration;

use access::Refusal;
use config::snapshot::{Backend, EjectionRules, Upstream};

use super::*;
use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::backend::{BackendCounts, BackendRules, BackendUse};

fn origin(port: u16) -> Origin {
    Origin::parse(&format!("http://127.0.0.1:{port}")).unwrap()
}

/// Returns a configuration whose only upstream has backends at these ports.
fn running(ports: &[u16]) -> Live {
    weighted(ports.iter().map(|port| Backend { origin: origin(*port), weight: 1 }).collect())
}

/// Returns a configuration whose only upstream has these backends.
fn weighted(backends: Vec<Backend>) -> Live {
    let environment = config::Environment::default();
    let sources = config::Sources { file: None, environment: &environment, flags: config::Flags::default() };
    let mut snapshot = config::load(sources).unwrap().snapshot;
    snapshot.traffic.upstreams = [Arc::new(Upstream::plain("u", backends))].into();
    Live::new(Arc::new(snapshot))
}

fn uses(state: &Arc<BackendState>, counts: &Arc<BackendCounts>) -> BackendUse {
    BackendUse {
        state: state.clone(),
        counts: counts.clone(),
        index: 0,
        has_others: false,
        rules: BackendRules::default(),
        peers: Rc::from([state.clone()]),
        retries: Arc::default(),
    }
}

#[test]
fn a_state_survives_while_it_is_configured_or_in_use() {
    let backends = Backends::new(Metrics::new());
    let name: Arc<str> = "u".into();
    let live = running(&[1]);
    let of = |port| backends.states_of(&name, [&origin(port)]).remove(0);
    of(1).counts(0).begin();
    let used = of(2);
    drop(of(3));
    backends.retain(&live);
    assert_eq!(backends.states.lock().unwrap().len(), 2);
    assert_eq!(of(1).in_flight(), 1);
    drop(used);
    backends.retain(&running(&[]));
    assert_eq!(backends.states.lock().unwrap().len(), 0);
}

#[test]
fn counts_are_the_sum_of_all_workers() {
    let backends = Backends::new(Metrics::new());
    let state = backends.states_of(&"u".into(), [&origin(1)]).remove(0);
    let first = state.counts(0);
    let second = state.counts(1);
    first.begin();
    second.begin();
    for (of, result, cause) in [
        (&first, AttemptResult::Status(200), None),
        (&first, AttemptResult::Status(500), None),
        (&first, AttemptResult::Aborted, None),
        (&first, AttemptResult::of_refusal(Refusal::Overloaded), None),
        (&second, AttemptResult::of_refusal(Refusal::UpstreamConnect), Some("refused")),
        (&first, AttemptResult::of_refusal(Refusal::UpstreamReset), None),
        (&second, AttemptResult::of_refusal(Refusal::UpstreamProtocol), None),
        (&first, AttemptResult::of_refusal(Refusal::UpstreamTimeout), None),
        (&first, AttemptResult::Status(502), None),
        (&second, AttemptResult::Status(503), None),
        (&second, AttemptResult::Status(504), None),
    ] {
        uses(&state, of).report(result, cause, None);
    }
    first.end();
    let live = running(&[1]);
    let [status] = <[BackendStatus; 1]>::try_from(backends.statuses(&live)).unwrap();
    assert_eq!((status.requests, status.in_flight, status.failures), (2, 1, [1, 2, 1, 3]));
    assert_eq!(status.server_errors, 4, "500 is no failure of the gateway, and is counted apart");
}

#[test]
fn durations_are_the_sum_of_all_workers() {
    let backends = Backends::new(Metrics::new());
    let live = running(&[1]);
    let state = backends.states_of(&"u".into(), [&origin(1)]).remove(0);
    for (worker, waited_us) in [(0, 1_000), (1, 3_000), (1, 5_000)] {
        uses(&state, &state.counts(worker)).answered(waited_us, Instant::now());
    }
    let status = backends.statuses(&live).remove(0);
    assert_eq!((status.durations.total(), status.durations.mean_us()), (3, Some(3_000)));
}

#[test]
fn configured_backends_with_a_share_are_shown_before_their_first_request_and_after_used_ones() {
    let backends = Backends::new(Metrics::new());
    let members = [(1, 1), (2, 0), (3, 1)].map(|(port, weight)| Backend { origin: origin(port), weight });
    let live = weighted(Vec::from(members));
    let shown = || {
        let statuses = backends.statuses(&live);
        statuses.iter().map(|status| (status.url.to_string(), status.requests, status.condition)).collect::<Vec<_>>()
    };
    let zero = |port: u16| (format!("http://127.0.0.1:{port}"), 0, telemetry::BackendCondition::Available);
    assert_eq!(shown(), [zero(1), zero(3)]);
    assert_eq!(backends.states.lock().unwrap().len(), 0);
    drop(backends.states_of(&"u".into(), [&origin(3)]));
    assert_eq!(shown(), [zero(3), zero(1)]);
}

#[test]
fn members_with_one_address_are_shown_with_their_names() {
    let backends = Backends::new(Metrics::new());
    let at_address =
        |name: &str| Origin::parse(&format!("http://{name}")).unwrap().with_address("10.0.0.7".to_owned(), 80);
    let one = at_address("one.internal");
    let two = at_address("two.internal");
    let live = weighted([&one, &two].map(|origin| Backend { origin: origin.clone(), weight: 1 }).to_vec());
    drop(backends.states_of(&"u".into(), [&two]));
    let statuses = backends.statuses(&live);
    let shown: Vec<_> = statuses.iter().map(|status| (&*status.url, status.name.as_deref())).collect();
    let url = "http://10.0.0.7";
    assert_eq!(shown, [(url, Some("two.internal")), (url, Some("one.internal"))]);
}

#[test]
fn a_scrape_does_not_change_the_share_of_a_backend_that_appears_later() {
    let slow = Duration::from_secs(10);
    let all = [origin(1), origin(2)];
    let shares = |states: &[Arc<BackendState>]| {
        states.iter().map(|state| state.started_share(slow, Instant::now()) == 1.0).collect::<Vec<_>>()
    };
    let backends = Backends::new(Metrics::new());
    drop(backends.statuses(&running(&[1, 2])));
    assert_eq!(shares(&backends.states_of(&"u".into(), [&origin(1)])), [true]);
    drop(backends.statuses(&running(&[1, 2])));
    assert_eq!(shares(&backends.states_of(&"u".into(), &all)), [true, false]);

    let together = Backends::new(Metrics::new());
    drop(together.statuses(&running(&[1, 2])));
    assert_eq!(shares(&together.states_of(&"u".into(), &all)), [true, true]);
}

#[test]
fn a_removed_backend_is_shown_while_it_has_requests_in_flight() {
    let backends = Backends::new(Metrics::new());
    let live = running(&[2]);
    let states = backends.states_of(&"u".into(), &[origin(1), origin(2)]);
    let counts = states[0].counts(0);
    counts.begin();
    let shown = || {
        let statuses = backends.statuses(&live);
        statuses.iter().map(|status| status.url.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(shown(), ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
    counts.end();
    assert_eq!(shown(), ["http://127.0.0.1:2"], "a worker still keeps the state of the first one");
    assert_eq!(backends.states.lock().unwrap().len(), 2);
    drop(states);
    assert_eq!((shown().len(), backends.states.lock().unwrap().len()), (1, 1));
}

#[test]
fn a_backend_that_is_new_beside_others_starts_with_a_part_of_its_share() {
    let backends = Backends::new(Metrics::new());
    let slow = Duration::from_secs(10);
    let all = [origin(1), origin(2)];
    let at_start = backends.states_of(&"u".into(), &all);
    assert!(at_start.iter().all(|state| state.started_share(slow, Instant::now()) == 1.0));
    let with_new = backends.states_of(&"u".into(), &[origin(1), origin(3)]);
    let new = &with_new[1];
    assert!(new.started_share(slow, Instant::now()) < 1.0);
    let since = Instant::now();
    new.start(since);
    let share = |seconds| (new.started_share(slow, since + Duration::from_secs(seconds)) * 100.0).round();
    assert_eq!([share(0), share(5), share(9), share(11), share(1)], [10.0, 55.0, 91.0, 100.0, 100.0]);
    assert_eq!(with_new[0].started_share(slow, Instant::now()), 1.0);
}

#[test]
fn workers_together_never_eject_the_last_two_backends() {
    let ejection = Some(EjectionRules { failures: 1, time: Duration::from_secs(3_600), max: 100 });
    let rules = BackendRules { ejection, ..BackendRules::default() };
    for _ in 0..200 {
        let backends = Backends::new(Metrics::new());
        let states = backends.states_of(&"u".into(), &[origin(1), origin(2)]);
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let states = &states;
                let barrier = &barrier;
                scope.spawn(move || {
                    let state = &states[worker % 2];
                    let peers = Rc::from(states.clone());
                    let used = BackendUse { rules, peers, ..uses(state, &state.counts(worker)) };
                    barrier.wait();
                    used.report(AttemptResult::Status(503), None, None);
                });
            }
        });
        let statuses = backends.statuses(&running(&[1, 2]));
        assert_eq!(statuses.iter().filter(|status| status.is_ejected).count(), 1);
    }
}
