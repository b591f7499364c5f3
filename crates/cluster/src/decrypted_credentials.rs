//! Decrypted provider credentials for the directory. A user's own credentials are decrypted for each look-up, the
//! shared ones once per revision. A store without credentials is queried twice per revision, and not in between.
//!
//! All principals of a user share one copy of the user's credentials: each worker caches thousands of principals.

mod known_copies;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use access::{ProviderKey, ProviderKeyId, ProviderKeys, Revision, SealedCredential, UserId, Vault};
use store::sealed::vault::fingerprint;
use store::sql::{ASKED_MAX, StoreKind, Texts, padded, statements};
use store::{DatabaseError, Store};
use tokio::task::JoinSet;
use uuid::Uuid;

use self::known_copies::KnownCopies;

/// Maximum number of credentials whose failure is logged; further ones are only counted.
const TOLD_MAX: usize = 1_000;

/// A list of users follows, then [`NEWEST_FIRST`].
const OWN: &str = "SELECT id, user_id, provider, label, sealed, master FROM provider_keys WHERE user_id IN ";
const NEWEST_FIRST: &str = " ORDER BY id DESC";

statements! {
    SHARED = "SELECT id, user_id, provider, label, sealed, master FROM provider_keys WHERE user_id IS NULL ORDER BY id DESC";
    ANY_OWN = "SELECT count(*) FROM (SELECT 1 AS one FROM provider_keys WHERE user_id IS NOT NULL LIMIT 1) own";
}

pub(crate) static TEXTS: Texts = Texts::new(text);

/// Decrypts credentials; one instance per process.
#[derive(Debug)]
pub struct DecryptedCredentials {
    vault: Arc<Vault>,
    revision: Arc<Revision>,
    shelves: tokio::sync::Mutex<SharedCredentialCache>,
    copies: Mutex<KnownCopies>,
    told: Mutex<HashSet<ProviderKeyId>>,
    failures: AtomicU64,
}

/// The shared credentials, with the revision at which they were read.
#[derive(Debug, Default)]
struct SharedCredentialCache {
    held: Option<(u64, SharedCredentials)>,
    /// At most one read, which continues when no look-up waits for it any more. If each look-up started a new read, a
    /// read slower than the look-ups' timeout would never finish.
    being_read: JoinSet<Result<(u64, SharedCredentials), DatabaseError>>,
}

/// The shared credentials of one revision.
#[derive(Debug, Clone)]
struct SharedCredentials {
    shared: Arc<[ProviderKey]>,
    /// Whether any user has a credential of their own.
    any_own: bool,
}

#[derive(sqlx_macros::FromRow)]
struct SealedCredentialRow {
    id: Uuid,
    user_id: Option<Uuid>,
    provider: String,
    label: String,
    sealed: Vec<u8>,
    master: Vec<u8>,
}

impl DecryptedCredentials {
    /// Decrypts with `vault`; the shared credentials are read again after `revision` has changed.
    #[must_use]
    pub fn new(vault: Arc<Vault>, revision: Arc<Revision>) -> Self {
        let shelves = tokio::sync::Mutex::default();
        let copies = Mutex::default();
        let told = Mutex::default();
        Self { vault, revision, shelves, copies, told, failures: AtomicU64::new(0) }
    }

    /// Returns the number of failed decryptions.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Returns the credentials that each of `users` may use: of the user's own, the newest for each provider, even if it cannot
    /// be decrypted.
    pub(crate) async fn of_users(
        self: &Arc<Self>,
        store: &Store,
        users: &[UserId],
    ) -> Result<UserCredentials, DatabaseError> {
        let shelf = self.shelf(store).await?;
        let mut own: HashMap<UserId, Vec<ProviderKey>> = HashMap::new();
        let users = if shelf.any_own { users } else { &[] };
        for asked in users.chunks(ASKED_MAX) {
            let asked = padded(asked);
            let mut query = store.look_up(TEXTS.text_for(store.kind(), asked.len()));
            for user in asked {
                query = query.bind(user.0);
            }
            let rows: Vec<SealedCredentialRow> = query.all().await?;
            for row in rows {
                let Some(owner) = row.user_id else { continue };
                let keys = own.entry(UserId(owner)).or_default();
                if keys.iter().all(|key| *key.provider != *row.provider) {
                    keys.push(self.open(row)?);
                }
            }
        }
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let own = own.into_iter().map(|(user, keys)| (user, copies.share(user, keys))).collect();
        Ok(UserCredentials { shared: shelf.shared, own })
    }

    /// Returns the shared credentials.
    pub(crate) async fn shared(self: &Arc<Self>, store: &Store) -> Result<Arc<[ProviderKey]>, DatabaseError> {
        Ok(self.shelf(store).await?.shared)
    }

    /// Returns the shared credentials of the current or a later revision. The future may be dropped: the read continues
    /// for the next look-up.
    async fn shelf(self: &Arc<Self>, store: &Store) -> Result<SharedCredentials, DatabaseError> {
        // Read before the rows: rows newer than the revision are read once more, and stale rows never pass for current
        // ones.
        let revision = self.revision.get();
        let mut shelves = self.shelves.lock().await;
        // Takes the result of a read that no look-up waited for; a failed read is retried.
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
                let this = self.clone();
                let store = store.clone();
                shelves.being_read.spawn(async move { Ok((revision, this.read(&store).await?)) });
            }
            if let Some(Ok(read)) = shelves.being_read.join_next().await {
                shelves.held = Some(read?);
            }
        }
    }

    async fn read(&self, store: &Store) -> Result<SharedCredentials, DatabaseError> {
        let rows: Vec<SealedCredentialRow> = store.look_up(SHARED).all().await?;
        let shared = rows.into_iter().map(|row| self.open(row)).collect::<Result<_, _>>()?;
        let (own,): (i64,) = store.look_up(ANY_OWN).one().await?;
        Ok(SharedCredentials { shared, any_own: own > 0 })
    }

    fn open(&self, row: SealedCredentialRow) -> Result<ProviderKey, DatabaseError> {
        let id = ProviderKeyId(row.id);
        let owner = row.user_id.map(UserId);
        let master = fingerprint("provider_keys", "master", &row.master)?;
        let opened = self.vault.open(id, owner, &SealedCredential { master, bytes: row.sealed });
        if let Err(why) = &opened {
            self.failures.fetch_add(1, Ordering::Relaxed);
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() < TOLD_MAX && told.insert(id) {
                let owner = owner.map(tracing::field::display);
                tracing::error!(provider_key = %id, user = owner, %why, "a provider's credential cannot be decrypted");
            }
        }
        Ok(ProviderKey { id, provider: row.provider.into(), label: row.label.into(), secret: opened.ok() })
    }
}

/// The credentials that several users may use.
#[derive(Debug)]
pub(crate) struct UserCredentials {
    shared: Arc<[ProviderKey]>,
    own: HashMap<UserId, Arc<[ProviderKey]>>,
}

impl UserCredentials {
    /// Returns the credentials that this user may use.
    pub(crate) fn provider_keys(&self, user: UserId) -> ProviderKeys {
        ProviderKeys { own: self.own.get(&user).cloned().unwrap_or_default(), shared: self.shared.clone() }
    }
}

/// Builds the query for a number of users.
fn text(kind: StoreKind, users: usize) -> String {
    let mut text = OWN.to_owned();
    kind.placeholders(users, &mut text);
    text.push_str(NEWEST_FIRST);
    text
}

#[cfg(test)]
mod tests;
