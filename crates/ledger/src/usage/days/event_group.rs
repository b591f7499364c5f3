//! A group of the events of one day.

use access::{ClientProgram, RequestId};
use meter::{RequestResult, ToolUse};

/// Maximum number of groups of events; groups with the fewest requests are omitted.
pub const EVENT_GROUPS_MAX: usize = 50_000;

/// Events of one day with equal metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGroup {
    /// Name of the route.
    pub route: Option<String>,
    /// Name of the format; `None` for ordinary APIs.
    pub format: Option<String>,
    /// Name of the model as the client wrote it.
    pub model: Option<String>,
    /// Whether the responses were streams of events.
    pub streamed: bool,
    /// The status that the clients received.
    pub status: u16,
    /// The code of the refusal, if Tollgate refused the requests.
    pub refusal: Option<String>,
    /// The outcome of the requests.
    pub outcome: String,
    /// Whether the requests succeeded, failed or were refused.
    pub result: RequestResult,
    /// The number of bounds of input tokens that the requests reach.
    pub input_bounds: usize,
    /// The number of bounds that the number of LLM requests of the key on the day, without refused ones, reaches; 0 for
    /// requests of a session, and without a key.
    pub key_bounds: usize,
    /// The program that sent the requests.
    pub client: ClientProgram,
    /// The use of tools; `None` if an older release stored the requests.
    pub tools: Option<ToolUse>,
    /// The number of bounds that the number of requests of the session on the day reaches; `None` without a session.
    pub session_bounds: Option<usize>,
    /// The number of bounds that the seconds since the session's previous request reach; `None` for the first one, and if no
    /// bounds are given.
    pub interval_bounds: Option<usize>,
    /// The number of requests.
    pub requests: u64,
    /// The number of tokens.
    pub tokens: u64,
    /// The sum of the known costs in nano-USD, without those that users' own credentials paid.
    pub cost_nano: i128,
    /// The oldest and the newest request.
    pub ids: [RequestId; 2],
    /// A request between them, if one is known.
    pub between: Option<RequestId>,
}

/// The numbers of bounds that the requests of a group reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ReachedBounds {
    pub(super) input: usize,
    pub(super) key: usize,
    pub(super) session: Option<usize>,
    pub(super) interval: Option<usize>,
}

impl EventGroup {
    /// Returns the numbers of bounds that the requests reach.
    pub(super) const fn reached(&self) -> ReachedBounds {
        ReachedBounds {
            input: self.input_bounds,
            key: self.key_bounds,
            session: self.session_bounds,
            interval: self.interval_bounds,
        }
    }

    /// Adds the requests of another group with the same metadata.
    pub(super) fn add(&mut self, more: &Self) {
        let [first, last] = self.ids;
        let [more_first, more_last] = more.ids;
        let ends = [first.min(more_first), last.max(more_last)];
        let known = [self.between, more.between, Some(last), Some(more_first), Some(first), Some(more_last)];
        self.between = known.into_iter().flatten().find(|id| !ends.contains(id));
        self.requests = self.requests.saturating_add(more.requests);
        self.tokens = self.tokens.saturating_add(more.tokens);
        self.cost_nano = self.cost_nano.saturating_add(more.cost_nano);
        self.ids = ends;
    }
}
