use std::sync::Arc;
use std::time::Duration;

use access::{ApiKey, KeyHash, KeyId, NotFound, Principal, Timestamp, UserId, UserStatus};
use store::{IdentityKey, NewKey, StoreError, UserRef};

use crate::world::{NOW, World, key, new_key, plan, user};

pub(crate) async fn a_key_makes_a_principal(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (secret, key) = key(&store, user.id).await;
    let principal = Principal {
        user: user.id,
        user_no: user.no,
        key: key.id,
        key_no: key.no,
        plan: Arc::new(plan("starter", 1_000)),
        expires_at: None,
    };
    assert_eq!(store.find_principal(secret.hash()).await.unwrap().unwrap().as_ref(), &principal);
    let identity = store.identity(secret.hash()).await.unwrap().unwrap();
    assert_eq!(identity.principal(), principal);
    assert_eq!((identity.user.name, identity.user.email), (user.name, user.email));
    let shown = IdentityKey {
        id: key.id,
        no: key.no,
        prefix: "tollgate".to_owned(),
        last4: secret.last4().to_owned(),
        label: "laptop".to_owned(),
        expires_at: None,
    };
    assert_eq!(identity.key, shown);
}

pub(crate) async fn a_key_that_opens_nothing_says_why(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (secret, made) = key(&store, user.id).await;
    let brief = ApiKey::generate("tollgate").unwrap();
    let end = Timestamp(NOW.0 + 1_000_000);
    store.create_key(NewKey { expires_at: Some(end), ..new_key(user.id, &brief) }).await.unwrap();
    let found = async |hash| store.find_principal(hash).await.unwrap().map(|principal| principal.expires_at);
    assert_eq!(found(KeyHash([0; 32])).await, Err(NotFound::Unknown));
    assert_eq!(found(brief.hash()).await, Ok(Some(end)));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(found(brief.hash()).await, Err(NotFound::Expired));
    let ada = UserRef::Id(user.id);
    assert_eq!(store.set_user_status(&ada, UserStatus::Suspended).await.unwrap().status, UserStatus::Suspended);
    assert_eq!(found(secret.hash()).await, Err(NotFound::Suspended));
    store.set_user_status(&ada, UserStatus::Active).await.unwrap();
    assert_eq!(found(secret.hash()).await, Ok(None));
    store.revoke_key(made.id).await.unwrap();
    assert_eq!(found(secret.hash()).await, Err(NotFound::Revoked));
}

pub(crate) async fn a_revocation_keeps_its_first_time(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (_, key) = key(&store, user.id).await;
    assert_eq!(store.revoke_key(key.id).await.unwrap().revoked_at, Some(NOW));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(store.revoke_key(key.id).await.unwrap().revoked_at, Some(NOW));
    let nothing = KeyId(world.id().0);
    assert!(matches!(store.revoke_key(nothing).await, Err(StoreError::NoKey { id }) if id == nothing));
}

pub(crate) async fn keys_are_listed_by_user(world: &World) {
    let store = world.store().await;
    let (ada, bob) = (user(&store, "ada@example.com").await, user(&store, "bob@example.com").await);
    let (_, first) = key(&store, ada.id).await;
    let (_, second) = key(&store, bob.id).await;
    let (_, third) = key(&store, ada.id).await;
    assert_eq!(store.keys(Some(ada.id)).await.unwrap(), [first.clone(), third.clone()]);
    assert_eq!(store.keys(None).await.unwrap(), [first, second, third]);
    assert_eq!(store.keys(Some(UserId(world.id().0))).await.unwrap(), []);
}

pub(crate) async fn errors_hold_no_secret(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (secret, _) = key(&store, user.id).await;
    let hash: String = secret.hash().0.iter().map(|byte| format!("{byte:02x}")).collect();
    let twice = store.create_key(new_key(user.id, &secret)).await.unwrap_err();
    let nobody = store.create_key(new_key(UserId(world.id().0), &secret)).await.unwrap_err();
    assert!(matches!(twice, StoreError::KeyTaken));
    assert!(matches!(nobody, StoreError::NoUser { .. }));
    for shown in [format!("{twice:?} {twice}"), format!("{nobody:?} {nobody}"), format!("{user:?}")] {
        let lower = shown.to_lowercase();
        assert!(!lower.contains(&hash) && !shown.contains(secret.expose()) && !lower.contains("ada@"), "{shown}");
    }
}
