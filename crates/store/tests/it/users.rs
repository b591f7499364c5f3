use access::{ApiKey, UserId, UserNo, UserStatus};
use store::{NewKey, NewUser, StoreError, UserRef};

use crate::world::{NOW, World, email, key, new_key, plan, user};

pub(crate) async fn a_user_is_found_by_id_and_by_address(world: &World) {
    let store = world.store().await;
    let made = user(&store, " Ada@Example.com ").await;
    assert_eq!(made.email.as_str(), "ada@example.com");
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
    let new = NewUser { email: email("ADA@EXAMPLE.COM"), name: String::new(), plan: "starter".to_owned(), demo: false };
    assert!(matches!(store.create_user(new).await, Err(StoreError::EmailTaken)));
    assert_eq!(store.users().await.unwrap(), [made]);
}

pub(crate) async fn a_user_needs_a_plan_that_exists(world: &World) {
    let store = world.store().await;
    let new = NewUser { email: email("a@b.c"), name: String::new(), plan: "gold".to_owned(), demo: false };
    let error = store.create_user(new).await.unwrap_err();
    assert!(matches!(&error, StoreError::NoPlan { name } if name == "gold"), "{error:?}");
    assert_eq!(store.revision().await.unwrap(), 0);
}

pub(crate) async fn users_are_numbered_in_the_order_they_came(world: &World) {
    let (store, other) = (world.store().await, world.store().await);
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
    let new = NewUser { email: email("demo@b.c"), name: "Demo".to_owned(), plan: "starter".to_owned(), demo: true };
    assert!(store.create_user(new).await.unwrap().demo);
    assert!(store.has_demo_users().await.unwrap());
}

pub(crate) async fn nobody_is_suspended_by_a_wrong_name(world: &World) {
    let store = world.store().await;
    let made = user(&store, "ada@example.com").await;
    let nobody = UserId(world.id().0);
    let missing = store.set_user_status(&UserRef::Id(nobody), UserStatus::Suspended).await;
    assert!(matches!(missing, Err(StoreError::NoUser { id: Some(id) }) if id == nobody));
    let missing = store.set_user_status(&UserRef::Email(email("bob@example.com")), UserStatus::Suspended).await;
    assert!(matches!(missing, Err(StoreError::NoUser { id: None })));
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
        let new = NewUser { email: email(&address), name: text.clone(), plan: "starter".to_owned(), demo: false };
        let made = store.create_user(new).await;
        assert!(if fine { made.is_ok() } else { matches!(made, Err(StoreError::Invalid { .. })) }, "{text:?}");
        let secret = ApiKey::generate("tollgate").unwrap();
        let made = store.create_key(NewKey { label: text.clone(), ..new_key(owner.id, &secret) }).await;
        assert!(if fine { made.is_ok() } else { matches!(made, Err(StoreError::Invalid { .. })) }, "{text:?}");
    }
}

pub(crate) async fn a_users_name_and_address_do_not_print(world: &World) {
    let store = world.store().await;
    user(&store, "first@example.com").await;
    let name = "ada@example.com";
    let new = NewUser { email: email(name), name: name.to_owned(), plan: "starter".to_owned(), demo: false };
    let printed = format!("{new:?}");
    let made = store.create_user(new).await.unwrap();
    let (secret, _) = key(&store, made.id).await;
    let identity = store.identity(secret.hash()).await.unwrap().unwrap();
    assert_eq!((made.name.as_str(), identity.user.name.as_str()), (name, name));
    let printed = format!("{printed} {made:?} {identity:?}");
    assert!(!printed.contains("ada") && !printed.contains("example"), "{printed}");
}
