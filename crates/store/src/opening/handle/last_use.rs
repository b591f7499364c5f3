//! Times at which keys were last used. They are recorded in memory and written to the store later.
//!
//! Two components record uses: ingest, from the events and counts of proxied requests, and the directory, when it looks
//! up a secret. (A look-up also happens after a change of the key, and every half minute for a replaced secret.) A
//! key's row is written at most once a minute, so times are accurate to about one minute. A killed process loses the
//! times that it had not written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use access::exchange::key_clients::{KeyClient, KeyClients};
use access::{KeyHash, KeyNo, Mono, Timestamp};

use super::Store;
use crate::error::DatabaseError;
use crate::sql::{micros, statements};

/// Minimum time between two writes of one key.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Maximum number of keys in memory; uses of further keys within the same minute are not recorded.
const NOTED_MAX: usize = 100_000;
/// Maximum number of keys in one transaction, so that other writers wait only briefly.
const WRITTEN_MAX: usize = 200;

// A use does not change the key: `updated_at` and the revision stay. A time never moves backwards, whichever node wrote
// it.
statements! {
    USED = "UPDATE api_keys SET used_at = $2 WHERE no = $1 AND (used_at IS NULL OR used_at < $2)";
    PREVIOUS_USED = "UPDATE api_keys SET previous_used_at = $2
        WHERE previous_hash = $1 AND (previous_used_at IS NULL OR previous_used_at < $2)";
    CLIENT = "UPDATE api_keys SET used_from = $2, used_client = $3 WHERE no = $1";
}

/// The secret that was used. All writers write rows in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum UsedSecret {
    Key(KeyNo),
    /// The secret before the last rotation.
    Previous(KeyHash),
}

#[derive(Debug, Clone, Copy)]
struct UseTimes {
    newest: Timestamp,
    /// The time that was written last, and when it was written.
    written: Option<(Timestamp, Mono)>,
}

impl UseTimes {
    fn is_due(&self, now: Mono) -> bool {
        self.written.is_none_or(|(newest, at)| newest < self.newest && now.since(at) >= AGAIN_AFTER)
    }

    fn is_done(&self, now: Mono) -> bool {
        self.written.is_some_and(|(newest, at)| newest >= self.newest && now.since(at) >= AGAIN_AFTER)
    }
}

/// Recent uses of keys.
#[derive(Debug, Default)]
pub struct LastUse {
    noted: Mutex<HashMap<UsedSecret, UseTimes>>,
    /// The clients that the directories of this process have seen.
    clients: OnceLock<Arc<KeyClients>>,
}

impl LastUse {
    /// Lets the store write the clients that the directories of this process record. Only the first call has an effect.
    pub fn follow(&self, clients: Arc<KeyClients>) {
        let _ = self.clients.set(clients);
    }

    /// Records a use of a key.
    pub fn note(&self, key: KeyNo, at: Timestamp) {
        self.note_all([(key, at)]);
    }

    /// Records uses of several keys.
    pub fn note_all(&self, uses: impl IntoIterator<Item = (KeyNo, Timestamp)>) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, at) in uses {
            add(&mut noted, UsedSecret::Key(key), at);
        }
    }

    /// Records a use of the secret that a key had before its last rotation.
    pub fn note_previous(&self, secret: KeyHash, at: Timestamp) {
        add(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner), UsedSecret::Previous(secret), at);
    }

    /// Returns the times that are due now, in order; with `all`, every time that was not written yet.
    fn due(&self, now: Mono, all: bool) -> Vec<(UsedSecret, Timestamp)> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|_, noted| !noted.is_done(now));
        let unwritten = |noted: &UseTimes| noted.written.is_none_or(|(newest, _)| newest < noted.newest);
        let due = noted.iter().filter(|(_, noted)| if all { unwritten(noted) } else { noted.is_due(now) });
        let mut due: Vec<(UsedSecret, Timestamp)> = due.map(|(used, noted)| (*used, noted.newest)).collect();
        due.sort_unstable();
        due
    }

    fn written(&self, rows: &[(UsedSecret, Timestamp)], now: Mono) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        for (used, newest) in rows {
            if let Some(noted) = noted.get_mut(used) {
                noted.written = Some((*newest, now));
            }
        }
    }
}

fn add(noted: &mut HashMap<UsedSecret, UseTimes>, used: UsedSecret, at: Timestamp) {
    if let Some(noted) = noted.get_mut(&used) {
        noted.newest = noted.newest.max(at);
    } else if noted.len() < NOTED_MAX {
        noted.insert(used, UseTimes { newest: at, written: None });
    }
}

impl Store {
    /// Writes the times that are due; with `all`, every time that was not written yet, before a process ends.
    ///
    /// # Errors
    /// Database errors of any kind; times that were not written stay recorded.
    pub async fn write_last_use(&self, all: bool) -> Result<(), DatabaseError> {
        let due = self.last_use().due(self.clock().mono(), all);
        for rows in due.chunks(WRITTEN_MAX) {
            let mut transaction = self.begin().await?;
            for (used, at) in rows {
                let write = match used {
                    UsedSecret::Key(no) => transaction.query(USED).bind(no.0),
                    UsedSecret::Previous(hash) => transaction.query(PREVIOUS_USED).bind(hash.0.to_vec()),
                };
                write.bind(micros(*at)).run().await?;
            }
            transaction.commit().await?;
            self.last_use().written(rows, self.clock().mono());
        }
        self.write_clients().await
    }

    /// Writes the last clients of keys that were recorded since the last call. Those of a failed write are lost.
    async fn write_clients(&self) -> Result<(), DatabaseError> {
        let Some(clients) = self.last_use().clients.get() else { return Ok(()) };
        let mut new: Vec<(KeyNo, KeyClient)> = clients.take_new();
        new.sort_unstable_by_key(|(key, _)| *key);
        for rows in new.chunks(WRITTEN_MAX) {
            let mut transaction = self.begin().await?;
            for (key, KeyClient { address, client }) in rows {
                let write = transaction.query(CLIENT).bind(key.0).bind(address.to_canonical().to_string());
                write.bind(client.clone()).run().await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn times_at(seconds: u64) -> (Timestamp, Mono) {
        (Timestamp(seconds * 1_000_000), Mono(seconds * SECOND))
    }

    #[test]
    fn a_key_is_written_at_once_and_then_once_a_minute() {
        let last = LastUse::default();
        let mut written = Vec::new();
        for second in 1..=200 {
            let (now, mono) = times_at(second);
            last.note(KeyNo(1), now);
            let due = last.due(mono, false);
            if !due.is_empty() {
                written.push(second);
                last.written(&due, mono);
            }
        }
        assert_eq!(written, [1, 61, 121, 181]);
        let (_, mono) = times_at(200);
        assert_eq!(last.due(mono, true), [(UsedSecret::Key(KeyNo(1)), times_at(200).0)], "the rest, before the end");
        let (_, later) = times_at(241);
        assert_eq!(last.due(later, false), [(UsedSecret::Key(KeyNo(1)), times_at(200).0)]);
    }

    #[test]
    fn what_is_written_is_forgotten_and_what_fails_is_not() {
        let last = LastUse::default();
        last.note(KeyNo(2), times_at(5).0);
        last.note(KeyNo(2), times_at(4).0);
        last.note_previous(KeyHash([1; 32]), times_at(6).0);
        last.note(KeyNo(1), times_at(7).0);
        let due = last.due(times_at(7).1, false);
        let used = [
            (UsedSecret::Key(KeyNo(1)), times_at(7).0),
            (UsedSecret::Key(KeyNo(2)), times_at(5).0),
            (UsedSecret::Previous(KeyHash([1; 32])), times_at(6).0),
        ];
        assert_eq!(due, used);
        assert_eq!(last.due(times_at(8).1, false), used, "it was not written");
        last.written(&due, times_at(8).1);
        assert!(last.due(times_at(9).1, false).is_empty());
        last.due(times_at(68).1, false);
        assert!(last.noted.lock().unwrap().is_empty());
    }

    #[test]
    fn what_is_noted_has_a_bound() {
        let last = LastUse::default();
        last.note_all((0..200_000).map(|no| (KeyNo(no), times_at(1).0)));
        assert_eq!(last.due(times_at(1).1, true).len(), NOTED_MAX);
        last.note(KeyNo(3), times_at(2).0);
        assert_eq!(last.due(times_at(2).1, true)[3], (UsedSecret::Key(KeyNo(3)), times_at(2).0));
    }
}
