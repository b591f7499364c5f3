use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use access::{
    ApiKey, ControlScope, Credits, KeyBounds, KeyHash, KeyId, Last4, NotFound, Principal, Timestamp, UserId, UserStatus,
};
use serde_json::{Value, json};
use store::{
    Actor, ActorKind, AuditFilter, IdentityKey, InvalidSession, KEYS_MAX, Key, KeyChange, KeyError, KeyPageQuery,
    KeyRef, KeySecret, NewKey, PreviousSecret, RefreshResult, Rotation, SessionError, Store, UserRef,
};

use crate::sessions::{new_session, renew, sign_in, user_actor, with};
use crate::world::{NOW, World, key, new_key, plan, user};

pub(crate) async fn a_key_makes_a_principal(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (secret, key) = key(&store, user.id).await;
    let unbounded = Principal::unbounded((user.id, user.no), (key.id, key.no), Arc::new(plan("starter", 1_000)));
    let starter = store.stored_plans().await.unwrap().into_iter().find(|stored| stored.plan.name == "starter").unwrap();
    let last4 = Last4::parse(secret.last4());
    assert!(last4.is_some());
    let principal = Principal { plan_id: starter.id, last4, ..unbounded };
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
        rotated: None,
        is_admin: false,
        bounds: KeyBounds::none(),
        labels: access::LabelSet::NONE,
    };
    assert_eq!(identity.key, shown);
}

pub(crate) async fn a_key_that_opens_nothing_says_why(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (secret, made) = key(&store, user.id).await;
    let brief = ApiKey::generate("tollgate").unwrap();
    let end = Timestamp(NOW.0 + 1_000_000);
    store
        .create_key(&store::Actor::COMMAND, NewKey { expires_at: Some(end), ..new_key(user.id, &brief) })
        .await
        .unwrap();
    let found = async |hash| store.find_principal(hash).await.unwrap().map(|principal| principal.expires_at);
    assert_eq!(found(KeyHash([0; 32])).await, Err(NotFound::Unknown));
    assert_eq!(found(brief.hash()).await, Ok(Some(end)));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(found(brief.hash()).await, Err(NotFound::Expired));
    let ada = UserRef::Id(user.id);
    assert_eq!(
        store
            .change_user(
                &store::Actor::COMMAND,
                &ada,
                store::UserChange { status: Some(UserStatus::Suspended), ..store::UserChange::default() }
            )
            .await
            .unwrap()
            .status,
        UserStatus::Suspended
    );
    assert_eq!(found(secret.hash()).await, Err(NotFound::Suspended));
    store
        .change_user(
            &store::Actor::COMMAND,
            &ada,
            store::UserChange { status: Some(UserStatus::Active), ..store::UserChange::default() },
        )
        .await
        .unwrap();
    assert_eq!(found(secret.hash()).await, Ok(None));
    store.revoke_key(&store::Actor::COMMAND, made.id).await.unwrap();
    assert_eq!(found(secret.hash()).await, Err(NotFound::Revoked));
}

pub(crate) async fn a_revocation_keeps_its_first_time(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (_, key) = key(&store, user.id).await;
    assert_eq!(store.revoke_key(&store::Actor::COMMAND, key.id).await.unwrap().revoked_at, Some(NOW));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(store.revoke_key(&store::Actor::COMMAND, key.id).await.unwrap().revoked_at, Some(NOW));
    let nothing = KeyId(world.id().0);
    assert!(
        matches!(store.revoke_key(&store::Actor::COMMAND, nothing).await, Err(KeyError::NoKey(key)) if key.id == nothing)
    );
}

pub(crate) async fn keys_are_listed_by_user(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let bob = user(&store, "bob@example.com").await;
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
    let twice = store.create_key(&store::Actor::COMMAND, new_key(user.id, &secret)).await.unwrap_err();
    let nobody = store.create_key(&store::Actor::COMMAND, new_key(UserId(world.id().0), &secret)).await.unwrap_err();
    assert!(matches!(twice, KeyError::KeyTaken));
    assert!(matches!(nobody, KeyError::NoUser(_)));
    for shown in [format!("{twice:?} {twice}"), format!("{nobody:?} {nobody}"), format!("{user:?}")] {
        let lower = shown.to_lowercase();
        assert!(!lower.contains(&hash) && !shown.contains(secret.expose()) && !lower.contains("ada@"), "{shown}");
    }
}

fn bounds() -> KeyBounds {
    KeyBounds {
        credits_per_day: Some(Credits::whole(100)),
        requests_per_minute: NonZeroU32::new(7),
        routes: Some(vec!["users".to_owned(), "größe \"x\"".to_owned()]),
        models: Some(vec!["openai/*".to_owned()]),
        addresses: Some(vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]),
        control: Some(ControlScope::Read),
    }
}

/// Returns the audit lines of a key, by action: lines of one millisecond have no order.
async fn audited(store: &Store, key: KeyId) -> Vec<(String, Value)> {
    let page = store.audit_page(&AuditFilter::default(), None, 100).await.unwrap();
    let lines = page.lines.into_iter().filter(|line| line.target == key.0);
    let mut lines: Vec<_> = lines.map(|line| (line.action, line.detail)).collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

pub(crate) async fn a_key_keeps_what_it_is_bound_to(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let secret = ApiKey::generate("tollgate").unwrap();
    let new = NewKey { bounds: bounds(), ..new_key(user.id, &secret) };
    let key = store.create_key(&store::Actor::COMMAND, new.clone()).await.unwrap();
    assert_eq!((&key.bounds, key.used_at, &key.previous), (&bounds(), None, &None));
    assert_eq!(store.find_key(key.id).await.unwrap().as_ref(), Some(&key));
    assert_eq!(*store.find_principal(secret.hash()).await.unwrap().unwrap().bounds, bounds());
    let (free, _) = self::key(&store, user.id).await;
    let free = store.find_principal(free.hash()).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&free.bounds, &KeyBounds::none()), "most keys share one");
    let [(action, detail)] = &audited(&store, key.id).await[..] else { panic!("one line") };
    assert_eq!((action.as_str(), &detail["bounds"]["models"]), ("key.create", &json!(["openai/*"])));

    let unfit = KeyBounds { models: Some(vec!["a*b".to_owned()]), ..KeyBounds::default() };
    let refused = store.create_key(&store::Actor::COMMAND, NewKey { bounds: unfit, ..new }).await;
    assert!(matches!(refused, Err(KeyError::UnfitBound(_))), "{refused:?}");
}

pub(crate) async fn a_key_is_changed_in_part(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (secret, made) = key(&store, user.id).await;
    let change = async |change| store.change_key(&store::Actor::COMMAND, made.id, change).await;
    let end = Timestamp(NOW.0 + 3_600_000_000);
    let KeyBounds { credits_per_day, requests_per_minute, routes, models, addresses, control } = bounds();
    let all = KeyChange {
        label: Some("desk".to_owned()),
        expires_at: Some(Some(end)),
        credits_per_day: Some(credits_per_day),
        requests_per_minute: Some(requests_per_minute),
        routes: Some(routes),
        models: Some(models),
        addresses: Some(addresses),
        control: Some(control),
        labels: Some(access::LabelSet::of_text("team=core")),
    };
    let before = store.revision().await.unwrap();
    let changed = change(all.clone()).await.unwrap();
    let expected = Key {
        label: "desk".to_owned(),
        expires_at: Some(end),
        bounds: bounds(),
        labels: access::LabelSet::of_text("team=core"),
        ..made.clone()
    };
    assert_eq!(changed, expected);
    assert_eq!(store.find_key(made.id).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.find_principal(secret.hash()).await.unwrap().unwrap().expires_at, Some(end));

    let raised = store.revision().await.unwrap();
    assert!(raised > before);
    assert_eq!(change(all).await.unwrap(), expected);
    assert_eq!(change(KeyChange::default()).await.unwrap(), expected);
    let label = KeyChange { label: Some("door".to_owned()), ..KeyChange::default() };
    assert_eq!(change(label).await.unwrap().label, "door");
    assert_eq!(store.revision().await.unwrap(), raised, "nobody who asked what it opens was told its label");

    let open = KeyChange { expires_at: Some(None), routes: Some(None), ..KeyChange::default() };
    let opened = change(open).await.unwrap();
    assert_eq!((opened.expires_at, &opened.bounds.routes, &opened.bounds.models), (None, &None, &bounds().models));
    let actions: Vec<String> = audited(&store, made.id).await.into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["key.change", "key.change", "key.change", "key.create"]);

    let unfit = KeyChange { label: Some("a\nb".to_owned()), ..KeyChange::default() };
    assert!(matches!(change(unfit).await, Err(KeyError::Invalid(_))));
    let unfit = KeyChange { routes: Some(Some(vec![String::new()])), ..KeyChange::default() };
    assert!(matches!(change(unfit).await, Err(KeyError::UnfitBound(_))));
    assert_eq!(store.find_key(made.id).await.unwrap(), Some(opened));
}

/// Creates a new secret and its stored form.
fn anew(grace: Duration) -> (ApiKey, Rotation) {
    let key = ApiKey::generate("other").unwrap();
    let secret = KeySecret::from_key(&key);
    (key, Rotation { secret, grace })
}

pub(crate) async fn a_rotated_key_is_the_same_with_another_secret(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let first = ApiKey::generate("tollgate").unwrap();
    let new = NewKey { bounds: bounds(), ..new_key(user.id, &first) };
    let made = store.create_key(&store::Actor::COMMAND, new).await.unwrap();
    let (second, rotation) = anew(Duration::ZERO);
    let rotated = store.rotate_key(&store::Actor::COMMAND, made.id, rotation).await.unwrap();
    let previous = PreviousSecret { last4: first.last4().to_owned(), until: NOW, used_at: None };
    let expected =
        Key { prefix: "other".to_owned(), last4: second.last4().to_owned(), previous: Some(previous), ..made.clone() };
    assert_eq!((&rotated, store.find_key(made.id).await.unwrap().as_ref()), (&expected, Some(&expected)));
    assert_eq!(store.find_principal(first.hash()).await.unwrap(), Err(NotFound::Rotated));
    let principal = store.find_principal(second.hash()).await.unwrap().unwrap();
    assert_eq!((principal.key, principal.key_no, principal.rotated), (made.id, made.no, None));
    assert_eq!(*principal.bounds, bounds());

    assert_eq!(
        audited(&store, made.id).await[1],
        ("key.rotate".to_owned(), json!({"grace_seconds": 0, "sessions_ended": 0}))
    );
}

pub(crate) async fn both_secrets_open_a_key_in_its_grace(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (first, made) = key(&store, user.id).await;
    let hour = Duration::from_secs(3_600);
    let by = store::Actor::COMMAND;
    let found = async |key: &ApiKey| {
        store.find_principal(key.hash()).await.unwrap().map(|found| (found.key, found.rotated, found.expires_at))
    };
    let (second, rotation) = anew(hour);
    store.rotate_key(&by, made.id, rotation).await.unwrap();
    let until = Some(Timestamp(NOW.0 + 3_600_000_000));
    assert_eq!(found(&first).await, Ok((made.id, until, until)));
    assert_eq!(found(&second).await, Ok((made.id, None, None)));

    // The key's expiry applies to both secrets, and the earlier expiry counts.
    let soon = Some(Timestamp(NOW.0 + 60_000_000));
    store.change_key(&by, made.id, KeyChange { expires_at: Some(soon), ..KeyChange::default() }).await.unwrap();
    assert_eq!(found(&first).await, Ok((made.id, until, soon)));
    assert_eq!(found(&second).await, Ok((made.id, None, soon)));
    store.change_key(&by, made.id, KeyChange { expires_at: Some(None), ..KeyChange::default() }).await.unwrap();

    let (third, rotation) = anew(hour);
    store.rotate_key(&by, made.id, rotation).await.unwrap();
    assert_eq!(found(&first).await, Err(NotFound::Unknown), "at most two open one key");
    assert_eq!(found(&second).await, Ok((made.id, until, until)));
    world.clock.advance(hour);
    assert_eq!(found(&second).await, Err(NotFound::Rotated));
    assert_eq!(found(&third).await, Ok((made.id, None, None)));

    let (_, rotation) = anew(Duration::ZERO);
    store.revoke_key(&by, made.id).await.unwrap();
    assert_eq!((found(&second).await, found(&third).await), (Err(NotFound::Revoked), Err(NotFound::Revoked)));
    assert!(matches!(store.rotate_key(&by, made.id, rotation).await, Err(KeyError::KeyRevoked)));
    let label = KeyChange { label: Some("x".to_owned()), ..KeyChange::default() };
    assert!(matches!(store.change_key(&by, made.id, label).await, Err(KeyError::KeyRevoked)));
}

pub(crate) async fn a_rotation_ends_the_sessions_that_were_begun_with_the_key(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (first, made) = key(&store, ada.id).await;
    let (other, others) = key(&store, ada.id).await;
    let begin = async |secret: &ApiKey, key: &Key| {
        let (new, _) = new_session(world, ada.id, with(secret, key));
        store.begin_session(&user_actor(ada.id), new).await.map(|session| session.id)
    };
    let opens = async |id| store.session_state(id).await.unwrap().unwrap().open_at(world.clock.now()).is_ok();
    let (elsewhere, _) = sign_in(world, &store, ada.id).await;
    let stolen = begin(&first, &made).await.unwrap();
    let asking = begin(&first, &made).await.unwrap();
    let with_other = begin(&other, &others).await.unwrap();
    let actor = Actor { by: ActorKind::User { user: ada.id, session: Some(asking) }, address: None };
    let (second, rotation) = anew(Duration::ZERO);
    store.rotate_key(&actor, made.id, rotation).await.unwrap();
    assert!(!opens(stolen).await);
    for session in [asking, elsewhere.id, with_other] {
        assert!(opens(session).await);
    }
    assert!(matches!(begin(&first, &made).await, Err(SessionError::CredentialGone(_))), "the secret is gone");
    let now = begin(&second, &made).await.unwrap();

    let (third, rotation) = anew(Duration::from_secs(60));
    store.rotate_key(&Actor::COMMAND, made.id, rotation).await.unwrap();
    assert!(!opens(now).await && !opens(asking).await, "also where there is a grace");
    let in_grace = begin(&second, &made).await;
    assert!(matches!(in_grace, Err(SessionError::CredentialGone(_))), "a session would outlive the grace");
    let bound = begin(&third, &made).await.unwrap();
    store
        .change_key(&Actor::COMMAND, made.id, KeyChange { models: Some(Some(vec![])), ..KeyChange::default() })
        .await
        .unwrap();
    let state = store.session_state(bound).await.unwrap().unwrap();
    assert_eq!(state.key.unwrap().bounds.models, Some(Vec::new()), "a session is bound as its key is");
    store.revoke_key(&Actor::COMMAND, others.id).await.unwrap();
    assert!(matches!(begin(&other, &others).await, Err(SessionError::CredentialGone(_))));
}

pub(crate) async fn a_revocation_ends_the_sessions_that_were_begun_with_the_key(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (secret, made) = key(&store, ada.id).await;
    let (elsewhere, _) = sign_in(world, &store, ada.id).await;
    let (new, token) = new_session(world, ada.id, with(&secret, &made));
    let begun = store.begin_session(&user_actor(ada.id), new).await.unwrap();
    store.revoke_key(&Actor::COMMAND, made.id).await.unwrap();
    let state = async |id| store.session_state(id).await.unwrap().unwrap();
    assert_eq!(state(begun.id).await.session.ended_at, Some(world.clock.now()));
    assert_eq!(state(begun.id).await.open_at(world.clock.now()), Err(InvalidSession::KeyRevoked), "and says why");
    assert_eq!(renew(world, &store, token).await.0, RefreshResult::Ended);
    assert_eq!(state(elsewhere.id).await.open_at(world.clock.now()), Ok(()));
    assert_eq!(audited(&store, made.id).await[1], ("key.revoke".to_owned(), json!({"sessions_ended": 1})));
}

pub(crate) async fn keys_of_others_are_as_good_as_none(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let bob = user(&store, "bob@example.com").await;
    let (_, made) = key(&store, ada.id).await;
    let revision = store.revision().await.unwrap();
    let by = store::Actor::COMMAND;
    let foreign = KeyRef::owned_by(bob.id, made.id);
    let label = KeyChange { label: Some("mine".to_owned()), ..KeyChange::default() };
    let refused = [
        store.change_key(&by, foreign, label).await.unwrap_err(),
        store.rotate_key(&by, foreign, anew(Duration::ZERO).1).await.unwrap_err(),
        store.revoke_key(&by, foreign).await.unwrap_err(),
    ];
    assert!(refused.iter().all(|error| matches!(error, KeyError::NoKey(key) if key.id == made.id)), "{refused:?}");
    assert_eq!(store.find_key(foreign).await.unwrap(), None);
    let own = store.find_key(KeyRef::owned_by(ada.id, made.id)).await.unwrap();
    assert_eq!((own.as_ref(), store.revision().await.unwrap()), (Some(&made), revision));
    assert_eq!(audited(&store, made.id).await.len(), 1);
}

pub(crate) async fn a_key_is_revoked_once(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (_, made) = key(&store, user.id).await;
    let first = store.revoke_key(&store::Actor::COMMAND, made.id).await.unwrap();
    let revision = store.revision().await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(store.revoke_key(&store::Actor::COMMAND, made.id).await.unwrap(), first);
    assert_eq!((audited(&store, made.id).await.len(), store.revision().await.unwrap()), (2, revision));
}

pub(crate) async fn a_user_has_so_many_keys_at_most(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let bob = user(&store, "bob@example.com").await;
    let mut last = None;
    for _ in 0..KEYS_MAX {
        last = Some(key(&store, ada.id).await.1.id);
    }
    let another = new_key(ada.id, &ApiKey::generate("tollgate").unwrap());
    let refused = store.create_key(&store::Actor::COMMAND, another.clone()).await;
    assert!(matches!(refused, Err(KeyError::TooManyKeys)), "{refused:?}");
    key(&store, bob.id).await;
    store.revoke_key(&store::Actor::COMMAND, last.unwrap()).await.unwrap();
    store.create_key(&store::Actor::COMMAND, another).await.unwrap();
}

pub(crate) async fn keys_come_in_pages_the_newest_first(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let bob = user(&store, "bob@example.com").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        world.clock.advance(Duration::from_millis(1));
        made.insert(0, key(&store, ada.id).await.1.id);
        key(&store, bob.id).await;
    }
    store.revoke_key(&store::Actor::COMMAND, made[1]).await.unwrap();
    let pages = async |revoked| {
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let asked = KeyPageQuery { user: ada.id, revoked, before, limit: 2 };
            let page: Vec<KeyId> = store.keys_page(asked).await.unwrap().into_iter().map(|key| key.id).collect();
            assert!(page.len() <= 2);
            let Some(last) = page.last() else { return seen };
            before = Some(*last);
            seen.extend(page);
        }
    };
    assert_eq!(pages(true).await, made);
    made.remove(1);
    assert_eq!(pages(false).await, made);
}

pub(crate) async fn a_key_that_is_made_leaves_the_revision(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let revision = store.revision().await.unwrap();
    let (first, _) = key(&store, user.id).await;
    assert_eq!(store.revision().await.unwrap(), revision, "what others were told is true still");
    assert!(store.find_principal(first.hash()).await.unwrap().is_ok());
}

pub(crate) async fn keys_made_at_once_have_numbers_of_their_own(world: &World) {
    let store = world.store().await;
    let other = world.store().await;
    let user = user(&store, "ada@example.com").await.id;
    let mut making = tokio::task::JoinSet::new();
    for nth in 0..40 {
        let store = if nth % 2 == 0 { store.clone() } else { other.clone() };
        making.spawn(async move { key(&store, user).await.1.no.0 });
    }
    let mut numbers = making.join_all().await;
    numbers.sort_unstable();
    assert!(numbers.is_sorted_by(|a, b| a < b) && numbers[0] == 1 && numbers[39] < 200, "{numbers:?}");
    // Another process reserves no more numbers than it needs.
    let first = key(&world.store().await, user).await.1.no.0;
    let second = key(&world.store().await, user).await.1.no.0;
    assert!(first > numbers[39] && second == first + 1, "{first} {second}");
}
