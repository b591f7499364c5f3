//! A request in flight: the data that is needed if the process dies before the request ends.

use std::sync::Arc;

use access::{Day, RequestId, Subject, Timestamp};
use meter::{Charge, Outcome, Period, RequestOrigin, UsageEvent};

/// The status of a request that was interrupted by the death of the process.
const UNANSWERED: u16 = 500;

/// A request as it was admitted, or a pre-logged batch of requests with one cost. It is appended before the first byte
/// goes to an upstream. A [`crate::Record::Close`] with the same id closes a request, a [`crate::Record::CloseBatch`]
/// closes a batch. A request is opened again, with the same id, if another attempt needs a larger reservation: the last
/// open counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// The id of the request and of its usage event.
    pub id: RequestId,
    /// The identity that the request was made as.
    pub subject: Subject,
    /// The time at which the request's head had arrived.
    pub started_at: Timestamp,
    /// The day whose quota the request counts in.
    pub day: Day,
    /// The windows of the user or the subject in which the request counts.
    pub windows: Vec<Period>,
    /// The amount that is reserved for all attempts.
    pub reserved: Charge,
    /// The name of the route.
    pub route: Arc<str>,
    /// The name of the format, on an LLM route.
    pub format: Option<Arc<str>>,
    /// The model's name as the client wrote it.
    pub model: Option<Arc<str>>,
    /// The version of the price behind `reserved`; `None` where the model has no price.
    pub price_version: Option<Arc<str>>,
    /// The program, the labels and the session of the request; tools were not called yet.
    pub origin: RequestOrigin,
}

impl OpenRequest {
    /// Returns the usage event of an interrupted request: its reservation counts in full, its usage is unknown.
    #[must_use]
    pub fn interrupted_event(&self) -> UsageEvent {
        let Self { id, started_at, day, reserved, .. } = *self;
        UsageEvent {
            id,
            subject: self.subject.clone(),
            started_at,
            day,
            windows: self.windows.clone(),
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
            origin: self.origin.clone(),
        }
    }
}

/// A request that was open when its process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterruptedRequest {
    /// The request as it was admitted.
    pub request: OpenRequest,
    /// The partition that contains its open record; `None` where the store had kept it.
    pub partition: Option<u32>,
}
