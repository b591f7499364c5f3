//! One key of etcd whose value is a text: the configuration.
//!
//! A task reads the key and watches it. Its owner reads the last state whenever it wants, so that a key which changes many
//! times a second costs no more than one that changes once.

use std::sync::{Arc, Mutex, PoisonError};

use access::{Clock, Timestamp};
use base64ct::{Base64, Encoding as _};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::etcd::{self, EtcdCluster, KeyChange, KeyRange, KeyVisitor, StoredKey};
use crate::source_error::SourceError;

/// Maximum size of a value in bytes.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// A key that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedKey {
    /// The name of the key.
    pub key: Arc<str>,
    /// The cluster with the key.
    pub cluster: EtcdCluster,
}

/// The value of a followed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyContent {
    /// The key has a text, which is not empty.
    Text(Arc<str>),
    /// The key does not exist.
    Missing,
    /// The value is empty.
    Empty,
    /// The value is larger than [`VALUE_BYTES_MAX`].
    TooLarge {
        /// The size of the value in bytes.
        bytes: usize,
    },
    /// The value is not a text in UTF-8.
    NotText,
}

/// The last state of a followed key.
#[derive(Debug, Clone, Default)]
pub struct KeyState {
    /// The last value; `None` before the first response.
    pub content: Option<KeyContent>,
    /// The revision of the cluster at which the value was written; 0 for a key that does not exist.
    pub revision: u64,
    /// When the cluster last responded; `None` if it has not since the start.
    pub responded_at: Option<Timestamp>,
    /// The reason why the cluster cannot be read now.
    pub error: Option<Arc<str>>,
    /// The failures since the start of the process.
    pub failures: u64,
}

/// A task that follows a key. Dropping it ends the task.
#[derive(Debug)]
pub struct KeyFollower {
    followed: FollowedKey,
    tls: Arc<ClientConfig>,
    observed: Arc<ObservedKey>,
    task: JoinSet<()>,
}

/// What the task has read last.
#[derive(Debug)]
struct ObservedKey {
    state: Mutex<KeyState>,
    clock: Clock,
    /// Signals each new state.
    changed: watch::Sender<()>,
}

impl KeyFollower {
    /// Starts to follow a key. `tls` is the TLS of servers without their own.
    #[must_use]
    pub fn start(followed: FollowedKey, tls: Arc<ClientConfig>, clock: Clock) -> Self {
        let observed = ObservedKey { state: Mutex::default(), clock, changed: watch::Sender::default() };
        let mut this = Self { followed, tls, observed: Arc::new(observed), task: JoinSet::new() };
        this.begin();
        this
    }

    /// Returns the last state. A task that has ended is started again.
    pub fn state(&mut self) -> KeyState {
        if self.task.try_join_next().is_some() {
            self.observed.fail(&SourceError::Ended);
            self.begin();
        }
        self.observed.state()
    }

    /// Waits until the cluster has responded or failed. It may be cancelled.
    pub async fn settled(&self) {
        let mut changed = self.observed.changed.subscribe();
        loop {
            let state = self.observed.state();
            if state.content.is_some() || state.error.is_some() || changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn begin(&mut self) {
        let followed = self.followed.clone();
        let tls = self.tls.clone();
        let observed = self.observed.clone();
        self.task.spawn(async move {
            let range = KeyRange::key(&followed.key);
            etcd::follow(&followed.cluster, &range, &tls, &mut &*observed).await;
        });
    }
}

impl ObservedKey {
    fn state(&self) -> KeyState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn found(&self, stored: Option<&StoredKey>) {
        let (content, revision) = stored.map_or((KeyContent::Missing, 0), |stored| {
            // A revision that is no number belongs to a server that is not etcd.
            (content(&stored.value), stored.mod_revision.parse().unwrap_or(0))
        });
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.content.as_ref() != Some(&content) {
            state.content = Some(content);
        }
        state.revision = revision;
        state.responded_at = Some(self.clock.now());
        state.error = None;
        drop(state);
        self.changed.send_replace(());
    }

    fn fail(&self, error: &SourceError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        state.error = Some(error.to_string().into());
        drop(state);
        self.changed.send_replace(());
    }
}

impl KeyVisitor for &ObservedKey {
    fn read(&mut self, keys: Vec<StoredKey>) {
        self.found(keys.first());
    }

    fn changed(&mut self, changes: Vec<KeyChange>) -> bool {
        match changes.last() {
            Some(KeyChange::Put(stored)) => self.found(Some(stored)),
            Some(KeyChange::Delete { .. }) => self.found(None),
            None => {}
        }
        true
    }

    fn failed(&mut self, error: &SourceError) {
        self.fail(error);
    }
}

/// Returns what a value in base64 contains.
fn content(value: &str) -> KeyContent {
    // Base64 has four characters for three bytes; a longer text is not decoded.
    let bytes = value.len() / 4 * 3;
    if bytes > VALUE_BYTES_MAX + 2 {
        return KeyContent::TooLarge { bytes };
    }
    let Ok(value) = Base64::decode_vec(value) else { return KeyContent::NotText };
    match String::from_utf8(value) {
        Ok(text) if text.len() > VALUE_BYTES_MAX => KeyContent::TooLarge { bytes: text.len() },
        Ok(text) if text.trim().is_empty() => KeyContent::Empty,
        Ok(text) => KeyContent::Text(text.into()),
        Err(_) => KeyContent::NotText,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_text_within_its_bounds() {
        let of = |value: &[u8]| content(&Base64::encode_string(value));
        assert_eq!(of(b"log: {level: info}"), KeyContent::Text("log: {level: info}".into()));
        assert_eq!(of(b""), KeyContent::Empty);
        assert_eq!(of(b" \n"), KeyContent::Empty);
        assert_eq!(of(b"\xff\xfe"), KeyContent::NotText);
        assert_eq!(content("no base64"), KeyContent::NotText);
        assert!(matches!(of(&vec![b'a'; VALUE_BYTES_MAX]), KeyContent::Text(_)));
        for surplus in [1, 2, 3, 1_000_000] {
            assert!(matches!(of(&vec![b'a'; VALUE_BYTES_MAX + surplus]), KeyContent::TooLarge { .. }), "{surplus}");
        }
    }

    #[test]
    fn the_last_of_several_changes_is_the_state() {
        let clock = Clock::system();
        let changed = watch::Sender::default();
        let observed = ObservedKey { state: Mutex::default(), clock, changed };
        let put = |value: &[u8], revision: &str| {
            KeyChange::Put(StoredKey {
                key: String::new(),
                value: Base64::encode_string(value),
                mod_revision: revision.to_owned(),
            })
        };
        assert!(KeyVisitor::changed(&mut &observed, vec![put(b"a", "4"), put(b"b", "5")]));
        let state = observed.state();
        assert_eq!((state.content, state.revision), (Some(KeyContent::Text("b".into())), 5));
        KeyVisitor::failed(&mut &observed, &SourceError::TooLarge);
        let state = observed.state();
        assert_eq!((state.content, state.failures), (Some(KeyContent::Text("b".into())), 1));
        assert!(KeyVisitor::changed(&mut &observed, vec![KeyChange::Delete { key: String::new() }]));
        let state = observed.state();
        assert_eq!((state.content, state.revision, state.error), (Some(KeyContent::Missing), 0, None));
    }
}
