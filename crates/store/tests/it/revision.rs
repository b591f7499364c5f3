use access::UserStatus;
use store::UserRef;

use crate::world::{World, key, user};

pub(crate) async fn every_change_raises_the_revision(world: &World) {
    let store = world.store().await;
    let mut last = store.revision().await.unwrap();
    assert_eq!(last, 0);
    let mut raised = async || {
        let now = store.revision().await.unwrap();
        assert!(now > last);
        last = now;
    };
    let user = user(&store, "ada@example.com").await;
    raised().await;
    let (_, key) = key(&store, user.id).await;
    store
        .change_user(
            &store::Actor::COMMAND,
            &UserRef::Id(user.id),
            store::UserChange { status: Some(UserStatus::Suspended), ..store::UserChange::default() },
        )
        .await
        .unwrap();
    raised().await;
    store.revoke_key(&store::Actor::COMMAND, key.id).await.unwrap();
    raised().await;
}
