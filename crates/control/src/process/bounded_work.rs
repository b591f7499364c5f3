//! Work on the threads for blocking work, a bounded number at once.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// Runs `work` as soon as `turns` has a permit, which the work returns at its end: work that has begun continues after its
/// client disconnects.
///
/// # Errors
/// The work panicked.
pub(crate) async fn run<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    // The semaphore is never closed.
    let turn = turns.clone().acquire_owned().await.ok();
    let job = move || {
        let done = work();
        drop(turn);
        done
    };
    tokio::task::spawn_blocking(job).await
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn work_whose_client_has_left_keeps_its_turn_until_it_ends() {
        let turns = Arc::new(Semaphore::new(1));
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = sync_channel::<()>(1);
        let of_client = turns.clone();
        let mut clients = JoinSet::new();
        let client = clients.spawn(async move {
            let work = move || {
                let _ = begin.send(());
                ended.recv()
            };
            run(&of_client, work).await
        });
        begun.await.unwrap();
        client.abort();
        assert!(clients.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert_eq!(turns.available_permits(), 0);
        end.send(()).unwrap();
        assert_eq!(run(&turns, || 7).await.unwrap(), 7);
    }
}
