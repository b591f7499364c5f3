//! Password hashing on a few separate threads. Each hash takes 19 MiB of memory (one of `auth` up to 64 MiB) and one core
//! while it runs.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use access::Refusal;
use access::credentials::basic::PasswordCheck;
use telemetry::Metrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::message::problem::Problem;

/// The maximum number of jobs that wait for a thread.
const QUEUE_MAX: usize = 64;

/// A job for the threads.
type Job = Box<dyn FnOnce() + Send>;

/// The niceness of the threads (nice(2)), so that other work goes first. A slower check is not noticeable, but slower
/// requests are.
const NICENESS: i32 = 10;

/// The pool that hashes passwords. Its threads end when its last clone is dropped.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// Permits for running and waiting jobs.
    seats: Arc<Semaphore>,
    /// Permits for those of clients that nothing proves to be known.
    of_strangers: Arc<Semaphore>,
    /// Permits for running jobs.
    running: Arc<Semaphore>,
    /// The number of threads.
    at_once: usize,
    jobs: SyncSender<Job>,
    metrics: Arc<Metrics>,
}

impl Passwords {
    /// Creates a pool that uses at most half of the cores, so that many concurrent sign-ins leave cores for other
    /// work.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::at_once((cores / 2).max(1), metrics)
    }

    fn at_once(at_once: usize, metrics: Arc<Metrics>) -> Self {
        let seats = at_once.saturating_add(QUEUE_MAX);
        let of_strangers = Arc::new(Semaphore::new(seats / 2));
        let seats = Arc::new(Semaphore::new(seats));
        let (jobs, queue) = sync_channel(at_once);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..at_once {
            let queue = queue.clone();
            if let Err(error) = std::thread::Builder::new().name("passwords".to_owned()).spawn(move || run_jobs(&queue))
            {
                tracing::error!(%error, "cannot start a password-hashing thread; sign-ins are slower, or fail");
            }
        }
        Self { seats, of_strangers, running: Arc::new(Semaphore::new(at_once)), at_once, jobs, metrics }
    }

    /// Verifies the passwords of the proxy's clients until `cancel` is done or all senders are gone. At most as many as
    /// the pool has threads are taken from the queue, so that sign-ins wait for few of them.
    pub async fn serve(self, mut checks: mpsc::Receiver<PasswordCheck>, cancel: impl Future<Output = ()>) {
        let mut running = JoinSet::new();
        tokio::pin!(cancel);
        loop {
            tokio::select! {
                check = checks.recv(), if running.len() < self.at_once => match check {
                    Some(check) => drop(running.spawn(verify(self.clone(), check))),
                    None => break,
                },
                Some(_) = running.join_next() => {}
                () = &mut cancel => break,
            }
        }
    }

    /// Takes a permit to run or wait. Handlers take it before any other work, so that refused sign-ins are cheap.
    ///
    /// # Errors
    /// `overloaded` if no permit is available.
    pub(crate) fn seat(&self) -> Result<HashPermit<'_>, Problem> {
        let permit = self.seats.clone().try_acquire_owned().map_err(|_| self.refused())?;
        Ok(HashPermit { passwords: self, permit, of_stranger: None })
    }

    /// Takes a permit as [`seat`](Self::seat) does, for a client that nothing proves to be known. These clients have at most half
    /// of the permits, so that many of them do not keep known browsers from signing in.
    ///
    /// # Errors
    /// `overloaded` if no permit is available.
    pub(crate) fn seat_of_stranger(&self) -> Result<HashPermit<'_>, Problem> {
        let of_stranger = self.of_strangers.clone().try_acquire_owned().map_err(|_| self.refused())?;
        Ok(HashPermit { of_stranger: Some(of_stranger), ..self.seat()? })
    }

    fn refused(&self) -> Problem {
        self.metrics.control.passwords_refused.inc();
        Problem::new(Refusal::Overloaded, "too many passwords are being checked; try again soon")
    }
}

/// A permit to run or wait for a thread; dropping it returns the permit.
#[derive(Debug)]
pub(crate) struct HashPermit<'a> {
    passwords: &'a Passwords,
    permit: OwnedSemaphorePermit,
    of_stranger: Option<OwnedSemaphorePermit>,
}

impl HashPermit<'_> {
    /// Runs `work` (one hash or one check) on a thread as soon as one is free. May be cancelled at any point: a
    /// waiting job leaves the queue; a running job continues, still holds its permits, and its result is discarded.
    ///
    /// # Errors
    /// `internal` if `work` panics.
    pub(crate) async fn work<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let Self { passwords, permit, of_stranger } = self;
        // The semaphore is never closed.
        let turn = passwords.running.clone().acquire_owned().await.map_err(|_| Problem::internal())?;
        let counter = passwords.metrics.control.passwords_hashed.clone();
        let (reply, answer) = oneshot::channel();
        let job = move || {
            // The panic hook has logged the location. The missing reply reports the panic.
            let done = catch_unwind(AssertUnwindSafe(work)).ok();
            counter.inc();
            drop((permit, of_stranger, turn));
            // The receiver may have been dropped.
            let _ = done.map(|done| reply.send(done));
        };
        // The queue has room for every job that holds a running permit.
        passwords.jobs.try_send(Box::new(job)).map_err(|_| Problem::internal())?;
        answer.await.map_err(|_| Problem::internal())
    }
}

/// Verifies one password, unless its client no longer waits. If the pool is full, the result is unknown.
async fn verify(passwords: Passwords, check: PasswordCheck) {
    let PasswordCheck { hash, presented, mut reply } = check;
    let work = async {
        let Ok(seat) = passwords.seat() else { return None };
        seat.work(move || hash.verifies(&presented)).await.ok()
    };
    let verified = tokio::select! {
        biased;
        () = reply.closed() => None,
        verified = work => verified,
    };
    if let Some(is_right) = verified {
        // An error means that the request no longer waits.
        let _ = reply.send(is_right);
    }
}

/// Runs the jobs of one thread.
fn run_jobs(queue: &Mutex<Receiver<Job>>) {
    // If the system refuses, the thread keeps its normal priority.
    let _ = rustix::process::nice(NICENESS);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(job) = next() {
        job();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use axum::response::IntoResponse;
    use tokio::task::yield_now;

    use super::*;

    async fn until(what: impl Fn() -> bool) {
        let patience = tokio::time::timeout(Duration::from_secs(20), async {
            while !what() {
                yield_now().await;
            }
        });
        patience.await.unwrap();
    }

    #[tokio::test]
    async fn so_many_run_so_many_wait_and_the_next_is_refused() {
        let metrics = Metrics::new();
        let passwords = Arc::new(Passwords::at_once(2, metrics.clone()));
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for _ in 0..2 + QUEUE_MAX {
            let passwords = passwords.clone();
            let running = running.clone();
            let most = most.clone();
            let open = open.clone();
            callers.spawn(async move {
                let work = passwords.seat().unwrap().work(move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    while !open.load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                });
                work.await.unwrap();
            });
        }
        until(|| passwords.seats.available_permits() == 0 && running.load(Ordering::SeqCst) == 2).await;
        let refused = passwords.seat().unwrap_err().into_response();
        assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
        assert_eq!(metrics.control.passwords_refused.get(), 1);

        open.store(true, Ordering::SeqCst);
        while let Some(done) = callers.join_next().await {
            done.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert_eq!(metrics.control.passwords_hashed.get(), 66);
        assert_eq!(passwords.seats.available_permits(), 2 + QUEUE_MAX);
    }

    #[tokio::test]
    async fn strangers_have_half_of_the_seats() {
        let passwords = Passwords::at_once(2, Metrics::new());
        let strangers: Vec<_> = std::iter::from_fn(|| passwords.seat_of_stranger().ok()).collect();
        let known: Vec<_> = std::iter::from_fn(|| passwords.seat().ok()).collect();
        assert_eq!((strangers.len(), known.len()), (33, 33));
        drop(strangers);
        passwords.seat_of_stranger().unwrap().work(|| ()).await.unwrap();
        until(|| passwords.of_strangers.available_permits() == 33).await;
    }

    #[tokio::test]
    async fn a_cancelled_call_leaves_the_queue_and_running_work_keeps_its_core() {
        let passwords = Arc::new(Passwords::at_once(1, Metrics::new()));
        let (go, gone) = sync_channel(1);
        let inner = passwords.clone();
        let mut callers = JoinSet::new();
        let first = callers.spawn(async move { inner.seat()?.work(move || gone.recv()).await.map(|_| ()) });
        until(|| passwords.running.available_permits() == 0).await;
        let inner = passwords.clone();
        let second = callers.spawn(async move { inner.seat()?.work(|| ()).await });
        until(|| passwords.seats.available_permits() == QUEUE_MAX - 1).await;

        second.abort();
        until(|| passwords.seats.available_permits() == QUEUE_MAX).await;
        first.abort();
        while callers.join_next().await.is_some() {}
        assert_eq!(passwords.running.available_permits(), 0, "the running job continues");
        go.send(()).unwrap();
        until(|| passwords.running.available_permits() == 1).await;
        assert_eq!(passwords.seats.available_permits(), 1 + QUEUE_MAX);
        passwords.seat().unwrap().work(|| ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_gives_its_place_back() {
        let passwords = Passwords::at_once(1, Metrics::new());
        let refused = passwords.seat().unwrap().work(|| -> () { panic!("no") }).await.unwrap_err();
        assert_eq!(refused.into_response().status().as_u16(), 500);
        assert_eq!((passwords.running.available_permits(), passwords.seats.available_permits()), (1, 1 + QUEUE_MAX));
    }
}
