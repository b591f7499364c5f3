//! Tasks on the thread of a worker.

use std::future::Future;

/// Starts a task on this worker's thread. The task ends with the worker's runtime at the latest.
pub(crate) fn spawn<F>(task: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(task)
}
