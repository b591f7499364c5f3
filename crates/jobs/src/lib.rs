//! Background jobs: one runner repeats each job, reports its failures, and restarts it after a panic.
//!
//! The crate does no I/O and reads no clock but `access::Clock` and Tokio's timer. Jobs are written in the crates whose
//! work they do, and the binary adds them to the runner. A job that one node of a cluster runs at a time claims
//! its ownership first ([`Ownership`]).
//!
//! Read in this order: [`job`] (a job and its specification), [`runner`] (the loop), [`report`] (the state of each
//! job, for metrics and operators), [`ownership`], [`outage`] (the log lines of failures, also of other loops).

#[cfg(test)]
mod captured_log;
pub mod job;
pub mod outage;
pub mod ownership;
pub mod report;
pub mod runner;

pub use job::{Cancellation, Job, JobError, JobSpec, NextRun, Owner, RetryPauses};
pub use outage::{Outage, RepeatedProblem, causes};
pub use ownership::{CLAIM_TTL, ClaimEnd, Ownership, OwnershipFuture};
pub use report::{FinishedRun, JobOutcome, JobReport, JobReports};
pub use runner::Runner;
