use access::exchange::shared_responses::{SharedResponseCall, SharedResponseLookup};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::advance;

use super::*;

fn owner(key: i64) -> ConversationOwner {
    ConversationOwner { user: UserNo(1), key: KeyNo(key) }
}

fn name(key: i64, response: u128) -> ConversationName {
    ConversationName { owner: owner(key), response }
}

fn conversation(bytes: usize) -> Conversation {
    Conversation::new(format!("\"{}\"", "x".repeat(bytes.saturating_sub(2))).into(), Vec::new())
}

/// Returns how many of these conversations are known.
async fn known(all: &Conversations, key: i64, responses: std::ops::Range<u128>) -> usize {
    all.find(owner(key), responses, None).await.len()
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_known_to_its_key_for_ten_minutes_after_its_use() {
    let all = Conversations::default();
    all.remember(name(1, 7), conversation(10), None, Instant::now());
    assert_eq!(all.find(owner(1), [7], None).await.get(&7).unwrap().items(), conversation(10).items());
    assert_eq!((known(&all, 2, 0..9).await, known(&all, 1, 8..9).await), (0, 0));
    let other_user = ConversationOwner { user: UserNo(2), key: KeyNo(1) };
    assert!(all.find(other_user, [7], None).await.is_empty());
    for _ in 0..3 {
        advance(KEPT_FOR - Duration::from_secs(1)).await;
        assert_eq!(known(&all, 1, 0..9).await, 1);
    }
    advance(KEPT_FOR).await;
    assert_eq!(known(&all, 1, 0..9).await, 0);
    let memory = all.memory();
    assert!(memory.bytes == 0 && memory.of_owners.is_empty() && memory.order.is_empty(), "{memory:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_has_its_own_bound_and_forgets_its_oldest_conversations() {
    let all = Conversations::default();
    all.remember(name(2, 0), conversation(100), None, Instant::now());
    let count = u128::try_from(2 * KEY_BYTES_MAX / (1 << 19)).unwrap();
    for response in 0..count {
        all.remember(name(1, response), conversation(1 << 19), None, Instant::now());
    }
    assert!(all.memory().of_owners[&owner(1)].bytes <= KEY_BYTES_MAX);
    // The oldest conversations of the key lost their calls; those of other keys are whole.
    assert_eq!((known(&all, 1, count - 1..count).await, known(&all, 2, 0..1).await), (1, 1));
    all.remember(name(1, 99), conversation(CONVERSATION_BYTES_MAX + 1), None, Instant::now());
    assert_eq!(known(&all, 1, 99..100).await, 0, "it is too long");
    for response in 0..u128::try_from(KEY_COUNT_MAX).unwrap() + 5 {
        all.remember(name(3, response), conversation(4), None, Instant::now());
    }
    assert_eq!(all.memory().of_owners[&owner(3)].count, KEY_COUNT_MAX);
}

#[tokio::test(start_paused = true)]
async fn all_keys_together_have_a_bound() {
    let all = Conversations::default();
    for key in 0..100 {
        all.remember(name(key, 1), conversation(1_000_000), None, Instant::now());
    }
    let memory = all.memory();
    assert!(memory.bytes <= ALL_BYTES_MAX && memory.bytes > ALL_BYTES_MAX / 2, "{}", memory.bytes);
    assert!(!memory.of_owners.contains_key(&owner(0)) && memory.of_owners.contains_key(&owner(99)));
    assert_eq!(memory.of_owners.values().map(|load| load.bytes).sum::<usize>(), memory.bytes);
}

/// Serves the calls of Redis from a map, until the task is dropped.
fn redis() -> (SharedResponses, JoinSet<()>) {
    let (sender, mut queue) = mpsc::channel(64);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut values = std::collections::HashMap::new();
        while let Some(call) = queue.recv().await {
            match call {
                SharedResponseCall::Store { name, value, .. } => {
                    drop(values.insert(name.entry, value.bytes().to_vec()));
                }
                SharedResponseCall::Find { name, reply } => {
                    let generation = generation(&name).unwrap();
                    let value = values.get(&name.entry).map(|value: &Vec<u8>| value[generation.id.len()..].to_vec());
                    drop(reply.send(Some(SharedResponseLookup { generation, value })));
                }
                SharedResponseCall::Invalidate { .. } => {}
            }
        }
    });
    (SharedResponses::new(sender), task)
}

#[tokio::test]
async fn another_node_finds_a_conversation_through_redis_for_the_same_key_only() {
    let (shared, _task) = redis();
    let (here, elsewhere) = <(Conversations, Conversations)>::default();
    here.remember(name(1, 7), conversation(10), Some(&shared), Instant::now());
    assert!(elsewhere.find(owner(2), [7], Some(&shared)).await.is_empty());
    assert_eq!(elsewhere.find(owner(1), [6, 7], Some(&shared)).await.len(), 1);
    // It is then in the memory of the other node.
    assert_eq!(elsewhere.find(owner(1), [7], None).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_redis_delays_a_request_for_a_tenth_of_a_second() {
    let (sender, queue) = mpsc::channel(64);
    let shared = SharedResponses::new(sender);
    let begun = Instant::now();
    assert!(Conversations::default().find(owner(1), 0..1_000, Some(&shared)).await.is_empty());
    assert_eq!(begun.elapsed(), SHARED_WITHIN);
    drop(queue);
}
