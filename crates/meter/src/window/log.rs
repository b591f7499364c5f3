//! What the window of one key has counted, and when.

use smallvec::SmallVec;

use super::{Window, WindowSpan, WindowView};

/// The maximum number of entries of a log. If a log is full, further requests join its last entry.
const ENTRIES_MAX: usize = 128;
/// A log grows by this number of entries.
const GROWTH: usize = 8;
/// Maximum number of logs in one set.
pub(crate) const LOGS_MAX: usize = 8;
/// Maximum number of entries of the logs of one set. Beyond it, what the longest log has counted leaves the window together.
pub(crate) const SET_ENTRIES_MAX: usize = 256;
/// Maximum number of bytes of the entries of one set.
pub(crate) const SET_BYTES_MAX: usize = (SET_ENTRIES_MAX + LOGS_MAX * GROWTH) * size_of::<LogEntry>();

/// The counted requests or tokens of one key, the oldest first. An unused log has no memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowLog {
    entries: Vec<LogEntry>,
    /// The time at which something was counted last.
    last_ms: u64,
}

/// Requests or tokens that leave the window together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LogEntry {
    /// The low bits of the time: an entry is at most one window older than the last count.
    at_ms: u32,
    count: u32,
}

impl WindowLog {
    /// Returns the state of the key.
    #[must_use]
    pub fn view(&self, window: Window, now_ms: u64) -> WindowView {
        let span = window.span();
        let limit = u64::from(window.limit());
        let used = self.count(span, now_ms);
        WindowView {
            limit: window.limit(),
            remaining: u32::try_from(limit.saturating_sub(used)).unwrap_or(u32::MAX),
            reset_ms: self.reset_ms(span, now_ms),
            retry_after_ms: if used < limit { 0 } else { self.wait_ms(span, limit - 1, now_ms) },
        }
    }

    /// Returns the number of requests or tokens that count now.
    #[must_use]
    pub fn count(&self, span: WindowSpan, now_ms: u64) -> u64 {
        self.counted(span, now_ms).map(|(_, count)| count).sum()
    }

    /// Returns the time until at most `room` counts; at most the length of the window.
    #[must_use]
    pub fn wait_ms(&self, span: WindowSpan, room: u64, now_ms: u64) -> u64 {
        let mut used = self.count(span, now_ms);
        let mut wait_ms = 0;
        for (left_ms, count) in self.counted(span, now_ms) {
            if used <= room {
                break;
            }
            used -= count;
            wait_ms = left_ms;
        }
        wait_ms
    }

    /// Returns the time until the first entry leaves the window; zero if nothing counts.
    #[must_use]
    pub fn reset_ms(&self, span: WindowSpan, now_ms: u64) -> u64 {
        self.counted(span, now_ms).next().map_or(0, |(left_ms, _)| left_ms)
    }

    /// Counts requests or tokens, and forgets those that have left the window. Returns the time at which they count.
    pub fn add(&mut self, span: WindowSpan, count: u64, now_ms: u64) -> u64 {
        let left = self.entries.len() - self.counted(span, now_ms).count();
        self.entries.drain(..left);
        let counted_ms = self.time(span, now_ms).unwrap_or(now_ms);
        if count == 0 {
            return counted_ms;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let is_full = self.entries.len() >= ENTRIES_MAX;
        let part_of = |entry: &LogEntry| entry.time_ms(self.last_ms) / span.part_ms();
        let is_same_part = self.entries.last().map(part_of) == Some(counted_ms / span.part_ms());
        match self.entries.last_mut() {
            Some(last) if is_same_part || is_full => {
                last.at_ms = low_bits(counted_ms);
                last.count = last.count.saturating_add(count);
            }
            _ => {
                if self.entries.len() == self.entries.capacity() {
                    self.entries.reserve_exact(GROWTH);
                }
                self.entries.push(LogEntry { at_ms: low_bits(counted_ms), count });
            }
        }
        self.last_ms = counted_ms;
        counted_ms
    }

    /// Removes what [`add`](Self::add) has counted at `counted_ms`, unless it has left the window.
    pub fn remove(&mut self, span: WindowSpan, count: u64, counted_ms: u64) {
        let part = counted_ms / span.part_ms();
        let last_ms = self.last_ms;
        let is_counted = |entry: &LogEntry| {
            let at_ms = entry.time_ms(last_ms);
            at_ms >= counted_ms && at_ms / span.part_ms() == part
        };
        let Some(position) = self.entries.iter().position(is_counted) else { return };
        let Some(entry) = self.entries.get_mut(position) else { return };
        entry.count = entry.count.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        if entry.count == 0 {
            self.entries.remove(position);
        }
    }

    /// Returns what counts now with the time until it leaves the window, the oldest first.
    fn counted(&self, span: WindowSpan, now_ms: u64) -> impl Iterator<Item = (u64, u64)> {
        let time = self.time(span, now_ms);
        self.entries.iter().filter_map(move |entry| {
            let age_ms = time?.saturating_sub(entry.time_ms(self.last_ms));
            let left_ms = span.length_ms().checked_sub(age_ms).filter(|left_ms| *left_ms > 0)?;
            Some((left_ms, u64::from(entry.count)))
        })
    }

    /// Returns the time of the log; `None` if its entries are discarded. If the clock went back by at most one window, time
    /// stands still until the clock has caught up.
    fn time(&self, span: WindowSpan, now_ms: u64) -> Option<u64> {
        (self.last_ms <= now_ms.saturating_add(span.length_ms())).then(|| now_ms.max(self.last_ms))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Joins neighbours, so that half of the entries remain. Each pair leaves the window with its later entry.
    fn halve(&mut self) {
        let join = |pair: &[LogEntry]| match pair {
            [first, second] => Some(LogEntry { count: first.count.saturating_add(second.count), ..*second }),
            rest => rest.first().copied(),
        };
        // From the end: the last entry keeps its time.
        let mut halved: Vec<LogEntry> = self.entries.rchunks(2).filter_map(join).collect();
        halved.reverse();
        halved.shrink_to_fit();
        self.entries = halved;
    }
}

impl LogEntry {
    /// Returns the time of an entry of a log that has counted last at `last_ms`.
    fn time_ms(self, last_ms: u64) -> u64 {
        last_ms.saturating_sub(u64::from(low_bits(last_ms).wrapping_sub(self.at_ms)))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only the low bits are stored")]
const fn low_bits(time_ms: u64) -> u32 {
    time_ms as u32
}

/// Bounds the memory of the logs of one set: while they have more than [`SET_ENTRIES_MAX`] entries, the longest one is halved.
pub(crate) fn keep_bounded<'a>(logs: impl Iterator<Item = &'a mut WindowLog>) {
    let mut logs: SmallVec<[&mut WindowLog; LOGS_MAX]> = logs.collect();
    while logs.iter().map(|log| log.entries.len()).sum::<usize>() > SET_ENTRIES_MAX {
        let longest = logs.iter_mut().max_by_key(|log| log.entries.len());
        let Some(longest) = longest.filter(|longest| longest.entries.len() > 1) else { return };
        longest.halve();
    }
}
