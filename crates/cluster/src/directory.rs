//! The loop that looks up keys in the store for each [`access::Directory`], the key caches of the workers and of
//! control.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use access::{KeyHash, Lookup, LookupResult, NotFound, Principal, UserId};
use jobs::Outage;
use store::identity::Identity;
use store::sql::{ASKED_MAX, READERS};
use store::{BacklogError, DatabaseError, Store};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::counting::Counting;
use crate::decrypted_credentials::{DecryptedCredentials, UserCredentials};

/// Maximum time for a look-up: requests wait for it, for at most 2 s. If the store is reported unavailable, a directory
/// still uses its cached entries.
const ANSWER: Duration = Duration::from_millis(1_500);

/// Answers look-ups until `cancel` is done or every directory is gone. At most [`ASKED_MAX`] queued
/// look-ups are answered together, and at most [`READERS`] such batches run at a time. If the store fails, the result is
/// [`NotFound::Unavailable`]. `decrypted_credentials` decrypts the provider credentials of the result, and `counting`
/// adds the budgets.
pub async fn serve(
    store: Store,
    decrypted_credentials: Arc<DecryptedCredentials>,
    counting: Arc<Counting>,
    mut lookups: mpsc::Receiver<Lookup>,
    cancel: impl Future<Output = ()>,
) {
    let mut questions = JoinSet::new();
    let mut outage = Outage::new("key look-ups");
    let mut queued = Vec::new();
    tokio::pin!(cancel);
    loop {
        let free = questions.len() < usize::try_from(READERS).unwrap_or(usize::MAX);
        tokio::select! {
            received = lookups.recv_many(&mut queued, ASKED_MAX), if free => {
                if received == 0 {
                    break;
                }
                let asked = std::mem::take(&mut queued);
                questions.spawn(answer(store.clone(), decrypted_credentials.clone(), counting.clone(), asked));
            }
            Some(answered) = questions.join_next() => if let Ok(answered) = answered { outage.note(&answered) },
            () = &mut cancel => break,
        }
    }
    while let Some(answered) = questions.join_next().await {
        if let Ok(answered) = answered {
            outage.note(&answered);
        }
    }
}

async fn answer(
    store: Store,
    decrypted_credentials: Arc<DecryptedCredentials>,
    counting: Arc<Counting>,
    lookups: Vec<Lookup>,
) -> Result<(), BacklogError> {
    let hashes: Vec<KeyHash> = lookups.iter().map(|lookup| lookup.hash).collect();
    let known = tokio::time::timeout(ANSWER, know_surely(&store, &decrypted_credentials, &counting, &hashes))
        .await
        .unwrap_or_else(|_| Err(DatabaseError::timed_out().into()));
    for Lookup { hash, reply } in lookups {
        let found = match &known {
            Ok(known) => known.get(&hash).cloned().unwrap_or(Err(NotFound::Unknown)),
            Err(_) => Err(NotFound::Unavailable),
        };
        // An error means that the directory no longer waits.
        let _ = reply.send(found);
    }
    known.map(|_| ())
}

/// Looks up keys with [`know`], once more for each connection that may have been closed since its last use. Otherwise
/// a revoked key that is still cached would be accepted, as in an outage.
async fn know_surely(
    store: &Store,
    decrypted_credentials: &Arc<DecryptedCredentials>,
    counting: &Counting,
    hashes: &[KeyHash],
) -> Result<HashMap<KeyHash, LookupResult>, BacklogError> {
    for _ in 0..=READERS {
        match know(store, decrypted_credentials, counting, hashes).await {
            Err(BacklogError::Database(error @ DatabaseError::Unavailable(_))) => {
                tracing::debug!(%error, "a look-up of keys is repeated");
            }
            known => return known,
        }
    }
    know(store, decrypted_credentials, counting, hashes).await
}

/// Looks up the principals of keys, with their provider credentials and budgets.
async fn know(
    store: &Store,
    decrypted_credentials: &Arc<DecryptedCredentials>,
    counting: &Counting,
    hashes: &[KeyHash],
) -> Result<HashMap<KeyHash, LookupResult>, BacklogError> {
    let identities = store.identities(hashes).await?;
    note_uses(store, &identities);
    let users: HashSet<UserId> = identities.values().flatten().map(|identity| identity.user.id).collect();
    let keys = decrypted_credentials.of_users(store, &users.into_iter().collect::<Vec<_>>()).await?;
    let mut known = HashMap::with_capacity(identities.len());
    for (hash, judged) in identities {
        let found = match judged {
            Ok(identity) => Ok(Arc::new(counting.hold(store, principal(&identity, &keys)).await?)),
            Err(not_found) => Err(not_found),
        };
        known.insert(hash, found);
    }
    Ok(known)
}

/// Records the look-up of a secret as a use of its key.
fn note_uses(store: &Store, identities: &HashMap<KeyHash, Result<Identity, NotFound>>) {
    let now = store.clock().now();
    for (hash, identity) in identities {
        if let Ok(identity) = identity {
            store.last_use().note(identity.key.no, now);
            if identity.key.rotated.is_some() {
                store.last_use().note_previous(*hash, now);
            }
        }
    }
}

fn principal(identity: &Identity, keys: &UserCredentials) -> Principal {
    Principal { provider_keys: keys.of(identity.user.id), ..identity.principal() }
}
