//! The log lines of one test.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::subscriber::DefaultGuard;

use crate::outage::Outage;

/// Collects the log lines of this thread in memory until it is dropped.
pub(crate) struct CapturedLog {
    lines: LogLines,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct LogLines(Arc<Mutex<Vec<u8>>>);

impl io::Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CapturedLog {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

/// Begins to collect log lines.
pub(crate) fn capture() -> CapturedLog {
    let lines = LogLines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    // `tracing` disables a line for all threads if a thread without a subscriber is the first to reach it.
    let mut outage = Outage::new("registers its lines");
    for end in [Outage::end, Outage::leave] {
        outage.fail(&io::Error::other("none"));
        end(&mut outage);
    }
    tracing::callsite::rebuild_interest_cache();
    lines.0.lock().unwrap().clear();
    CapturedLog { lines, _guard: guard }
}
