//! The text format of Prometheus (version 0.0.4), made from OpenMetrics without exemplars.
//!
//! The samples are the same. In the older format, the metadata of a counter has its full name with `_total`, an info metric
//! is a gauge, and units and the end are not marked.

/// Returns the text in the older format.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    // The help of a metric precedes its type, which decides its name.
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, help)) = help.take().filter(|(described, _)| *described == name) {
                plain.push_str(&format!("# HELP {name}{suffix} {help}\n"));
            }
            plain.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            plain.push_str(line);
            plain.push('\n');
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_their_full_name_and_samples_stay() {
        let open = "# HELP a Requests.\n# TYPE a counter\na_total{b=\"c\"} 1\n# HELP d Bytes.\n# TYPE d gauge\n# UNIT d bytes\nd 2\n\
            # TYPE e histogram\ne_bucket{le=\"+Inf\"} 3\ne_sum 1.5\ne_count 3\n# EOF\n";
        let plain = "# HELP a_total Requests.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n# HELP d Bytes.\n# TYPE d gauge\nd 2\n\
            # TYPE e histogram\ne_bucket{le=\"+Inf\"} 3\ne_sum 1.5\ne_count 3\n";
        assert_eq!(from_open_metrics(open), plain);
        let metrics = super::super::Metrics::new().encode_text();
        assert!(metrics.lines().any(|line| line == "# TYPE tollgate_panics_total counter"), "{metrics}");
        assert!(!metrics.contains("# EOF") && !metrics.contains("# UNIT"));
    }
}
