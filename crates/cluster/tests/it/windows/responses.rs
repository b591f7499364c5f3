//! Responses in Redis.

use std::time::Duration;

use access::exchange::shared_responses::{
    GENERATION_BYTES, ResponseGeneration, ResponseScope, SharedResponseLookup, SharedResponseName,
    SharedResponseResult, SharedResponses, VALUE_BYTES_MAX,
};
use cluster::windows::responses::{self, ResponseStore, ResponseStoreKeeper};
use jobs::Job as _;
use redis::AsyncCommands;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::PATIENT;
use super::faults::eventually;
use crate::redis::Redis;

const KEPT: Duration = Duration::from_secs(60);

fn name(url: &str, key: &str) -> SharedResponseName {
    SharedResponseName::new(&ResponseScope::from_settings([]), url.as_bytes(), key.as_bytes())
}

/// Runs `story` with a store whose calls are served.
async fn serving(store: &ResponseStore, story: impl AsyncFnOnce(SharedResponses)) {
    let (sender, queue) = mpsc::channel(64);
    let shared = SharedResponses::new(sender);
    shared.use_it();
    let mut keeper = ResponseStoreKeeper::new(store, shared.clone());
    let keeping = async {
        loop {
            if keeper.run().await.is_err() {
                sleep(responses::SPEC.period).await;
            }
        }
    };
    tokio::select! {
        () = responses::serve(store.clone(), shared.clone(), queue, std::future::pending()) => unreachable!(),
        () = keeping => unreachable!(),
        () = story(shared) => {}
    }
}

async fn opened(redis: &Redis) -> ResponseStore {
    let store = ResponseStore::new(&redis.url(), "tollgate", PATIENT).unwrap();
    store.connect().await;
    store
}

/// Stores a value as a request does that has found none.
async fn store(shared: &SharedResponses, name: SharedResponseName, text: &[u8]) {
    let generation = shared.find(name).await.unwrap().generation;
    shared.store(name, generation, [&generation.id, text].concat(), KEPT);
}

async fn value(shared: &SharedResponses, name: SharedResponseName) -> Option<Vec<u8>> {
    shared.find(name).await.unwrap().value
}

/// Waits until all values are written.
async fn written(shared: &SharedResponses, count: u64) {
    let is = || shared.counts().any(|(of, total)| of == SharedResponseResult::Written && total == count);
    eventually("the values are written", is).await;
}

#[tokio::test]
async fn a_value_is_found_until_its_url_is_invalidated() {
    let redis = Redis::start().await;
    serving(&opened(&redis).await, async |shared| {
        let one = name("/a", "ada");
        let other = name("/a", "bob");
        let elsewhere = name("/b", "ada");
        assert_eq!(value(&shared, one).await, None);
        store(&shared, one, b"one").await;
        written(&shared, 1).await;
        store(&shared, other, b"").await;
        store(&shared, elsewhere, &vec![b'x'; VALUE_BYTES_MAX]).await;
        written(&shared, 3).await;
        assert_eq!(value(&shared, one).await.as_deref(), Some(&b"one"[..]));
        assert_eq!(value(&shared, other).await.as_deref(), Some(&b""[..]));
        assert_eq!(value(&shared, elsewhere).await.map(|value| value.len()), Some(VALUE_BYTES_MAX));
        let before = shared.find(one).await.unwrap().generation;
        assert!(shared.invalidate(one).await);
        assert_eq!((value(&shared, one).await, value(&shared, other).await), (None, None));
        assert!(value(&shared, elsewhere).await.is_some());
        // A response that was requested before the invalidation is stored after it, and not used.
        shared.store(one, before, [&before.id[..], b"old"].concat(), KEPT);
        written(&shared, 4).await;
        assert_eq!(value(&shared, one).await, None);
        store(&shared, one, b"new").await;
        written(&shared, 5).await;
        assert_eq!(value(&shared, one).await.as_deref(), Some(&b"new"[..]));
    })
    .await;
}

#[tokio::test]
async fn an_evicted_generation_takes_its_values_with_it() {
    let redis = Redis::start().await;
    serving(&opened(&redis).await, async |shared| {
        store(&shared, name("/a", "ada"), b"one").await;
        written(&shared, 1).await;
        let mut connection = redis.connection().await;
        let names: Vec<String> = connection.keys("tollgate:*:cache").await.unwrap();
        assert_eq!(names.len(), 1);
        for name in connection.keys::<_, Vec<String>>("tollgate:*").await.unwrap() {
            let left: i64 = connection.pttl(&name).await.unwrap();
            assert!(!name.contains(":cache") || left > 0, "{name} expires");
        }
        let _: () = connection.del(&names[0]).await.unwrap();
        let SharedResponseLookup { generation, value } = shared.find(name("/a", "ada")).await.unwrap();
        assert_eq!((value, generation.is_new), (None, true));
        // Of two nodes that bring a generation at once, one wins, and the value of the other is not used.
        let other = ResponseGeneration { id: [9; GENERATION_BYTES], is_new: true };
        shared.store(name("/a", "bob"), other, [&other.id[..], b"bob"].concat(), KEPT);
        written(&shared, 2).await;
        shared.store(name("/a", "ada"), generation, [&generation.id[..], b"ada"].concat(), KEPT);
        written(&shared, 3).await;
        let found = async |key| shared.find(name("/a", key)).await.unwrap().value;
        assert_eq!((found("bob").await, found("ada").await), (Some(b"bob".to_vec()), None));
    })
    .await;
}

#[tokio::test]
async fn without_redis_nothing_is_found_or_written_until_it_is_back() {
    let mut redis = Redis::start().await;
    let opened = opened(&redis).await;
    serving(&opened, async |shared| {
        store(&shared, name("/a", "ada"), b"one").await;
        written(&shared, 1).await;
        redis.kill().await;
        assert_eq!(shared.find(name("/a", "ada")).await, None);
        assert!(!shared.invalidate(name("/a", "ada")).await);
        let generation = ResponseGeneration::random().unwrap();
        shared.store(name("/a", "ada"), generation, generation.id.to_vec(), KEPT);
        let is_lost = || shared.counts().any(|(of, total)| of == SharedResponseResult::Unwritten && total == 1);
        eventually("the value is lost", is_lost).await;
        redis.resume().await;
        eventually("Redis is found again", || opened.is_up()).await;
        assert_eq!(value(&shared, name("/a", "ada")).await, None);
        store(&shared, name("/a", "ada"), b"two").await;
        written(&shared, 2).await;
    })
    .await;
}
