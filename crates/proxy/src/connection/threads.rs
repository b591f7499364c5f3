//! The threads that serve requests. Each worker has its own runtime and its own listeners.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt;
use thiserror::Error;
use tls::{AsyncListener, ListenerTls};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::Instant;

use crate::client::{AcceptedStream, ProxyFailures};
use crate::connection::http1;
use crate::connection::listener::{BACKLOG, BoundSocket, Listeners};
use crate::deadlines;
use crate::deadlines::pause::PausePhase;
use crate::deadlines::shutdown::{LAST_WORDS, ShutdownPhase, reached};
use crate::deadlines::task::spawn;
use crate::metrics::failure_log::FailureLog;
use crate::upstream::{lookups, pool};
use crate::worker::aggregation;
use crate::worker::{Shared, Worker, WorkerResources};

/// Pause after a failed `accept`, for example without free file descriptors: a persistent error must not cause a busy
/// loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Number of attempts, and the pause between them, to write the remaining records at the end. After the last attempt,
/// opened requests count as interrupted at the next start, and other records are lost.
const LAST_FLUSHES: u32 = 10;
const LAST_FLUSH_PAUSE: Duration = Duration::from_millis(100);
/// Maximum number of unsent bytes that the kernel buffers for a client. It bounds memory, and a slow client's progress
/// is visible in steps of this size.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// Interval at which a worker tries again to write its counts before another process gets the store.
const FLUSH_AGAIN: Duration = Duration::from_millis(10);
/// Maximum time for which a worker without requests uses a replaced snapshot.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// Pause between a panic of a housekeeping task and its next run.
const KEEP_UP_PAUSE: Duration = Duration::from_secs(1);
/// Maximum number of threads per worker that parse large bodies and resolve names. Look-ups of names use at most half
/// of them, because a look-up may last long.
const BLOCKING_THREADS_MAX: usize = 2 * lookups::RUNNING_MAX;
/// Time after which an unused blocking thread ends.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The threads of the running workers.
#[derive(Debug)]
pub struct Workers(Vec<JoinHandle<()>>);

/// The reason why the workers cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The operating system did not create a thread.
    #[error("cannot start a worker thread: {0}")]
    Thread(#[source] io::Error),
    /// The number of lanes (the resources of one worker each) differs from the number of listeners.
    #[error("{listeners} workers have listeners, {lanes} have a spool partition")]
    Lanes {
        /// The number of workers with listeners.
        listeners: usize,
        /// The number of workers with a lane.
        lanes: usize,
    },
}

/// Starts one thread per lane.
///
/// # Errors
/// [`StartError`] if a thread cannot be created, or the numbers of lanes and listeners differ.
pub fn start(shared: &Arc<Shared>, listeners: Listeners, lanes: Vec<WorkerResources>) -> Result<Workers, StartError> {
    let sockets = listeners.by_worker;
    if sockets.len() != lanes.len() {
        return Err(StartError::Lanes { listeners: sockets.len(), lanes: lanes.len() });
    }
    let accept_failures = Arc::new(FailureLog::default());
    let mut threads = Vec::new();
    for (number, (sockets, lane)) in sockets.into_iter().zip(lanes).enumerate() {
        let sockets = Sockets { all: sockets, accept_failures: accept_failures.clone() };
        let shared = shared.clone();
        let lane = Lane { number, resources: lane };
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || run(shared, sockets, lane))
            .map_err(StartError::Thread)?;
        threads.push(thread);
    }
    Ok(Workers(threads))
}

impl Workers {
    /// Blocks the calling thread until every worker has ended. Returns the number of workers that panicked.
    #[must_use]
    pub fn join(self) -> usize {
        self.0.into_iter().map(JoinHandle::join).filter(Result::is_err).count()
    }
}

/// The sockets on which a worker listens.
struct Sockets {
    all: Vec<BoundSocket>,
    accept_failures: Arc<FailureLog>,
}

/// The number and the resources of a worker.
struct Lane {
    number: usize,
    resources: WorkerResources,
}

fn run(shared: Arc<Shared>, sockets: Sockets, lane: Lane) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => {
            let worker = runtime.block_on(work(shared, sockets, lane));
            // A name lookup that hangs must not delay the shutdown. Requests that are still in flight settle when they
            // are dropped.
            runtime.shutdown_background();
            last_flush(&worker);
        }
        Err(error) => tracing::error!(%error, "worker has no runtime"),
    }
}

/// Accepts connections until the shutdown closes the listeners, then lets requests in flight end. Returns the worker's
/// state.
async fn work(shared: Arc<Shared>, sockets: Sockets, lane: Lane) -> Rc<Worker> {
    let worker = Rc::new(Worker::new(shared, lane.resources, lane.number));
    drop(spawn(keep_up(worker.clone(), async |worker| {
        aggregation::flush_forever(&worker.aggregation, &worker.recorder).await;
    })));
    drop(spawn(keep_up(worker.clone(), async |worker| {
        pool::sweep_forever(&worker.pools, worker.shared.backends.connection_wanted()).await;
    })));
    drop(spawn(keep_up(worker.clone(), async |worker| {
        deadlines::look_forever(&worker.deadlines, &worker.shared.live, &worker.shared.shutdown).await;
    })));
    drop(spawn(keep_up(worker.clone(), async |worker| follow_pauses(&worker).await)));
    drop(spawn(keep_up(worker.clone(), async |worker| follow_snapshots(&worker).await)));
    let mut accepting = Vec::new();
    for BoundSocket { position, socket, tls, proxy_protocol } in sockets.all {
        match AsyncListener::from_bound(socket) {
            Ok(listener) => {
                let proxied = proxy_protocol.then(Rc::default);
                let opener = Opener { worker: worker.clone(), position, tls, proxied };
                accepting.push(spawn(accept(opener, listener, sockets.accept_failures.clone())));
            }
            Err(error) => tracing::error!(%error, "listener is not usable"),
        }
    }
    let shutdown = &worker.shared.shutdown;
    reached(shutdown.follow(), ShutdownPhase::Leaving).await;
    for task in accepting {
        // The task ends by itself at `Leaving`; only a panic makes this an error.
        let _ = task.await;
    }
    let ending = reached(shutdown.follow(), ShutdownPhase::Ending);
    tokio::select! { () = ending => last_words(&worker).await, () = idle(&worker) => () }
    // Requests whose clients did not read the last event in time settle here.
    worker.deadlines.cut();
    last_words(&worker).await;
    worker
}

/// Writes the counts and events that are not in the spool yet.
#[expect(clippy::disallowed_methods, reason = "the worker's runtime is gone: there is nobody to be kept waiting")]
fn last_flush(worker: &Worker) {
    for _ in 0..LAST_FLUSHES {
        if worker.aggregation.flush(&worker.recorder) {
            return;
        }
        std::thread::sleep(LAST_FLUSH_PAUSE);
    }
    tracing::error!(
        "the spool accepted no records before the worker ended: requests with an open record count as interrupted, the \
         counts of others are lost"
    );
}

/// Runs an endless task. A panic in it is logged and counted, and the task starts again after a pause.
async fn keep_up(worker: Rc<Worker>, task: impl AsyncFn(Rc<Worker>)) {
    loop {
        if AssertUnwindSafe(task(worker.clone())).catch_unwind().await.is_err() {
            worker.handles.panicked();
            tracing::error!("a worker's housekeeping panicked; it starts again");
            tokio::time::sleep(KEEP_UP_PAUSE).await;
        }
    }
}

/// Passes the phases of pauses to the connections, and writes the counts of this worker during one.
async fn follow_pauses(worker: &Worker) {
    let pause = worker.shared.shutdown.pause();
    let mut phases = pause.follow();
    loop {
        let phase = *phases.borrow_and_update();
        worker.deadlines.pause(phase);
        if phase >= PausePhase::Shut {
            while !worker.aggregation.flush_all(&worker.recorder) && !phases.has_changed().unwrap_or(true) {
                tokio::time::sleep(FLUSH_AGAIN).await;
            }
            if phase == PausePhase::Flushing && !phases.has_changed().unwrap_or(true) {
                pause.note_flushed();
            }
        }
        if phases.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Takes the current snapshot also without a request: a replaced one can have many routes, whose memory is free once no worker
/// uses it.
async fn follow_snapshots(worker: &Worker) {
    loop {
        tokio::time::sleep(FOLLOW_EVERY).await;
        drop(worker.snapshot());
    }
}

/// Waits until this worker has no open connection.
async fn idle(worker: &Worker) {
    while worker.deadlines.open() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits up to [`LAST_WORDS`] until this worker has no open connection.
async fn last_words(worker: &Worker) {
    // An error means that some clients did not read their last event in time; their connections are ended.
    let _ = tokio::time::timeout(LAST_WORDS, idle(worker)).await;
}

async fn accept(opener: Opener, listener: AsyncListener, accept_failures: Arc<FailureLog>) {
    let mut closing = std::pin::pin!(reached(opener.worker.shared.shutdown.follow(), ShutdownPhase::Leaving));
    let pause = opener.worker.shared.shutdown.pause();
    let mut closed = std::pin::pin!(pause.until(is_closed));
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut closing => break,
            () = &mut closed => {
                tokio::select! {
                    () = pause.until(|phase| !is_closed(phase)) => closed.set(pause.until(is_closed)),
                    // The other process accepts what waits in the kernel.
                    () = &mut closing => return,
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => opener.open(stream, peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if let Some(failures) = accept_failures.count_failure(Instant::now()) {
                    tracing::error!(%error, failures, "cannot accept connections: clients wait");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Closing the listener would reset connections that the kernel has already completed. At most as many as its
    // backlog holds are accepted, because clients that keep connecting must not delay the shutdown.
    if let Ok(listener) = listener.into_bound() {
        for _ in 0..BACKLOG {
            match listener.accept() {
                Ok((stream, peer)) => opener.open(stream, peer),
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => break,
            }
        }
    }
}

fn is_closed(phase: PausePhase) -> bool {
    phase >= PausePhase::Closed
}

/// Starts the tasks of a listener's connections.
struct Opener {
    worker: Rc<Worker>,
    /// The position of the listener in the configuration.
    position: usize,
    tls: Option<Arc<ListenerTls>>,
    proxied: Option<Rc<ProxyFailures>>,
}

impl Opener {
    fn open(&self, stream: TcpStream, peer: SocketAddr) {
        // Both calls fail only on a connection that has already ended, which serving it detects, and on Unix sockets.
        let _ = stream.set_nodelay(true);
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
        let tls = self.tls.as_ref().map(|tls| tls.named_config());
        let accepted = AcceptedStream { stream, listener: self.position, tls, proxied: self.proxied.clone() };
        drop(spawn(http1::serve(self.worker.clone(), accepted, peer)));
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
