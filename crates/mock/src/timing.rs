//! The delays of the mock.

use std::time::Duration;

/// Delays of the mock's responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MockTiming {
    /// Time between two events of a stream. Default 20 ms, at which a person sees the stream grow.
    pub pace: Duration,
    /// Time before the first byte of `slow`. Default 3 s.
    pub slow: Duration,
    /// Time between two events of `long`. Default 100 ms.
    pub long_pace: Duration,
    /// Duration of `long`, and time for which `hang`, `stall` and `1xx` keep a connection. Default 10 min.
    pub long_for: Duration,
}

impl Default for MockTiming {
    fn default() -> Self {
        Self {
            pace: Duration::from_millis(20),
            slow: Duration::from_secs(3),
            long_pace: Duration::from_millis(100),
            long_for: Duration::from_secs(600),
        }
    }
}
