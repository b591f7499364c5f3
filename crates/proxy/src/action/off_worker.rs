//! Work on a large body outside the worker's thread. A user has one such body at a time, and the threads are few: other users'
//! requests need the processor meanwhile.

use std::time::Duration;

use access::Refusal;
use tokio::time::{Instant, timeout_at};

use crate::account::RequestAccount;
use crate::capacity::BodyWorkPermit;
use crate::refusal::problem::Problem;

/// Bodies larger than this are parsed outside the worker's thread: at 500 MB/s they would block it for more than half a
/// millisecond.
pub(super) const ON_WORKER_BYTES_MAX: usize = 256 * 1024;
/// A body waits at most this long for the work on it to begin.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Waits until the client may have a large body worked on.
///
/// # Errors
/// Other bodies took too long.
pub(super) async fn permit(account: &RequestAccount) -> Result<Option<BodyWorkPermit>, Problem> {
    let until = account.total_at().min(Instant::now() + WAIT_MAX);
    let request = &account.request;
    let capacity = &request.worker().shared.capacity;
    let permit = capacity.work_on_body(&account.identity.subject, request.client_address());
    timeout_at(until, permit).await.map_err(|_| {
        let message = "too many large bodies are being read: send it again soon, or send a smaller one";
        Problem::new(Refusal::Overloaded, message)
    })
}

/// Runs `work` on another thread, when it is the client's turn.
///
/// # Errors
/// Other bodies took too long, or the work panicked.
pub(super) async fn off_worker<T: Send + 'static>(
    account: &RequestAccount,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let permit = permit(account).await?;
    // The permit returns with the result, when the thread is free for the next body.
    let done = tokio::task::spawn_blocking(move || (work(), permit)).await;
    let failed = |error| Problem::new(Refusal::Internal, "the body could not be read").because(&error);
    done.map(|(result, _permit)| result).map_err(failed)
}
