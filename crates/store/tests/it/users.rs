use std::time::Duration;

use access::{ApiKey, Role, UserId, UserNo, UserStatus};
use store::{Actor, KeyError, NewKey, NewUser, NoUser, RoleGrant, Store, User, UserChange, UserError, UserRef};

use crate::sessions::phc;
use crate::world::{NOW, World, email, key, new_key, plan, user};

pub(crate) async fn a_user_is_found_by_id_and_by_address(world: &World) {
    let store = world.store().await;
    let made = user(&store, " Ada@Example.com ").await;
    assert_eq!(made.address_or_name(), "ada@example.com");
    assert_eq!((made.status, made.demo, made.created_at), (UserStatus::Active, false, NOW));
    assert_eq!(made.plan, plan("starter", 1_000));
    for name in [made.id.to_string(), "ADA@example.com".to_owned()] {
        let found = store.find_user(&UserRef::parse(&name).unwrap()).await.unwrap();
        assert_eq!(found.as_ref(), Some(&made), "{name}");
    }
    assert_eq!(store.find_user(&UserRef::parse("bob@example.com").unwrap()).await.unwrap(), None);
    assert!(UserRef::parse("ada").is_err());
}

pub(crate) async fn an_address_is_one_users_whatever_its_case(world: &World) {
    let store = world.store().await;
    let made = user(&store, "ada@example.com").await;
    let new = NewUser::member(email("ADA@EXAMPLE.COM"), "", "starter");
    assert!(matches!(store.create_user(&store::Actor::COMMAND, new).await, Err(UserError::EmailTaken)));
    assert_eq!(store.users().await.unwrap(), [made]);
}

pub(crate) async fn a_user_needs_a_plan_that_exists(world: &World) {
    let store = world.store().await;
    for none in ["gold", "", "a\u{0}", "Gold", &"x".repeat(65)] {
        let new = NewUser::member(email("a@b.c"), "", none);
        let error = store.create_user(&store::Actor::COMMAND, new).await.unwrap_err();
        assert!(matches!(&error, UserError::NoPlan(plan) if plan.name == none), "{error:?}");
    }
    assert_eq!(store.revision().await.unwrap(), 0);
}

pub(crate) async fn users_are_numbered_in_the_order_they_came(world: &World) {
    let store = world.store().await;
    let other = world.store().await;
    for no in 1..=6 {
        let store = if no % 2 == 0 { &store } else { &other };
        assert_eq!(user(store, &format!("{no}@example.com")).await.no, UserNo(no));
    }
    let numbers: Vec<i64> = store.users().await.unwrap().into_iter().map(|user| user.no.0).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

pub(crate) async fn demo_users_are_known_as_such(world: &World) {
    let store = world.store().await;
    user(&store, "ada@example.com").await;
    assert!(!store.has_demo_users().await.unwrap());
    let new = NewUser { demo: true, ..NewUser::member(email("demo@b.c"), "Demo", "starter") };
    assert!(store.create_user(&store::Actor::COMMAND, new).await.unwrap().demo);
    assert!(store.has_demo_users().await.unwrap());
}

pub(crate) async fn nobody_is_suspended_by_a_wrong_name(world: &World) {
    let store = world.store().await;
    let made = user(&store, "ada@example.com").await;
    let nobody = UserId(world.id().0);
    let missing = store
        .change_user(
            &store::Actor::COMMAND,
            &UserRef::Id(nobody),
            store::UserChange { status: Some(UserStatus::Suspended), ..store::UserChange::default() },
        )
        .await;
    assert!(matches!(missing, Err(UserError::NoUser(NoUser { id: Some(id) })) if id == nobody));
    let missing = store
        .change_user(
            &store::Actor::COMMAND,
            &UserRef::Email(email("bob@example.com")),
            store::UserChange { status: Some(UserStatus::Suspended), ..store::UserChange::default() },
        )
        .await;
    assert!(matches!(missing, Err(UserError::NoUser(NoUser { id: None }))));
    assert_eq!(store.users().await.unwrap(), [made]);
}

pub(crate) async fn a_name_or_label_that_spoils_a_terminal_is_refused(world: &World) {
    let store = world.store().await;
    let owner = user(&store, "ada@example.com").await;
    for (text, fine) in [
        ("\u{1b}[2J".to_owned(), false),
        ("a\nb".to_owned(), false),
        ("\0".to_owned(), false),
        ("é".repeat(201), false),
        ("é".repeat(200), true),
        (String::new(), true),
    ] {
        let address = format!("{}@example.com", world.id());
        let new = NewUser::member(email(&address), text.clone(), "starter");
        let made = store.create_user(&store::Actor::COMMAND, new).await;
        assert!(if fine { made.is_ok() } else { matches!(made, Err(UserError::Invalid(_))) }, "{text:?}");
        let secret = ApiKey::generate("tollgate").unwrap();
        let made = store
            .create_key(&store::Actor::COMMAND, NewKey { label: text.clone(), ..new_key(owner.id, &secret) })
            .await;
        assert!(if fine { made.is_ok() } else { matches!(made, Err(KeyError::Invalid(_))) }, "{text:?}");
    }
}

pub(crate) async fn a_users_name_and_address_do_not_print(world: &World) {
    let store = world.store().await;
    user(&store, "first@example.com").await;
    let name = "mary@example.com";
    let new = NewUser::member(email(name), name, "starter");
    let printed = format!("{new:?}");
    let made = store.create_user(&store::Actor::COMMAND, new).await.unwrap();
    let (secret, _) = key(&store, made.id).await;
    let identity = store.identity(secret.hash()).await.unwrap().unwrap();
    assert_eq!((made.name.as_str(), identity.user.name.as_str()), (name, name));
    let printed = format!("{printed} {made:?} {identity:?}");
    assert!(!printed.contains("mary") && !printed.contains("example"), "{printed}");
}

async fn admin(store: &Store, address: &str, password: Option<&str>) -> User {
    store.ensure_plans(&[plan("starter", 1_000)]).await.unwrap();
    let member = NewUser::member(email(address), "Admin", "starter");
    let new = NewUser { role: Role::Admin, password: password.map(phc), ..member };
    store.create_user(&Actor::COMMAND, new).await.unwrap()
}

async fn change(store: &Store, user: &User, change: UserChange) -> Result<User, UserError> {
    store.change_user(&Actor::COMMAND, &UserRef::Id(user.id), change).await
}

fn demoted() -> UserChange {
    UserChange { role: Some(Role::Member), ..UserChange::default() }
}

fn suspended() -> UserChange {
    UserChange { status: Some(UserStatus::Suspended), ..UserChange::default() }
}

fn active() -> UserChange {
    UserChange { status: Some(UserStatus::Active), ..UserChange::default() }
}

pub(crate) async fn a_user_is_changed_and_the_rest_stays(world: &World) {
    let store = world.store().await;
    let [ada, bob] = [user(&store, "ada@example.com").await, user(&store, "bob@example.com").await];
    store.ensure_plans(&[plan("pro", 10_000)]).await.unwrap();
    let named = UserChange { name: Some("Countess".to_owned()), ..UserChange::default() };
    let changed = change(&store, &ada, named).await.unwrap();
    assert_eq!(changed, User { name: "Countess".to_owned(), ..ada.clone() });
    let all = UserChange {
        name: Some("'); DROP TABLE users; --".to_owned()),
        plan: Some("pro".to_owned()),
        status: Some(UserStatus::Suspended),
        role: Some(Role::Admin),
        grants: Some(vec![RoleGrant { role: "finance".to_owned(), label: None }]),
        labels: Some(access::LabelSet::of_text("team=payments")),
    };
    let changed = change(&store, &ada, all.clone()).await.unwrap();
    assert_eq!((changed.plan.name.as_str(), changed.status, changed.role), ("pro", UserStatus::Suspended, Role::Admin));
    assert_eq!(store.find_user(&UserRef::Id(ada.id)).await.unwrap(), Some(changed));
    assert_eq!(Some(store.grants(ada.id).await.unwrap()), all.grants);
    let granted = store.grants_of(&[bob.id, ada.id]).await.unwrap();
    assert_eq!(granted.into_iter().collect::<Vec<_>>(), [(ada.id, all.grants.clone().unwrap())]);
    let labelled = store.find_user(&UserRef::Id(ada.id)).await.unwrap().unwrap();
    assert_eq!(labelled.labels.as_str(), "team=payments");
    let none = UserChange { grants: Some(Vec::new()), ..UserChange::default() };
    change(&store, &ada, none).await.unwrap();
    assert_eq!(store.grants(ada.id).await.unwrap(), []);
    assert!(!format!("{all:?}").contains("DROP"), "{all:?}");
}

pub(crate) async fn a_change_that_cannot_be_taken_changes_nothing(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let with = |name: &str, plan: &str| UserChange {
        name: Some(name.to_owned()),
        plan: Some(plan.to_owned()),
        ..UserChange::default()
    };
    let unplanned = change(&store, &ada, with("Ada", "gold")).await;
    assert!(matches!(unplanned, Err(UserError::NoPlan(_))), "{unplanned:?}");
    for name in ["a\0b", "a\nb", &"x".repeat(201)] {
        let invalid = change(&store, &ada, with(name, "starter")).await;
        assert!(matches!(invalid, Err(UserError::Invalid(_))), "{invalid:?}");
    }
    let nobody = UserRef::Id(UserId(uuid_of(&ada)));
    let missing = store.change_user(&Actor::COMMAND, &nobody, suspended()).await;
    assert!(matches!(missing, Err(UserError::NoUser(_))), "{missing:?}");
    assert_eq!(store.find_user(&UserRef::Id(ada.id)).await.unwrap(), Some(ada));
}

/// Returns an id that no user has.
fn uuid_of(user: &User) -> uuid::Uuid {
    uuid::Uuid::from_u128(!user.id.0.as_u128())
}

pub(crate) async fn the_last_admin_stays(world: &World) {
    let store = world.store().await;
    let first = admin(&store, "first@example.com", Some("x")).await;
    let helpless = admin(&store, "helpless@example.com", None).await;
    for going in [demoted(), suspended()] {
        let refused = change(&store, &first, going).await;
        assert!(matches!(refused, Err(UserError::LastAdmin)), "{refused:?}");
    }
    // A change that keeps the admin role is allowed, and an admin without a password may be demoted.
    change(&store, &first, UserChange { name: Some("First".to_owned()), ..UserChange::default() }).await.unwrap();
    change(&store, &helpless, demoted()).await.unwrap();
    let second = admin(&store, "second@example.com", Some("x")).await;
    change(&store, &first, suspended()).await.unwrap();
    let refused = change(&store, &second, demoted()).await;
    assert!(matches!(refused, Err(UserError::LastAdmin)), "a suspended one does not count: {refused:?}");
}

pub(crate) async fn two_admins_do_not_go_at_once(world: &World) {
    let one = world.store().await;
    let two = world.store().await;
    let first = admin(&one, "first@example.com", Some("x")).await;
    let second = admin(&one, "second@example.com", Some("x")).await;
    let both = tokio::join!(change(&one, &first, demoted()), change(&two, &second, suspended()));
    assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
}

pub(crate) async fn users_are_listed_in_pages(world: &World) {
    let store = world.store().await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(user(&store, &format!("{n}@example.com")).await);
    }
    assert_eq!(store.users_after(None, None, 2).await.unwrap(), made[..2]);
    assert_eq!(store.users_after(Some(made[1].no), None, 200).await.unwrap(), made[2..]);
    assert_eq!(store.users_after(Some(made[4].no), None, 200).await.unwrap(), []);
    made[3] = change(&store, &made[3], suspended()).await.unwrap();
    let of = async |after: Option<&User>, status| {
        store.users_after(after.map(|user| user.no), Some(status), 3).await.unwrap()
    };
    assert_eq!(of(None, UserStatus::Suspended).await, made[3..4]);
    assert_eq!(of(Some(&made[3]), UserStatus::Suspended).await, []);
    assert_eq!(of(None, UserStatus::Active).await, made[..3]);
    assert_eq!(of(Some(&made[2]), UserStatus::Active).await, made[4..]);
}

pub(crate) async fn the_end_of_a_suspension_is_found(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let bob = user(&store, "bob@example.com").await;
    store.ensure_plans(&[plan("status", 10_000)]).await.unwrap();
    let end = async |of: &User, since| {
        let mut tx = store.begin_read().await.unwrap();
        let end = store::suspension_end(&mut tx, of.id, since).await.unwrap();
        tx.rollback().await.unwrap();
        end
    };
    let step = || {
        world.clock.advance(Duration::from_secs(60));
        world.clock.now()
    };
    let before = step();
    assert_eq!(end(&ada, before).await, None);
    step();
    change(&store, &ada, suspended()).await.unwrap();
    let within = step();
    assert_eq!((end(&ada, before).await, end(&ada, within).await), (None, None));
    // Another change does not end it, whatever its words.
    let name = Some("\"status\":\"active\"".to_owned());
    change(&store, &ada, UserChange { name, plan: Some("status".to_owned()), ..UserChange::default() }).await.unwrap();
    assert_eq!(end(&ada, within).await, None);
    let ended = step();
    change(&store, &ada, active()).await.unwrap();
    let after = step();
    assert_eq!((end(&ada, within).await, end(&bob, within).await), (Some(ended), None));
    assert_eq!((end(&ada, before).await, end(&ada, after).await), (None, None), "no suspension at that time");
    change(&store, &ada, suspended()).await.unwrap();
    step();
    change(&store, &ada, active()).await.unwrap();
    assert_eq!(end(&ada, within).await, Some(ended), "the first one");
}
