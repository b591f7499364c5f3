use std::time::Duration;

use access::{ApiKey, Timestamp};
use cluster::last_use::LastUseWriter;
use jobs::Job;
use store::{KeySecret, Rotation};

use crate::world::{NOW, World, key, user};

pub(crate) async fn uses_are_written_once_a_minute(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (secret, made) = key(&store, user.id).await;
    let secret_after = KeySecret::from_key(&ApiKey::generate("other").unwrap());
    let rotation = Rotation { secret: secret_after, grace: Duration::from_secs(3_600) };
    store.rotate_key(&store::Actor::COMMAND, made.id, rotation).await.unwrap();
    let used = async || {
        let key = store.find_key(made.id).await.unwrap().unwrap();
        (key.used_at, key.previous.unwrap().used_at)
    };
    let (directory, lookups) = crate::directory::directory(world, 4);
    let look = async |at: u64| {
        let fresh = directory.another();
        assert!(fresh.find(secret.hash()).await.unwrap().rotated.is_some(), "{at}");
    };
    let mut writer = LastUseWriter::new(store.clone());
    let serve = cluster::directory::serve(
        store.clone(),
        crate::directory::decrypted_credentials(),
        std::sync::Arc::default(),
        lookups,
        std::future::pending(),
    );
    let story = async {
        look(0).await;
        writer.run().await.unwrap();
        assert_eq!(used().await, (Some(NOW), Some(NOW)));
        world.clock.advance(Duration::from_secs(30));
        look(30).await;
        writer.run().await.unwrap();
        assert_eq!(used().await, (Some(NOW), Some(NOW)), "not more than once a minute");
        writer.stop().await.unwrap();
    };
    tokio::select! {
        () = serve => unreachable!(),
        () = story => {}
    }
    let last = Timestamp(NOW.0 + 30_000_000);
    assert_eq!(used().await, (Some(last), Some(last)), "the rest, at the end");
}
