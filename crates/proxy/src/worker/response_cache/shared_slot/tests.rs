use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use access::Timestamp;
use access::exchange::shared_responses::{GENERATION_BYTES, SharedResponseCall, SharedResponseLookup};
use telemetry::{CachePurge, PurgeTarget};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;
use crate::client::head::tests::get;
use crate::worker::response_cache::memories::ResponseMemories;
use crate::worker::response_cache::memory::tests::response_at;

const AT: Timestamp = Timestamp(1_700_000_000_000_000);
const PURGE: PurgeId = [7; 16];

/// The values of a Redis, by the digests of their names.
type Values = Arc<Mutex<HashMap<[u8; 32], Vec<u8>>>>;

/// A Redis with one generation for all URLs.
struct FakeRedis {
    responses: SharedResponses,
    values: Values,
    _task: JoinSet<()>,
}

impl FakeRedis {
    fn start() -> Self {
        let (queue, mut calls) = mpsc::channel(64);
        let values = Values::default();
        let mut task = JoinSet::new();
        let of_task = values.clone();
        task.spawn(async move {
            while let Some(call) = calls.recv().await {
                match call {
                    SharedResponseCall::Find { name, reply } => {
                        let value = of_task.lock().unwrap().get(&name.entry).cloned();
                        let generation = ResponseGeneration { id: [1; GENERATION_BYTES], is_new: false };
                        drop(reply.send(Some(SharedResponseLookup { generation, value })));
                    }
                    SharedResponseCall::Store { name, value, .. } => {
                        let (generation, rest) = value.bytes().split_at(GENERATION_BYTES);
                        assert_eq!(generation, [1; GENERATION_BYTES]);
                        of_task.lock().unwrap().insert(name.entry, rest.to_vec());
                    }
                    SharedResponseCall::Invalidate { .. } => unreachable!(),
                }
            }
        });
        Self { responses: SharedResponses::new(queue), values, _task: task }
    }

    async fn find(&self, key: &str, request: &Head) -> (Box<SharedSlot>, Option<Box<SharedResponse>>) {
        let scope = ResponseScope::from_settings([]);
        let key = key_of(key);
        let key = SharedKey { scope: &scope, key: &key, purge: PURGE };
        SharedSlot::find(&self.responses, key, request).await.unwrap()
    }

    /// Stores a response as a request does that has found none.
    async fn fill(&self, key: &str, fields: &str, request: &Head) {
        let (slot, found) = self.find(key, request).await;
        assert!(found.is_none(), "{key}");
        slot.store(&response(fields, request));
    }
}

fn key_of(key: &str) -> CacheKey {
    [b"http://h/a\0", key.as_bytes()].concat().into()
}

fn response(fields: &str, request: &Head) -> StoredResponse {
    response_at(AT, fields, 7, request)
}

#[tokio::test]
async fn a_stored_response_is_found_with_all_its_parts() {
    let redis = FakeRedis::start();
    let request = get(&[]);
    redis.fill("ada", "x: 1\r\ntags: a, b\r\n", &request).await;
    let (_, found) = redis.find("ada", &request).await;
    let found = found.unwrap();
    let expected = response("x: 1\r\ntags: a, b\r\n", &request);
    assert_eq!((found.purge, &found.response.content), (PURGE, &expected.content));
    assert_eq!(found.response.head.as_bytes(), expected.head.as_bytes());
    assert_eq!(found.response.freshness(), expected.freshness());
    assert!(found.response.has_tag(b"a") && found.response.has_tag(b"b") && !found.response.has_tag(b"c"));
    assert!(redis.find("bob", &request).await.1.is_none());
}

#[tokio::test]
async fn a_value_of_another_key_or_a_cut_one_is_not_used() {
    let redis = FakeRedis::start();
    let request = get(&[]);
    redis.fill("ada", "tags: a\r\n", &request).await;
    let (slot, found) = redis.find("ada", &request).await;
    assert!(found.is_some());
    let value = redis.values.lock().unwrap().values().next().cloned().unwrap();
    let (other, _) = redis.find("bob", &request).await;
    assert!(slot.decode(value.clone()).is_some() && other.decode(value.clone()).is_none());
    for end in 0..value.len() {
        assert!(slot.decode(value[..end].to_vec()).is_none(), "{end}");
        let mut changed = value.clone();
        changed[end] ^= 0xff;
        // A changed number may be a valid one. Nothing panics, and nothing is read beyond the end.
        drop(slot.decode(changed));
    }
    assert!(slot.decode([&value[..], b"x"].concat()).is_none());
}

#[tokio::test]
async fn responses_that_vary_are_found_by_the_values_of_their_fields() {
    let redis = FakeRedis::start();
    let of = |accept: &str| get(&[("accept", accept)]);
    redis.fill("ada", "vary: Accept\r\nx: text\r\n", &of("text/plain")).await;
    redis.fill("ada", "vary: Accept\r\nx: json\r\n", &of("application/json")).await;
    for (accept, expected) in [("text/plain", Some("text")), ("application/json", Some("json")), ("image/png", None)] {
        let (_, found) = redis.find("ada", &of(accept)).await;
        let found = found.map(|found| found.response.value(b"x").unwrap().to_vec());
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{accept}");
    }
}

#[test]
fn a_later_purge_ends_the_use_of_a_response() {
    let key = key_of("ada");
    let found = |since: u8| SharedResponse { response: response("tags: a\r\n", &get(&[])), purge: [since; 16] };
    let url = |url: &str| PurgeTarget::Url(url.to_owned());
    for (target, keeps) in [
        (PurgeTarget::Nothing, true),
        (url("http://h/b"), true),
        (url("http://h/a"), false),
        (PurgeTarget::Prefix("http://h/".to_owned()), false),
        (PurgeTarget::Tag("b".to_owned()), true),
        (PurgeTarget::Tag("a".to_owned()), false),
    ] {
        let memories = ResponseMemories::default();
        let note = |number: u8, target| {
            let purge = CachePurge { number: number.into(), id: [number; 16], target, soft: false };
            assert_eq!(memories.purge(&purge, AT), 0);
        };
        note(1, PurgeTarget::Nothing);
        assert!(memories.keeps(&key, &found(1)));
        note(2, target.clone());
        assert_eq!(memories.keeps(&key, &found(1)), keeps, "{target:?}");
        assert!(memories.keeps(&key, &found(2)) && !memories.keeps(&key, &found(3)), "{target:?}");
        assert_eq!((memories.last_purge(), memories.last_purge_number()), (Some([2; 16]), 2));
    }
}
