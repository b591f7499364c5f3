use std::rc::Rc;
use std::time::Duration;

use access::Refusal;
use config::snapshot::Backend;

use super::*;
use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::backend::{BackendCounts, BackendRules, BackendUse};

fn origin(port: u16) -> Origin {
    Origin::parse(&format!("http://127.0.0.1:{port}")).unwrap()
}

#[test]
fn a_state_survives_while_it_is_configured_or_in_use() {
    let backends = Backends::new(Metrics::new());
    let name: Arc<str> = "u".into();
    let upstream = Arc::new(Upstream::plain("u", vec![Backend { origin: origin(1), weight: 1 }]));
    let of = |port| backends.of(&name, [&origin(port)]).remove(0);
    of(1).counts(0).begin();
    let used = of(2);
    drop(of(3));
    backends.retain(&[upstream], [].iter());
    assert_eq!(backends.states.lock().unwrap().len(), 2);
    assert_eq!(of(1).in_flight(), 1);
    drop(used);
    backends.retain(&[], [].iter());
    assert_eq!(backends.states.lock().unwrap().len(), 0);
}

#[test]
fn metrics_are_the_sum_of_all_workers() {
    let metrics = Metrics::new();
    let backends = Backends::new(metrics.clone());
    let state = backends.of(&"u".into(), [&origin(1)]).remove(0);
    let (first, second) = (state.counts(0), state.counts(1));
    first.begin();
    second.begin();
    let uses = |counts: &Arc<BackendCounts>| BackendUse {
        state: state.clone(),
        counts: counts.clone(),
        index: 0,
        has_others: false,
        rules: BackendRules::default(),
        peers: Rc::from([state.clone()]),
        retries: Arc::default(),
    };
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
        uses(of).report(result, cause, None);
    }
    backends.publish();
    first.end();
    backends.publish();
    let text = metrics.encode();
    let of = "upstream=\"u\",backend=\"http://127.0.0.1:1\"";
    let labels = format!("{{{of}}}");
    let failures = |cause: &str| format!("tollgate_backend_failures_total{{{of},cause=\"{cause}\"}}");
    for line in [
        format!("tollgate_backend_requests_total{labels} 2"),
        format!("tollgate_backend_requests_in_flight{labels} 1"),
        format!("{} 1", failures("connect")),
        format!("{} 2", failures("reset")),
        format!("{} 1", failures("timeout")),
        format!("{} 3", failures("status")),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

#[test]
fn a_backend_that_is_new_beside_others_starts_with_a_part_of_its_share() {
    let backends = Backends::new(Metrics::new());
    let (slow, all) = (Duration::from_secs(10), [origin(1), origin(2)]);
    let at_start = backends.of(&"u".into(), &all);
    assert!(at_start.iter().all(|state| state.started_share(slow, Instant::now()) == 1.0));
    let with_new = backends.of(&"u".into(), &[origin(1), origin(3)]);
    let new = &with_new[1];
    assert!(new.started_share(slow, Instant::now()) < 1.0);
    let since = Instant::now();
    new.start(since);
    let share = |seconds| (new.started_share(slow, since + Duration::from_secs(seconds)) * 100.0).round();
    assert_eq!([share(0), share(5), share(9), share(11), share(1)], [10.0, 55.0, 91.0, 100.0, 100.0]);
    assert_eq!(with_new[0].started_share(slow, Instant::now()), 1.0);
}
