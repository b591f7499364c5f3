//! The threads on which requests happen: each a runtime of its own with its own listeners, pools and caches.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use access::{Clock, Directory, Ids};
use bytes::Bytes;
use config::{Live, Snapshot};
use futures_util::FutureExt;
use meter::Meter;
use meter::lease::LeaseQueue;
use telemetry::Metrics;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::Instant;

use crate::aggregation::{self, Aggregation};
use crate::budget::LimitsCache;
use crate::buffers::Buffers;
use crate::capacity::Capacity;
use crate::connection;
use crate::date::DateCache;
use crate::deadlines::{self, WorkerDeadlines};
use crate::listener::{AcceptFailureLog, BACKLOG, Listeners};
use crate::settle::{Handles, Refusals, RequestHandles};
use crate::shutdown::{LAST_WORDS, Phase, Shutdown, reached};
use crate::unauthenticated::UnauthenticatedClients;
use crate::upstream::destination::Destinations;
use crate::upstream::pool::{self, Pools};

/// After `accept` failed (out of descriptors, say) a worker waits so long: an error that stays must not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What the spool does not take at the end is tried so often, and so far apart; then the next start finds it interrupted.
const LAST_FLUSHES: u32 = 10;
const LAST_FLUSH_PAUSE: Duration = Duration::from_millis(100);
/// What the kernel takes ahead of a caller that reads slowly: progress is seen in steps of this, and it bounds memory.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// Between a panic of the housekeeping and its next run.
const KEEP_UP_PAUSE: Duration = Duration::from_secs(1);
/// Threads a worker may use for bodies too large to be read on it, and for names to be resolved.
const BLOCKING_THREADS_MAX: usize = 16;
/// Unused blocking threads end after this long.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The configuration in force.
    pub live: Arc<Live>,
    /// Limits and quotas.
    pub meter: Arc<Meter>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Time.
    pub clock: Clock,
    /// Bounds over all workers.
    pub capacity: Arc<Capacity>,
    /// How upstreams are verified.
    pub tls: Arc<rustls::ClientConfig>,
    /// How far a shutdown has come.
    pub shutdown: Shutdown,
    /// Callers without a valid key.
    pub unauthenticated: UnauthenticatedClients,
    /// Who lends what other nodes share; `None` where this one has all of it.
    pub leases: Option<LeaseQueue>,
}

/// What one worker has to itself.
#[derive(Debug)]
pub struct WorkerResources {
    /// Its view of the keys.
    pub directory: Directory,
    /// Its file of usage events.
    pub spool: spool::Writer,
}

/// A worker's state; it never leaves its thread.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) directory: Directory,
    pub(crate) spool: RefCell<spool::Writer>,
    pub(crate) ids: RefCell<Ids>,
    pub(crate) pools: Pools,
    pub(crate) buffers: Buffers,
    date: DateCache,
    pub(crate) deadlines: WorkerDeadlines,
    pub(crate) aggregation: Aggregation,
    pub(crate) handles: Handles,
    pub(crate) limits: LimitsCache,
    pub(crate) refusals: Refusals,
    snapshot: RefCell<Rc<Pinned>>,
}

/// A snapshot as one worker uses it. Requests count their references on this thread: a count that all workers share would
/// slow them down.
pub(crate) struct Pinned {
    snapshot: Arc<Snapshot>,
    pub(crate) destinations: Destinations,
    pub(crate) requests: RequestHandles,
}

impl Pinned {
    fn new(snapshot: Arc<Snapshot>) -> Rc<Self> {
        Rc::new(Self { snapshot, destinations: Destinations::default(), requests: RequestHandles::default() })
    }
}

impl std::ops::Deref for Pinned {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Worker {
    /// The time as `Date` has it (RFC 9110, 6.6.1).
    pub(crate) fn date(&self) -> Bytes {
        self.date.at(self.shared.clock.now())
    }

    /// The snapshot in force.
    pub(crate) fn snapshot(&self) -> Rc<Pinned> {
        let now = self.shared.live.load();
        let mut pinned = self.snapshot.borrow_mut();
        if !Arc::ptr_eq(&now, &pinned.snapshot) {
            *pinned = Pinned::new(Arc::clone(&now));
        }
        pinned.clone()
    }
}

/// The running workers.
#[derive(Debug)]
pub struct Workers(Vec<JoinHandle<()>>);

/// The workers cannot be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The operating system gave no thread.
    #[error("cannot start a worker thread: {0}")]
    Thread(#[source] io::Error),
    /// There are more or fewer lanes than listeners.
    #[error("{listeners} workers have listeners, {lanes} have a spool partition")]
    Lanes {
        /// Workers with listeners.
        listeners: usize,
        /// Workers with a lane.
        lanes: usize,
    },
}

/// Starts a thread for each lane.
///
/// # Errors
/// [`StartError`] when a thread cannot be had, or lanes and listeners do not match.
pub fn start(shared: &Arc<Shared>, listeners: Listeners, lanes: Vec<WorkerResources>) -> Result<Workers, StartError> {
    let sockets = listeners.by_worker;
    if sockets.len() != lanes.len() {
        return Err(StartError::Lanes { listeners: sockets.len(), lanes: lanes.len() });
    }
    let accept_failures = Arc::new(AcceptFailureLog::default());
    let mut threads = Vec::new();
    for (number, (sockets, lane)) in sockets.into_iter().zip(lanes).enumerate() {
        let (shared, sockets) = (shared.clone(), Sockets { all: sockets, accept_failures: accept_failures.clone() });
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || run(shared, sockets, lane))
            .map_err(StartError::Thread)?;
        threads.push(thread);
    }
    Ok(Workers(threads))
}

/// One worker a core, at most eight unless more are asked for.
#[must_use]
pub fn workers_default() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(8)
}

impl Workers {
    /// Waits until every worker has ended; blocks the calling thread. Answers how many panicked.
    #[must_use]
    pub fn join(self) -> usize {
        self.0.into_iter().map(JoinHandle::join).filter(Result::is_err).count()
    }
}

/// What a worker listens on.
struct Sockets {
    all: Vec<std::net::TcpListener>,
    accept_failures: Arc<AcceptFailureLog>,
}

fn run(shared: Arc<Shared>, sockets: Sockets, lane: WorkerResources) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => {
            let worker = runtime.block_on(work(shared, sockets, lane));
            // A resolver that hangs must not hold the shutdown up. What is still in flight settles as it is dropped.
            runtime.shutdown_background();
            last_flush(&worker);
        }
        Err(error) => tracing::error!(%error, "worker has no runtime"),
    }
}

/// Accepts until the shutdown closes the listeners, then lets what is in flight end.
async fn work(shared: Arc<Shared>, sockets: Sockets, lane: WorkerResources) -> Rc<Worker> {
    let worker = Rc::new(Worker {
        ids: RefCell::new(Ids::new(shared.clock.clone())),
        handles: Handles::new(&shared.metrics),
        snapshot: RefCell::new(Pinned::new(shared.live.load_full())),
        shared,
        directory: lane.directory,
        spool: RefCell::new(lane.spool),
        pools: Pools::default(),
        buffers: Buffers::default(),
        date: DateCache::default(),
        deadlines: WorkerDeadlines::default(),
        aggregation: Aggregation::default(),
        limits: LimitsCache::default(),
        refusals: Refusals::default(),
    });
    drop(spawn(keep_up(worker.clone(), aggregation::flush_forever)));
    drop(spawn(keep_up(worker.clone(), pool::sweep_forever)));
    drop(spawn(keep_up(worker.clone(), deadlines::look_forever)));
    let mut accepting = Vec::new();
    for socket in sockets.all {
        match TcpListener::from_std(socket) {
            Ok(listener) => accepting.push(spawn(accept(worker.clone(), listener, sockets.accept_failures.clone()))),
            Err(error) => tracing::error!(%error, "listener is not usable"),
        }
    }
    let shutdown = &worker.shared.shutdown;
    reached(shutdown.follow(), Phase::Closing).await;
    for task in accepting {
        // The task ends by itself at `Closing`; only a panic makes this an error.
        let _ = task.await;
    }
    let ending = reached(shutdown.follow(), Phase::Ending);
    tokio::select! { () = ending => last_words(&worker).await, () = idle(&worker) => () }
    // Whoever did not take its last event in time settles here.
    worker.deadlines.cut();
    last_words(&worker).await;
    worker
}

/// Writes what is counted and not written yet.
#[expect(clippy::disallowed_methods, reason = "the worker's runtime is gone: there is nobody to be kept waiting")]
fn last_flush(worker: &Worker) {
    for _ in 0..LAST_FLUSHES {
        if worker.aggregation.flush(worker) {
            return;
        }
        std::thread::sleep(LAST_FLUSH_PAUSE);
    }
    tracing::error!(
        "the spool did not take all counts to the end: what it has open counts as interrupted, others are lost"
    );
}

/// Runs a loop that has no end; a panic in it is logged, and the loop begins anew.
async fn keep_up<F: Future<Output = ()>>(worker: Rc<Worker>, task: impl Fn(Rc<Worker>) -> F) {
    loop {
        if AssertUnwindSafe(task(worker.clone())).catch_unwind().await.is_err() {
            worker.handles.panicked();
            tracing::error!("a worker's housekeeping panicked; it starts again");
            tokio::time::sleep(KEEP_UP_PAUSE).await;
        }
    }
}

/// Waits until no connection of this worker is open.
async fn idle(worker: &Worker) {
    while worker.deadlines.open() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn last_words(worker: &Worker) {
    // An error says that some callers did not take their last event in time; they are cut.
    let _ = tokio::time::timeout(LAST_WORDS, idle(worker)).await;
}

async fn accept(worker: Rc<Worker>, listener: TcpListener, accept_failures: Arc<AcceptFailureLog>) {
    let mut closing = std::pin::pin!(reached(worker.shared.shutdown.follow(), Phase::Closing));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut closing => break,
        };
        match accepted {
            Ok((stream, peer)) => open(&worker, stream, peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if let Some(failures) = accept_failures.of(Instant::now()) {
                    tracing::error!(%error, failures, "cannot accept connections: callers wait");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Connections that the kernel has already completed would be reset when the listener closes. More than it holds have
    // come since: whoever goes on connecting must not hold the shutdown up.
    if let Ok(listener) = listener.into_std() {
        for _ in 0..BACKLOG {
            match listener.accept() {
                Ok((stream, peer)) => {
                    let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                    if let Ok(stream) = stream {
                        open(&worker, stream, peer);
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => break,
            }
        }
    }
}

fn open(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr) {
    // Both fail only for a connection that is already gone, which serving it will find.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
    drop(spawn(connection::serve(worker.clone(), stream, peer)));
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Starts a task on this worker's thread; it ends with the worker's runtime at the latest.
pub(crate) fn spawn<F>(task: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(task)
}
