use std::sync::Arc;
use std::time::Duration;

use access::{Directory, NotFound, Principal, ProviderKeyId, Revision, Secret, UserId, Vault};
use store::audit::Actor;
use store::{
    DecryptedCredentials, NewProviderKey, PROVIDER_KEYS_MAX, ProviderKeyChange, Store, StoreError, StoredProviderKey,
};
use tokio::sync::mpsc;

use crate::world::{NOW, World, key, master_key, user, vault};

pub(crate) fn new(owner: Option<UserId>, label: &str, secret: &str) -> NewProviderKey {
    let (label, secret) = (label.to_owned(), Secret::new(secret.to_owned()));
    NewProviderKey { owner, provider: "openai".to_owned(), label, secret }
}

/// Opens a store that has admitted the vault.
pub(crate) async fn opened(world: &World) -> (Store, Vault) {
    let (store, vault) = (world.store().await, vault(1));
    store.admit_master_key(&Actor::SYSTEM, &vault).await.unwrap();
    (store, vault)
}

async fn create(store: &Store, vault: &Vault, new: NewProviderKey) -> StoredProviderKey {
    store.create_provider_key(&Actor::COMMAND, vault, new).await.unwrap()
}

fn opens(stored: &StoredProviderKey, vault: &Vault) -> String {
    stored.open(vault).unwrap().expose().to_owned()
}

pub(crate) async fn a_credential_is_stored_sealed_and_opens_for_its_row_alone(world: &World) {
    let (store, vault) = opened(world).await;
    let ada = user(&store, "ada@example.com").await.id;
    let own = create(&store, &vault, new(Some(ada), "work", "sk-of-ada-1234")).await;
    let shared = create(&store, &vault, new(None, "work", "sk-of-all-5678")).await;
    assert_eq!((own.label.as_str(), own.last4.as_str(), own.owner, own.created_at), ("work", "1234", Some(ada), NOW));
    assert_eq!((shared.last4.as_str(), shared.owner), ("5678", None));
    assert_eq!(store.provider_keys(Some(ada)).await.unwrap(), std::slice::from_ref(&own));
    assert_eq!(store.provider_keys(None).await.unwrap(), std::slice::from_ref(&shared));
    assert_eq!(store.find_provider_key(own.id).await.unwrap(), Some(own.clone()));
    assert_eq!((opens(&own, &vault), opens(&shared, &vault)), ("sk-of-ada-1234".into(), "sk-of-all-5678".into()));
    let shown = format!("{own:?} {:?}", new(None, "x", "sk-of-all-5678"));
    assert!(!shown.contains("sk-of"), "{shown}");
}

pub(crate) async fn a_label_is_its_owners_once(world: &World) {
    let (store, vault) = opened(world).await;
    let (ada, bob) = (user(&store, "ada@example.com").await.id, user(&store, "bob@example.com").await.id);
    let work = create(&store, &vault, new(Some(ada), "work", "sk-live-1234")).await;
    let home = create(&store, &vault, new(Some(ada), "home", "sk-live-1234")).await;
    create(&store, &vault, new(Some(bob), "work", "sk-live-1234")).await;
    create(&store, &vault, new(None, "work", "sk-live-1234")).await;
    for owner in [Some(ada), Some(bob), None] {
        let twice = store.create_provider_key(&Actor::COMMAND, &vault, new(owner, "work", "sk-live-1234")).await;
        assert!(matches!(twice, Err(StoreError::LabelTaken)), "{twice:?}");
    }
    let relabel = |label: &str| ProviderKeyChange { label: Some(label.to_owned()), secret: None };
    let change = (home.id, relabel("work"));
    let taken = store.change_provider_key(&Actor::COMMAND, &vault, change).await;
    assert!(matches!(taken, Err(StoreError::LabelTaken)), "{taken:?}");
    let same = store.change_provider_key(&Actor::COMMAND, &vault, (work.id, relabel("work"))).await.unwrap();
    assert_eq!(same, work);
    for label in ["\u{0}", "a\nb", &"x".repeat(201)] {
        let odd = store.create_provider_key(&Actor::COMMAND, &vault, new(None, label, "sk-live-1234")).await;
        assert!(matches!(odd, Err(StoreError::Invalid { .. })), "{odd:?}");
    }
    let nobody = Some(UserId(world.id().0));
    let made = store.create_provider_key(&Actor::COMMAND, &vault, new(nobody, "work", "sk-live-1234")).await;
    assert!(matches!(made, Err(StoreError::NoUser { .. })), "{made:?}");
}

pub(crate) async fn an_owner_has_at_most_so_many(world: &World) {
    let (store, vault) = opened(world).await;
    let ada = user(&store, "ada@example.com").await.id;
    for owner in [Some(ada), None] {
        for nth in 0..PROVIDER_KEYS_MAX {
            create(&store, &vault, new(owner, &nth.to_string(), "sk-live-1234")).await;
        }
        let more = store.create_provider_key(&Actor::COMMAND, &vault, new(owner, "more", "sk-live-1234")).await;
        assert!(matches!(more, Err(StoreError::TooManyProviderKeys)), "{more:?}");
        assert_eq!(store.provider_keys(owner).await.unwrap().len(), PROVIDER_KEYS_MAX);
    }
}

pub(crate) async fn a_credential_is_replaced_renamed_and_deleted(world: &World) {
    let (store, vault) = opened(world).await;
    let ada = user(&store, "ada@example.com").await.id;
    let made = create(&store, &vault, new(Some(ada), "work", "sk-live-1234")).await;
    world.clock.advance(Duration::from_secs(1));
    let before = store.revision().await.unwrap();
    let secret = Some(Secret::new("sk-live-9876".to_owned()));
    let change = ProviderKeyChange { label: Some("home".to_owned()), secret };
    let changed = store.change_provider_key(&Actor::COMMAND, &vault, (made.id, change)).await.unwrap();
    assert_eq!((changed.label.as_str(), changed.last4.as_str()), ("home", "9876"));
    assert_eq!((changed.created_at, changed.updated_at.0), (NOW, NOW.0 + 1_000_000));
    assert_eq!(opens(&changed, &vault), "sk-live-9876");
    let nothing = (made.id, ProviderKeyChange::default());
    assert_eq!(store.change_provider_key(&Actor::COMMAND, &vault, nothing).await.unwrap(), changed);
    assert_eq!(store.revision().await.unwrap(), before + 1, "what changes nothing is no change");
    store.delete_provider_key(&Actor::COMMAND, made.id).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), before + 2);
    assert_eq!(store.find_provider_key(made.id).await.unwrap(), None);
    let gone = store.delete_provider_key(&Actor::COMMAND, made.id).await;
    assert!(matches!(gone, Err(StoreError::NoProviderKey { id }) if id == made.id), "{gone:?}");
    let change = (made.id, ProviderKeyChange::default());
    let gone = store.change_provider_key(&Actor::COMMAND, &vault, change).await;
    assert!(matches!(gone, Err(StoreError::NoProviderKey { .. })), "{gone:?}");
}

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
    let serve = store::directory::serve(
        store.clone(),
        (decrypted_credentials.clone(), std::sync::Arc::default()),
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

pub(crate) async fn a_principal_has_its_own_credentials_and_the_shared_ones_newest_first(world: &World) {
    let (store, vault) = opened(world).await;
    let (ada, bob) = (user(&store, "ada@example.com").await.id, user(&store, "bob@example.com").await.id);
    let ((adas, _), (bobs, _)) = (key(&store, ada).await, key(&store, bob).await);
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
        assert_eq!(secrets(&own.provider_keys.own), [Some("sk-adas-2"), Some("sk-adas-1")]);
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

pub(crate) async fn an_absent_credential_is_none(world: &World) {
    let (store, _) = opened(world).await;
    assert_eq!(store.find_provider_key(ProviderKeyId(world.id().0)).await.unwrap(), None);
}
