//! Idle connections of one worker, by origin. The one used last is used first, so that the rest can age out.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use config::snapshot::Origin;
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::body::Upload;
use crate::worker::{Worker, spawn};

/// Idle connections to one origin, a worker.
const IDLE_MAX: usize = 256;
/// An idle connection is closed after so long; most servers keep theirs for 60 s or more.
const IDLE_FOR: Duration = Duration::from_secs(50);
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is looked at once more before it is used: the upstream may have closed it, and
/// the reactor may not have said so yet.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);
/// After an answer's end, a connection that is not ready within this is not kept.
const READY_WITHIN: Duration = Duration::from_millis(100);

/// An HTTP/1.1 connection to an origin, checked out for one exchange. Dropped, it is closed.
pub(crate) struct Link {
    pub(crate) sender: SendRequest<Upload>,
    task: AbortHandle,
    written: Rc<Cell<u64>>,
    pub(crate) reused: bool,
}

/// Says whether anything of a request was written.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    written: Rc<Cell<u64>>,
    before: u64,
}

impl Probe {
    pub(crate) fn anything_written(&self) -> bool {
        self.written.get() > self.before
    }
}

impl Link {
    pub(crate) fn new(sender: SendRequest<Upload>, task: AbortHandle, written: Rc<Cell<u64>>) -> Self {
        Self { sender, task, written, reused: false }
    }

    /// A probe of what is written from now on.
    pub(crate) fn probe(&self) -> Probe {
        Probe { written: self.written.clone(), before: self.written.get() }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Idle {
    link: Link,
    since: Instant,
}

/// A worker's idle connections.
#[derive(Default)]
pub(crate) struct Pools(RefCell<HashMap<Origin, VecDeque<Idle>>>);

impl Pools {
    /// An idle connection to `origin` that is still good.
    pub(crate) async fn take(&self, origin: &Origin) -> Option<Link> {
        let mut looked_again = false;
        loop {
            let Idle { mut link, since } = self.0.borrow_mut().get_mut(origin)?.pop_back()?;
            if !looked_again && since.elapsed() > LOOK_AGAIN_AFTER {
                looked_again = true;
                // The connection's task runs before this one is woken, if the socket has anything to say.
                tokio::task::yield_now().await;
            }
            if link.sender.is_ready() {
                link.reused = true;
                return Some(link);
            }
        }
    }

    /// Keeps a connection whose exchange is over on both sides; one that is not ready yet may become so shortly.
    pub(crate) fn give_back(worker: &Rc<Worker>, origin: &Origin, mut link: Link) {
        if link.sender.is_ready() {
            worker.pools.put(origin, link);
        } else if !link.sender.is_closed() {
            let (worker, origin) = (worker.clone(), origin.clone());
            drop(spawn(async move {
                if let Ok(Ok(())) = timeout(READY_WITHIN, link.sender.ready()).await {
                    worker.pools.put(&origin, link);
                }
            }));
        }
    }

    fn put(&self, origin: &Origin, link: Link) {
        let mut pools = self.0.borrow_mut();
        let idle = Idle { link, since: Instant::now() };
        match pools.get_mut(origin) {
            Some(pool) if pool.len() < IDLE_MAX => pool.push_back(idle),
            Some(_) => {}
            None => {
                pools.insert(origin.clone(), VecDeque::from([idle]));
            }
        }
    }

    fn sweep(&self) {
        self.0.borrow_mut().retain(|_, pool| {
            pool.retain(|idle| idle.since.elapsed() < IDLE_FOR && !idle.link.sender.is_closed());
            !pool.is_empty()
        });
    }
}

/// Closes what was idle for too long, until the worker ends.
pub(crate) async fn sweep_forever(worker: Rc<Worker>) {
    loop {
        sleep(SWEEP_EVERY).await;
        worker.pools.sweep();
    }
}
