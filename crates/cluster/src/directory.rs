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

/// Answers look-ups until `cancel` is done or every directory is gone. At most [`ASKED_MAX`] queued look-ups are answered
/// together, and at most [`READERS`] such batches run at a time. If the store fails, the result of keys that it has not
/// judged yet is [`NotFound::Unavailable`]. `decrypted_credentials` decrypts the provider credentials of the result, and
/// `counting` adds the budgets.
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
    let mut known = HashMap::with_capacity(hashes.len());
    let knowing = know_surely(&store, &decrypted_credentials, &counting, &hashes, &mut known);
    let result = tokio::time::timeout(ANSWER, knowing).await.unwrap_or_else(|_| Err(DatabaseError::timed_out().into()));
    for Lookup { hash, reply } in lookups {
        // An error means that the directory no longer waits.
        let _ = reply.send(known.get(&hash).cloned().unwrap_or(Err(NotFound::Unavailable)));
    }
    result
}

/// Looks up keys with [`know`], once more for each connection that may have been closed since its last use. Otherwise
/// a revoked key that is still cached would be accepted, as in an outage.
async fn know_surely(
    store: &Store,
    decrypted_credentials: &Arc<DecryptedCredentials>,
    counting: &Counting,
    hashes: &[KeyHash],
    known: &mut HashMap<KeyHash, LookupResult>,
) -> Result<(), BacklogError> {
    for _ in 0..=READERS {
        match know(store, decrypted_credentials, counting, hashes, known).await {
            Err(BacklogError::Database(error @ DatabaseError::Unavailable(_))) => {
                tracing::debug!(%error, "a look-up of keys is repeated");
            }
            result => return result,
        }
    }
    know(store, decrypted_credentials, counting, hashes, known).await
}

/// Looks up the principals of keys, with their provider credentials and budgets, and adds the results to `known`. A key
/// that the store refuses is there even if a later read fails; otherwise it would be accepted, as in an outage.
async fn know(
    store: &Store,
    decrypted_credentials: &Arc<DecryptedCredentials>,
    counting: &Counting,
    hashes: &[KeyHash],
    known: &mut HashMap<KeyHash, LookupResult>,
) -> Result<(), BacklogError> {
    let identities = store.identities(hashes).await?;
    note_uses(store, &identities);
    known.extend(
        hashes.iter().filter(|hash| !identities.contains_key(hash)).map(|hash| (*hash, Err(NotFound::Unknown))),
    );
    let mut valid = Vec::with_capacity(identities.len());
    for (hash, judged) in identities {
        match judged {
            Ok(identity) => valid.push((hash, identity)),
            Err(not_found) => {
                known.insert(hash, Err(not_found));
            }
        }
    }
    let users: HashSet<UserId> = valid.iter().map(|(_, identity)| identity.user.id).collect();
    let keys = decrypted_credentials.of_users(store, &users.into_iter().collect::<Vec<_>>()).await?;
    for (hash, identity) in valid {
        known.insert(hash, Ok(Arc::new(counting.hold(store, principal(&identity, &keys)).await?)));
    }
    Ok(())
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
    Principal { provider_keys: keys.provider_keys(identity.user.id), ..identity.principal() }
}
