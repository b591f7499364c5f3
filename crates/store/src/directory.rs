//! The loop that answers what the workers' directories ask.

use std::future::Future;
use std::sync::Arc;

use access::{KeyHash, Lookup, NotFound};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::dialect::READERS;
use crate::error::StoreError;
use crate::identity::HASHES_MAX;
use crate::outage::Outage;
use crate::store::Store;

/// Answers lookups until `cancel` is done or every directory is gone. What is queued is asked together, one question a
/// reading connection at a time; where the store fails, the answer is [`NotFound::Unavailable`].
pub async fn serve(store: Store, mut lookups: mpsc::Receiver<Lookup>, cancel: impl Future<Output = ()>) {
    let mut questions = JoinSet::new();
    let mut outage = Outage::new("directory");
    let mut queued = Vec::new();
    tokio::pin!(cancel);
    loop {
        let free = questions.len() < usize::try_from(READERS).unwrap_or(usize::MAX);
        tokio::select! {
            received = lookups.recv_many(&mut queued, HASHES_MAX), if free => {
                if received == 0 {
                    break;
                }
                questions.spawn(answer(store.clone(), std::mem::take(&mut queued)));
            }
            Some(Ok(answered)) = questions.join_next() => outage.note(&answered),
            () = &mut cancel => break,
        }
    }
    while let Some(answered) = questions.join_next().await {
        if let Ok(answered) = answered {
            outage.note(&answered);
        }
    }
}

async fn answer(store: Store, lookups: Vec<Lookup>) -> Result<(), StoreError> {
    let hashes: Vec<KeyHash> = lookups.iter().map(|lookup| lookup.hash).collect();
    let identities = store.identities(&hashes).await;
    for Lookup { hash, reply } in lookups {
        let found = match &identities {
            Ok(identities) => identities.get(&hash).map_or(Err(NotFound::Unknown), |judged| {
                judged.as_ref().map(|identity| Arc::new(identity.principal())).map_err(|not_found| *not_found)
            }),
            Err(_) => Err(NotFound::Unavailable),
        };
        // An error means that nobody waits any more.
        let _ = reply.send(found);
    }
    identities.map(|_| ())
}
