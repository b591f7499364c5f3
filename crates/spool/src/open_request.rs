//! A request that is under way: what must be known of it if the process dies before it ends.

use std::sync::Arc;

use access::{Day, RequestId, Timestamp};
use meter::{Caller, Charge, Outcome, UsageEvent};
use serde::{Deserialize, Serialize};

/// The status of a request whose caller was cut off by the death of the process.
const UNANSWERED: u16 = 500;

/// A request as it was admitted, or several of one cost that are counted together. It is appended before its first byte goes to
/// an upstream; what became of it is a [`crate::Record::Close`] of the same id, of several a [`crate::Record::CloseBatch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRequest {
    /// The request's id, which is also its event's.
    pub id: RequestId,
    /// Whose request; `None` on an open route.
    pub caller: Option<Caller>,
    /// When its head had arrived.
    pub started_at: Timestamp,
    /// The day whose quota it was admitted under.
    pub day: Day,
    /// The most that it was admitted for.
    pub reserved: Charge,
    /// The route's name.
    pub route: Arc<str>,
    /// The wire format's name, on an LLM route.
    pub format: Option<Arc<str>>,
    /// The model's name as the caller wrote it.
    pub model: Option<Arc<str>>,
    /// The version of the price that this was reckoned with; `None` where the model has none.
    pub price_version: Option<Arc<str>>,
}

impl OpenRequest {
    /// Its end, where its process died before: all that it was admitted for counts, and nobody knows what it used.
    #[must_use]
    pub fn interrupted_event(&self) -> UsageEvent {
        let Self { id, caller, started_at, day, reserved, .. } = *self;
        UsageEvent {
            id,
            caller,
            started_at,
            day,
            charge: reserved,
            route: self.route.clone(),
            format: self.format.clone(),
            model: self.model.clone(),
            streamed: false,
            status: UNANSWERED,
            outcome: Outcome::Interrupted,
            request_bytes: 0,
            response_bytes: 0,
            duration_us: 0,
            attempts: Vec::new(),
            refusal: None,
        }
    }
}

/// A request that was open when its process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterruptedRequest {
    /// What was known of it.
    pub request: OpenRequest,
    /// The lane that it was opened in; `None` where the store had kept it.
    pub partition: Option<u32>,
}
