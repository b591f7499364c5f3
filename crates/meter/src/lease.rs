//! Budgets that several nodes share: the lease server grants leases, and each node's lease client spends them. This
//! module contains the messages and both state machines, without a clock, a queue or a database.
//!
//! A lease belongs to one budget counter (a budget in a period) and one incarnation of a node. Every amount in a
//! message is cumulative or a complete value, and lease requests are numbered. A message that is lost, late, duplicated
//! or out of order is therefore corrected by the next one. The server's record of the granted amount is never less than
//! the amount that the client may use:
//!
//! - the client restricts itself before it reports so, and accepts only the reply to its latest request;
//! - the server records as granted the amount that the client restricts itself to, plus the amount that it adds;
//! - after the deadline, which is counted from sending the request, the client admits nothing and returns nothing.

pub mod client;
pub mod queue;
pub mod rules;
pub mod server;

use std::time::Duration;

use access::{Amount, Minute, Timestamp};
use serde::{Deserialize, Serialize};

use crate::budgets::budget::BudgetId;
use crate::budgets::period::Period;

pub use client::{LeaseClient, LeaseTiming, SharedCounter, Verdict, WaitDecision, Waiter};
pub use queue::{LeaseQueue, LeaseShortfall, LeaseWait, QueueMessage, WaitRequest};
pub use rules::{Contention, LeaseRules, StandardRules};
pub use server::LeaseServer;

/// A node's id in the store: its UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u128);

/// One budget in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CounterId {
    /// The id of the budget.
    pub budget: BudgetId,
    /// The period of the budget.
    pub period: Period,
}

/// One lease: a budget counter that is lent to one incarnation of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseId {
    /// The budget counter of the lease.
    pub counter: CounterId,
    /// The node that holds the lease.
    pub node: NodeId,
    /// The incarnation that holds the lease.
    pub incarnation: u64,
}

/// All messages of a node at one time. The server applies a tick completely or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The node that sends the tick.
    pub node: NodeId,
    /// The number of the node's start; each start of `serve` gets the next number.
    pub incarnation: u64,
    /// The lease requests, at most one per lease.
    pub requests: Vec<LeaseRequest>,
    /// The leases that end.
    pub closes: Vec<LeaseClose>,
}

/// The state of a lease in the client, and the amount that it requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// The budget counter of the lease.
    pub counter: CounterId,
    /// The term of the grant that the client uses; 0 before the first grant.
    pub term: u64,
    /// Increases with every request of the lease, from 1.
    pub seq: u64,
    /// The amount to which the client restricts itself from now on; at least `used`.
    pub ceiling: Amount,
    /// The reserved and spent amounts at the time of the request.
    pub used: Amount,
    /// The spent amount at the time of the request.
    pub spent: Amount,
    /// The additional amount that is wanted in total.
    pub want: Amount,
    /// The additional amount that the first waiting request needs; 0 if no request waits.
    pub need: Amount,
    /// The additional amount of the first waiting requests that together fit into the amount that was left at the last
    /// reply; 0 if none fits.
    pub need_fitting: Amount,
    /// The additional amount that all waiting requests need; at least `need`.
    pub queued: Amount,
    /// The latest recall that the client knew; it has returned the surplus for it.
    pub answered_recall: u64,
    /// The budget's limit as the last request used it. A server without configured limits lends by this value.
    pub limit: Amount,
}

/// The end of a lease that has no reservations left and will not be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseClose {
    /// The budget counter of the lease.
    pub counter: CounterId,
    /// The incarnation that holds the lease; an earlier one than the tick's if that one has ended.
    pub incarnation: u64,
    /// The total amount spent of the lease.
    pub spent: Amount,
}

/// The reply to a tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TickReply {
    /// The server applied the tick.
    Accepted(TickResponse),
    /// A later incarnation of the node is alive; this one must admit nothing.
    Fenced,
}

/// The content of the reply to an applied tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickResponse {
    /// The incarnation that the reply is for.
    pub incarnation: u64,
    /// The server's wall-clock time, by which periods begin.
    pub at: Timestamp,
    /// The time for which the granted amounts may be used, counted from sending the request.
    pub ttl: Duration,
    /// One grant for each request that is new, or that repeats the last one.
    pub grants: Vec<Grant>,
    /// The leases whose surplus other nodes need.
    pub recalls: Vec<Recall>,
    /// The leases that the tick ended, as budget counter and incarnation.
    pub closed: Vec<(CounterId, u64)>,
    /// The budget counters whose window another node has opened before, with its first minute. Nothing was granted for them.
    pub moved: Vec<(CounterId, Minute)>,
}

/// The state of a lease in the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The budget counter of the lease.
    pub counter: CounterId,
    /// Increases when the server reclaims the unused amount of an expired lease.
    pub term: u64,
    /// The number of the request that is answered.
    pub seq: u64,
    /// The total amount granted to the lease.
    pub granted: Amount,
    /// The amount of the budget that is not granted to any lease.
    pub left: Amount,
    /// The recall that the request started because its waiting requests need more than was granted; 0 if it started
    /// none.
    pub round: u64,
    /// All other leases have answered the recalls up to this number and have no surplus, or have expired. For a request
    /// that waited before such a recall, `left` is all that is available.
    pub drained: u64,
    /// The unspent amount of other leases that have expired: their nodes do not respond. Only refusals mention it; no
    /// rule reads it.
    pub lost: Amount,
}

/// A request to return the surplus of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recall {
    /// The budget counter of the lease.
    pub counter: CounterId,
    /// Increases with every recall of the budget counter.
    pub no: u64,
}
