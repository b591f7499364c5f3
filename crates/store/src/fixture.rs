//! Usage events for tests.

use access::{RequestId, Timestamp};
use meter::{Caller, Charge, Outcome, UsageEvent};

/// An LLM request of one credit that got a response, without attempts.
pub(crate) fn event(id: RequestId, caller: Option<Caller>, at: Timestamp) -> UsageEvent {
    UsageEvent {
        id,
        caller,
        started_at: at,
        day: at.day(),
        charge: Charge::credits(1),
        route: "ai".into(),
        format: Some("chat".into()),
        model: Some("fast".into()),
        streamed: true,
        status: 200,
        outcome: Outcome::Completed,
        request_bytes: 36,
        response_bytes: 37,
        duration_us: 38,
        attempts: Vec::new(),
        refusal: None,
    }
}
