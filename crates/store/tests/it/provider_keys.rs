use std::time::Duration;

use access::{ProviderKeyId, Secret, UserId, Vault};
use store::audit::Actor;
use store::{PROVIDER_KEYS_MAX, ProviderKeyChange, ProviderKeyError, StoredProviderKey};

use crate::credentials::{create, new, opened};
use crate::world::{NOW, World, user};

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
    assert_eq!(store.names_with_credentials().await.unwrap(), std::slice::from_ref(&own.provider));
    assert_eq!((opens(&own, &vault), opens(&shared, &vault)), ("sk-of-ada-1234".into(), "sk-of-all-5678".into()));
    let shown = format!("{own:?} {:?}", new(None, "x", "sk-of-all-5678"));
    assert!(!shown.contains("sk-of"), "{shown}");
}

pub(crate) async fn a_label_is_its_owners_once(world: &World) {
    let (store, vault) = opened(world).await;
    let ada = user(&store, "ada@example.com").await.id;
    let bob = user(&store, "bob@example.com").await.id;
    let work = create(&store, &vault, new(Some(ada), "work", "sk-live-1234")).await;
    let home = create(&store, &vault, new(Some(ada), "home", "sk-live-1234")).await;
    create(&store, &vault, new(Some(bob), "work", "sk-live-1234")).await;
    create(&store, &vault, new(None, "work", "sk-live-1234")).await;
    for owner in [Some(ada), Some(bob), None] {
        let twice = store.create_provider_key(&Actor::COMMAND, &vault, new(owner, "work", "sk-live-1234")).await;
        assert!(matches!(twice, Err(ProviderKeyError::LabelTaken)), "{twice:?}");
    }
    let relabel = |label: &str| ProviderKeyChange { label: Some(label.to_owned()), secret: None };
    let change = relabel("work");
    let taken = store.change_provider_key(&Actor::COMMAND, &vault, home.id, change).await;
    assert!(matches!(taken, Err(ProviderKeyError::LabelTaken)), "{taken:?}");
    let same = store.change_provider_key(&Actor::COMMAND, &vault, work.id, relabel("work")).await.unwrap();
    assert_eq!(same, work);
    for label in ["\u{0}", "a\nb", &"x".repeat(201)] {
        let odd = store.create_provider_key(&Actor::COMMAND, &vault, new(None, label, "sk-live-1234")).await;
        assert!(matches!(odd, Err(ProviderKeyError::Invalid(_))), "{odd:?}");
    }
    let nobody = Some(UserId(world.id().0));
    let made = store.create_provider_key(&Actor::COMMAND, &vault, new(nobody, "work", "sk-live-1234")).await;
    assert!(matches!(made, Err(ProviderKeyError::NoUser(_))), "{made:?}");
}

pub(crate) async fn an_owner_has_at_most_so_many(world: &World) {
    let (store, vault) = opened(world).await;
    let ada = user(&store, "ada@example.com").await.id;
    for owner in [Some(ada), None] {
        for nth in 0..PROVIDER_KEYS_MAX {
            create(&store, &vault, new(owner, &nth.to_string(), "sk-live-1234")).await;
        }
        let more = store.create_provider_key(&Actor::COMMAND, &vault, new(owner, "more", "sk-live-1234")).await;
        assert!(matches!(more, Err(ProviderKeyError::TooManyProviderKeys)), "{more:?}");
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
    let changed = store.change_provider_key(&Actor::COMMAND, &vault, made.id, change).await.unwrap();
    assert_eq!((changed.label.as_str(), changed.last4.as_str()), ("home", "9876"));
    assert_eq!((changed.created_at, changed.updated_at.0), (NOW, NOW.0 + 1_000_000));
    assert_eq!(opens(&changed, &vault), "sk-live-9876");
    let nothing = ProviderKeyChange::default();
    assert_eq!(store.change_provider_key(&Actor::COMMAND, &vault, made.id, nothing).await.unwrap(), changed);
    assert_eq!(store.revision().await.unwrap(), before + 1, "what changes nothing is no change");
    store.delete_provider_key(&Actor::COMMAND, made.id).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), before + 2);
    assert_eq!(store.find_provider_key(made.id).await.unwrap(), None);
    let gone = store.delete_provider_key(&Actor::COMMAND, made.id).await;
    assert!(matches!(gone, Err(ProviderKeyError::NoProviderKey { id }) if id == made.id), "{gone:?}");
    let change = ProviderKeyChange::default();
    let gone = store.change_provider_key(&Actor::COMMAND, &vault, made.id, change).await;
    assert!(matches!(gone, Err(ProviderKeyError::NoProviderKey { .. })), "{gone:?}");
}

pub(crate) async fn an_absent_credential_is_none(world: &World) {
    let (store, _) = opened(world).await;
    assert_eq!(store.find_provider_key(ProviderKeyId(world.id().0)).await.unwrap(), None);
}
