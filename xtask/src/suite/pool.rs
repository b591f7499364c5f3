//! Runs jobs at once, as far as the slots of the machine suffice.

use std::collections::VecDeque;

use anyhow::Context;
use tokio::task::JoinSet;

use super::job::{Job, Outcome, Places};

/// Runs all jobs and passes each result to `ended`. If the future is dropped, running jobs are killed.
pub(super) async fn run(
    jobs: Vec<Job>,
    slots: usize,
    places: Places<'_>,
    ended: &mut impl FnMut(Job, Outcome) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut queue = Queue { waiting: VecDeque::from(jobs), free: slots, slots, executables: 0 };
    let mut running = JoinSet::new();
    let mut number = 0;
    loop {
        while let Some(job) = queue.start() {
            number += 1;
            let log = places.logs.join(format!("{number}.log"));
            let migrated = places.migrated.to_owned();
            running.spawn(async move {
                let outcome = job.run(&log, &migrated).await;
                outcome.map(|outcome| (job, outcome))
            });
        }
        let Some(result) = running.join_next().await else { return Ok(()) };
        let (job, outcome) = result.context("a job panicked")??;
        queue.end(&job);
        ended(job, outcome)?;
    }
}

/// The jobs that wait for slots, in the order in which they start if enough slots are free.
///
/// Free slots get the first job that fits. So a test of many slots waits for them while later jobs run, at the latest until
/// no later job waits: no slot is kept free for it, and no job waits forever.
///
/// Whole executables compute, and tests of the binary mostly wait. Therefore one executable runs beside single tests as long
/// as both are left, and slots are kept free for it alone: a run of only one kind would leave the processor idle, or would
/// overload it.
#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Job>,
    free: usize,
    slots: usize,
    /// The running jobs of whole executables.
    executables: usize,
}

impl Queue {
    /// Takes the first job that fits into the free slots; a second executable only if no single test fits.
    fn start(&mut self) -> Option<Job> {
        let fits = |job: &Job| self.width(job) <= self.room(job);
        let is_next = |job: &Job| fits(job) && (self.executables == 0 || !is_executable(job));
        let at = self.waiting.iter().position(is_next).or_else(|| self.waiting.iter().position(fits))?;
        let job = self.waiting.remove(at)?;
        self.free -= self.width(&job);
        self.executables += usize::from(is_executable(&job));
        Some(job)
    }

    /// Frees the slots of a job that ended.
    fn end(&mut self, job: &Job) {
        self.free += self.width(job);
        self.executables -= usize::from(is_executable(job));
    }

    /// The free slots for a job. While no executable runs, single tests leave enough for the first one that waits.
    fn room(&self, job: &Job) -> usize {
        let kept = match is_executable(job) || self.executables > 0 {
            true => None,
            false => self.waiting.iter().find(|waiting| is_executable(waiting)).map(|first| self.width(first)),
        };
        self.free.saturating_sub(kept.unwrap_or(0))
    }

    /// The slots that a job occupies: a job of more than all slots runs alone.
    fn width(&self, job: &Job) -> usize {
        job.slots.min(self.slots)
    }
}

fn is_executable(job: &Job) -> bool {
    job.test().is_none()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::suite::binary::Binary;
    use crate::suite::job::{Database, Selection};

    fn queue(slots: usize, jobs: &[(&str, usize)]) -> Queue {
        let binary = Binary { name: "e2e/e2e".into(), path: PathBuf::new(), folder: PathBuf::new() };
        let job = |(name, slots): &(&str, usize)| Job {
            binary: binary.clone(),
            selection: Selection::One((*name).to_owned()),
            database: Database::Sqlite,
            slots: *slots,
        };
        Queue { waiting: jobs.iter().map(job).collect(), free: slots, slots, executables: 0 }
    }

    /// Starts all jobs that fit.
    fn started(queue: &mut Queue) -> Vec<Job> {
        std::iter::from_fn(|| queue.start()).collect()
    }

    fn names(jobs: &[Job]) -> Vec<&str> {
        jobs.iter().map(|job| job.test().unwrap_or("executable")).collect()
    }

    #[test]
    fn one_executable_runs_beside_single_tests_and_more_run_when_none_is_left() {
        let mut queue = queue(6, &[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 1)]);
        let executable = Job { selection: Selection::All, slots: 2, ..queue.waiting[0].clone() };
        (0..3).for_each(|at| queue.waiting.insert(at + 1, executable.clone()));
        let mut running = started(&mut queue);
        assert_eq!(names(&running), ["a", "executable", "b", "c", "d"]);
        queue.end(&running.remove(1));
        assert_eq!(names(&started(&mut queue)), ["executable"], "single tests leave room for it");
        queue.end(&running.remove(0));
        queue.end(&running.remove(0));
        let last = started(&mut queue);
        assert_eq!(names(&last), ["e", "f"]);
        queue.end(&running.remove(0));
        queue.end(&last[0]);
        assert_eq!(names(&started(&mut queue)), ["executable"], "no single test is left");
    }

    #[test]
    fn single_tests_take_all_slots_if_no_executable_waits() {
        let mut queue = queue(3, &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
        assert_eq!(names(&started(&mut queue)), ["a", "b", "c"]);
    }

    #[test]
    fn jobs_start_in_their_order_and_a_later_one_that_fits_passes_one_that_does_not() {
        let mut queue = queue(4, &[("a", 1), ("b", 2), ("wide", 3), ("c", 1), ("d", 1)]);
        let running = started(&mut queue);
        assert_eq!(names(&running), ["a", "b", "c"]);
        queue.end(&running[0]);
        let later = started(&mut queue);
        assert_eq!(names(&later), ["d"]);
        queue.end(&running[1]);
        assert!(started(&mut queue).is_empty(), "two slots are free, and the job needs three");
        queue.end(&later[0]);
        assert_eq!(names(&started(&mut queue)), ["wide"]);
        assert_eq!((queue.free, queue.waiting.len()), (0, 0));
    }

    #[test]
    fn wide_jobs_at_the_front_follow_each_other_beside_an_executable_and_narrow_ones() {
        let mut queue = queue(6, &[("wide", 3), ("wider", 3), ("a", 1), ("b", 1), ("c", 1)]);
        let executable = Job { selection: Selection::All, slots: 2, ..queue.waiting[0].clone() };
        queue.waiting.insert(2, executable);
        let running = started(&mut queue);
        assert_eq!(names(&running), ["wide", "executable", "a"]);
        queue.end(&running[2]);
        assert_eq!(names(&started(&mut queue)), ["b"]);
        queue.end(&running[0]);
        assert_eq!(names(&started(&mut queue)), ["wider"]);
    }

    #[test]
    fn a_wide_job_that_fits_starts_before_narrow_ones_behind_it() {
        let mut queue = queue(4, &[("long", 1), ("wide", 3), ("narrow", 1)]);
        let running = started(&mut queue);
        assert_eq!(names(&running), ["long", "wide"]);
        queue.end(&running[0]);
        assert_eq!(names(&started(&mut queue)), ["narrow"]);
    }

    #[test]
    fn no_slot_stays_free_for_a_job_that_fits_and_no_job_waits_forever() {
        for slots in 1..=5 {
            let widths = [1, 4, 2, 9, 1, 1, 3, 2, 1, 4, 1, 1, 2, 0];
            let mut queue = queue(slots, &widths.map(|width| ("job", width)));
            let mut running = VecDeque::new();
            let mut ended = 0;
            loop {
                running.extend(started(&mut queue));
                let used: usize = running.iter().map(|job| queue.width(job)).sum();
                assert_eq!(used + queue.free, slots);
                assert!(queue.waiting.iter().all(|job| queue.width(job) > queue.free), "{queue:?}");
                // Alternately the oldest and the newest job ends.
                let next = if ended % 2 == 0 { running.pop_front() } else { running.pop_back() };
                let Some(job) = next else { break };
                queue.end(&job);
                ended += 1;
            }
            assert_eq!(ended, widths.len(), "with {slots} slots");
        }
    }
}
