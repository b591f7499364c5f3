//! Runs jobs at once, as far as the slots of the machine suffice.

use std::collections::VecDeque;
use std::path::Path;

use anyhow::Context;
use tokio::task::JoinSet;

use super::job::{Job, Outcome};

/// Runs all jobs and passes each result to `ended`. Each slot that becomes free gets the first job that fits, so that a job
/// of many slots waits for them while later ones run; what still waits at the end runs then. If the future is dropped,
/// running jobs are killed.
pub(super) async fn run(
    jobs: Vec<Job>,
    slots: usize,
    logs: &Path,
    ended: &mut impl FnMut(Job, Outcome) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut free, mut waiting) = (slots, VecDeque::from(jobs));
    let (mut running, mut number) = (JoinSet::new(), 0);
    loop {
        while let Some(at) = waiting.iter().position(|job| job.slots.min(slots) <= free) {
            let Some(job) = waiting.remove(at) else { break };
            number += 1;
            free -= job.slots.min(slots);
            let log = logs.join(format!("{number}.log"));
            running.spawn(async move {
                let outcome = job.run(&log).await;
                outcome.map(|outcome| (job, outcome))
            });
        }
        let Some(result) = running.join_next().await else { return Ok(()) };
        let (job, outcome) = result.context("a job panicked")??;
        free += job.slots.min(slots);
        ended(job, outcome)?;
    }
}
