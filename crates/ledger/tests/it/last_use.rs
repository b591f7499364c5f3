use access::Timestamp;
use meter::{Caller, UsageEvent};
use spool::Record;

use crate::usage_world::caller;
use crate::world::{NOW, World};

pub(crate) async fn what_ingest_sees_is_a_use(world: &World) {
    let store = world.store().await;
    let first = caller(&store, "ada@example.com").await;
    let second = caller(&store, "bob@example.com").await;
    let used = async |caller: Caller| {
        store.keys(None).await.unwrap().into_iter().find(|key| key.no == caller.key).unwrap().used_at
    };
    let revision = store.revision().await.unwrap();
    let earlier = UsageEvent { started_at: Timestamp(NOW.0 - 5_000_000), ..world.event(Some(first)) };
    world.ingest(&store, &[Record::Event(earlier.clone()), world.counts(Some(second), 2)]).await;
    assert_eq!(used(first).await, Some(earlier.started_at));
    assert_eq!(used(second).await, Some(NOW), "of a minute, its end so far");

    let oldest = UsageEvent { started_at: Timestamp(NOW.0 - 60_000_000), ..world.event(Some(first)) };
    world.ingest(&store, &[Record::Event(oldest)]).await;
    assert_eq!(used(first).await, Some(earlier.started_at), "it never goes back");
    assert_eq!(store.revision().await.unwrap(), revision);
}
