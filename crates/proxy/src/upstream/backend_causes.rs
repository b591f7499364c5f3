//! Why a backend gets no requests, for explanations.

use std::sync::{Arc, Mutex, PoisonError};

/// The last causes for which a backend was left out, by the state that they led to.
#[derive(Debug, Default)]
pub(crate) struct BackendCauses([Mutex<Option<Arc<str>>>; 3]);

/// A state in which a backend is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftOut {
    Unhealthy,
    Ejected,
    Open,
}

impl BackendCauses {
    /// Notes the cause of a state.
    pub(crate) fn note(&self, state: LeftOut, cause: Option<&str>) {
        if let Some(known) = self.0.get(state as usize) {
            *known.lock().unwrap_or_else(PoisonError::into_inner) = cause.map(Arc::from);
        }
    }

    /// Returns the last cause of a state.
    pub(crate) fn last_cause(&self, state: LeftOut) -> Option<Arc<str>> {
        self.0.get(state as usize).and_then(|cause| cause.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
