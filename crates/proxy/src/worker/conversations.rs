//! The conversations of the Responses API whose responses were translated, which all workers share, and other nodes through Redis.
//!
//! Each belongs to the key that made it, for ten minutes after its last use. Memory is bounded for each key and for all. Of the oldest
//! conversations of a key, the calls are forgotten before any response: each call repeats those before it, and later calls name the
//! items of all responses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::exchange::shared_responses::{
    ResponseGeneration, ResponseScope, SharedResponseName, SharedResponses, VALUE_BYTES_MAX,
};
use access::{KeyNo, UserNo};
use ai::translate::conversation::Conversation;
use rustc_hash::FxHashMap;
use tokio::time::{Instant, timeout};

/// Time for which a conversation is remembered after its last use.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Time after which the use of a conversation prolongs it, here and in Redis.
const PROLONGED_AFTER: Duration = Duration::from_secs(60);
/// Maximum size of a conversation, in bytes.
pub(crate) const CONVERSATION_BYTES_MAX: usize = VALUE_BYTES_MAX - 64;
/// Maximum size of the conversations of a key, and of all, in bytes.
const KEY_BYTES_MAX: usize = 8 << 20;
const ALL_BYTES_MAX: usize = 64 << 20;
/// Maximum number of conversations of a key, and of all.
const KEY_COUNT_MAX: usize = 4_096;
const ALL_COUNT_MAX: usize = 65_536;
/// What a conversation takes beside its items, in bytes.
const OVERHEAD_BYTES: usize = 256;
/// Maximum time for which a request waits for Redis, for all conversations together.
const SHARED_WITHIN: Duration = Duration::from_millis(100);
/// Maximum number of conversations that a request looks up in Redis.
const SHARED_LOOKUPS_MAX: usize = 64;

/// The user and the key to which a conversation belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConversationOwner {
    pub(crate) user: UserNo,
    pub(crate) key: KeyNo,
}

/// A conversation by its owner, and by the request id of its response as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConversationName {
    pub(crate) owner: ConversationOwner,
    pub(crate) response: u128,
}

/// The remembered conversations of all keys.
#[derive(Debug, Default)]
pub struct Conversations(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    entries: FxHashMap<ConversationName, Entry>,
    /// The conversations in the order of their last prolongation, also those that were prolonged or removed since.
    order: VecDeque<Place>,
    of_owners: FxHashMap<ConversationOwner, OwnerLoad>,
    bytes: usize,
    last_number: u64,
}

#[derive(Debug)]
struct Entry {
    conversation: Arc<Conversation>,
    bytes: usize,
    prolonged_at: Instant,
    /// The number of the prolongation.
    number: u64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    name: ConversationName,
    number: u64,
}

/// The conversations of one key.
#[derive(Debug, Default)]
struct OwnerLoad {
    /// Those with their calls, in the order of their last prolongation, also those that were prolonged or removed since.
    order: VecDeque<Place>,
    /// Those without, in the same order.
    responses: VecDeque<Place>,
    bytes: usize,
    count: usize,
}

impl Conversations {
    /// Remembers a conversation. One that is too long is left out.
    pub(crate) fn remember(
        &self,
        name: ConversationName,
        conversation: Conversation,
        shared: Option<&SharedResponses>,
        now: Instant,
    ) {
        if conversation.bytes() > CONVERSATION_BYTES_MAX {
            return;
        }
        let conversation = Arc::new(conversation);
        share(shared, name, &conversation);
        self.memory().insert(name, conversation, now);
    }

    /// Returns the conversations of an owner that are known, by the numbers of their responses. Those that this node does not have are
    /// looked up in Redis, for up to 100 ms. The future may be cancelled at any point.
    pub(crate) async fn find(
        &self,
        owner: ConversationOwner,
        responses: impl IntoIterator<Item = u128>,
        shared: Option<&SharedResponses>,
    ) -> FxHashMap<u128, Arc<Conversation>> {
        let mut found = FxHashMap::default();
        let mut missing = Vec::new();
        for response in responses {
            let name = ConversationName { owner, response };
            match self.memory().get(name, Instant::now()) {
                Some(FoundConversation { conversation, is_prolonged }) => {
                    if is_prolonged {
                        share(shared, name, &conversation);
                    }
                    found.insert(response, conversation);
                }
                None => missing.push(name),
            }
        }
        let Some(shared) = shared else { return found };
        let lookups = async {
            for name in missing.into_iter().take(SHARED_LOOKUPS_MAX) {
                let Some(conversation) = shared_one(shared, name).await else { continue };
                let conversation = Arc::new(conversation);
                self.memory().insert(name, conversation.clone(), Instant::now());
                found.insert(name.response, conversation);
            }
        };
        // The conversations that were found until then are used.
        let _ = timeout(SHARED_WITHIN, lookups).await;
        found
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the name in Redis. All conversations of a key have one generation.
fn shared_name(ConversationName { owner, response }: ConversationName) -> SharedResponseName {
    let scope = ResponseScope::from_settings([("conversations".to_owned(), "1".to_owned())]);
    let of_owner = format!("{}/{}", owner.user.0, owner.key.0);
    let whole = format!("{of_owner}/{response:032x}");
    SharedResponseName::new(&scope, of_owner.as_bytes(), whole.as_bytes())
}

/// Returns the generation of a key's conversations, which are never invalidated: each node knows it without asking.
fn generation(name: &SharedResponseName) -> Option<ResponseGeneration> {
    let id = name.url.first_chunk()?;
    Some(ResponseGeneration { id: *id, is_new: true })
}

/// Stores a conversation in Redis, without waiting.
fn share(shared: Option<&SharedResponses>, name: ConversationName, conversation: &Conversation) {
    let Some(shared) = shared else { return };
    let name = shared_name(name);
    let Some((generation, text)) = generation(&name).zip(conversation.encode()) else { return };
    shared.use_it();
    let mut value = generation.id.to_vec();
    value.extend_from_slice(text.as_bytes());
    shared.store(name, generation, value, KEPT_FOR);
}

async fn shared_one(shared: &SharedResponses, name: ConversationName) -> Option<Conversation> {
    let lookup = shared.find(shared_name(name)).await?;
    Conversation::decode(&lookup.value?)
}

/// A conversation that is remembered.
struct FoundConversation {
    conversation: Arc<Conversation>,
    /// Whether its use has prolonged it.
    is_prolonged: bool,
}

impl OwnerLoad {
    /// Whether the key has too many conversations, or too many places of prolonged ones.
    fn has_many(&self) -> bool {
        self.count > KEY_COUNT_MAX || self.order.len() + self.responses.len() > 2 * KEY_COUNT_MAX
    }
}

impl Memory {
    fn get(&mut self, name: ConversationName, now: Instant) -> Option<FoundConversation> {
        self.forget_old(now);
        let entry = self.entries.get(&name)?;
        let conversation = entry.conversation.clone();
        let is_prolonged = now.saturating_duration_since(entry.prolonged_at) >= PROLONGED_AFTER;
        if is_prolonged {
            self.prolong(name, now);
        }
        Some(FoundConversation { conversation, is_prolonged })
    }

    fn insert(&mut self, name: ConversationName, conversation: Arc<Conversation>, now: Instant) {
        self.remove(name);
        self.forget_old(now);
        let bytes = conversation.bytes().saturating_add(OVERHEAD_BYTES);
        self.entries.insert(name, Entry { conversation, bytes, prolonged_at: now, number: 0 });
        self.bytes += bytes;
        let load = self.of_owners.entry(name.owner).or_default();
        load.bytes += bytes;
        load.count += 1;
        self.prolong(name, now);
        while self.load(name.owner).is_some_and(|load| load.bytes > KEY_BYTES_MAX) && self.shorten_oldest_of(name.owner)
        {
        }
        while self.load(name.owner).is_some_and(OwnerLoad::has_many) && self.forget_oldest_of(name.owner) {}
        while (self.bytes > ALL_BYTES_MAX || self.order.len() > ALL_COUNT_MAX) && self.forget_oldest() {}
    }

    /// Notes the use of a conversation, which is then the newest one.
    fn prolong(&mut self, name: ConversationName, now: Instant) {
        self.last_number += 1;
        let number = self.last_number;
        let Some(entry) = self.entries.get_mut(&name) else { return };
        entry.prolonged_at = now;
        entry.number = number;
        self.order.push_back(Place { name, number });
        self.of_owners.entry(name.owner).or_default().order.push_back(Place { name, number });
    }

    fn load(&self, owner: ConversationOwner) -> Option<&OwnerLoad> {
        self.of_owners.get(&owner)
    }

    /// Forgets the call of the oldest conversation of a key that has one, otherwise the oldest response; false if it has none.
    fn shorten_oldest_of(&mut self, owner: ConversationOwner) -> bool {
        let Some(load) = self.of_owners.get_mut(&owner) else { return false };
        let Some(place) = load.order.pop_front() else { return self.forget_oldest_of(owner) };
        let Some(entry) = self.entries.get_mut(&place.name).filter(|entry| entry.number == place.number) else {
            return true;
        };
        let shortened = entry.conversation.without_input();
        let freed = entry.conversation.bytes().saturating_sub(shortened.bytes());
        entry.conversation = Arc::new(shortened);
        entry.bytes = entry.bytes.saturating_sub(freed);
        load.bytes = load.bytes.saturating_sub(freed);
        load.responses.push_back(place);
        self.bytes = self.bytes.saturating_sub(freed);
        true
    }

    /// Removes the oldest conversation of a key, first of those without their calls; false if it has none.
    fn forget_oldest_of(&mut self, owner: ConversationOwner) -> bool {
        let Some(load) = self.of_owners.get_mut(&owner) else { return false };
        let Some(place) = load.responses.pop_front().or_else(|| load.order.pop_front()) else { return false };
        self.remove_at(place);
        true
    }

    /// Removes the oldest conversation; false if no conversation exists.
    fn forget_oldest(&mut self) -> bool {
        let Some(place) = self.order.pop_front() else { return false };
        self.remove_at(place);
        true
    }

    /// Removes the conversations that were not used for too long.
    fn forget_old(&mut self, now: Instant) {
        while let Some(place) = self.order.front().copied() {
            let entry = self.entries.get(&place.name).filter(|entry| entry.number == place.number);
            if entry.is_some_and(|entry| now.saturating_duration_since(entry.prolonged_at) < KEPT_FOR) {
                return;
            }
            self.order.pop_front();
            self.remove_at(place);
        }
    }

    /// Removes a conversation, unless it was prolonged since.
    fn remove_at(&mut self, place: Place) {
        if self.entries.get(&place.name).is_some_and(|entry| entry.number == place.number) {
            self.remove(place.name);
        }
    }

    fn remove(&mut self, name: ConversationName) {
        let Some(entry) = self.entries.remove(&name) else { return };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        let Some(load) = self.of_owners.get_mut(&name.owner) else { return };
        load.bytes = load.bytes.saturating_sub(entry.bytes);
        load.count = load.count.saturating_sub(1);
        if load.count == 0 {
            self.of_owners.remove(&name.owner);
        }
    }
}

#[cfg(test)]
mod tests;
