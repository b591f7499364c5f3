use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::*;
use crate::metrics::{BackendCondition, Histogram, Metrics};

fn status(number: usize) -> BackendStatus {
    BackendStatus {
        upstream: "u".into(),
        url: format!("http://10.0.{}.{}:9000", number / 250, number % 250).into(),
        name: None,
        condition: BackendCondition::Available,
        cause: None,
        ends_in: None,
        in_flight: 2,
        requests: 9,
        failures: [1, 2, 3, 4],
        server_errors: 5,
        durations: HistogramCounts::default(),
        is_unhealthy: true,
        is_ejected: false,
        is_broken: true,
        ejections: 5,
        openings: 6,
        checks_succeeded: 7,
        checks_failed: 8,
    }
}

/// Returns metrics of backends that the test may replace.
fn metrics_of(backends: Vec<BackendStatus>) -> (Arc<Metrics>, Arc<Mutex<Vec<BackendStatus>>>) {
    let metrics = Metrics::new();
    let shown = Arc::new(Mutex::new(backends));
    let read = shown.clone();
    metrics.backends.set(move || read.lock().unwrap().clone());
    (metrics, shown)
}

fn series(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("tollgate_backend_")).collect()
}

#[test]
fn backends_are_shown_as_documented() {
    let histogram = Histogram::default();
    [1_500, 4_000].into_iter().for_each(|micros| histogram.observe_us(micros));
    let (metrics, _) = metrics_of(vec![BackendStatus { durations: histogram.counts(), ..status(1) }]);
    let text = metrics.encode();
    let of = "upstream=\"u\",backend=\"http://10.0.0.1:9000\"";
    for line in [
        "# HELP tollgate_backend_duration_seconds Time from the first byte sent to a backend to the head of its response."
            .to_owned(),
        "# TYPE tollgate_backend_duration_seconds histogram".to_owned(),
        "# TYPE tollgate_backend_requests counter".to_owned(),
        "# TYPE tollgate_backend_ejected gauge".to_owned(),
        format!("tollgate_backend_requests_total{{{of}}} 9"),
        format!("tollgate_backend_requests_in_flight{{{of}}} 2"),
        format!("tollgate_backend_failures_total{{{of},cause=\"connect\"}} 1"),
        format!("tollgate_backend_failures_total{{{of},cause=\"status\"}} 4"),
        format!("tollgate_backend_duration_seconds_bucket{{le=\"0.0025\",{of}}} 1"),
        format!("tollgate_backend_duration_seconds_bucket{{le=\"+Inf\",{of}}} 2"),
        format!("tollgate_backend_duration_seconds_count{{{of}}} 2"),
        format!("tollgate_backend_duration_seconds_sum{{{of}}} 0.0055"),
        format!("tollgate_backend_breakers_open{{{of}}} 1"),
        format!("tollgate_backend_breaker_openings_total{{{of}}} 6"),
        format!("tollgate_backend_ejected{{{of}}} 0"),
        format!("tollgate_backend_ejections_total{{{of}}} 5"),
        format!("tollgate_backend_unhealthy{{{of}}} 1"),
        format!("tollgate_backend_checks_total{{{of},result=\"succeeded\"}} 7"),
        format!("tollgate_backend_checks_total{{{of},result=\"failed\"}} 8"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn a_removed_backend_has_no_series() {
    let (metrics, shown) = metrics_of(vec![status(1), status(2)]);
    let of_second = |text: &str| text.lines().filter(|line| line.contains("10.0.0.2:")).count();
    assert!(of_second(&metrics.encode()) > 20);
    shown.lock().unwrap().pop();
    assert_eq!(of_second(&metrics.encode()), 0);
    shown.lock().unwrap().clear();
    assert_eq!(series(&metrics.encode()), Vec::<&str>::new());
}

#[test]
fn backends_above_the_maximum_and_equal_labels_share_series() {
    let long = |end: &str| BackendStatus { url: format!("http://{}{end}", "x".repeat(200)).into(), ..status(0) };
    let others = (0..BACKENDS_MAX + 2).map(status);
    let (metrics, _) = metrics_of([long("a"), long("b")].into_iter().chain(others).collect());
    let text = metrics.encode();
    let requests: Vec<&str> =
        series(&text).into_iter().filter(|line| line.starts_with("tollgate_backend_requests_total")).collect();
    assert_eq!(requests.len(), BACKENDS_MAX + 1);
    let value = |part: &str| requests.iter().find(|line| line.contains(part)).unwrap().rsplit_once(' ').unwrap().1;
    assert_eq!((value("xxx"), value("other")), ("18", "27"), "three are above the maximum");
}

/// A scrape of at least 10,000 series takes at most 100 ms in a release build. The bound is that of the build without
/// optimizations while other tests run.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures a duration")]
fn ten_thousand_series_are_written_in_time() {
    let (metrics, _) = metrics_of((0..300).map(status).collect());
    let bound = Duration::from_secs(1);
    let scrape = || {
        let begun = Instant::now();
        let text = metrics.encode();
        (begun.elapsed(), text.lines().filter(|line| !line.starts_with('#')).count())
    };
    let fastest = (0..5).map(|_| scrape()).min().unwrap();
    println!("{} series in {:?}", fastest.1, fastest.0);
    assert!(fastest.1 >= 10_000 && fastest.0 <= bound, "{fastest:?}");
}
