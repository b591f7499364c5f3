//! The frames of a client, counted as they are received. h2 bounds the memory that they take, but not the work for frames
//! that carry neither a request nor content.

use std::time::Duration;

use tokio::time::Instant;

/// Size of the connection preface (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
/// Size of the head of each frame (RFC 9113, 4.1).
const FRAME_HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Cost of a SETTINGS frame, in control frames. A new window size is applied to each stream, and each frame needs an
/// acknowledgement. Clients send one or two of them on a connection.
const SETTINGS_COST: u64 = 100;
/// Maximum number of control frames at once, and per second after that. gRPC clients send a PING per round trip while
/// they receive content. 10,000 PING frames take about 1% of a core.
const CONTROL_FRAMES_BURST: u64 = 10_000;
const CONTROL_FRAMES_PER_SECOND: u64 = 10_000;
/// Maximum number of streams that a client resets at once, and per second after that (CVE-2023-44487). The values are the
/// defaults of nghttp2.
const RESETS_BURST: u64 = 1_000;
const RESETS_PER_SECOND: u64 = 33;
/// Maximum number of WINDOW_UPDATE frames at once, and per second after that, besides those that the written bytes allow.
const WINDOW_UPDATES_BURST: u64 = 10_000;
const WINDOW_UPDATES_PER_SECOND: u64 = 10_000;
/// A client may send two WINDOW_UPDATE frames per DATA frame, which has at least 10 bytes.
const BYTES_PER_WINDOW_UPDATE: u64 = 5;
/// Maximum number of HEADERS frames without an accepted stream, at once and per second after that: those of streams over
/// the maximum, which h2 refuses. Clients that know the maximum send none.
const UNACCEPTED_HEADS_BURST: u64 = 4_000;
const UNACCEPTED_HEADS_PER_SECOND: u64 = 100;
/// HEADERS frames of one accepted stream: those of the head and of trailers.
const HEADS_PER_STREAM: u64 = 2;

/// Counts the frames of one connection.
pub(super) struct FrameBudget {
    /// The number of bytes before the next frame: the rest of the preface or of a payload.
    skipped: usize,
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    control: Allowance,
    resets: Allowance,
    window_updates: Allowance,
    heads: Allowance,
    has_settings: bool,
    within_block: bool,
}

/// The client sends more control frames or resets than its budget allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BudgetExceeded;

/// A number of events per second, with a burst.
struct Allowance {
    burst: u64,
    per_second: u64,
    used: u64,
    at: Instant,
}

impl FrameBudget {
    pub(super) fn new(now: Instant) -> Self {
        let allowance = |burst, per_second| Allowance { burst, per_second, used: 0, at: now };
        Self {
            skipped: PREFACE_BYTES,
            head: [0; FRAME_HEAD_BYTES],
            head_bytes: 0,
            control: allowance(CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_SECOND),
            resets: allowance(RESETS_BURST, RESETS_PER_SECOND),
            window_updates: allowance(WINDOW_UPDATES_BURST, WINDOW_UPDATES_PER_SECOND),
            heads: allowance(UNACCEPTED_HEADS_BURST, UNACCEPTED_HEADS_PER_SECOND),
            has_settings: false,
            within_block: false,
        }
    }

    /// Whether the client's first SETTINGS frame has been received.
    pub(super) const fn has_settings(&self) -> bool {
        self.has_settings
    }

    /// Whether the client must send more before anything else can be served: its settings, or the rest of a header block.
    pub(super) const fn is_within_head(&self) -> bool {
        !self.has_settings || self.within_block
    }

    /// Allows the WINDOW_UPDATE frames for bytes that were written.
    pub(super) fn has_written(&mut self, bytes: usize) {
        self.window_updates.give_back(u64::try_from(bytes).unwrap_or(0) / BYTES_PER_WINDOW_UPDATE);
    }

    /// Allows the HEADERS frames of streams that were accepted.
    pub(super) fn has_accepted(&mut self, streams: u64) {
        self.heads.give_back(streams.saturating_mul(HEADS_PER_STREAM));
    }

    /// Counts the frames whose heads end in `bytes`, which follow those of the previous call.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> Result<(), BudgetExceeded> {
        loop {
            let skipped = self.skipped.min(bytes.len());
            self.skipped -= skipped;
            let (head, rest) = bytes
                .get(skipped..)
                .unwrap_or_default()
                .split_at_checked(self.missing())
                .unwrap_or((bytes.get(skipped..).unwrap_or_default(), &[]));
            if head.is_empty() {
                return Ok(());
            }
            if let Some(to) = self.head.get_mut(self.head_bytes..self.head_bytes + head.len()) {
                to.copy_from_slice(head);
            }
            self.head_bytes += head.len();
            if self.head_bytes < FRAME_HEAD_BYTES {
                return Ok(());
            }
            self.frame()?;
            bytes = rest;
        }
    }

    const fn missing(&self) -> usize {
        FRAME_HEAD_BYTES - self.head_bytes
    }

    /// Counts the frame whose head has been received.
    fn frame(&mut self) -> Result<(), BudgetExceeded> {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.head_bytes = 0;
        self.skipped = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
        match kind {
            // h2 bounds CONTINUATION frames, and DATA frames without content.
            DATA => Ok(()),
            HEADERS => {
                self.within_block = flags & END_HEADERS == 0;
                self.heads.take(1, Instant::now())
            }
            CONTINUATION => {
                self.within_block = flags & END_HEADERS == 0;
                Ok(())
            }
            WINDOW_UPDATE => self.window_updates.take(1, Instant::now()),
            RST_STREAM => self.resets.take(1, Instant::now()),
            SETTINGS => {
                self.has_settings = true;
                self.control.take(SETTINGS_COST, Instant::now())
            }
            _ => self.control.take(1, Instant::now()),
        }
    }
}

impl Allowance {
    const fn give_back(&mut self, events: u64) {
        self.used = self.used.saturating_sub(events);
    }

    fn take(&mut self, cost: u64, now: Instant) -> Result<(), BudgetExceeded> {
        let elapsed = u64::try_from(now.saturating_duration_since(self.at).as_micros()).unwrap_or(u64::MAX);
        let returned = elapsed.saturating_mul(self.per_second) / 1_000_000;
        self.used = self.used.saturating_sub(returned);
        // The rest of the time counts for the next event.
        self.at += Duration::from_micros(returned.saturating_mul(1_000_000).div_ceil(self.per_second));
        self.used = self.used.saturating_add(cost);
        if self.used > self.burst { Err(BudgetExceeded) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload_bytes: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, payload_bytes, kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEAD_BYTES + usize::from(payload_bytes), 0xff);
        frame
    }

    fn after_preface(frames: &[Vec<u8>]) -> Vec<u8> {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        [&[preface], frames].concat().concat()
    }

    #[test]
    fn frames_are_found_at_every_split() {
        let bytes = after_preface(&[
            frame(SETTINGS, 0, 6),
            frame(HEADERS, 0, 3),
            frame(CONTINUATION, END_HEADERS, 0),
            frame(DATA, 1, 200),
            frame(RST_STREAM, 0, 4),
            frame(6, 0, 8),
        ]);
        // Before this time, nothing is paid back.
        let later = Instant::now() + Duration::from_hours(1);
        for split in 1..bytes.len() {
            let mut budget = FrameBudget::new(later);
            for part in bytes.chunks(split) {
                budget.count(part).unwrap();
            }
            assert_eq!((budget.control.used, budget.resets.used), (SETTINGS_COST + 1, 1), "{split}");
            assert!(budget.has_settings() && !budget.is_within_head());
        }
    }

    #[test]
    fn window_updates_and_heads_are_bounded_unless_bytes_are_written_and_streams_are_accepted() {
        let mut budget = FrameBudget::new(Instant::now());
        budget.count(&after_preface(&[])).unwrap();
        let update = frame(WINDOW_UPDATE, 0, 4);
        let head = frame(HEADERS, END_HEADERS, 1);
        for _ in 0..100_000 {
            budget.has_written(10);
            assert_eq!(budget.count(&[&update[..], &update].concat()), Ok(()));
            assert_eq!(budget.count(&[&head[..], &head].concat()), Ok(()));
            budget.has_accepted(1);
        }
        let mut sent = 0;
        while budget.count(&head).is_ok() {
            sent += 1;
        }
        assert!((UNACCEPTED_HEADS_BURST..UNACCEPTED_HEADS_BURST * 2).contains(&sent), "{sent}");
        let updates = (0..).take_while(|_| budget.count(&update).is_ok()).take(10_000_000).count();
        assert!(updates < 10_000_000);
    }

    #[test]
    fn heads_are_incomplete_until_settings_and_the_end_of_a_block() {
        let mut budget = FrameBudget::new(Instant::now());
        assert!(budget.is_within_head());
        budget.count(&after_preface(&[frame(SETTINGS, 0, 0)])).unwrap();
        assert!(!budget.is_within_head());
        budget.count(&frame(HEADERS, 0, 5)).unwrap();
        assert!(budget.is_within_head());
        budget.count(&frame(CONTINUATION, 0, 5)).unwrap();
        assert!(budget.is_within_head());
        budget.count(&frame(CONTINUATION, END_HEADERS, 5)).unwrap();
        assert!(!budget.is_within_head());
    }

    #[test]
    fn an_allowance_is_a_burst_and_a_rate() {
        let now = Instant::now();
        let mut allowance = Allowance { burst: 5, per_second: 10, used: 0, at: now };
        assert_eq!(allowance.take(5, now), Ok(()));
        assert_eq!(allowance.take(1, now), Err(BudgetExceeded));
        let later = now + Duration::from_millis(300);
        assert_eq!(allowance.take(2, later), Ok(()));
        assert_eq!(allowance.take(1, later), Err(BudgetExceeded));
    }

    #[test]
    fn resets_below_the_rate_are_allowed_whatever_their_intervals() {
        let begin = Instant::now();
        let mut allowance = Allowance { burst: RESETS_BURST, per_second: RESETS_PER_SECOND, used: 0, at: begin };
        let mut now = begin;
        // 3 in 91 ms are 32.97 per second.
        for interval in [29, 30, 32].into_iter().cycle().take(20_000) {
            now += Duration::from_millis(interval);
            assert_eq!(allowance.take(1, now), Ok(()), "{:?}", now - begin);
        }
        assert!(allowance.used < 5, "{}", allowance.used);
    }
}
