use std::time::Duration;

use access::credentials::ticket::{Ticket, TicketKind};
use access::{LinkId, Role, Secret, TicketHash, Timestamp, UserStatus};
use serde_json::Value;
use store::accounts::links::OPEN_MAX;
use store::{
    Actor, AuditAction, AuditFilter, Email, Link, LinkError, NewLink, NewSession, NewUser, Purpose, RedeemError,
    RedeemedPassword, SessionCredential, Store, User, UserChange, UserError, UserRef,
};

use crate::sessions::{new_session, phc, sign_in, user_actor};
use crate::world::{World, email, plan, user};

const DAY: Duration = Duration::from_secs(86_400);

fn ticket() -> TicketHash {
    Ticket::generate(TicketKind::Link).unwrap().hash()
}

async fn make(world: &World, store: &Store, purpose: Purpose) -> (Link, TicketHash) {
    let hash = ticket();
    let now = world.clock.now();
    let new = NewLink { purpose, hash, expires_at: Timestamp(now.0 + 86_400_000_000) };
    (store.make_link(&Actor::COMMAND, new).await.unwrap(), hash)
}

fn invite(address: Option<&str>, plan: Option<&str>) -> Purpose {
    Purpose::Invite { email: address.map(email), plan: plan.map(str::to_owned) }
}

fn who(address: &str) -> NewUser {
    NewUser { password: Some(phc("chosen")), ..NewUser::member(email(address), "Ada", "starter") }
}

fn refused<T>(done: &Result<T, RedeemError>) -> bool {
    matches!(done, Err(RedeemError::NoLink))
}

async fn password(store: &Store, email: &Email) -> Option<String> {
    let (_, phc) = store.credentials_of(email).await.unwrap().unwrap();
    phc.map(|phc| phc.expose().to_owned())
}

pub(crate) async fn an_invitation_makes_one_user(world: &World) {
    let store = world.store().await;
    store.ensure_plans(&[plan("starter", 1_000), plan("pro", 10_000)]).await.unwrap();
    let admin = user(&store, "admin@example.com").await;
    let hash = ticket();
    let expires_at = Timestamp(world.clock.now().0 + 1_000_000);
    let new = NewLink { purpose: invite(None, Some("pro")), hash, expires_at };
    let link = store.make_link(&user_actor(admin.id), new).await.unwrap();
    assert_eq!(store.find_link(hash).await.unwrap(), Some(link.clone()));
    assert_eq!(link.made_by, Some(admin.id));
    // Everyone who signs up becomes a member, whatever the request contains.
    let asked = NewUser { role: Role::Admin, demo: true, ..who("ada@example.com") };
    let ada = store.register(&Actor::SYSTEM, asked, Some(hash)).await.unwrap();
    assert_eq!((ada.role, ada.demo, ada.plan.name.as_str()), (Role::Member, false, "pro"));
    assert_eq!(password(&store, ada.email.as_ref().unwrap()).await.as_deref(), Some("chosen"));
    assert_eq!(store.find_link(hash).await.unwrap(), None);
    assert!(refused(&store.register(&Actor::SYSTEM, who("eve@example.com"), Some(hash)).await));
}

pub(crate) async fn an_invitation_is_not_used_up_in_vain(world: &World) {
    let store = world.store().await;
    user(&store, "taken@example.com").await;
    let (_, hash) = make(world, &store, invite(None, None)).await;
    let taken = store.register(&Actor::SYSTEM, who("taken@example.com"), Some(hash)).await;
    assert!(matches!(taken, Err(RedeemError::User(UserError::EmailTaken))), "{taken:?}");
    let unplanned = NewUser { plan: "gold".to_owned(), ..who("ada@example.com") };
    let unplanned = store.register(&Actor::SYSTEM, unplanned, Some(hash)).await;
    assert!(matches!(unplanned, Err(RedeemError::User(UserError::NoPlan(_)))), "{unplanned:?}");
    store.register(&Actor::SYSTEM, who("ada@example.com"), Some(hash)).await.unwrap();
}

pub(crate) async fn an_invitation_for_an_address_is_its_alone(world: &World) {
    let store = world.store().await;
    user(&store, "admin@example.com").await;
    let (_, hash) = make(world, &store, invite(Some("ada@example.com"), None)).await;
    assert!(refused(&store.register(&Actor::SYSTEM, who("eve@example.com"), Some(hash)).await));
    store.register(&Actor::SYSTEM, who("ADA@example.com"), Some(hash)).await.unwrap();
}

pub(crate) async fn who_needs_no_invitation_signs_up_without(world: &World) {
    let store = world.store().await;
    store.ensure_plans(&[plan("starter", 1_000)]).await.unwrap();
    let ada = store.register(&Actor::SYSTEM, who("ada@example.com"), None).await.unwrap();
    assert_eq!((ada.role, ada.status), (Role::Member, UserStatus::Active));
}

pub(crate) async fn who_signs_up_is_signed_in_or_not_there_at_all(world: &World) {
    let store = world.store().await;
    let other = user(&store, "other@example.com").await;
    let (_, taken) = sign_in(world, &store, other.id).await;
    let (_, invitation) = make(world, &store, invite(None, None)).await;
    let session = |id| new_session(world, id, SessionCredential::Password(phc("chosen"))).0;
    // A failure between the two: the refresh token already exists.
    let failing = |id| NewSession { refresh: taken, ..session(id) };
    let asked = who("ada@example.com");
    let invite = Some(invitation);
    let failed = store.register_signed_in(&Actor::SYSTEM, asked.clone(), invite, failing).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(store.find_user(&UserRef::Email(email("ada@example.com"))).await.unwrap(), None);
    let (ada, begun) = store.register_signed_in(&Actor::SYSTEM, asked, invite, session).await.unwrap();
    assert_eq!(begun.user, ada.id);
    assert_eq!(store.session_state(begun.id).await.unwrap().unwrap().session, begun);
    let page = store.audit_page(&AuditFilter::default(), None, 200).await.unwrap();
    let line = page.lines.into_iter().find(|line| line.target == begun.id.0).unwrap();
    assert_eq!((line.action.as_str(), line.actor.by), ("session.create", user_actor(ada.id).by));
}

pub(crate) async fn a_link_is_for_one_thing_and_for_a_time(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (_, invitation) = make(world, &store, invite(None, None)).await;
    let (_, choose) = make(world, &store, Purpose::Password { user: ada.id }).await;
    let (_, first) = make(world, &store, Purpose::FirstAdmin).await;
    let new = || who("eve@example.com");
    assert!(refused(&store.redeem_password(&Actor::SYSTEM, invitation, RedeemedPassword::new(&phc("x"))).await));
    assert!(refused(&store.redeem_password(&Actor::SYSTEM, first, RedeemedPassword::new(&phc("x"))).await));
    assert!(refused(&store.redeem_password(&Actor::SYSTEM, ticket(), RedeemedPassword::new(&phc("x"))).await));
    assert!(refused(&store.redeem_first_admin(&Actor::SYSTEM, invitation, new()).await));
    assert!(refused(&store.redeem_first_admin(&Actor::SYSTEM, choose, new()).await));
    assert!(refused(&store.register(&Actor::SYSTEM, new(), Some(choose)).await));
    assert!(refused(&store.register(&Actor::SYSTEM, new(), Some(first)).await));
    for hash in [invitation, choose, first] {
        assert!(store.find_link(hash).await.unwrap().is_some(), "none was used up by that");
    }
    world.clock.advance(DAY);
    assert!(refused(&store.redeem_password(&Actor::SYSTEM, choose, RedeemedPassword::new(&phc("x"))).await));
    assert!(refused(&store.redeem_first_admin(&Actor::SYSTEM, first, new()).await));
    assert!(refused(&store.register(&Actor::SYSTEM, new(), Some(invitation)).await));
    for hash in [invitation, choose, first] {
        assert_eq!(store.find_link(hash).await.unwrap(), None);
    }
}

pub(crate) async fn a_password_is_chosen_once_and_ends_sessions(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (session, _) = sign_in(world, &store, ada.id).await;
    let (_, before) = make(world, &store, Purpose::Password { user: ada.id }).await;
    let (link, hash) = make(world, &store, Purpose::Password { user: ada.id }).await;
    assert_eq!(store.find_link(before).await.unwrap(), None, "a new one takes back the one before");
    assert_eq!(store.find_link(hash).await.unwrap(), Some(link));
    assert_eq!(store.redeem_password(&Actor::SYSTEM, hash, RedeemedPassword::new(&phc("chosen"))).await.unwrap(), ada);
    assert_eq!(password(&store, ada.email.as_ref().unwrap()).await.as_deref(), Some("chosen"));
    assert!(store.session_state(session.id).await.unwrap().unwrap().session.ended_at.is_some());
    assert!(refused(&store.redeem_password(&Actor::SYSTEM, hash, RedeemedPassword::new(&phc("again"))).await));
    // Setting a password in another way withdraws the link.
    let (_, hash) = make(world, &store, Purpose::Password { user: ada.id }).await;
    store.set_password(&Actor::COMMAND, ada.id, &phc("other"), None).await.unwrap();
    assert!(refused(&store.redeem_password(&Actor::SYSTEM, hash, RedeemedPassword::new(&phc("again"))).await));
}

pub(crate) async fn the_same_password_ends_no_session_unless_it_has_changed(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (session, _) = sign_in(world, &store, ada.id).await;
    let is_open = async || store.session_state(session.id).await.unwrap().unwrap().session.ended_at.is_none();
    let email = ada.email.as_ref().unwrap();
    let before = password(&store, email).await.map(Secret::new).unwrap();
    let (_, hash) = make(world, &store, Purpose::Password { user: ada.id }).await;
    let again = phc("again");
    let other = phc("other");
    let same = RedeemedPassword { phc: &again, same_as: Some(&before) };
    store.redeem_password(&Actor::SYSTEM, hash, same).await.unwrap();
    assert_eq!(password(&store, email).await.as_deref(), Some("again"));
    assert!(is_open().await);
    assert!(refused(&store.redeem_password(&Actor::SYSTEM, hash, same).await), "the link is used");
    let page = store.audit_page(&AuditFilter::default(), None, 200).await.unwrap();
    let is_noted = page.lines.iter().any(|line| line.action == "user.password" && line.detail["same_password"] == true);
    assert!(is_noted, "{page:?}");
    // The stored hash has changed since the password was verified.
    let (_, hash) = make(world, &store, Purpose::Password { user: ada.id }).await;
    let stale = RedeemedPassword { phc: &other, same_as: Some(&before) };
    store.redeem_password(&Actor::SYSTEM, hash, stale).await.unwrap();
    assert_eq!(password(&store, email).await.as_deref(), Some("other"));
    assert!(!is_open().await);
}

pub(crate) async fn of_two_who_redeem_at_once_one_does(world: &World) {
    let one = world.store().await;
    let two = world.store().await;
    let ada = user(&one, "ada@example.com").await;
    for _ in 0..5 {
        let (_, hash) = make(world, &one, Purpose::Password { user: ada.id }).await;
        let a = phc("a");
        let b = phc("b");
        let both = tokio::join!(
            one.redeem_password(&Actor::SYSTEM, hash, RedeemedPassword::new(&a)),
            two.redeem_password(&Actor::SYSTEM, hash, RedeemedPassword::new(&b)),
        );
        let winner = if both.0.is_ok() { "a" } else { "b" };
        assert!(refused(&both.0) != refused(&both.1));
        assert_eq!(password(&one, ada.email.as_ref().unwrap()).await.as_deref(), Some(winner));
    }
}

pub(crate) async fn of_links_made_at_once_one_stays_open(world: &World) {
    let one = world.store().await;
    let two = world.store().await;
    let ada = user(&one, "ada@example.com").await;
    for _ in 0..10 {
        for purpose in [Purpose::Password { user: ada.id }, Purpose::FirstAdmin] {
            let both = tokio::join!(make(world, &one, purpose.clone()), make(world, &two, purpose));
            let found = (one.find_link(both.0.1).await.unwrap(), one.find_link(both.1.1).await.unwrap());
            assert!(found.0.is_some() != found.1.is_some(), "{found:?}");
        }
    }
}

pub(crate) async fn a_user_who_becomes_an_admin_loses_the_password_links(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (_, hash) = make(world, &store, Purpose::Password { user: ada.id }).await;
    let change = async |change| {
        store.change_user(&Actor::COMMAND, &UserRef::Id(ada.id), change).await.unwrap();
        let filter = AuditFilter { action: Some(AuditAction::UserChange), ..AuditFilter::default() };
        store.audit_page(&filter, None, 1).await.unwrap().lines.remove(0).detail["links_taken_back"].clone()
    };
    let role = |role| UserChange { role: Some(role), ..UserChange::default() };
    assert_eq!(change(UserChange { name: Some("Ada L.".to_owned()), ..UserChange::default() }).await, Value::Null);
    assert!(store.find_link(hash).await.unwrap().is_some());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(change(role(Role::Admin)).await, 1);
    assert_eq!(store.find_link(hash).await.unwrap(), None);
}

pub(crate) async fn a_link_and_a_new_password_do_not_wait_for_each_other(world: &World) {
    let one = world.store().await;
    let two = world.store().await;
    let ada = user(&one, "ada@example.com").await;
    for _ in 0..20 {
        let (_, hash) = make(world, &one, Purpose::Password { user: ada.id }).await;
        let a = phc("a");
        let b = phc("b");
        let redeemed = one.redeem_password(&Actor::SYSTEM, hash, RedeemedPassword::new(&a));
        let (redeemed, set) = tokio::join!(redeemed, two.set_password(&Actor::COMMAND, ada.id, &b, None));
        set.unwrap();
        assert!(redeemed.is_ok() || refused(&redeemed), "{redeemed:?}");
    }
}

pub(crate) async fn the_first_admin_is_the_only_one_made_by_link(world: &World) {
    let store = world.store().await;
    store.ensure_plans(&[plan("starter", 1_000)]).await.unwrap();
    assert!(!store.has_admin().await.unwrap());
    let (_, before) = make(world, &store, Purpose::FirstAdmin).await;
    let (_, hash) = make(world, &store, Purpose::FirstAdmin).await;
    assert!(refused(&store.redeem_first_admin(&Actor::SYSTEM, before, who("a@example.com")).await), "taken back");
    let admin: User = store.redeem_first_admin(&Actor::SYSTEM, hash, who("admin@example.com")).await.unwrap();
    assert_eq!(admin.role, Role::Admin);
    assert!(store.has_admin().await.unwrap());
    let late = NewLink { purpose: Purpose::FirstAdmin, hash: ticket(), expires_at: Timestamp(u64::MAX >> 1) };
    let late = store.make_link(&Actor::SYSTEM, late).await;
    assert!(matches!(late, Err(LinkError::AdminExists(_))), "{late:?}");
}

pub(crate) async fn a_first_admin_from_elsewhere_shuts_the_link(world: &World) {
    let store = world.store().await;
    store.ensure_plans(&[plan("starter", 1_000)]).await.unwrap();
    let (_, hash) = make(world, &store, Purpose::FirstAdmin).await;
    // An admin without a password cannot act as one.
    let new = NewUser { role: Role::Admin, password: None, ..who("admin@example.com") };
    let admin = store.create_user(&Actor::COMMAND, new).await.unwrap();
    assert!(!store.has_admin().await.unwrap());
    store.set_password(&Actor::COMMAND, admin.id, &phc("x"), None).await.unwrap();
    let late = store.redeem_first_admin(&Actor::SYSTEM, hash, who("eve@example.com")).await;
    assert!(matches!(late, Err(RedeemError::AdminExists(_))), "{late:?}");
}

pub(crate) async fn invitations_are_listed_in_pages_and_taken_back(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let mut made = Vec::new();
    for n in 0..4 {
        world.clock.advance(Duration::from_secs(1));
        made.insert(0, make(world, &store, invite(Some(&format!("{n}@example.com")), Some("starter"))).await.0);
    }
    let first = store.open_invites(None, 3).await.unwrap();
    assert_eq!(first, made[..3]);
    assert_eq!(store.open_invites(Some(first[2].id), 3).await.unwrap(), made[3..]);
    assert!(store.take_back_invite(&user_actor(ada.id), made[1].id).await.unwrap());
    assert!(!store.take_back_invite(&user_actor(ada.id), made[1].id).await.unwrap());
    assert!(!store.take_back_invite(&user_actor(ada.id), LinkId(ada.id.0)).await.unwrap());
    let (choose, hash) = make(world, &store, Purpose::Password { user: ada.id }).await;
    assert!(!store.take_back_invite(&user_actor(ada.id), choose.id).await.unwrap(), "it is no invitation");
    assert!(store.find_link(hash).await.unwrap().is_some());
    made.remove(1);
    assert_eq!(store.open_invites(None, 200).await.unwrap(), made);
    assert!(!format!("{made:?}").contains("example"), "{made:?}");
}

pub(crate) async fn open_invitations_are_bounded(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let new = || NewLink {
        purpose: invite(None, None),
        hash: ticket(),
        expires_at: Timestamp(world.clock.now().0 + 86_400_000_000),
    };
    for _ in 0..OPEN_MAX {
        store.make_link(&Actor::COMMAND, new()).await.unwrap();
    }
    let refused = store.make_link(&Actor::COMMAND, new()).await;
    assert!(matches!(refused, Err(LinkError::TooManyLinks)), "{refused:?}");
    let of_user = NewLink { purpose: Purpose::Password { user: ada.id }, ..new() };
    assert!(store.make_link(&Actor::COMMAND, of_user).await.is_ok(), "a link for a password is none of them");
    world.clock.advance(DAY);
    store.make_link(&Actor::COMMAND, new()).await.unwrap();
}

pub(crate) async fn of_two_invitations_for_the_last_place_one_is_made(world: &World) {
    let one = world.store().await;
    let two = world.store().await;
    for _ in 1..OPEN_MAX {
        make(world, &one, invite(None, None)).await;
    }
    let new = || {
        let expires_at = Timestamp(world.clock.now().0 + 86_400_000_000);
        NewLink { purpose: invite(None, None), hash: ticket(), expires_at }
    };
    for _ in 0..10 {
        let both = tokio::join!(one.make_link(&Actor::COMMAND, new()), two.make_link(&Actor::COMMAND, new()));
        let made = match both {
            (Ok(made), Err(LinkError::TooManyLinks)) | (Err(LinkError::TooManyLinks), Ok(made)) => made,
            both => panic!("{both:?}"),
        };
        assert!(one.take_back_invite(&Actor::COMMAND, made.id).await.unwrap());
    }
}

pub(crate) async fn a_user_comes_with_its_link_or_not_at_all(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let until = Timestamp(world.clock.now().0 + 86_400_000_000);
    let hash = ticket();
    let (bob, link) =
        store.create_user_with_link(&user_actor(ada.id), who("bob@example.com"), hash, until).await.unwrap();
    assert_eq!((&link.purpose, link.made_by), (&Purpose::Password { user: bob.id }, Some(ada.id)));
    assert_eq!(store.find_link(hash).await.unwrap(), Some(link));
    // The ticket already exists, so neither user nor link is created.
    let again = store.create_user_with_link(&user_actor(ada.id), who("eve@example.com"), hash, until).await;
    assert!(again.is_err(), "{again:?}");
    let eve = store.find_user(&store::UserRef::Email(email("eve@example.com"))).await.unwrap();
    assert!(eve.is_none());
    assert_eq!(store.redeem_password(&Actor::SYSTEM, hash, RedeemedPassword::new(&phc("x"))).await.unwrap().id, bob.id);
}
