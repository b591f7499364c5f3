//! Turns of queries: a few run at once, and of one user half of them. Others wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use access::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The maximum number of queries that run at once. The values of a result need up to 50 MB.
const AT_ONCE: usize = 4;
/// The same of one user, so that no user makes others wait for all of its queries.
const AT_ONCE_EACH: usize = 2;

/// The turns of all users.
#[derive(Debug)]
pub(super) struct QueryTurns {
    all: Arc<Semaphore>,
    users: Mutex<HashMap<UserId, UserQueries>>,
}

/// The queries of a user that run or wait.
#[derive(Debug)]
struct UserQueries {
    permits: Arc<Semaphore>,
    count: usize,
}

/// The turn of a query. Dropping it lets the next one run.
#[derive(Debug)]
pub(crate) struct QueryTurn {
    _of_all: OwnedSemaphorePermit,
    _of_user: OwnedSemaphorePermit,
    _query: CountedQuery,
}

/// A query that runs or waits.
#[derive(Debug)]
struct CountedQuery {
    turns: Arc<QueryTurns>,
    user: UserId,
}

impl QueryTurns {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { all: Arc::new(Semaphore::new(AT_ONCE)), users: Mutex::default() })
    }

    /// Waits for a turn. `None` is never returned: the semaphores are not closed. The future may be cancelled at any point.
    pub(super) async fn turn(self: &Arc<Self>, user: UserId) -> Option<QueryTurn> {
        let permits = {
            let mut users = self.users();
            let new = || UserQueries { permits: Arc::new(Semaphore::new(AT_ONCE_EACH)), count: 0 };
            let queries = users.entry(user).or_insert_with(new);
            queries.count += 1;
            queries.permits.clone()
        };
        let query = CountedQuery { turns: self.clone(), user };
        let of_user = permits.acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(QueryTurn { _of_all: of_all, _of_user: of_user, _query: query })
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, UserQueries>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CountedQuery {
    fn drop(&mut self) {
        let mut users = self.turns.users();
        let Some(queries) = users.get_mut(&self.user) else { return };
        queries.count = queries.count.saturating_sub(1);
        if queries.count == 0 {
            users.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use access::{Clock, Ids, Timestamp};
    use futures_util::FutureExt;

    use super::*;

    fn now(turns: &Arc<QueryTurns>, user: UserId) -> Option<QueryTurn> {
        turns.turn(user).now_or_never().flatten()
    }

    #[tokio::test]
    async fn a_user_has_half_of_the_turns_and_others_wait_for_nobody_who_waits() {
        let mut ids = Ids::new(Clock::manual(Timestamp(1)));
        let [ada, bob, eve] = [(); 3].map(|()| UserId(ids.next_uuid()));
        let turns = QueryTurns::new();
        let first = [now(&turns, ada), now(&turns, ada)].map(Option::unwrap);
        let mut waiting = Box::pin(turns.turn(ada));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        let second = [now(&turns, bob), now(&turns, bob)].map(Option::unwrap);
        assert!(now(&turns, eve).is_none(), "four run");
        drop(second);
        let third = now(&turns, eve).unwrap();
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        drop(first);
        assert!(waiting.await.is_some());
        drop(third);
        assert!(turns.users().is_empty());
    }
}
