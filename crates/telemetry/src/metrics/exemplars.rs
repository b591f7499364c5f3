//! Exemplars: an exported trace beside each bucket of `tollgate_request_duration_seconds`, for readers of OpenMetrics.
//!
//! prometheus-client 0.24 writes exemplars only of the histogram type that it has, which locks a mutex for each observation. These are
//! added to the encoded text, and only for requests whose spans the receiver has accepted.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::family::LabelValue;
use super::histogram::upper_bound;

/// The metric whose buckets have exemplars.
const BUCKET: &str = "tollgate_request_duration_seconds_bucket";
/// Maximum number of buckets with an exemplar: those of a thousand routes.
const BUCKETS_MAX: usize = 20_000;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// A request whose spans the receiver has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedRequest {
    /// The name of the route.
    pub route: Arc<str>,
    /// The id of the trace.
    pub trace_id: [u8; 16],
    /// The duration of the request in microseconds.
    pub duration_us: u64,
    /// The end of the request, in microseconds of Unix time.
    pub ended_at_us: u64,
}

/// The latest exported request of each bucket, by the name of the series with its labels.
#[derive(Debug, Clone, Default)]
pub struct Exemplars(Arc<Mutex<HashMap<String, ExportedRequest>>>);

impl Exemplars {
    /// Shows this request in its bucket, in place of an earlier one.
    pub fn add(&self, request: ExportedRequest) {
        let route = LabelValue::from(&request.route);
        let series = format!("{BUCKET}{{le=\"{}\",route=\"{}\"}}", upper_bound(request.duration_us), route.escaped());
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.len() < BUCKETS_MAX || shown.contains_key(&series) {
            shown.insert(series, request);
        }
    }

    /// Returns the encoded metrics with the exemplars at the ends of their lines.
    pub(super) fn added_to(&self, text: String) -> String {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.is_empty() {
            return text;
        }
        let mut with = String::with_capacity(text.len() + shown.len() * 96);
        for line in text.lines() {
            with.push_str(line);
            let series = line.starts_with(BUCKET).then(|| line.rsplit_once(' ')).flatten();
            if let Some(request) = series.and_then(|(series, _)| shown.get(series)) {
                // Writing to a string does not fail.
                let _ = write!(
                    with,
                    " # {{trace_id=\"{:032x}\"}} {} {}",
                    u128::from_be_bytes(request.trace_id),
                    seconds(request.duration_us),
                    seconds(request.ended_at_us),
                );
            }
            with.push('\n');
        }
        with
    }
}

/// Writes microseconds as seconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metrics;
    use crate::metrics::RouteLabels;

    #[test]
    fn each_bucket_shows_the_latest_exported_request() {
        let metrics = Metrics::new();
        let routes: [Arc<str>; 2] = ["users".into(), "a \"quoted\" route".into()];
        for route in &routes {
            let histogram = metrics.proxy.duration.get_or_create(&RouteLabels { route: route.into() });
            [700, 900, 2_000_000, 900_000_000].into_iter().for_each(|micros| histogram.observe_us(micros));
            for (number, duration_us) in [(1, 700), (2, 900), (3, 2_000_000), (4, 900_000_000)] {
                let route = route.clone();
                let trace_id = u128::to_be_bytes(number);
                metrics.traces.exemplars.add(ExportedRequest { route, trace_id, duration_us, ended_at_us: 1_500_000 });
            }
        }
        let plain = metrics.encode();
        let with = metrics.encode_with_exemplars();
        assert!(!plain.contains("trace_id"));
        assert_eq!(plain.lines().count(), with.lines().count());
        assert!(with.ends_with("# EOF\n"));
        for route in ["users", "a \\\"quoted\\\" route"] {
            for (bound, count, id, seconds) in
                [("0.001", 2, 2, "0.000900"), ("2.5", 3, 3, "2.000000"), ("+Inf", 4, 4, "900.000000")]
            {
                let line = format!(
                    "{BUCKET}{{le=\"{bound}\",route=\"{route}\"}} {count} # {{trace_id=\"{id:032x}\"}} {seconds} 1.500000"
                );
                assert!(with.lines().any(|found| found == line), "{line}\n{with}");
            }
        }
        assert_eq!(with.matches("trace_id").count(), 6);
    }
}
