//! The fill of a key: one request goes to the upstream, and the others with the same key wait for its response.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use access::Timestamp;
use tokio::sync::watch;

use super::fill_state::{BegunFill, FillState, FillTurn};
use super::memory::{CacheKey, RouteMemory};
use super::shared_slot::SharedSlot;
use super::stored::{ArrivingResponse, StoredResponse};
use crate::client::head::Head;

/// The part of a request in filling a key.
pub(crate) enum FillRole {
    /// The request goes to the upstream, and stores the response if it may.
    Fills(RunningFill),
    /// Another request does. The receiver gets the state.
    Waits(watch::Receiver<FillState>),
}

/// The right to fill a key. Dropping it lets another request fill it.
#[derive(Debug)]
pub(crate) struct RunningFill {
    memory: Arc<RouteMemory>,
    key: CacheKey,
    begun: BegunFill,
    /// Where the response is also stored.
    shared: Option<Box<SharedSlot>>,
    has_ended: bool,
}

impl FillRole {
    /// Lets a request fill the key, unless it waits for another one that does.
    pub(crate) fn for_request(memory: &Arc<RouteMemory>, key: &CacheKey, request: &Head, now: Timestamp) -> Self {
        match memory.fill(key, request, now) {
            FillTurn::Waits(state) => Self::Waits(state),
            FillTurn::Begun(begun) => {
                let memory = memory.clone();
                let key = key.clone();
                Self::Fills(RunningFill { memory, key, begun, shared: None, has_ended: false })
            }
        }
    }
}

impl RunningFill {
    /// Gives the other requests the head of the response, and its content as it arrives.
    pub(crate) fn arrives(&self, response: Arc<ArrivingResponse>) {
        self.begun.state.send_replace(FillState::Arriving(response));
    }

    /// Lets the response be stored in Redis too.
    pub(crate) fn share(&mut self, slot: Box<SharedSlot>) {
        self.shared = Some(slot);
    }

    /// Whether a purge came meanwhile, so that the response is not stored.
    pub(crate) fn is_void(&self) -> bool {
        self.begun.is_void.load(Ordering::Relaxed)
    }

    /// Stores the complete response, unless a purge came meanwhile, and gives it to the requests that wait.
    pub(crate) fn store(self, response: StoredResponse) -> Arc<StoredResponse> {
        if !self.is_void()
            && let Some(slot) = self.shared.as_ref()
        {
            slot.store(&response);
        }
        self.adopt(response)
    }

    /// Stores a response of Redis as [`Self::store`] does, in memory only.
    pub(crate) fn adopt(self, response: StoredResponse) -> Arc<StoredResponse> {
        let response = Arc::new(response);
        self.memory.store(&self.key, &response, &self.begun.is_void);
        self.complete(response.clone());
        response
    }

    /// Gives a response to the requests that wait, without storing it.
    fn complete(mut self, response: Arc<StoredResponse>) {
        self.end(FillState::Complete(response));
    }

    /// Gives a stale response to the requests that wait, because the upstream has failed.
    pub(crate) fn complete_stale(mut self, response: Arc<StoredResponse>) {
        self.end(FillState::Stale(response));
    }

    /// Removes the responses that are stored for the request: the upstream has replaced it by a response that may not be stored.
    pub(crate) fn forget(&self, request: &Head) {
        self.memory.forget(&self.key, request);
    }

    /// Sends the requests of the key to the upstream, also those of the next seconds: its responses may not be stored.
    pub(crate) fn uncacheable(mut self, now: Timestamp) {
        self.memory.note_uncacheable(&self.key, now);
        self.end(FillState::Unstored);
    }

    /// Sends the requests that wait to the upstream.
    pub(crate) fn fail(mut self) {
        self.end(FillState::Unstored);
    }

    fn end(&mut self, state: FillState) {
        self.has_ended = true;
        self.memory.end_fill(&self.key, self.begun.number);
        self.begun.state.send_replace(state);
    }
}

impl Drop for RunningFill {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end(FillState::Aborted);
        }
    }
}
