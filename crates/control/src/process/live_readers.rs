//! Reads of live figures: each at most once a second, and few at once, however many clients watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use access::{Clock, Day, Mono, Refusal, Timestamp, UserId};
use insights::DayScope;
use ledger::{DayUsageOf, Ledger, ResultTotals, UsageTotals};
use store::{DatabaseError, NodeProgress, Store};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

use crate::message::problem::Problem;
use crate::process::holder_permits::{HolderPermit, HolderPermits};

/// The pause between two messages of a topic, and between two checks of a client's permission.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// The lifetime of figures. It is a little shorter than [`EVERY`]: otherwise the figures of a single stream, which are read
/// a moment after each check, would still be fresh at every other check.
const FRESH: Duration = Duration::from_millis(900);
/// Maximum number of concurrent reads. Further ones wait, so that messages are delayed and not the rest of the API.
const READS_MAX: usize = 4;
/// Streams that a user may have at least, if they are at most half of all: several pages in several browsers.
const OF_USER_MIN: usize = 16;

/// The readers of the figures that clients watch now.
#[derive(Debug)]
pub(crate) struct LiveReaders {
    scopes: StdMutex<HashMap<DayScope, Weak<ScopeReader>>>,
    progress: Mutex<Option<(Mono, Vec<NodeProgress>)>>,
    progress_changes: watch::Sender<()>,
    reads: Semaphore,
    streams: Arc<Semaphore>,
    of_users: HolderPermits<UserId>,
    clock: Clock,
}

/// The right to one stream; dropping it ends the right.
#[derive(Debug)]
pub(crate) struct StreamPermit {
    _of_all: OwnedSemaphorePermit,
    _of_user: HolderPermit<UserId>,
}

/// The figures of one scope.
#[derive(Debug)]
pub(crate) struct ScopeReader {
    of: DayUsageOf,
    newest: StdMutex<Option<(Mono, Arc<SharedDay>)>>,
    /// One stream reads for all.
    reading: Mutex<()>,
    /// Wakes the streams of the scope when a read finds other figures.
    changes: watch::Sender<()>,
}

/// The recorded usage of today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveDay {
    pub(crate) day: Day,
    pub(crate) totals: UsageTotals,
    pub(crate) results: ResultTotals,
}

/// The recorded usage of today, with the messages about it.
#[derive(Debug)]
pub(crate) struct SharedDay {
    pub(crate) day: LiveDay,
    /// The time at which the figures were read.
    pub(crate) at: Timestamp,
    /// The messages, which the first stream writes for all.
    pub(crate) texts: OnceLock<Vec<LiveText>>,
}

/// A message as JSON.
#[derive(Debug, Clone)]
pub(crate) struct LiveText {
    /// The figures, without their time.
    pub(crate) data: Arc<str>,
    pub(crate) message: Arc<str>,
}

impl LiveReaders {
    /// Permits streams on three quarters of `connections_max`, so that the rest of the API stays reachable. One user may have a
    /// sixteenth of these, or [`OF_USER_MIN`], but at most half.
    pub(crate) fn new(clock: Clock, connections_max: usize) -> Self {
        let streams = (connections_max - connections_max / 4).min(Semaphore::MAX_PERMITS);
        let of_user = (streams / 16).max(OF_USER_MIN).min(streams.div_ceil(2));
        Self {
            scopes: StdMutex::default(),
            progress: Mutex::default(),
            progress_changes: watch::Sender::default(),
            reads: Semaphore::new(READS_MAX),
            streams: Arc::new(Semaphore::new(streams)),
            of_users: HolderPermits::new(of_user),
            clock,
        }
    }

    /// Takes the right to one more stream.
    ///
    /// # Errors
    /// `overloaded` if too many streams are open.
    pub(crate) fn permit(&self, user: UserId) -> Result<StreamPermit, Problem> {
        let full =
            || Problem::new(Refusal::Overloaded, "too many live streams are open; close one, or try again later");
        let of_user = self.of_users.take(user).ok_or_else(full)?;
        let of_all = self.streams.clone().try_acquire_owned().map_err(|_| full())?;
        Ok(StreamPermit { _of_all: of_all, _of_user: of_user })
    }

    /// Returns the reader of a scope, which all streams of the scope share.
    pub(crate) fn of_scope(&self, scope: &DayScope, of: DayUsageOf) -> Arc<ScopeReader> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = scopes.get(scope).and_then(Weak::upgrade) {
            return reader;
        }
        scopes.retain(|_, reader| reader.strong_count() > 0);
        let reader = Arc::new(ScopeReader {
            of,
            newest: StdMutex::default(),
            reading: Mutex::default(),
            changes: watch::Sender::default(),
        });
        scopes.insert(scope.clone(), Arc::downgrade(&reader));
        reader
    }

    /// Returns what wakes streams when the progress of nodes has changed.
    pub(crate) fn progress_changes(&self) -> watch::Receiver<()> {
        self.progress_changes.subscribe()
    }

    /// Returns the usage of today, at most a second old.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(crate) async fn day(&self, ledger: &Ledger, reader: &ScopeReader) -> Result<Arc<SharedDay>, DatabaseError> {
        if let Some(day) = reader.fresh(self.clock.mono()) {
            return Ok(day);
        }
        let _reading = reader.reading.lock().await;
        let now = self.clock.mono();
        if let Some(day) = reader.fresh(now) {
            return Ok(day);
        }
        // The semaphore is never closed.
        let _turn = self.reads.acquire().await;
        let at = self.clock.now();
        let day = at.day();
        let read = ledger.day_totals(reader.of, [day, day]).await?;
        let (totals, results) = read.first().map(|of| (of.totals, of.results)).unwrap_or_default();
        let read = LiveDay { day, totals, results };
        let (read, is_changed) = reader.replace(now, SharedDay { day: read, at, texts: OnceLock::new() });
        if is_changed {
            reader.changes.send_replace(());
        }
        Ok(read)
    }

    /// Returns the progress of the usage of all nodes into the store, at most a second old.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(crate) async fn progress(&self, store: &Store) -> Result<Vec<NodeProgress>, DatabaseError> {
        let mut newest = self.progress.lock().await;
        let now = self.clock.mono();
        if let Some((at, progress)) = &*newest
            && now.since(*at) < FRESH
        {
            return Ok(progress.clone());
        }
        let _turn = self.reads.acquire().await;
        let progress = store.node_progress().await?;
        let before = newest.replace((now, progress.clone()));
        if before.is_none_or(|(_, before)| before != progress) {
            self.progress_changes.send_replace(());
        }
        Ok(progress)
    }
}

impl ScopeReader {
    /// Returns the figures unless they are too old.
    fn fresh(&self, now: Mono) -> Option<Arc<SharedDay>> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.as_ref().filter(|(at, _)| now.since(*at) < FRESH).map(|(_, day)| day.clone())
    }

    /// Stores figures that were read. Returns those that streams share, and whether they have changed.
    fn replace(&self, now: Mono, read: SharedDay) -> (Arc<SharedDay>, bool) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let same = newest.take().map(|(_, before)| before).filter(|before| before.day == read.day);
        let is_changed = same.is_none();
        let day = same.unwrap_or_else(|| Arc::new(read));
        *newest = Some((now, day.clone()));
        (day, is_changed)
    }

    /// Returns what wakes streams when the figures have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use ledger::UsageOf;

    use super::*;

    fn readers(connections_max: usize) -> LiveReaders {
        LiveReaders::new(Clock::manual(access::Timestamp(0)), connections_max)
    }

    #[test]
    fn streams_leave_connections_to_the_api_and_to_other_users() {
        let readers = readers(16);
        let user = |last| UserId(uuid::Uuid::from_u128(last));
        let first: Vec<_> = (0..6).map(|_| readers.permit(user(1)).unwrap()).collect();
        assert!(readers.permit(user(1)).is_err());
        let _second: Vec<_> = (0..6).map(|_| readers.permit(user(2)).unwrap()).collect();
        assert!(readers.permit(user(3)).is_err());
        drop(first);
        assert!(readers.permit(user(1)).is_ok());
    }

    #[test]
    fn a_few_users_do_not_hold_all_streams() {
        for (connections_max, expected) in [(16, 6), (64, 16), (1_024, 48)] {
            let readers = readers(connections_max);
            let user = UserId(uuid::Uuid::nil());
            let permits = std::iter::from_fn(|| readers.permit(user).ok()).collect::<Vec<_>>();
            assert_eq!(permits.len(), expected, "{connections_max}");
        }
    }

    #[test]
    fn streams_of_one_scope_share_a_reader_which_ends_with_the_last() {
        let readers = readers(16);
        let all = || readers.of_scope(&DayScope::All {}, UsageOf::All.into());
        let first = all();
        let second = all();
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        let user = DayScope::User { user_id: uuid::Uuid::nil() };
        let _other = readers.of_scope(&user, UsageOf::All.into());
        assert_eq!(readers.scopes.lock().unwrap().len(), 1);
    }
}
