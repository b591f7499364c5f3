//! A request that is under way: what must be known of it if the process dies before it ends.

use std::sync::Arc;

use access::{Day, RequestId, Timestamp};
use meter::{Caller, Charge};
use serde::{Deserialize, Serialize};

/// A request as it was admitted. It is appended before the request's first byte goes to an upstream; what became of it is a
/// [`crate::Record::Close`] of the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
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

/// A request that was open when its process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// What was known of it.
    pub opened: Opened,
    /// The lane that it was opened in; `None` where the store had kept it.
    pub lane: Option<u32>,
}
