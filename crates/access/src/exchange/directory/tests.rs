#![expect(clippy::disallowed_methods, reason = "a test ends its own tasks")]

use super::*;
use crate::id::{KeyId, KeyNo, UserId, UserNo};
use crate::limits::plan::Plan;
use crate::time::clock::Timestamp;

const STALE_FOR: Duration = Duration::from_secs(3_600);

struct Desk {
    directory: Arc<Directory>,
    lookups: mpsc::Receiver<Lookup>,
    revision: Arc<Revision>,
    clock: Clock,
}

fn desk(queue: usize) -> Desk {
    let (sender, lookups) = mpsc::channel(queue);
    let revision = Arc::new(Revision::default());
    let clock = Clock::manual(Timestamp(1_000_000));
    revision.confirm(1, clock.mono());
    let directory = Arc::new(Directory::new(sender, revision.clone(), clock.clone(), STALE_FOR));
    Desk { directory, lookups, revision, clock }
}

fn principal(expires_at: Option<Timestamp>) -> Arc<Principal> {
    let id = uuid::Uuid::nil();
    let plan = Arc::new(Plan::unlimited("starter"));
    let principal = Principal::unbounded((UserId(id), UserNo(1)), (KeyId(id), KeyNo(1)), plan);
    Arc::new(Principal { expires_at, ..principal })
}

const HASH: KeyHash = KeyHash([7; 32]);

impl Desk {
    async fn find(&self) -> LookupResult {
        self.directory.find(HASH).await
    }

    /// Looks up the key while the store returns `answer`; returns whether the store was asked.
    async fn find_answered(&mut self, answer: LookupResult) -> (LookupResult, bool) {
        let mut requested = false;
        let found = {
            let find = self.directory.find(HASH);
            let serve = async {
                if let Some(lookup) = self.lookups.recv().await {
                    requested = true;
                    lookup.reply.send(answer).unwrap();
                }
                std::future::pending::<()>().await;
            };
            tokio::select! { biased; found = find => found, () = serve => unreachable!() }
        };
        (found, requested)
    }
}

#[tokio::test]
async fn known_key_is_looked_up_once_until_the_revision_changes() {
    let mut desk = desk(4);
    assert!(desk.find_answered(Ok(principal(None))).await.1);
    assert!(desk.find().await.is_ok());
    desk.revision.confirm(2, desk.clock.mono());
    assert_eq!(desk.find_answered(Err(NotFound::Revoked)).await, (Err(NotFound::Revoked), true));
    assert_eq!(desk.find().await, Err(NotFound::Revoked));
}

#[tokio::test]
async fn a_key_is_hashed_once_and_a_revocation_still_applies() {
    const KEY: &[u8] = b"tollgate_0123456789abcdef0123456789abcdef";
    let mut desk = desk(4);
    let directory = desk.directory.clone();
    assert_eq!(directory.find_key(b"tollgate_0", desk.clock.mono()).await, Err(ApiKeyError::Malformed));
    let tag = directory.hashes.tag(KEY).unwrap();
    for (revision, answer) in [(1, Ok(principal(None))), (2, Err(NotFound::Revoked))] {
        desk.revision.confirm(revision, desk.clock.mono());
        let of_key = directory.clone();
        let now = desk.clock.mono();
        let finding = tokio::spawn(async move { of_key.find_key(KEY, now).await });
        let lookup = desk.lookups.recv().await.unwrap();
        assert_eq!(lookup.hash, KeyHash::from_key(KEY).unwrap());
        lookup.reply.send(answer.clone()).unwrap();
        assert_eq!(finding.await.unwrap(), Ok(answer.clone()));
        assert_eq!(directory.hashes.get(tag), Some(lookup.hash));
        assert_eq!(directory.find_key(KEY, now).await, Ok(answer));
    }
}

#[tokio::test]
async fn a_lookup_that_began_before_a_change_is_not_trusted_after_it() {
    let mut desk = desk(4);
    let directory = desk.directory.clone();
    let early = tokio::spawn(async move { directory.find(HASH).await });
    let lookup = desk.lookups.recv().await.unwrap();
    desk.revision.confirm(2, desk.clock.mono());
    lookup.reply.send(Ok(principal(None))).unwrap();
    assert!(early.await.unwrap().is_ok());
    assert_eq!(desk.find_answered(Err(NotFound::Revoked)).await, (Err(NotFound::Revoked), true));
}

#[tokio::test]
async fn many_requests_with_one_key_cause_one_lookup() {
    let mut desk = desk(4);
    let finds: Vec<_> = (0..50)
        .map(|_| {
            let directory = desk.directory.clone();
            tokio::spawn(async move { directory.find(HASH).await })
        })
        .collect();
    let lookup = desk.lookups.recv().await.unwrap();
    tokio::task::yield_now().await;
    lookup.reply.send(Ok(principal(None))).unwrap();
    for find in finds {
        assert!(find.await.unwrap().is_ok());
    }
    assert!(desk.lookups.try_recv().is_err());
}

#[tokio::test]
async fn a_cancelled_lookup_does_not_block_waiting_requests() {
    let mut desk = desk(4);
    let first = desk.directory.clone();
    let second = desk.directory.clone();
    let first = tokio::spawn(async move { first.find(HASH).await });
    let abandoned = desk.lookups.recv().await.unwrap();
    let second = tokio::spawn(async move { second.find(HASH).await });
    tokio::task::yield_now().await;
    first.abort();
    let again = desk.lookups.recv().await.unwrap();
    again.reply.send(Ok(principal(None))).unwrap();
    assert!(second.await.unwrap().is_ok());
    drop(abandoned);
}

#[tokio::test]
async fn a_miss_is_cached_briefly_and_separately() {
    let mut desk = desk(4);
    assert_eq!(desk.find_answered(Err(NotFound::Unknown)).await, (Err(NotFound::Unknown), true));
    assert_eq!(desk.find().await, Err(NotFound::Unknown));
    desk.clock.advance(MISSED_FOR);
    assert!(desk.find_answered(Ok(principal(None))).await.1);
}

#[tokio::test]
async fn a_full_queue_is_busy() {
    let desk = desk(1);
    let (reply, _answer) = oneshot::channel();
    desk.directory.queue.try_send(Lookup { hash: KeyHash([1; 32]), reply }).unwrap();
    assert_eq!(desk.find().await, Err(NotFound::Busy));
}

#[tokio::test]
async fn a_new_key_is_unavailable_when_nobody_serves_the_queue() {
    let mut desk = desk(1);
    desk.lookups.close();
    assert_eq!(desk.find().await, Err(NotFound::Unavailable));
}

#[tokio::test]
async fn a_full_queue_serves_nothing_of_an_older_revision() {
    let mut desk = desk(1);
    assert!(desk.find_answered(Ok(principal(None))).await.1);
    let (reply, _answer) = oneshot::channel();
    desk.directory.queue.try_send(Lookup { hash: KeyHash([1; 32]), reply }).unwrap();
    assert!(desk.find().await.is_ok(), "the key is known at this revision");
    desk.revision.confirm(2, desk.clock.mono());
    assert_eq!(desk.find().await, Err(NotFound::Busy));
}

#[tokio::test]
async fn a_full_queue_serves_a_known_key_for_stale_for() {
    let mut desk = desk(1);
    let until = Some(Timestamp(desk.clock.now().0 + 7_200_000_000));
    let replaced = Arc::new(Principal { rotated: until, expires_at: until, ..(*principal(None)).clone() });
    assert!(desk.find_answered(Ok(replaced)).await.1);
    let (reply, _answer) = oneshot::channel();
    desk.directory.queue.try_send(Lookup { hash: KeyHash([1; 32]), reply }).unwrap();
    desk.clock.advance(REPLACED_FOR);
    desk.revision.confirm(1, desk.clock.mono());
    assert!(desk.find().await.is_ok(), "the earlier result is used");
    desk.clock.advance(STALE_FOR);
    assert_eq!(desk.find().await, Err(NotFound::Busy));
}

#[tokio::test]
async fn known_keys_outlive_the_store_for_stale_for() {
    let mut desk = desk(4);
    assert!(desk.find_answered(Ok(principal(None))).await.1);
    desk.clock.advance(STALE_FOR - Duration::from_secs(1));
    assert!(desk.find().await.is_ok());
    desk.clock.advance(Duration::from_secs(1));
    assert_eq!(desk.find_answered(Err(NotFound::Unavailable)).await, (Err(NotFound::Unavailable), true));
}

#[tokio::test]
async fn a_cached_key_expires_on_time() {
    let mut desk = desk(4);
    let end = Timestamp(desk.clock.now().0 + 1_000_000);
    assert!(desk.find_answered(Ok(principal(Some(end)))).await.0.is_ok());
    desk.clock.advance(Duration::from_secs(1));
    assert_eq!(desk.find().await, Err(NotFound::Expired));
}

#[tokio::test]
async fn while_the_store_is_unavailable_a_key_cached_by_one_worker_passes_on_all() {
    let mut desk = desk(4);
    let first = desk.directory.clone();
    let second = Arc::new(desk.directory.another());
    desk.find_answered(Ok(principal(None))).await.0.unwrap();
    desk.directory = second.clone();
    let away = Err(NotFound::Unavailable);
    assert!(desk.find_answered(away.clone()).await.0.is_ok());
    assert!(desk.find().await.is_ok(), "the key is known from then on");

    // The second directory learns of a revocation, and shares it with the first one.
    desk.revision.confirm(2, desk.clock.mono());
    assert_eq!(desk.find_answered(Err(NotFound::Revoked)).await.0, Err(NotFound::Revoked));
    desk.directory = first;
    assert_eq!(desk.find_answered(away.clone()).await.0, Err(NotFound::Revoked));

    desk.clock.advance(STALE_FOR);
    desk.directory = second;
    assert_eq!(desk.find_answered(away).await.0, Err(NotFound::Unavailable));
}

#[tokio::test]
async fn a_key_of_an_older_revision_is_not_served_for_long_while_only_lookups_fail() {
    let mut desk = desk(4);
    let away = || Err(NotFound::Unavailable);
    assert!(desk.find_answered(Ok(principal(None))).await.0.is_ok());
    desk.revision.confirm(2, desk.clock.mono());
    assert!(desk.find_answered(away()).await.0.is_ok(), "look-ups may work again soon");
    desk.clock.advance(OLDER_FOR);
    desk.revision.confirm(2, desk.clock.mono());
    assert_eq!(desk.find_answered(away()).await.0, away(), "the key may have been revoked");
    desk.directory = Arc::new(desk.directory.another());
    assert_eq!(desk.find_answered(away()).await.0, away(), "all workers share the time");

    desk.clock.advance(OLDER_FOR);
    assert!(desk.find_answered(away()).await.0.is_ok(), "the store is unavailable");
    desk.revision.confirm(2, desk.clock.mono());
    assert!(desk.find_answered(Ok(principal(None))).await.0.is_ok());
    desk.clock.advance(OLDER_FOR);
    desk.revision.confirm(2, desk.clock.mono());
    assert!(desk.find().await.is_ok(), "the key is known at this revision");
}

#[tokio::test]
async fn a_request_after_a_change_does_not_use_an_earlier_lookup() {
    let mut desk = desk(4);
    let before = desk.directory.clone();
    let after = desk.directory.clone();
    let before = tokio::spawn(async move { before.find(HASH).await });
    let early = desk.lookups.recv().await.unwrap();
    desk.revision.confirm(2, desk.clock.mono());
    let after = tokio::spawn(async move { after.find(HASH).await });
    tokio::task::yield_now().await;
    early.reply.send(Ok(principal(None))).unwrap();
    assert!(before.await.unwrap().is_ok());
    desk.lookups.recv().await.unwrap().reply.send(Err(NotFound::Revoked)).unwrap();
    assert_eq!(after.await.unwrap(), Err(NotFound::Revoked));
}

#[tokio::test]
async fn a_replaced_secret_is_looked_up_periodically_while_the_store_responds() {
    let mut desk = desk(4);
    let until = Some(Timestamp(desk.clock.now().0 + 3_600_000_000));
    let replaced = || Ok(Arc::new(Principal { rotated: until, expires_at: until, ..(*principal(None)).clone() }));
    assert!(desk.find_answered(replaced()).await.1);
    assert!(desk.find().await.is_ok());
    desk.clock.advance(REPLACED_FOR);
    assert!(desk.find().await.is_ok(), "the store is unavailable and is not asked");
    desk.revision.confirm(1, desk.clock.mono());
    assert!(desk.find_answered(replaced()).await.1);
    assert!(desk.find().await.is_ok());

    desk.clock.advance(REPLACED_FOR);
    desk.revision.confirm(1, desk.clock.mono());
    assert!(desk.find_answered(Err(NotFound::Unavailable)).await.0.is_ok(), "the earlier result is used");
}

#[tokio::test]
async fn a_secret_ends_with_its_grace_or_with_its_key() {
    let soon = Some(Timestamp(2_000_000));
    let late = Some(Timestamp(3_000_000));
    for (rotated, expected) in [(soon, NotFound::Rotated), (late, NotFound::Expired), (None, NotFound::Expired)] {
        let mut desk = desk(4);
        let found = Ok(Arc::new(Principal { rotated, expires_at: soon, ..(*principal(None)).clone() }));
        assert!(desk.find_answered(found).await.0.is_ok());
        desk.clock.advance(Duration::from_secs(1));
        assert_eq!(desk.find().await, Err(expected), "{rotated:?}");
    }
}
