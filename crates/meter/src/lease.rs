//! Budgets that several nodes share: one lends, each holds what it was granted. Messages and two state machines, without
//! a clock, a queue or a database.
//!
//! A lease is of one cell (a budget in a period) to one incarnation of a node. Every figure is cumulative or the whole of
//! what it says, and asks are numbered; so a message that is lost, late, doubled or out of turn changes nothing that is
//! not mended by the next. What the lender believes granted is never less than what the holder may use:
//!
//! - a holder restricts itself before it says so, and believes only the answer to its latest ask;
//! - the lender counts as granted what the holder says that it restricts itself to, and what it adds;
//! - past the deadline, which runs from when the ask was sent, nothing is admitted, and nothing is given up.

pub mod client;
pub mod queue;
pub mod rules;
pub mod server;

use std::time::Duration;

use access::Timestamp;
use serde::{Deserialize, Serialize};

use crate::budget::{BudgetId, Period};

pub use client::{LeaseClient, LeaseTiming, Verdict, WaitDecision, Waiter};
pub use queue::{LeaseQueue, LeaseWait, QueueMessage, WaitRequest};
pub use rules::{LeaseRules, StandardRules};
pub use server::LeaseServer;

/// A node, as the store knows it: its UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u128);

/// One budget in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CounterId {
    /// Which budget.
    pub budget: BudgetId,
    /// In which period.
    pub period: Period,
}

/// All that a node has to say at a moment; the lender takes it whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Who asks.
    pub node: NodeId,
    /// Which start of it; each serve takes the next.
    pub incarnation: u64,
    /// What it asks for, one for a lease.
    pub requests: Vec<LeaseRequest>,
    /// What it is done with.
    pub closes: Vec<LeaseClose>,
}

/// How a lease stands with its holder, and what more it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// The lease's cell.
    pub counter: CounterId,
    /// The term of the grant under which the holder acts; 0 before the first.
    pub term: u64,
    /// Grows with every ask of the lease, from 1.
    pub seq: u64,
    /// What the holder from now on restricts itself to: `used` ≤ `ceiling`.
    pub ceiling: u64,
    /// Reserved and spent, when it asked.
    pub used: u64,
    /// Spent, when it asked.
    pub spent: u64,
    /// How much more it wants, all in all.
    pub want: u64,
    /// How much more the first of its waiting requests needs; 0 where none waits.
    pub need: u64,
    /// How much more those of them need that fitted together into what was left when it heard last; 0 where none did.
    pub need_fitting: u64,
    /// How much more all of its waiting requests need; not less than `need`.
    pub queued: u64,
    /// The latest recall that it had heard of when it asked; it has handed back what it did not use.
    pub answered_recall: u64,
    /// What the budget holds, by the terms of who asked last: a lender that keeps no limits lends by that.
    pub limit: u64,
}

/// A lease whose holder has nothing reserved any more and will use no more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseClose {
    /// The lease's cell.
    pub counter: CounterId,
    /// The incarnation that it was lent to: an earlier one than the tick's, where that has ended.
    pub incarnation: u64,
    /// All that was ever spent of it.
    pub spent: u64,
}

/// What a tick is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TickReply {
    /// It was taken.
    Accepted(TickResponse),
    /// A later incarnation of the node lives: this one must admit nothing any more.
    Fenced,
}

/// What the lender says to a tick that it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickResponse {
    /// To which incarnation.
    pub incarnation: u64,
    /// The lender's wall clock, by which periods begin.
    pub at: Timestamp,
    /// How long what it granted may be used, from when the ask was sent.
    pub ttl: Duration,
    /// One for each ask that it had not heard before, or heard last.
    pub grants: Vec<Grant>,
    /// Leases of which somebody else needs what is unused.
    pub recalls: Vec<Recall>,
    /// What the tick closed, as cell and incarnation.
    pub closed: Vec<(CounterId, u64)>,
}

/// How a lease stands with the lender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The lease's cell.
    pub counter: CounterId,
    /// Grows when the lender takes back what its holder, past its deadline, did not use.
    pub term: u64,
    /// The ask that it answers.
    pub seq: u64,
    /// All that is granted of it.
    pub granted: u64,
    /// What nobody has been granted.
    pub left: u64,
    /// The recall that the ask began, because it needed more than it got; 0 where it did not.
    pub round: u64,
    /// All other leases have answered the recalls up to this one and hold nothing that they do not use, or are past their
    /// deadlines: for who waited before that recall began, what is left is all there is.
    pub drained: u64,
}

/// A lease of which somebody else needs what is unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recall {
    /// The lease's cell.
    pub counter: CounterId,
    /// Grows with every recall of the cell.
    pub no: u64,
}
