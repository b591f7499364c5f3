use std::time::Duration;

use access::{Fingerprint, ProviderKeyId, Secret, Vault};
use sqlx::{Connection, PgConnection};
use store::audit::Actor;
use store::{MasterKeyError, ProviderKeyChange, ProviderKeyError, Store, StoredSigningKey};

use crate::credentials::{new, opened};
use crate::world::{NOW, World, master_key, user, vault};

async fn admit(store: &Store, vault: &Vault) -> Result<bool, MasterKeyError> {
    store.admit_master_key(&Actor::SYSTEM, vault).await.map(|admitted| admitted.newest)
}

fn following(number: u8, previous: u8) -> Vault {
    Vault::new(&master_key(number), Some(&master_key(previous)))
}

fn print(number: u8) -> Fingerprint {
    master_key(number).fingerprint()
}

pub(crate) async fn the_first_master_key_is_taken_and_another_must_follow_the_newest(world: &World) {
    let store = world.store().await;
    let revision = store.revision().await.unwrap();
    assert!(admit(&store, &vault(1)).await.unwrap());
    assert!(admit(&store, &vault(1)).await.unwrap(), "it is known");
    assert!(store.confirm_master_key(&Actor::SYSTEM, &vault(1)).await.unwrap().newest);
    assert_eq!(store.revision().await.unwrap(), revision + 1, "what is known changes nothing");
    let refused = admit(&store, &vault(2)).await;
    assert!(matches!(refused, Err(MasterKeyError::Other { newest }) if newest == print(1)), "{refused:?}");
    let refused = admit(&store, &following(3, 2)).await;
    assert!(matches!(refused, Err(MasterKeyError::Other { newest }) if newest == print(1)), "{refused:?}");
    // A key that is only the announced next one begins no rotation.
    assert!(admit(&store, &following(1, 2)).await.unwrap());
    assert_eq!(store.master_keys().await.unwrap().len(), 1);
    world.clock.advance(Duration::from_secs(1));
    assert!(admit(&store, &following(2, 1)).await.unwrap());
    let known = store.master_keys().await.unwrap();
    let told: Vec<_> = known.iter().map(|key| (key.fingerprint, key.since.0 - NOW.0, key.is_active())).collect();
    assert_eq!(told, [(print(1), 0, true), (print(2), 1_000_000, true)]);
    assert!(!admit(&store, &vault(1)).await.unwrap(), "another server has gone on");
    assert!(matches!(admit(&store, &following(3, 1)).await, Err(MasterKeyError::Other { .. })));
}

pub(crate) async fn of_two_first_servers_one_is_refused(world: &World) {
    let one = world.store().await;
    let two = world.store().await;
    let vaults = vault(1);
    let other = vault(2);
    let (first, second) = tokio::join!(admit(&one, &vaults), admit(&two, &other));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1, "{first:?} {second:?}");
    assert_eq!(one.master_keys().await.unwrap().len(), 1);
}

/// Another first start is about to replace this node's master key by a new one, and has not seen that this node joined.
#[tokio::test]
async fn a_key_is_confirmed_behind_the_lock_of_who_replaces_it() {
    let world = World::postgres().await;
    let store = world.store().await;
    let ours = vault(1);
    assert!(admit(&store, &ours).await.unwrap());
    let mut other = PgConnection::connect(world.url()).await.unwrap();
    for statement in [
        "BEGIN",
        "UPDATE revision SET value = value + 1",
        "UPDATE master_keys SET retired_at = 1",
        "INSERT INTO master_keys (id, fingerprint, created_at, updated_at)
            VALUES (gen_random_uuid(), decode(repeat('07', 16), 'hex'), 1900000000000000, 0)",
    ] {
        sqlx::raw_sql(statement).execute(&mut other).await.unwrap();
    }
    let replaced = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    };
    let (confirmed, ()) = tokio::join!(store.confirm_master_key(&Actor::SYSTEM, &ours), replaced);
    assert!(matches!(confirmed, Err(MasterKeyError::Retired(_))), "{confirmed:?}");
}

async fn sealed(store: &Store) -> Vec<(Fingerprint, u64)> {
    let known = store.master_keys().await.unwrap();
    known.into_iter().filter(|key| key.sealed > 0).map(|key| (key.fingerprint, key.sealed)).collect()
}

pub(crate) async fn a_rotation_goes_on_where_it_was_stopped_and_loses_nothing(world: &World) {
    let (store, before) = opened(world).await;
    let mut made = Vec::new();
    for person in 0..3 {
        let owner = user(&store, &format!("user{person}@example.com")).await.id;
        for nth in 0..80 {
            let text = format!("sk-live-{person}-{nth}");
            let new = new(Some(owner), &nth.to_string(), &text);
            made.push((store.create_provider_key(&Actor::COMMAND, &before, new).await.unwrap().id, text));
        }
    }
    let vault = following(2, 1);
    assert!(admit(&store, &vault).await.unwrap());
    let first = store.reseal(&vault, None).await.unwrap();
    assert_eq!((first.done, first.undecryptable.len(), first.next.is_some()), (100, 0, true));
    assert_eq!(sealed(&store).await, [(print(1), 140), (print(2), 100)]);
    assert_eq!(store.retire_master_keys(&Actor::COMMAND, vault.current()).await.unwrap(), []);
    // Another process starts from the beginning; no credential is sealed twice.
    let other = world.store().await;
    let mut done = 0;
    let mut next = None;
    loop {
        let batch = other.reseal(&vault, next).await.unwrap();
        done += batch.done;
        next = batch.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(done, 140);
    assert_eq!(other.reseal(&vault, None).await.unwrap(), store::ResealResult::default());
    assert_eq!(store.retire_master_keys(&Actor::COMMAND, vault.current()).await.unwrap(), [print(1)]);
    assert_eq!(store.retire_master_keys(&Actor::COMMAND, vault.current()).await.unwrap(), []);
    let after = crate::world::vault(2);
    for (id, text) in made {
        let row = store.find_provider_key(id).await.unwrap().unwrap();
        assert_eq!((row.open(&after).unwrap().expose(), row.updated_at), (text.as_str(), NOW));
    }
    for retired in [crate::world::vault(1), following(1, 2)] {
        let refused = admit(&store, &retired).await;
        assert!(matches!(refused, Err(MasterKeyError::Retired(_))), "{refused:?}");
    }
    let sealed_late = store.create_provider_key(&Actor::COMMAND, &before, new(None, "late", "sk-live-late")).await;
    assert!(matches!(sealed_late, Err(ProviderKeyError::MasterKeyRetired(_))), "{sealed_late:?}");
}

pub(crate) async fn what_is_replaced_during_a_rotation_stays_replaced(world: &World) {
    let (store, before) = opened(world).await;
    let made = store.create_provider_key(&Actor::COMMAND, &before, new(None, "x", "sk-live-old")).await.unwrap();
    let vault = following(2, 1);
    admit(&store, &vault).await.unwrap();
    let other = world.store().await;
    let secret = Some(Secret::new("sk-live-new".to_owned()));
    let replace =
        other.change_provider_key(&Actor::COMMAND, &before, made.id, ProviderKeyChange { label: None, secret });
    let (resealed, replaced) = tokio::join!(store.reseal(&vault, None), replace);
    assert!(resealed.unwrap().done <= 1);
    replaced.unwrap();
    let row = store.find_provider_key(made.id).await.unwrap().unwrap();
    assert_eq!(row.open(&vault).unwrap().expose(), "sk-live-new");
}

pub(crate) async fn what_no_key_opens_is_left_and_keeps_its_master_key_in_use(world: &World) {
    let (store, before) = opened(world).await;
    let made = store.create_provider_key(&Actor::COMMAND, &before, new(None, "x", "sk-live-1234")).await.unwrap();
    let vault = following(2, 1);
    admit(&store, &vault).await.unwrap();
    // A third node, whose previous key differs: it must not begin a rotation, and reseals nothing.
    let resealed = store.reseal(&following(2, 3), None).await.unwrap();
    assert_eq!((resealed.done, resealed.undecryptable), (0, vec![made.id]));
    assert_eq!(store.retire_master_keys(&Actor::COMMAND, vault.current()).await.unwrap(), []);
    assert_eq!(store.find_provider_key(made.id).await.unwrap(), Some(made));
}

pub(crate) async fn a_credential_after_the_last_is_none(world: &World) {
    let (store, before) = opened(world).await;
    store.create_provider_key(&Actor::COMMAND, &before, new(None, "x", "sk-live-1234")).await.unwrap();
    let vault = following(2, 1);
    let last = ProviderKeyId(uuid::Uuid::max());
    assert_eq!(store.reseal(&vault, Some(last)).await.unwrap(), store::ResealResult::default());
}

/// Stores the key that signs exports, whose private key is the text `seed`.
async fn signing_key(store: &Store, vault: &Vault) -> StoredSigningKey {
    let id = store.new_id();
    let sealed = vault.seal(ProviderKeyId(id), None, &Secret::new("seed".to_owned())).unwrap();
    let new = StoredSigningKey { id, public_key: "a1".to_owned(), sealed };
    store.add_signing_key(&Actor::SYSTEM, new, None).await.unwrap()
}

pub(crate) async fn a_rotation_keeps_the_key_that_signs_exports(world: &World) {
    let (store, before) = opened(world).await;
    let signing = signing_key(&store, &before).await;
    let vault = following(2, 1);
    admit(&store, &vault).await.unwrap();
    assert_eq!(sealed(&store).await, [(print(1), 1)]);
    assert_eq!(store.retire_master_keys(&Actor::COMMAND, vault.current()).await.unwrap(), []);
    let resealed = store.reseal(&vault, None).await.unwrap();
    assert_eq!((resealed.done, resealed.undecryptable, resealed.next), (1, Vec::new(), None));
    assert_eq!(sealed(&store).await, [(print(2), 1)]);
    assert_eq!(store.retire_master_keys(&Actor::COMMAND, vault.current()).await.unwrap(), [print(1)]);
    let kept = store.signing_key().await.unwrap().unwrap();
    let seed = crate::world::vault(2).open(ProviderKeyId(kept.id), None, &kept.sealed).unwrap();
    assert_eq!((kept.id, kept.public_key, seed.expose()), (signing.id, signing.public_key, "seed"));
}

pub(crate) async fn a_signing_key_whose_unused_master_key_is_replaced_is_retired(world: &World) {
    let (store, before) = opened(world).await;
    signing_key(&store, &before).await;
    let vault = vault(2);
    assert!(store.replace_unused_master_key(&Actor::SYSTEM, &vault, print(1)).await.unwrap().newest);
    assert_eq!(store.signing_key().await.unwrap(), None);
    assert!(sealed(&store).await.is_empty());
}

pub(crate) async fn a_reset_gives_up_what_no_key_opens_and_nothing_else(world: &World) {
    let (store, lost) = opened(world).await;
    signing_key(&store, &lost).await;
    store.create_provider_key(&Actor::COMMAND, &lost, new(None, "lost", "sk-live-1234")).await.unwrap();
    let kept = following(2, 1);
    admit(&store, &kept).await.unwrap();
    let kept = store.create_provider_key(&Actor::COMMAND, &kept, new(None, "kept", "sk-live-5678")).await.unwrap();
    // The first key is lost, the second exists, and a third is to follow.
    let vault = following(3, 2);
    assert_eq!(store.lost_provider_keys(&vault).await.unwrap(), 1);
    assert_eq!(store.reset_vault(&Actor::COMMAND, &vault).await.unwrap(), 1, "a signing key is not counted");
    assert_eq!(store.signing_key().await.unwrap(), None);
    assert_eq!(sealed(&store).await, [(print(2), 1)]);
    assert_eq!(store.provider_keys(None).await.unwrap(), [kept]);
    let active: Vec<Fingerprint> =
        store.master_keys().await.unwrap().iter().filter(|key| key.is_active()).map(|key| key.fingerprint).collect();
    assert_eq!(active, [print(2), print(3)]);
    assert!(admit(&store, &vault).await.unwrap());
    let again = store.reset_vault(&Actor::COMMAND, &crate::world::vault(1)).await;
    assert!(matches!(again, Err(MasterKeyError::Retired(_))), "{again:?}");
    assert_eq!(store.provider_keys(None).await.unwrap().len(), 1, "what is refused deletes nothing");
}
