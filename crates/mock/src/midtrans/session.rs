//! A session of Snap, before and after the customer has chosen a method.

use access::Timestamp;
use serde_json::{Map, Value};

use super::transaction::NotificationUrls;

/// A session of Snap.
#[derive(Debug, Clone)]
pub(super) struct SnapSession {
    pub(super) order_id: String,
    pub(super) amount: i64,
    pub(super) finish: Option<String>,
    pub(super) until: Timestamp,
    pub(super) is_closed: bool,
    pub(super) echoed: Map<String, Value>,
    pub(super) urls: NotificationUrls,
}

impl SnapSession {
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        !self.is_closed && now < self.until
    }
}
