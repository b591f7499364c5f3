use std::sync::Arc;
use std::time::Duration;

use access::{Directory, NotFound, Principal, Revision, Secret, UpstreamCredentials, Vault};
use cluster::DecryptedCredentials;
use cluster::shared_credentials::SharedCredentialRead;
use store::audit::Actor;
use store::{ProviderKeyChange, Store};
use tokio::sync::mpsc;

use crate::credentials::{create, new, opened};
use crate::world::{World, key, master_key, user};

/// The directory of one node, and the revision that it sees.
struct Server {
    directory: Directory,
    revision: Arc<Revision>,
    decrypted_credentials: Arc<DecryptedCredentials>,
    store: Store,
    world_clock: access::Clock,
}

impl Server {
    async fn ask(&self, hash: access::KeyHash) -> Arc<Principal> {
        self.revision.confirm(self.store.revision().await.unwrap(), self.world_clock.mono());
        self.directory.find(hash).await.unwrap()
    }
}

/// Runs `test` with a directory that decrypts with `vault`.
async fn beside(world: &World, vault: Vault, test: impl AsyncFnOnce(&Server)) {
    let store = world.store().await;
    let (queue, lookups) = mpsc::channel(8);
    let revision = Arc::new(Revision::default());
    let decrypted_credentials = Arc::new(DecryptedCredentials::new(Arc::new(vault), revision.clone()));
    let directory = Directory::new(queue, revision.clone(), world.clock.clone(), Duration::from_secs(3_600));
    let serve = cluster::directory::serve(
        store.clone(),
        decrypted_credentials.clone(),
        std::sync::Arc::default(),
        lookups,
        std::future::pending::<()>(),
    );
    let server = Server { directory, revision, decrypted_credentials, store, world_clock: world.clock.clone() };
    tokio::select! {
        () = serve => unreachable!(),
        () = test(&server) => {}
    }
}

fn secrets(keys: &[access::ProviderKey]) -> Vec<Option<&str>> {
    keys.iter().map(|key| key.secret.as_ref().map(Secret::expose)).collect()
}

pub(crate) async fn a_principal_has_its_own_newest_credential_and_the_shared_ones_newest_first(world: &World) {
    let (store, vault) = opened(world).await;
    let ada = user(&store, "ada@example.com").await.id;
    let bob = user(&store, "bob@example.com").await.id;
    let (adas, _) = key(&store, ada).await;
    let (bobs, _) = key(&store, bob).await;
    beside(world, vault.clone(), async |server| {
        let none = server.ask(adas.hash()).await;
        assert_eq!((none.provider_keys.own.len(), none.provider_keys.shared.len()), (0, 0));
        create(&store, &vault, new(None, "old", "sk-shared-1")).await;
        world.clock.advance(Duration::from_millis(1));
        create(&store, &vault, new(None, "new", "sk-shared-2")).await;
        let shared = server.ask(adas.hash()).await;
        assert_eq!(secrets(&shared.provider_keys.shared), [Some("sk-shared-2"), Some("sk-shared-1")]);
        create(&store, &vault, new(Some(ada), "old", "sk-adas-1")).await;
        world.clock.advance(Duration::from_millis(1));
        let newer = create(&store, &vault, new(Some(ada), "new", "sk-adas-2")).await;
        let own = server.ask(adas.hash()).await;
        assert_eq!(secrets(&own.provider_keys.own), [Some("sk-adas-2")]);
        assert_eq!(own.provider_keys.own("openai").map(|key| key.id), Some(newer.id));
        assert_eq!(own.provider_keys.own("anthropic"), None);
        let labelled = own.provider_keys.shared("openai", Some("old")).and_then(|key| key.secret.as_ref());
        assert_eq!(labelled.map(Secret::expose), Some("sk-shared-1"));
        assert_eq!(secrets(&server.ask(bobs.hash()).await.provider_keys.own), [None; 0]);
        store.delete_provider_key(&Actor::COMMAND, newer.id).await.unwrap();
        assert_eq!(secrets(&server.ask(adas.hash()).await.provider_keys.own), [Some("sk-adas-1")]);
    })
    .await;
}

/// Workers cache thousands of principals: a user with many credentials and keys must not fill the memory.
pub(crate) async fn all_principals_of_a_user_share_the_newest_credential_of_each_provider(world: &World) {
    let (store, vault) = opened(world).await;
    let ada = user(&store, "ada@example.com").await.id;
    let (first, _) = key(&store, ada).await;
    let (second, _) = key(&store, ada).await;
    for nth in 0..20 {
        create(&store, &vault, new(Some(ada), &format!("own {nth}"), &format!("sk-adas-{nth}"))).await;
        world.clock.advance(Duration::from_millis(1));
    }
    beside(world, vault.clone(), async |server| {
        let first = server.ask(first.hash()).await;
        let second = server.ask(second.hash()).await;
        assert_eq!(secrets(&first.provider_keys.own), [Some("sk-adas-19")]);
        assert!(Arc::ptr_eq(&first.provider_keys.own, &second.provider_keys.own));
    })
    .await;
}

pub(crate) async fn what_does_not_open_is_there_without_its_secret_and_is_counted(world: &World) {
    let (store, vault) = opened(world).await;
    let ada = user(&store, "ada@example.com").await.id;
    let (adas, _) = key(&store, ada).await;
    create(&store, &vault, new(Some(ada), "own", "sk-adas-1")).await;
    create(&store, &vault, new(None, "all", "sk-shared-1")).await;
    beside(world, crate::world::vault(2), async |server| {
        let found = server.ask(adas.hash()).await;
        assert_eq!((secrets(&found.provider_keys.own), secrets(&found.provider_keys.shared)), (vec![None], vec![None]));
        assert_eq!(server.decrypted_credentials.failures(), 2);
    })
    .await;
    // The master key before a rotation decrypts too.
    let rotating = Vault::new(&master_key(2), Some(&master_key(1)));
    beside(world, rotating, async |server| {
        assert_eq!(secrets(&server.ask(adas.hash()).await.provider_keys.own), [Some("sk-adas-1")]);
        assert_eq!(server.decrypted_credentials.failures(), 0);
    })
    .await;
}

/// A credential that cannot be read must not count as missing: another would be used in its place.
pub(crate) async fn a_store_that_does_not_tell_credentials_tells_nothing(world: &World) {
    let (store, vault) = opened(world).await;
    let ada = user(&store, "ada@example.com").await.id;
    let (adas, _) = key(&store, ada).await;
    beside(world, vault, async |server| {
        server.store.close().await;
        assert_eq!(server.directory.find(adas.hash()).await.unwrap_err(), NotFound::Unavailable);
    })
    .await;
    let _ = store;
}

pub(crate) async fn many_users_are_answered_each_with_their_own(world: &World) {
    let (store, vault) = opened(world).await;
    let mut people = Vec::new();
    for nth in 0..20 {
        let owner = user(&store, &format!("user{nth}@example.com")).await.id;
        let (secret, _) = key(&store, owner).await;
        create(&store, &vault, new(Some(owner), "own", &format!("sk-of-user-{nth}"))).await;
        people.push((secret, format!("sk-of-user-{nth}")));
    }
    beside(world, vault, async |server| {
        let asked = people.iter().map(|(secret, _)| server.directory.find(secret.hash()));
        let mut found = Vec::new();
        for ask in asked {
            found.push(ask.await.unwrap());
        }
        for (principal, (_, own)) in found.iter().zip(&people) {
            assert_eq!(secrets(&principal.provider_keys.own), [Some(own.as_str())]);
        }
    })
    .await;
}

/// Headers of routes keep their credential while the store is away, and follow its changes.
pub(crate) async fn shared_credentials_are_read_after_each_change(world: &World) {
    let (store, vault) = opened(world).await;
    let first = create(&store, &vault, new(None, "all", "sk-shared-1")).await;
    beside(world, vault.clone(), async |server| {
        let credentials = Arc::new(UpstreamCredentials::default());
        let read =
            SharedCredentialRead::new(server.store.clone(), server.decrypted_credentials.clone(), credentials.clone());
        let now = async || {
            server.revision.confirm(server.store.revision().await.unwrap(), server.world_clock.mono());
            read.read().await.unwrap();
            credentials.load().shared
        };
        assert_eq!(secrets(&credentials.load().shared), [None::<&str>; 0]);
        assert_eq!(secrets(&now().await), [Some("sk-shared-1")]);
        let secret = Some(Secret::new("sk-shared-2".to_owned()));
        let change = ProviderKeyChange { label: None, secret };
        store.change_provider_key(&Actor::COMMAND, &vault, first.id, change).await.unwrap();
        assert_eq!(secrets(&now().await), [Some("sk-shared-2")]);
        server.revision.confirm(u64::MAX, server.world_clock.mono());
        server.store.close().await;
        assert!(read.read().await.is_err());
        assert_eq!(secrets(&credentials.load().shared), [Some("sk-shared-2")]);
    })
    .await;
}
