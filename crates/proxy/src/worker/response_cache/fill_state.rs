//! The state of a fill: the head of its response, and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::stored::{ArrivingResponse, StoredResponse};
use crate::client::head::Head;

/// The state of a fill, for the requests that wait for it.
#[derive(Debug, Clone)]
pub(crate) enum FillState {
    /// The head of the response has not arrived.
    Running,
    /// The head has arrived, and the response may be stored. Its content arrives.
    Arriving(Arc<ArrivingResponse>),
    /// The response is complete.
    Complete(Arc<StoredResponse>),
    /// The upstream has failed, and a stale response may be used in place of its response.
    Stale(Arc<StoredResponse>),
    /// The response is not stored: each request goes to the upstream.
    Unstored,
    /// The request that filled the key was aborted: another one may fill it.
    Aborted,
}

/// A fill that a memory knows.
#[derive(Debug)]
pub(super) struct KnownFill {
    pub(super) number: u64,
    pub(super) state: watch::Receiver<FillState>,
    /// Whether other requests wait for it.
    pub(super) is_shared: bool,
    /// Whether a purge came meanwhile, so that the response is not stored.
    pub(super) is_void: Arc<AtomicBool>,
}

/// The sending side of a fill that has begun.
#[derive(Debug)]
pub(super) struct BegunFill {
    pub(super) number: u64,
    pub(super) state: watch::Sender<FillState>,
    pub(super) is_void: Arc<AtomicBool>,
}

/// What a memory says to a request that its responses do not answer.
pub(super) enum FillTurn {
    Begun(BegunFill),
    Waits(watch::Receiver<FillState>),
}

impl KnownFill {
    /// Returns a fill without a response, and its sending side.
    pub(super) fn begin(number: u64, is_shared: bool) -> (Self, BegunFill) {
        let (sender, state) = watch::channel(FillState::Running);
        let is_void = Arc::<AtomicBool>::default();
        let begun = BegunFill { number, state: sender, is_void: is_void.clone() };
        (Self { number, state, is_shared, is_void }, begun)
    }

    /// Whether a request may wait for the fill: as far as it is known, its response is also for this request.
    pub(super) fn is_for(&self, request: &Head) -> bool {
        if !self.is_shared || self.is_void.load(Ordering::Relaxed) {
            return false;
        }
        match &*self.state.borrow() {
            FillState::Running => true,
            FillState::Arriving(arriving) => arriving.response.matches(request),
            FillState::Complete(response) | FillState::Stale(response) => response.matches(request),
            FillState::Unstored | FillState::Aborted => false,
        }
    }
}

/// Waits until the response of a fill arrives, or the fill ends.
pub(crate) async fn arrival(mut state: watch::Receiver<FillState>) -> FillState {
    let arrived = state.wait_for(|state| !matches!(state, FillState::Running)).await;
    arrived.map_or(FillState::Aborted, |state| state.clone())
}
