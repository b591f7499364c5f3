//! Ownership of jobs that one node of a cluster runs at a time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::job::{JobError, JobSpec};
use crate::report::FinishedRun;

/// The result of a claim: whether this node owns the job.
pub type OwnershipFuture<'a> = Pin<Box<dyn Future<Output = Result<bool, JobError>> + Send + 'a>>;

/// The time for which one claim is valid. The owner renews it during a run; if it crashes in a run, another node runs the
/// job when the claim has expired.
pub const CLAIM_TTL: Duration = Duration::from_secs(30);
/// The interval at which a run renews its claim, and the time that one renewal may take.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(5);
/// A run is dropped after this number of failed renewals in a row. They take at most 20 s, and the claim itself at most
/// 5 s, so the claim is still valid then.
pub(crate) const FAILED_RENEWALS_MAX: u32 = 2;

/// Assigns each run of a job to one node of a cluster.
///
/// Two nodes may run a job at once if one of them is suspended in a run and loses its claim, so the work of a job must be
/// correct if it is done twice.
pub trait Ownership: Send + Sync + 'static {
    /// Claims a job for [`CLAIM_TTL`]. Returns `false` while the claim of another node is valid, and until the pause after
    /// the last run has passed.
    ///
    /// # Errors
    /// Any error of the store; the runner treats it as a failed run.
    fn claim<'a>(&'a self, spec: &'a JobSpec) -> OwnershipFuture<'a>;

    /// Renews the claim of this node, during a run, for [`CLAIM_TTL`] from now. Returns `false` if the claim is lost.
    ///
    /// # Errors
    /// Any error of the store; the runner repeats the renewal.
    fn renew<'a>(&'a self, spec: &'a JobSpec) -> OwnershipFuture<'a>;

    /// Ends the claim of this node and records its run. Returns whether this node had the claim.
    ///
    /// # Errors
    /// Any error of the store. The claim then expires by itself, and the next run may come earlier than its period.
    fn finish<'a>(&'a self, spec: &'a JobSpec, end: &'a ClaimEnd) -> OwnershipFuture<'a>;
}

/// The end of a claim.
#[derive(Debug)]
pub struct ClaimEnd {
    /// The run that ended; `None` if it was dropped because the process stops.
    pub run: Option<FinishedRun>,
    /// The time after which any node may claim the job.
    pub pause: Duration,
}
