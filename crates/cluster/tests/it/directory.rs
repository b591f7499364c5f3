use std::sync::Arc;
use std::time::Duration;

use access::{Directory, KeyHash, NotFound, Revision};
use cluster::DecryptedCredentials;
use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::postgres;
use crate::world::{World, key, user, vault};

pub(crate) fn directory(world: &World, queue: usize) -> (Arc<Directory>, mpsc::Receiver<access::Lookup>) {
    let (sender, lookups) = mpsc::channel(queue);
    let revision = Arc::new(Revision::default());
    (Arc::new(Directory::new(sender, revision, world.clock.clone(), Duration::from_secs(3_600))), lookups)
}

pub(crate) fn decrypted_credentials() -> Arc<DecryptedCredentials> {
    Arc::new(DecryptedCredentials::new(Arc::new(vault(1)), Arc::default()))
}

pub(crate) async fn lookups_are_answered_together_and_in_any_number(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let mut keys = Vec::new();
    for _ in 0..50 {
        keys.push(key(&store, user.id).await);
    }
    let (directory, lookups) = directory(world, 200);
    let mut finds = JoinSet::new();
    for (secret, key) in keys {
        let directory = directory.clone();
        finds.spawn(async move { (directory.find(secret.hash()).await.map(|found| found.key), Ok(key.id)) });
    }
    for byte in 0..100 {
        let directory = directory.clone();
        let find = async move { directory.find(KeyHash([byte; 32])).await.map(|found| found.key) };
        finds.spawn(async move { (find.await, Err(NotFound::Unknown)) });
    }
    tokio::task::yield_now().await;
    let serve = cluster::directory::serve(
        store,
        decrypted_credentials(),
        std::sync::Arc::default(),
        lookups,
        std::future::pending::<()>(),
    );
    let answered = async { finds.join_all().await };
    tokio::select! {
        () = serve => unreachable!(),
        answered = answered => {
            assert_eq!(answered.len(), 150);
            for (found, expected) in answered {
                assert_eq!(found, expected);
            }
        }
    }
}

pub(crate) async fn a_store_that_is_away_is_said_to_be_unavailable(world: &World) {
    let store = world.store().await;
    store.close().await;
    let (directory, lookups) = directory(world, 4);
    let serve = cluster::directory::serve(
        store,
        decrypted_credentials(),
        std::sync::Arc::default(),
        lookups,
        std::future::pending::<()>(),
    );
    tokio::select! {
        () = serve => unreachable!(),
        found = directory.find(KeyHash([1; 32])) => assert_eq!(found, Err(NotFound::Unavailable)),
    }
}

pub(crate) async fn serving_ends_with_the_directories(world: &World) {
    let store = world.store().await;
    let (directory, lookups) = directory(world, 4);
    drop(directory);
    let serve = cluster::directory::serve(
        store,
        decrypted_credentials(),
        std::sync::Arc::default(),
        lookups,
        std::future::pending::<()>(),
    );
    assert!(tokio::time::timeout(Duration::from_secs(5), serve).await.is_ok());
}

/// A key that was revoked is refused by the first look-up after connections were closed, although it is cached.
#[tokio::test]
async fn a_closed_connection_does_not_make_a_cached_result_valid_again() {
    let world = World::postgres().await;
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (secret, key) = key(&store, user.id).await;
    let (sender, lookups) = mpsc::channel(4);
    let revision = Arc::new(Revision::default());
    let directory = Directory::new(sender, revision.clone(), world.clock.clone(), Duration::from_secs(3_600));
    let serve = cluster::directory::serve(
        store.clone(),
        decrypted_credentials(),
        Arc::default(),
        lookups,
        std::future::pending::<()>(),
    );
    let revoked_after_a_cut = async {
        let found = directory.find(secret.hash()).await;
        assert_eq!(found.map(|principal| principal.key), Ok(key.id));
        let elsewhere = world.store().await;
        elsewhere.revoke_key(&store::Actor::COMMAND, key.id).await.unwrap();
        revision.confirm(elsewhere.revision().await.unwrap(), world.clock.mono());
        let name = world.url().rsplit_once('/').unwrap().1;
        let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        postgres::tell_server(cut).await;
        assert_eq!(directory.find(secret.hash()).await, Err(NotFound::Revoked));
    };
    tokio::select! {
        () = serve => unreachable!(),
        () = revoked_after_a_cut => {}
    }
}

/// The store judges both keys in one batch, and then fails to return credentials.
#[tokio::test]
async fn a_revoked_key_is_refused_although_the_rest_of_its_batch_is_unavailable() {
    let world = World::postgres().await;
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (revoked, key_of_revoked) = key(&store, user.id).await;
    let (valid, _) = key(&store, user.id).await;
    store.revoke_key(&store::Actor::COMMAND, key_of_revoked.id).await.unwrap();
    let mut other = PgConnection::connect(world.url()).await.unwrap();
    sqlx::raw_sql("ALTER TABLE provider_keys RENAME TO elsewhere").execute(&mut other).await.unwrap();
    let (directory, lookups) = directory(&world, 4);
    let serve = cluster::directory::serve(
        store,
        decrypted_credentials(),
        Arc::default(),
        lookups,
        std::future::pending::<()>(),
    );
    let unknown = KeyHash([1; 32]);
    let finds =
        async { tokio::join!(directory.find(revoked.hash()), directory.find(valid.hash()), directory.find(unknown)) };
    tokio::select! {
        () = serve => unreachable!(),
        found = finds => assert_eq!(
            found,
            (Err(NotFound::Revoked), Err(NotFound::Unavailable), Err(NotFound::Unknown)),
        ),
    }
}
