//! The answers to look-ups of keys and to checks of passwords.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use access::credentials::basic::PasswordCheck;
use access::exchange::redis_key::{RedisKey, RedisKeyFault, RedisKeyLookup};
use access::{ApiKey, Lookup, NotFound, Principal};
use tokio::sync::mpsc;

/// The values of keys in Redis by their names, and the number of look-ups.
pub(super) type InRedis = Arc<tokio::sync::Mutex<RedisValues>>;

#[derive(Default)]
pub(crate) struct RedisValues {
    /// `None` while Redis is unavailable.
    pub(super) values: Option<HashMap<String, String>>,
    pub(super) lookups: usize,
}

/// The principal that the lookup of the key returns.
pub(super) type Terms = Arc<Mutex<Arc<Principal>>>;

/// Looks up keys in Redis.
pub(super) async fn look_up(mut lookups: mpsc::Receiver<RedisKeyLookup>, redis: InRedis) {
    while let Some(RedisKeyLookup { prefix, hash, reply }) = lookups.recv().await {
        let mut redis = redis.lock().await;
        redis.lookups += 1;
        let Some(values) = &redis.values else { continue };
        let value = values.get(&format!("{prefix}{}", hash.to_hex()));
        let key = value.map(|value| RedisKey::parse(value.as_bytes()).map(Arc::new)).transpose();
        // The worker that sent the look-up may have ended.
        let _ = reply.send(key.map_err(RedisKeyFault::Value));
    }
}

/// Verifies passwords, one at a time.
pub(super) async fn verify(mut checks: mpsc::Receiver<PasswordCheck>, verified: Arc<AtomicUsize>) {
    while let Some(PasswordCheck { hash, presented, reply }) = checks.recv().await {
        verified.fetch_add(1, Ordering::SeqCst);
        // The worker that sent the check may have ended.
        let _ = reply.send(hash.verifies(&presented));
    }
}

pub(super) async fn answer(mut lookups: mpsc::Receiver<Lookup>, key: ApiKey, terms: Terms) {
    while let Some(Lookup { hash, reply }) = lookups.recv().await {
        let found = if hash == key.hash() { Ok(terms.lock().unwrap().clone()) } else { Err(NotFound::Unknown) };
        // The worker that sent the lookup may have ended.
        let _ = reply.send(found);
    }
}
