//! Runs jobs at once, as far as the slots of the machine suffice.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::job::{Job, Outcome};

/// Runs all jobs in their order and passes each result to `ended`. If the future is dropped, running jobs are killed.
pub(super) async fn run(
    jobs: Vec<Job>,
    slots: usize,
    logs: &Path,
    ended: &mut impl FnMut(Job, Outcome) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let free = Arc::new(Semaphore::new(slots));
    let mut running = JoinSet::new();
    for (number, job) in jobs.into_iter().enumerate() {
        let share = u32::try_from(job.slots.min(slots))?;
        let permit = Arc::clone(&free).acquire_many_owned(share).await?;
        let log = logs.join(format!("{number}.log"));
        running.spawn(async move {
            let outcome = job.run(&log).await;
            drop(permit);
            outcome.map(|outcome| (job, outcome))
        });
        while let Some(result) = running.try_join_next() {
            let (job, outcome) = result.context("a job panicked")??;
            ended(job, outcome)?;
        }
    }
    while let Some(result) = running.join_next().await {
        let (job, outcome) = result.context("a job panicked")??;
        ended(job, outcome)?;
    }
    Ok(())
}
