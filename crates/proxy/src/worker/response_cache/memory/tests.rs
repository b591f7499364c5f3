use bytes::Bytes;
use config::snapshot::CacheRules;

use super::*;
use crate::client::head::tests::get;
use crate::upstream::response_head::UpstreamHead;
use crate::worker::response_cache::fill::{FillRole, RunningFill};
use crate::worker::response_cache::fill_state::FillState;
use crate::worker::response_cache::freshness::{ExchangeFacts, judge};
use crate::worker::response_cache::stored::tags_of;

const AT: Timestamp = Timestamp(1);

fn response(fields: &str, content_bytes: usize, request: &Head) -> StoredResponse {
    response_at(AT, fields, content_bytes, request)
}

/// Returns a response with these fields that was received at `at` and is fresh for a minute.
pub(in crate::worker::response_cache) fn response_at(
    at: Timestamp,
    fields: &str,
    content_bytes: usize,
    request: &Head,
) -> StoredResponse {
    let lines = format!("HTTP/1.1 200 \r\ncache-control: max-age=60\r\n{fields}\r\n");
    let head = UpstreamHead::parsed(lines.into_bytes()).unwrap();
    let facts = ExchangeFacts {
        status: 200,
        fields: head.fields(),
        requested_at: at,
        received_at: at,
        ttl: None,
        has_foreign_credential: false,
    };
    let freshness = judge(&facts).unwrap();
    let tags = tags_of(head.fields(), "tags").unwrap();
    StoredResponse::new(head, Bytes::from(vec![b'x'; content_bytes]), freshness, request, tags)
}

fn begin(memory: &Arc<RouteMemory>, key: &CacheKey, request: &Head) -> RunningFill {
    match FillRole::for_request(memory, key, request, AT) {
        FillRole::Fills(fill) => fill,
        FillRole::Waits(_) => panic!("the key is filled"),
    }
}

fn store(memory: &Arc<RouteMemory>, key: &CacheKey, fields: &str, content_bytes: usize) {
    let request = get(&[]);
    begin(memory, key, &request).store(response(fields, content_bytes, &request));
}

fn key(url: &str, rest: &str) -> CacheKey {
    [url.as_bytes(), b"\0", rest.as_bytes()].concat().into()
}

/// Returns the memory of a process without another route.
fn alone(bytes_max: u64) -> Arc<RouteMemory> {
    let process = Arc::new(ProcessMemory::default());
    let memory = RouteMemory::new(bytes_max, &process);
    process.set_routes([memory.clone() as _].into_iter());
    memory
}

/// Returns the rules of a route whose memory has this bound.
pub(in crate::worker::response_cache) fn rules(bytes_max: u64) -> Arc<CacheRules> {
    Arc::new(CacheRules {
        ttl: None,
        vary: Box::default(),
        bytes_max,
        entry_bytes_max: bytes_max,
        shared: false,
        tags: None,
        shared_scope: None,
    })
}

/// Stores more responses than a memory of this test has room for.
pub(in crate::worker::response_cache) fn fill_up(memory: &Arc<RouteMemory>, name: &str) {
    for number in 0..300 {
        store(memory, &key(&format!("http://h/{name}/{number}"), ""), "", 1_000);
    }
}

#[test]
fn the_memory_has_a_bound_and_keeps_what_is_used() {
    let memory = alone(100_000);
    let request = get(&[]);
    let used = key("http://h/used", "");
    store(&memory, &used, "", 1_000);
    for number in 0..500 {
        store(&memory, &key(&format!("http://h/{number}"), ""), "", 1_000);
        assert!(memory.lock().bytes <= 100_000);
        assert!(memory.find(&used, &request).is_some(), "{number}");
    }
    assert!(memory.find(&key("http://h/0", ""), &request).is_none());
    assert!(memory.find(&key("http://h/499", ""), &request).is_some());
    let state = memory.lock();
    assert!(state.responses.len() > 20 && state.order.len() < 1_000, "{} {}", state.responses.len(), state.order.len());
}

#[test]
fn a_response_has_at_most_a_quarter_of_the_memory() {
    let memory = alone(100_000);
    let request = get(&[]);
    let small = |number: usize| key(&format!("http://h/{number}"), "");
    (0..20).for_each(|number| store(&memory, &small(number), "", 1_000));
    let large = key("http://h/large", "");
    store(&memory, &large, "", 20_000);
    assert!(memory.find(&large, &request).is_some());
    for content_bytes in [25_000, 99_000] {
        store(&memory, &large, "", content_bytes);
        assert!(memory.find(&large, &request).is_none(), "it replaces the one before all the same");
        assert!((0..20).all(|number| memory.find(&small(number), &request).is_some()), "{content_bytes}");
        store(&memory, &large, "", 20_000);
    }
    let state = memory.lock();
    assert_eq!((state.count, state.responses.len()), (21, 21));
    assert!(state.bytes < 70_000, "{}", state.bytes);
}

#[test]
fn a_purge_concerns_a_url_a_prefix_or_a_tag_and_nothing_else() {
    let keys = [key("http://h/a", "1"), key("http://h/a", "2"), key("http://h/ab", "1"), key("http://h/a?x", "1")];
    let tags = ["tags: one\r\n", "tags: two one\r\n", "tags: two,three\r\n", ""];
    for (purged, expected) in [
        (PurgeScope::Url(b"http://h/a"), [false, false, true, true]),
        (PurgeScope::Url(b"http://h/"), [true; 4]),
        (PurgeScope::Url(b"http://h/ab"), [true, true, false, true]),
        (PurgeScope::Prefix(b"http://h/a"), [false; 4]),
        (PurgeScope::Prefix(b"http://h/a?"), [true, true, true, false]),
        (PurgeScope::Prefix(b"http://i"), [true; 4]),
        (PurgeScope::Tag(b"one"), [false, false, true, true]),
        (PurgeScope::Tag(b"two"), [true, false, false, true]),
        (PurgeScope::Tag(b"on"), [true; 4]),
    ] {
        let hard = alone(1_000_000);
        let soft = alone(1_000_000);
        let request = get(&[]);
        for (key, tags) in keys.iter().zip(tags) {
            store(&hard, key, tags, 10);
            store(&soft, key, tags, 10);
        }
        let count = expected.iter().filter(|kept| !**kept).count() as u64;
        assert_eq!((hard.remove(purged), soft.mark_stale(purged, AT)), (count, count), "{purged:?}");
        let left = keys.each_ref().map(|key| hard.find(key, &request).is_some());
        assert_eq!(left, expected, "{purged:?}");
        let fresh = keys.each_ref().map(|key| soft.find(key, &request).unwrap().freshness().fresh_for(AT).is_some());
        assert_eq!(fresh, expected, "{purged:?}");
        let bytes = hard.lock().responses.iter().map(|(key, of)| entry_bytes(key, &of[0])).sum::<u64>();
        assert_eq!(hard.lock().bytes, bytes);
    }
}

#[test]
fn a_purge_looks_at_more_keys_than_one_batch_has() {
    let memory = alone(100_000_000);
    for number in 0..PURGE_BATCH * 2 + 1 {
        store(&memory, &key(&format!("http://h/{number}"), ""), "", 1);
    }
    assert_eq!(memory.remove(PurgeScope::Prefix(b"http://h/")), PURGE_BATCH as u64 * 2 + 1);
    assert_eq!(memory.totals(), (0, 0));
}

#[test]
fn a_fill_that_began_before_a_purge_stores_nothing() {
    let request = get(&[]);
    let own = key("http://h/a", "");
    for purged in [PurgeScope::Url(b"http://h/a"), PurgeScope::Prefix(b"http://h"), PurgeScope::Tag(b"any")] {
        let memory = alone(1_000_000);
        let fill = begin(&memory, &own, &request);
        memory.remove(purged);
        // A request after the purge waits for no fill that began before it.
        let second = begin(&memory, &own, &request);
        fill.store(response("", 10, &request));
        assert!(memory.find(&own, &request).is_none(), "{purged:?}");
        second.store(response("", 10, &request));
        assert!(memory.find(&own, &request).is_some(), "{purged:?}");
    }
}

#[test]
fn a_response_replaces_that_of_the_same_variant_and_variants_have_a_bound() {
    let memory = alone(1_000_000);
    let key = key("http://h/a", "");
    for number in 0..100 {
        let text = (number % 50).to_string();
        let request = get(&[("accept", &text)]);
        begin(&memory, &key, &request).store(response("vary: Accept\r\n", 10, &request));
        assert!(memory.find(&key, &request).is_some());
    }
    let state = memory.lock();
    let kept = &state.responses[&key];
    assert_eq!(kept.len(), VARIANTS_MAX);
    assert_eq!(state.bytes, kept.iter().map(|kept| entry_bytes(&key, kept)).sum::<u64>());
}

#[test]
fn only_the_responses_for_a_request_are_forgotten() {
    let memory = alone(1_000_000);
    let key = key("http://h/a", "");
    let requests = ["en", "de"].map(|language| get(&[("accept-language", language)]));
    for request in &requests {
        begin(&memory, &key, request).store(response("vary: Accept-Language\r\n", 10, request));
    }
    for (left, request) in [1, 0].into_iter().zip(&requests) {
        begin(&memory, &key, request).forget(request);
        assert!(memory.find(&key, request).is_none());
        assert_eq!(memory.totals().0, left);
    }
    assert_eq!(memory.bytes(), 0);
}

#[test]
fn the_order_is_cleaned_only_of_removed_responses() {
    let memory = alone(100_000_000);
    for round in 0..3 {
        for number in 0..VARIANTS_MAX * 10 {
            let text = (number % VARIANTS_MAX).to_string();
            let key = key(&format!("http://h/{}", number / VARIANTS_MAX), "");
            let request = get(&[("accept", &text)]);
            begin(&memory, &key, &request).store(response("vary: Accept\r\n", 10, &request));
            let state = memory.lock();
            assert!(!state.is_order_long(), "{round} {number}");
            // Without replaced responses, nothing is to be cleaned.
            assert!(round > 0 || state.order.len() == state.count, "{number}");
            assert_eq!(state.count, state.responses.values().map(Vec::len).sum::<usize>());
        }
    }
    memory.remove(PurgeScope::Prefix(b"http://h/1"));
    assert_eq!(memory.totals().0, VARIANTS_MAX as u64 * 9);
}

#[test]
fn an_aborted_fill_lets_another_request_fill_the_key() {
    let memory = alone(1_000_000);
    let request = get(&[]);
    let key = key("http://h/a", "");
    let first = begin(&memory, &key, &request);
    let FillRole::Waits(state) = FillRole::for_request(&memory, &key, &request, AT) else {
        panic!("the key is filled")
    };
    drop(first);
    assert!(matches!(&*state.borrow(), FillState::Aborted));
    begin(&memory, &key, &request).fail();
    assert!(memory.lock().fills.is_empty());
}

#[test]
fn requests_of_an_uncacheable_key_do_not_wait_for_each_other_for_some_time() {
    let memory = alone(1_000_000);
    let request = get(&[]);
    let key = key("http://h/a", "");
    begin(&memory, &key, &request).uncacheable(AT);
    let first = begin(&memory, &key, &request);
    let second = begin(&memory, &key, &request);
    // A response that is stored ends it at once.
    second.store(response("", 10, &request));
    drop(first);
    let _third = begin(&memory, &key, &request);
    assert!(matches!(FillRole::for_request(&memory, &key, &request, AT), FillRole::Waits(_)));
    let later = AT.after(UNCACHEABLE_FOR);
    for number in 0..UNCACHEABLE_MAX * 2 {
        memory.note_uncacheable(&number.to_string().into_bytes().into(), if number % 2 == 0 { AT } else { later });
    }
    assert!(memory.lock().uncacheable.len() <= UNCACHEABLE_MAX);
}
