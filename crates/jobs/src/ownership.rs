//! Ownership of jobs that one node of a cluster runs at a time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::job::JobError;

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
    /// Claims `job` for `ttl`, or renews the claim of this node during a run. Returns `false` while the claim of another
    /// node is valid, and until the pause that [`Ownership::finish`] set has passed.
    ///
    /// # Errors
    /// Any error of the store; the runner treats it as a failed run.
    fn claim<'a>(&'a self, job: &'static str, ttl: Duration) -> OwnershipFuture<'a>;

    /// Ends the claim of this node. Any node may claim the job when `pause` has passed. Returns whether this node had the
    /// claim.
    ///
    /// # Errors
    /// Any error of the store. The claim then expires by itself, and the next run may come earlier than its period.
    fn finish<'a>(&'a self, job: &'static str, pause: Duration) -> OwnershipFuture<'a>;
}
