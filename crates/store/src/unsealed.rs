//! Credentials in clear, for the answers of the directory: a user's own are opened with each answer, the shared ones once a
//! revision. A store without any is asked twice a revision, and not at all in between.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use access::{ProviderKey, ProviderKeyId, ProviderKeys, Revision, Sealed, UserId, Vault};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::batch::{ASKED_MAX, Texts, padded};
use crate::dialect::Kind;
use crate::error::StoreError;
use crate::statement::statements;
use crate::store::Store;
use crate::vault::fingerprint;

/// Credentials that do not open and were told of; what comes after is counted only.
const TOLD_MAX: usize = 1_000;

/// A list of users follows, then [`NEWEST_FIRST`].
const OWN: &str = "SELECT id, user_id, provider, label, sealed, master FROM provider_keys WHERE user_id IN ";
const NEWEST_FIRST: &str = " ORDER BY id DESC";

statements! {
    SHARED = "SELECT id, user_id, provider, label, sealed, master FROM provider_keys WHERE user_id IS NULL ORDER BY id DESC";
    ANY_OWN = "SELECT count(*) FROM (SELECT 1 AS one FROM provider_keys WHERE user_id IS NOT NULL LIMIT 1) own";
}

pub(crate) static TEXTS: Texts = Texts::new(text);

/// Opens credentials. One for each process.
#[derive(Debug)]
pub struct Unsealed {
    vault: Arc<Vault>,
    revision: Arc<Revision>,
    shelves: tokio::sync::Mutex<Shelves>,
    told: Mutex<HashSet<ProviderKeyId>>,
    failures: AtomicU64,
}

/// What holds for everybody, each with the revision at which it was read.
#[derive(Debug, Default)]
struct Shelves {
    held: Option<(u64, Shelf)>,
    /// At most one, which goes on when nobody waits for it any more: read anew each time, what takes longer than anybody waits
    /// would never be known.
    being_read: JoinSet<Result<(u64, Shelf), StoreError>>,
}

/// What holds for everybody.
#[derive(Debug, Clone)]
struct Shelf {
    shared: Arc<[ProviderKey]>,
    /// Whether any user has one of their own.
    any_own: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    user_id: Option<Uuid>,
    provider: String,
    label: String,
    sealed: Vec<u8>,
    master: Vec<u8>,
}

impl Unsealed {
    /// Opens with `vault`; what is shared is read again when `revision` has changed.
    #[must_use]
    pub fn new(vault: Arc<Vault>, revision: Arc<Revision>) -> Self {
        let (shelves, told) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { vault, revision, shelves, told, failures: AtomicU64::new(0) }
    }

    /// How often a credential did not open.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// What each of `users` may call with.
    pub(crate) async fn of_users(self: &Arc<Self>, store: &Store, users: &[UserId]) -> Result<Keys, StoreError> {
        let shelf = self.shelf(store).await?;
        let mut own: HashMap<UserId, Vec<ProviderKey>> = HashMap::new();
        for asked in users.chunks(ASKED_MAX).filter(|_| shelf.any_own) {
            let asked = padded(asked);
            let mut query = store.look_up(TEXTS.of(store.kind(), asked.len()));
            for user in asked {
                query = query.bind(user.0);
            }
            let rows: Vec<Row> = query.all().await?;
            for row in rows {
                if let Some(owner) = row.user_id {
                    own.entry(UserId(owner)).or_default().push(self.open(row)?);
                }
            }
        }
        let own = own.into_iter().map(|(user, keys)| (user, keys.into())).collect();
        Ok(Keys { shared: shelf.shared, own })
    }

    /// What holds for everybody at the revision that is known, or a later one. It may be dropped: what is being read is there
    /// for whoever comes next.
    async fn shelf(self: &Arc<Self>, store: &Store) -> Result<Shelf, StoreError> {
        // Before the rows are read: they may be newer than it, and are then read once more, never older.
        let revision = self.revision.get();
        let mut shelves = self.shelves.lock().await;
        // What ended while nobody waited for it; if it failed, it is tried again.
        while let Some(ended) = shelves.being_read.try_join_next() {
            if let Ok(Ok(read)) = ended {
                shelves.held = Some(read);
            }
        }
        loop {
            if let Some((of, shelf)) = &shelves.held
                && *of >= revision
            {
                return Ok(shelf.clone());
            }
            if shelves.being_read.is_empty() {
                let (this, store) = (self.clone(), store.clone());
                shelves.being_read.spawn(async move { Ok((revision, this.read(&store).await?)) });
            }
            if let Some(Ok(read)) = shelves.being_read.join_next().await {
                shelves.held = Some(read?);
            }
        }
    }

    async fn read(&self, store: &Store) -> Result<Shelf, StoreError> {
        let rows: Vec<Row> = store.look_up(SHARED).all().await?;
        let shared = rows.into_iter().map(|row| self.open(row)).collect::<Result<_, _>>()?;
        let (own,): (i64,) = store.look_up(ANY_OWN).one().await?;
        Ok(Shelf { shared, any_own: own > 0 })
    }

    fn open(&self, row: Row) -> Result<ProviderKey, StoreError> {
        let (id, owner) = (ProviderKeyId(row.id), row.user_id.map(UserId));
        let master = fingerprint("provider_keys", "master", &row.master)?;
        let opened = self.vault.open(id, owner, &Sealed { master, bytes: row.sealed });
        if let Err(why) = &opened {
            self.failures.fetch_add(1, Ordering::Relaxed);
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() < TOLD_MAX && told.insert(id) {
                let owner = owner.map(tracing::field::display);
                tracing::error!(provider_key = %id, user = owner, %why, "a provider's credential does not open");
            }
        }
        Ok(ProviderKey { id, provider: row.provider.into(), label: row.label.into(), secret: opened.ok() })
    }
}

/// What several users may call with.
#[derive(Debug)]
pub(crate) struct Keys {
    shared: Arc<[ProviderKey]>,
    own: HashMap<UserId, Arc<[ProviderKey]>>,
}

impl Keys {
    /// What this user may.
    pub(crate) fn of(&self, user: UserId) -> ProviderKeys {
        ProviderKeys { own: self.own.get(&user).cloned().unwrap_or_default(), shared: self.shared.clone() }
    }
}

/// The question about so many users.
fn text(kind: Kind, users: usize) -> String {
    let mut text = OWN.to_owned();
    kind.placeholders(users, &mut text);
    text.push_str(NEWEST_FIRST);
    text
}

#[cfg(test)]
mod tests;
