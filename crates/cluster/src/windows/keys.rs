//! Keys in Redis: the task that serves the workers' look-ups.

use std::future::Future;
use std::sync::Arc;

use access::exchange::redis_key::{
    RedisKey, RedisKeyFault, RedisKeyLookup, RedisKeyResult, RedisValueError, VALUE_LEN_MAX,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Windows;
use super::link::RedisLink;
use super::redis::RedisFault;

/// Maximum number of look-ups in progress; further ones wait in their queue.
const LOOKUPS_MAX: usize = 256;

/// Serves the queue, until `cancel` is done or all senders are gone.
pub async fn serve(windows: Windows, mut queue: mpsc::Receiver<RedisKeyLookup>, cancel: impl Future<Output = ()>) {
    let mut lookups = JoinSet::new();
    tokio::pin!(cancel);
    loop {
        tokio::select! {
            lookup = queue.recv(), if lookups.len() < LOOKUPS_MAX => match lookup {
                Some(lookup) => drop(lookups.spawn(look_up(windows.link.clone(), lookup))),
                None => break,
            },
            Some(_) = lookups.join_next() => {}
            () = &mut cancel => break,
        }
    }
}

/// Answers a look-up, unless its request no longer waits.
async fn look_up(link: Option<Arc<RedisLink>>, lookup: RedisKeyLookup) {
    let RedisKeyLookup { prefix, hash, reply } = lookup;
    if reply.is_closed() {
        return;
    }
    let found = match link {
        Some(link) => find(&link, &format!("{prefix}{}", hash.to_hex())).await,
        None => Err(RedisKeyFault::Unavailable),
    };
    // An error means that the request no longer waits.
    let _ = reply.send(found);
}

/// Returns the key with this name. An empty value counts as a missing key.
async fn find(link: &RedisLink, name: &str) -> RedisKeyResult {
    match link.value(name, VALUE_LEN_MAX).await {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(Arc::new(RedisKey::parse(&value)?))),
        Err(RedisFault::Refused(code)) if code == "WRONGTYPE" => Err(RedisValueError::Type.into()),
        Err(RedisFault::Refused(code)) => Err(RedisKeyFault::Refused(code.into())),
        Err(RedisFault::Away(_) | RedisFault::Late | RedisFault::Nonsense | RedisFault::Url) => {
            Err(RedisKeyFault::Unavailable)
        }
    }
}
