//! Audit lines about accounts: each change once, with its author and address, and without secrets.

use std::time::Duration;

use access::credentials::ticket::{Ticket, TicketKind};
use access::{Role, Timestamp, UserId, UserStatus};
use serde_json::{Value, json};
use store::accounts::sessions::OPEN_MAX;
use store::{
    Actor, ActorKind, AuditFilter, NewLink, NewUser, Purpose, RedeemedPassword, RefreshResult, Store, UserChange,
    UserRef,
};
use uuid::Uuid;

use crate::sessions::{phc, renew, sign_in, user_actor};
use crate::world::{World, email, plan, user};

type AuditRecord = (String, Actor, Uuid, Option<UserId>, Value);

/// Returns all lines except those of plans, oldest first.
async fn told(store: &Store) -> Vec<AuditRecord> {
    let page = store.audit_page(&AuditFilter::default(), None, 200).await.unwrap();
    let lines = page.lines.into_iter().rev().filter(|line| !line.action.starts_with("plan."));
    lines.map(|line| (line.action, line.actor, line.target, line.owner, line.detail)).collect()
}

/// Returns the lines since the last call; later lines have a later time.
async fn new(world: &World, store: &Store, seen: &mut usize) -> Vec<AuditRecord> {
    world.clock.advance(Duration::from_millis(1));
    let all = told(store).await;
    let new = all[*seen..].to_vec();
    *seen = all.len();
    new
}

pub(crate) async fn every_change_of_an_account_is_told_once(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let other = user(&store, "other@example.com").await;
    let actor = user_actor(ada.id);
    let of = Some(ada.id);
    let mut seen = 0;
    assert_eq!(new(world, &store, &mut seen).await.len(), 2);
    let whose = UserRef::Id(ada.id);

    store.set_password(&actor, ada.id, &phc("old"), None).await.unwrap();
    let expected = ("user.password".to_owned(), actor, ada.id.0, of, json!({"sessions_ended": 0}));
    assert_eq!(new(world, &store, &mut seen).await, [expected]);

    let (first, token) = sign_in(world, &store, ada.id).await;
    let expected = ("session.create".to_owned(), actor, first.id.0, of, json!({"with": "password"}));
    assert_eq!(new(world, &store, &mut seen).await, [expected]);

    renew(world, &store, token).await;
    assert_eq!(new(world, &store, &mut seen).await, [], "a renewal changes nothing that anybody asks for later");
    assert!(matches!(renew(world, &store, token).await.0, RefreshResult::Stolen { .. }));
    assert_eq!(renew(world, &store, token).await.0, RefreshResult::Ended);
    let expected = ("session.theft".to_owned(), Actor::SYSTEM, first.id.0, of, json!({}));
    assert_eq!(new(world, &store, &mut seen).await, [expected]);

    let (second, _) = sign_in(world, &store, ada.id).await;
    sign_in(world, &store, ada.id).await;
    assert_eq!(new(world, &store, &mut seen).await.len(), 2);
    for _ in 0..2 {
        store.end_session(&actor, ada.id, second.id).await.unwrap();
        store.end_session(&actor, other.id, second.id).await.unwrap();
    }
    let expected = ("session.end".to_owned(), actor, second.id.0, of, json!({}));
    assert_eq!(new(world, &store, &mut seen).await, [expected]);
    for _ in 0..2 {
        store.end_sessions(&actor, ada.id, None).await.unwrap();
    }
    let expected = ("session.end".to_owned(), actor, ada.id.0, of, json!({"sessions_ended": 1}));
    assert_eq!(new(world, &store, &mut seen).await, [expected]);

    sign_in(world, &store, ada.id).await;
    assert_eq!(new(world, &store, &mut seen).await.len(), 1);
    let change = UserChange {
        name: Some("ada@home.example".to_owned()),
        status: Some(UserStatus::Suspended),
        role: Some(Role::Admin),
        ..UserChange::default()
    };
    store.change_user(&Actor::COMMAND, &whose, change).await.unwrap();
    let before = json!({"status": "active", "role": "member"});
    let detail =
        json!({"name": "changed", "status": "suspended", "role": "admin", "sessions_ended": 1, "before": before});
    assert_eq!(new(world, &store, &mut seen).await, [("user.change".to_owned(), Actor::COMMAND, ada.id.0, of, detail)]);
}

/// The line of an action also records the sessions and links that the action ends.
pub(crate) async fn what_ends_or_is_taken_back_by_the_way_is_counted(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let mut seen = 0;
    let expires_at = Timestamp(world.clock.now().0 + 1_000_000);
    let make = async |purpose| {
        world.clock.advance(Duration::from_millis(1));
        let hash = Ticket::generate(TicketKind::Link).unwrap().hash();
        store.make_link(&user_actor(ada.id), NewLink { purpose, hash, expires_at }).await.unwrap();
    };
    for _ in 0..2 {
        make(Purpose::Password { user: ada.id }).await;
        make(Purpose::FirstAdmin).await;
    }
    world.clock.advance(Duration::from_millis(1));
    store.set_password(&user_actor(ada.id), ada.id, &phc("old"), None).await.unwrap();
    let details: Vec<Value> = new(world, &store, &mut seen).await.into_iter().skip(1).map(|told| told.4).collect();
    let expected = [
        json!({"kind": "password"}),
        json!({"kind": "first_admin"}),
        json!({"kind": "password", "links_taken_back": 1}),
        json!({"kind": "first_admin", "links_taken_back": 1}),
        json!({"sessions_ended": 0, "links_taken_back": 1}),
    ];
    assert_eq!(details, expected);
    for _ in 0..OPEN_MAX {
        world.clock.advance(Duration::from_millis(1));
        sign_in(world, &store, ada.id).await;
    }
    seen = told(&store).await.len();
    world.clock.advance(Duration::from_millis(1));
    sign_in(world, &store, ada.id).await;
    let details: Vec<Value> = new(world, &store, &mut seen).await.into_iter().map(|told| told.4).collect();
    assert_eq!(details, [json!({"with": "password", "sessions_ended": 1})]);
}

pub(crate) async fn every_link_is_told_with_what_it_brought(world: &World) {
    let store = world.store().await;
    store.ensure_plans(&[plan("starter", 1_000)]).await.unwrap();
    let ada = user(&store, "ada@example.com").await;
    let mut seen = 0;
    assert_eq!(new(world, &store, &mut seen).await.len(), 1);
    let expires_at = Timestamp(world.clock.now().0 + 1_000_000);
    let mut links = Vec::new();
    for purpose in [
        Purpose::Invite { email: Some(email("bob@example.com")), plan: Some("starter".to_owned()) },
        Purpose::Password { user: ada.id },
        Purpose::FirstAdmin,
        Purpose::Invite { email: None, plan: None },
    ] {
        world.clock.advance(Duration::from_millis(1));
        let hash = Ticket::generate(TicketKind::Link).unwrap().hash();
        links.push((store.make_link(&user_actor(ada.id), NewLink { purpose, hash, expires_at }).await.unwrap(), hash));
    }
    world.clock.advance(Duration::from_millis(1));
    store.take_back_invite(&user_actor(ada.id), links[3].0.id).await.unwrap();
    let kinds = [("invite", None), ("password", Some(ada.id)), ("first_admin", None), ("invite", None)];
    let made = links.iter().zip(kinds).map(|((link, _), (kind, of))| {
        ("link.create".to_owned(), user_actor(ada.id), link.id.0, of, json!({"kind": kind}))
    });
    let back = ("link.revoke".to_owned(), user_actor(ada.id), links[3].0.id.0, None, json!({}));
    assert_eq!(new(world, &store, &mut seen).await, made.chain([back]).collect::<Vec<_>>());

    // An unauthenticated client requests these changes.
    let stranger = Actor { by: ActorKind::System, address: "203.0.113.9".parse().ok() };
    let member =
        |address: &str| NewUser { password: Some(phc("x")), ..NewUser::member(email(address), "Bob", "starter") };
    let bob = store.register(&stranger, member("bob@example.com"), Some(links[0].1)).await.unwrap();
    let detail = json!({"plan": "starter", "role": "member", "link": links[0].0.id});
    assert_eq!(
        new(world, &store, &mut seen).await,
        [("user.create".to_owned(), stranger, bob.id.0, Some(bob.id), detail)]
    );
    store.redeem_password(&stranger, links[1].1, RedeemedPassword::new(&phc("y"))).await.unwrap();
    let detail = json!({"sessions_ended": 0, "link": links[1].0.id});
    assert_eq!(
        new(world, &store, &mut seen).await,
        [("user.password".to_owned(), stranger, ada.id.0, Some(ada.id), detail)]
    );
    let admin = store.redeem_first_admin(&stranger, links[2].1, member("admin@example.com")).await.unwrap();
    let detail = json!({"plan": "starter", "role": "admin", "link": links[2].0.id});
    assert_eq!(
        new(world, &store, &mut seen).await,
        [("user.create".to_owned(), stranger, admin.id.0, Some(admin.id), detail)]
    );
    let all = format!("{:?}", told(&store).await);
    assert!(!all.contains("example.com"), "no address: {all}");
}
