//! The bodies that are inflated at a time: one of each user or other subject, and in all as many as half of the cores.
//!
//! Inflating takes processor time, up to a second a body. A user that sends many compressed bodies waits for its own.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use access::Subject;
use rustc_hash::FxHashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::share::Holder;

/// The permits of all users.
#[derive(Debug)]
pub(super) struct Inflations {
    all: Arc<Semaphore>,
    /// The permit of each user with bodies that are inflated or wait, and the number of these bodies.
    users: Mutex<FxHashMap<Holder, (Arc<Semaphore>, u32)>>,
}

/// The permit to inflate one body. Dropping it lets the next one begin.
#[derive(Debug)]
pub(crate) struct InflationPermit {
    _of_all: OwnedSemaphorePermit,
    _of_user: OwnedSemaphorePermit,
    _queued: QueuedInflation,
}

/// A body that is inflated or waits.
#[derive(Debug)]
struct QueuedInflation {
    inflations: Arc<Inflations>,
    user: Holder,
}

impl Inflations {
    pub(super) fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::at_once((cores / 2).max(1))
    }

    fn at_once(at_once: usize) -> Arc<Self> {
        Arc::new(Self { all: Arc::new(Semaphore::new(at_once)), users: Mutex::default() })
    }

    /// Waits until the subject may inflate a body. `None` is never returned: the semaphores are not closed. The future
    /// may be cancelled at any point.
    pub(super) async fn permit(self: &Arc<Self>, subject: &Subject) -> Option<InflationPermit> {
        let user = Holder::group_of(subject);
        let semaphore = {
            let mut users = self.users();
            let (semaphore, bodies) = users.entry(user.clone()).or_insert_with(|| (Arc::new(Semaphore::new(1)), 0));
            *bodies += 1;
            semaphore.clone()
        };
        let queued = QueuedInflation { inflations: self.clone(), user };
        let of_user = semaphore.acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(InflationPermit { _of_all: of_all, _of_user: of_user, _queued: queued })
    }

    fn users(&self) -> MutexGuard<'_, FxHashMap<Holder, (Arc<Semaphore>, u32)>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QueuedInflation {
    fn drop(&mut self) {
        let mut users = self.inflations.users();
        if let Some((_, bodies)) = users.get_mut(&self.user) {
            *bodies = bodies.saturating_sub(1);
            if *bodies == 0 {
                users.remove(&self.user);
            }
        }
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

    fn now(waiting: impl Future<Output = Option<InflationPermit>>) -> Option<InflationPermit> {
        match pin!(waiting).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => permit,
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_body_of_each_user_is_inflated_at_a_time_and_so_many_in_all() {
        let inflations = Inflations::at_once(2);
        let (one, two, three) = (subject(1, 1), subject(2, 2), subject(3, 3));
        let first = now(inflations.permit(&one)).unwrap();
        assert!(now(inflations.permit(&one)).is_none() && now(inflations.permit(&subject(1, 9))).is_none());
        let second = now(inflations.permit(&two)).unwrap();
        assert!(now(inflations.permit(&three)).is_none(), "two are inflated");
        drop(first);
        let third = now(inflations.permit(&three)).unwrap();
        drop((second, third));
        assert!(inflations.users().is_empty());
        assert!(now(inflations.permit(&one)).is_some());
    }

    #[test]
    fn a_waiting_body_begins_when_its_user_is_done() {
        let inflations = Inflations::at_once(2);
        let (one, mut context) = (subject(1, 1), Context::from_waker(Waker::noop()));
        let first = now(inflations.permit(&one)).unwrap();
        let mut next = Box::pin(inflations.permit(&one));
        assert!(next.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(matches!(next.as_mut().poll(&mut context), Poll::Ready(Some(_))));
        drop(next);
        assert!(inflations.users().is_empty());
    }
}
