//! The public ids of keys and users. Records contain the store's integers for them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use access::{KeyId, KeyNo, UserId, UserNo};
use jobs::JobError;
use meter::Caller;

use crate::error::EventExportError;

/// Maximum number of keys and of users whose ids are remembered.
const KNOWN_MAX: usize = 100_000;

/// The ids of some keys and users; `None` means that the store has deleted it.
#[derive(Debug, Clone, Default)]
pub struct CallerIds {
    /// The ids of keys.
    pub keys: HashMap<KeyNo, Option<KeyId>>,
    /// The ids of users.
    pub users: HashMap<UserNo, Option<UserId>>,
}

/// The result of a look-up in the store.
pub type IdFuture = Pin<Box<dyn Future<Output = Result<CallerIds, JobError>> + Send>>;

/// Finds the ids of keys and users in the store.
#[derive(Clone)]
pub struct IdLookup(Arc<dyn Fn(Vec<Caller>) -> IdFuture + Send + Sync>);

impl fmt::Debug for IdLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdLookup")
    }
}

impl IdLookup {
    /// Returns a look-up with this function, which returns an entry for each key and each user.
    pub fn new(find: impl Fn(Vec<Caller>) -> IdFuture + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }
}

impl CallerIds {
    /// Finds the ids that are not known yet. Ids never change.
    pub(crate) async fn learn(
        &mut self,
        callers: impl Iterator<Item = Caller>,
        lookup: &IdLookup,
    ) -> Result<(), EventExportError> {
        if self.keys.len().max(self.users.len()) > KNOWN_MAX {
            *self = Self::default();
        }
        let is_unknown =
            |caller: &Caller| !self.keys.contains_key(&caller.key) || !self.users.contains_key(&caller.user);
        let unknown: HashSet<Caller> = callers.filter(is_unknown).collect();
        if !unknown.is_empty() {
            let found = (lookup.0)(unknown.into_iter().collect()).await.map_err(EventExportError::Ids)?;
            self.keys.extend(found.keys);
            self.users.extend(found.users);
        }
        Ok(())
    }
}
