use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Returns the text without timestamps, whose form is checked.
    fn without_timestamps(&self) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let rest = |line: &str| {
            let (timestamp, rest) = line.strip_prefix("{\"timestamp\":\"").unwrap().split_once("\",").unwrap();
            assert_eq!(timestamp.len(), "2026-11-22T13:00:00.000000Z".len(), "{timestamp}");
            format!("{rest}\n")
        };
        text.split_terminator('\n').map(rest).collect()
    }
}

/// Whether the lines of `events` equal those of `tracing_subscriber`'s JSON format.
fn check(events: impl FnOnce()) -> String {
    let ours = Lines::default();
    let theirs = Lines::default();
    let of_ours = ours.clone();
    let of_theirs = theirs.clone();
    let layer = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let subscriber = tracing_subscriber::registry()
        .with(JsonLines(move || of_ours.clone()))
        .with(layer.with_writer(move || of_theirs.clone()));
    tracing::subscriber::with_default(subscriber, events);
    assert_eq!(ours.without_timestamps(), theirs.without_timestamps());
    ours.without_timestamps()
}

#[test]
fn lines_equal_those_of_the_library() {
    let all: String = (0..=0xff_u8).map(char::from).chain("é€😀\u{2028}".chars()).collect();
    let error = std::io::Error::other("a \"quoted\" cause");
    let text = check(|| {
        let _span = tracing::info_span!("of", a = "request").entered();
        tracing::info!(target: "proxy::handle", request_id = %"0190", status = 200_u16, "request \"done\"\nin time");
        tracing::error!("{all}");
        tracing::warn!(text = all, display = %all, debug = ?all, name.with.dots = 1, "text");
        tracing::debug!(yes = true, no = false, none = None::<&str>, some = Some("value"), unit = ?());
        tracing::trace!(least = i64::MIN, most = u64::MAX, wide = u128::MAX, narrow = i128::MIN, byte = 7_u8);
        tracing::info!(half = 0.5_f64, whole = 2.0_f64, large = 1e300_f64, nan = f64::NAN, infinite = f64::INFINITY);
        tracing::info!(error = &error as &dyn std::error::Error, bytes = &b"\x00\xff"[..], "{}", 1);
        tracing::info!(target: "quoted \"target\"", "");
    });
    assert_eq!(text.lines().count(), 8, "{text}");
}

/// A value that fails while it is formatted.
struct Faulty;

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("half")?;
        Err(std::fmt::Error)
    }
}

#[test]
fn value_that_fails_spoils_no_line() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::registry().with(JsonLines(move || writer.clone()));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(value = %Faulty, after = 1, "first");
        tracing::info!("next");
    });
    let target = module_path!();
    assert_eq!(
        lines.without_timestamps(),
        format!(
            "\"level\":\"INFO\",\"message\":\"first\",\"value\":\"half\",\"after\":1,\"target\":\"{target}\"}}\n\
             \"level\":\"INFO\",\"message\":\"next\",\"target\":\"{target}\"}}\n"
        )
    );
}
