//! Work on large bodies, such as inflating, parsing or translating them: one body of each user or other subject at a time,
//! and in all as many as half of the cores. The clients of one address have at most half of these, and at least one.
//!
//! The work takes processor time, up to a second a body, and memory. A user that sends many large bodies waits for its own.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use access::Subject;
use access::network::address::network;
use rustc_hash::FxHashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::share::Holder;

/// The permits of all users.
#[derive(Debug)]
pub(super) struct BodyWorks {
    all: Arc<Semaphore>,
    /// The number of permits of one address.
    per_address: usize,
    queues: Mutex<WorkQueues>,
}

/// The permits of each user and of each address with bodies that are worked on or wait.
#[derive(Debug, Default)]
struct WorkQueues {
    users: FxHashMap<Holder, WorkQueue>,
    addresses: FxHashMap<IpAddr, WorkQueue>,
}

/// The permits of a user or an address, and the number of its bodies.
#[derive(Debug)]
struct WorkQueue {
    permits: Arc<Semaphore>,
    bodies: u32,
}

/// The permit to work on one body. Dropping it lets the next one begin.
#[derive(Debug)]
pub(crate) struct BodyWorkPermit {
    _of_all: OwnedSemaphorePermit,
    _of_address: OwnedSemaphorePermit,
    _of_user: OwnedSemaphorePermit,
    _queued: QueuedWork,
}

/// A body that is worked on or waits.
#[derive(Debug)]
struct QueuedWork {
    works: Arc<BodyWorks>,
    user: Holder,
    address: IpAddr,
}

impl BodyWorks {
    pub(super) fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::at_once((cores / 2).max(1))
    }

    fn at_once(at_once: usize) -> Arc<Self> {
        let per_address = (at_once / 2).max(1);
        Arc::new(Self { all: Arc::new(Semaphore::new(at_once)), per_address, queues: Mutex::default() })
    }

    /// Waits until the subject may work on a body. `None` is never returned: the semaphores are not closed. The future
    /// may be cancelled at any point.
    pub(super) async fn permit(self: &Arc<Self>, subject: &Subject, address: IpAddr) -> Option<BodyWorkPermit> {
        let queued = QueuedWork { works: self.clone(), user: Holder::group_of(subject), address: network(address) };
        let permits_of_user;
        let permits_of_address;
        {
            let mut queues = self.queues();
            permits_of_user = enter(&mut queues.users, queued.user.clone(), 1);
            permits_of_address = enter(&mut queues.addresses, queued.address, self.per_address);
        }
        let of_user = permits_of_user.acquire_owned().await.ok()?;
        let of_address = permits_of_address.acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(BodyWorkPermit { _of_all: of_all, _of_address: of_address, _of_user: of_user, _queued: queued })
    }

    fn queues(&self) -> MutexGuard<'_, WorkQueues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a body in the queue of its user or address, and returns the permits of the queue.
fn enter<K: Eq + Hash>(queues: &mut FxHashMap<K, WorkQueue>, key: K, at_once: usize) -> Arc<Semaphore> {
    let new = || WorkQueue { permits: Arc::new(Semaphore::new(at_once)), bodies: 0 };
    let queue = queues.entry(key).or_insert_with(new);
    queue.bodies += 1;
    queue.permits.clone()
}

/// Removes a body from the queue of its user or address.
fn leave<K: Eq + Hash>(queues: &mut FxHashMap<K, WorkQueue>, key: &K) {
    let Some(queue) = queues.get_mut(key) else { return };
    queue.bodies = queue.bodies.saturating_sub(1);
    if queue.bodies == 0 {
        queues.remove(key);
    }
}

impl Drop for QueuedWork {
    fn drop(&mut self) {
        let mut queues = self.works.queues();
        leave(&mut queues.users, &self.user);
        leave(&mut queues.addresses, &self.address);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use access::{Caller, KeyNo, PlanId, UserNo};

    use super::*;

    fn subject(user: i64, key: i64) -> Subject {
        Subject::Key(Caller { user: UserNo(user), key: KeyNo(key), plan: PlanId::NIL })
    }

    /// Returns an address of another network for each `last`.
    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    fn now(waiting: impl Future<Output = Option<BodyWorkPermit>>) -> Option<BodyWorkPermit> {
        match pin!(waiting).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => permit,
            Poll::Pending => None,
        }
    }

    fn is_empty(works: &BodyWorks) -> bool {
        let queues = works.queues();
        queues.users.is_empty() && queues.addresses.is_empty()
    }

    #[test]
    fn one_body_of_each_user_is_worked_on_at_a_time_and_few_in_all() {
        let works = BodyWorks::at_once(2);
        let [one, two, three] = [subject(1, 1), subject(2, 2), subject(3, 3)];
        let first = now(works.permit(&one, address(1))).unwrap();
        let other_key = subject(1, 9);
        assert!(now(works.permit(&one, address(9))).is_none() && now(works.permit(&other_key, address(9))).is_none());
        let second = now(works.permit(&two, address(2))).unwrap();
        assert!(now(works.permit(&three, address(3))).is_none(), "two are worked on");
        drop(first);
        let third = now(works.permit(&three, address(3))).unwrap();
        drop((second, third));
        assert!(is_empty(&works));
        assert!(now(works.permit(&one, address(1))).is_some());
    }

    #[test]
    fn users_of_one_address_leave_half_of_the_work_to_others() {
        let works = BodyWorks::at_once(4);
        let busy = [1, 2].map(|user| now(works.permit(&subject(user, user), address(1))).unwrap());
        assert!(now(works.permit(&subject(3, 3), address(1))).is_none());
        let other = now(works.permit(&subject(4, 4), address(2))).unwrap();
        drop((busy, other));
        assert!(is_empty(&works));
        let network = ["2001:db8::1", "2001:db8::ff"].map(|address| address.parse::<IpAddr>().unwrap());
        let works = BodyWorks::at_once(2);
        let first = now(works.permit(&subject(1, 1), network[0])).unwrap();
        assert!(now(works.permit(&subject(2, 2), network[1])).is_none(), "they have one network");
        drop(first);
    }

    #[test]
    fn a_waiting_body_begins_when_its_user_is_done() {
        let works = BodyWorks::at_once(2);
        let one = subject(1, 1);
        let mut context = Context::from_waker(Waker::noop());
        let first = now(works.permit(&one, address(1))).unwrap();
        let mut next = Box::pin(works.permit(&one, address(1)));
        assert!(next.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(matches!(next.as_mut().poll(&mut context), Poll::Ready(Some(_))));
        drop(next);
        assert!(is_empty(&works));
    }
}
