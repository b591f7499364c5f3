use std::net::IpAddr;
use std::time::Duration;

use access::credentials::ticket::{Ticket, TicketKind};
use access::{ApiKey, Credits, KeyBounds, Secret, SessionId, TicketHash, Timestamp, UserId, UserStatus};
use store::accounts::sessions::OPEN_MAX;
use store::{
    Actor, ActorKind, AuditFilter, InvalidSession, Key, NewKey, NewRefresh, NewSession, PasswordChange,
    PasswordChangeError, RefreshResult, Session, SessionCredential, SessionError, Store, UserChange, UserRef,
};

use crate::world::{NOW, World, key, user};

pub(crate) const WEEK: Duration = Duration::from_secs(7 * 86_400);

pub(crate) fn ticket() -> TicketHash {
    Ticket::generate(TicketKind::Refresh).unwrap().hash()
}

pub(crate) fn phc(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(crate) fn user_actor(user: UserId) -> Actor {
    Actor { by: ActorKind::User { user, session: None }, address: "203.0.113.7".parse().ok() }
}

fn after(at: Timestamp, time: Duration) -> Timestamp {
    Timestamp(at.0 + u64::try_from(time.as_micros()).unwrap())
}

pub(crate) fn new_session(world: &World, user: UserId, credential: SessionCredential) -> (NewSession, TicketHash) {
    let refresh = ticket();
    let new = NewSession {
        user,
        credential,
        address: "203.0.113.7".parse().ok(),
        agent: Some("curl/8".to_owned()),
        refresh,
        expires_at: after(world.clock.now(), WEEK),
    };
    (new, refresh)
}

/// Signs in with the password whose hash is `old`; sets the password first if the user has no password.
pub(crate) async fn sign_in(world: &World, store: &Store, user: UserId) -> (Session, TicketHash) {
    let email = store.find_user(&UserRef::Id(user)).await.unwrap().unwrap().email.unwrap();
    if store.credentials_of(&email).await.unwrap().unwrap().1.is_none() {
        store.set_password(&Actor::COMMAND, user, &phc("old"), None).await.unwrap();
    }
    let (new, refresh) = new_session(world, user, SessionCredential::Password(phc("old")));
    (store.begin_session(&user_actor(user), new).await.unwrap(), refresh)
}

/// Makes a credential of a key and its secret.
pub(crate) fn with(secret: &ApiKey, key: &Key) -> SessionCredential {
    SessionCredential::Key { key: key.id, secret: secret.hash() }
}

async fn sign_in_by_key(world: &World, store: &Store, secret: &ApiKey, key: &Key) -> (Session, TicketHash) {
    let (new, refresh) = new_session(world, key.user, with(secret, key));
    (store.begin_session(&user_actor(key.user), new).await.unwrap(), refresh)
}

pub(crate) async fn renew(world: &World, store: &Store, presented: TicketHash) -> (RefreshResult, TicketHash) {
    let next = NewRefresh { hash: ticket(), expires_at: after(world.clock.now(), WEEK) };
    (store.refresh(&Actor::SYSTEM, presented, next).await.unwrap(), next.hash)
}

async fn shut(world: &World, store: &Store, id: SessionId) -> Option<InvalidSession> {
    store.session_state(id).await.unwrap().unwrap().open_at(world.clock.now()).err()
}

pub(crate) async fn a_session_is_found_with_its_user_and_its_key(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let bounds = KeyBounds {
        credits_per_day: Some(Credits::whole(5)),
        models: Some(vec!["openai/*".to_owned()]),
        addresses: Some(vec!["203.0.113.0/24".parse().unwrap()]),
        control: Some(access::ControlScope::Own),
        ..KeyBounds::default()
    };
    let secret = ApiKey::generate("tollgate").unwrap();
    let new = NewKey { bounds: bounds.clone(), ..NewKey::unbounded(ada.id, "laptop", &secret) };
    let key = store.create_key(&Actor::COMMAND, new).await.unwrap();
    let (by_password, _) = sign_in(world, &store, ada.id).await;
    let (by_key, _) = sign_in_by_key(world, &store, &secret, &key).await;
    let state = store.session_state(by_password.id).await.unwrap().unwrap();
    assert_eq!((&state.session, &state.user, &state.key), (&by_password, &ada, &None));
    assert_eq!((by_password.created_at, by_password.seen_at, by_password.ended_at), (NOW, NOW, None));
    assert_eq!(by_password.address, "203.0.113.7".parse::<IpAddr>().ok());
    let state = store.session_state(by_key.id).await.unwrap().unwrap();
    assert_eq!((&state.session, &state.user), (&by_key, &ada));
    let found = state.key.unwrap();
    assert_eq!((found.id, found.no, &*found.bounds), (key.id, key.no, &bounds));
    assert_eq!(store.session_state(SessionId(ada.id.0)).await.unwrap(), None);
}

pub(crate) async fn a_session_opens_nothing_once_it_or_its_key_or_its_user_does_not(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (secret, key) = key(&store, ada.id).await;
    let (session, _) = sign_in_by_key(world, &store, &secret, &key).await;
    assert_eq!(shut(world, &store, session.id).await, None);
    store.revoke_key(&Actor::COMMAND, key.id).await.unwrap();
    assert_eq!(shut(world, &store, session.id).await, Some(InvalidSession::KeyRevoked));
    let (session, _) = sign_in(world, &store, ada.id).await;
    assert!(store.end_session(&user_actor(ada.id), ada.id, session.id).await.unwrap());
    assert_eq!(shut(world, &store, session.id).await, Some(InvalidSession::Ended));
    let (session, _) = sign_in(world, &store, ada.id).await;
    let which = UserRef::Id(ada.id);
    store
        .change_user(
            &Actor::COMMAND,
            &which,
            store::UserChange { status: Some(UserStatus::Suspended), ..store::UserChange::default() },
        )
        .await
        .unwrap();
    assert_eq!(shut(world, &store, session.id).await, Some(InvalidSession::Suspended));
    store
        .change_user(
            &Actor::COMMAND,
            &which,
            store::UserChange { status: Some(UserStatus::Active), ..store::UserChange::default() },
        )
        .await
        .unwrap();
    assert_eq!(shut(world, &store, session.id).await, Some(InvalidSession::Ended), "for good");
    let (session, _) = sign_in(world, &store, ada.id).await;
    world.clock.advance(WEEK);
    assert_eq!(shut(world, &store, session.id).await, Some(InvalidSession::Ended), "its time is over");
}

pub(crate) async fn a_refresh_token_holds_once(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (session, first) = sign_in(world, &store, ada.id).await;
    world.clock.advance(Duration::from_secs(86_400));
    let (renewed, second) = renew(world, &store, first).await;
    let now = world.clock.now();
    let expected = Session { seen_at: now, expires_at: after(now, WEEK), ..session };
    assert_eq!(renewed, RefreshResult::Renewed(expected.clone()));
    assert_eq!(store.session_state(expected.id).await.unwrap().unwrap().session, expected);
    let (renewed, _) = renew(world, &store, second).await;
    assert!(matches!(renewed, RefreshResult::Renewed(_)), "{renewed:?}");
    assert_eq!(renew(world, &store, ticket()).await.0, RefreshResult::Unknown);
}

pub(crate) async fn a_used_refresh_token_ends_its_session_alone(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (session, first) = sign_in(world, &store, ada.id).await;
    let (other, _) = sign_in(world, &store, ada.id).await;
    let (_, second) = renew(world, &store, first).await;
    let (_, third) = renew(world, &store, second).await;
    let stolen = RefreshResult::Stolen { user: ada.id, session: session.id };
    assert_eq!(renew(world, &store, first).await.0, stolen);
    assert_eq!(shut(world, &store, session.id).await, Some(InvalidSession::Ended));
    for token in [first, second, third] {
        assert_eq!(renew(world, &store, token).await.0, RefreshResult::Ended, "nothing of the family opens anything");
    }
    assert_eq!(shut(world, &store, other.id).await, None);
}

pub(crate) async fn of_two_who_renew_at_once_one_wins_and_the_session_ends(world: &World) {
    // Two processes on one store, and one process that receives both requests.
    let one = world.store().await;
    let other = world.store().await;
    let ada = user(&one, "ada@example.com").await;
    for two in [&other, &one].into_iter().cycle().take(60) {
        let (session, first) = sign_in(world, &one, ada.id).await;
        let both = tokio::join!(renew(world, &one, first), renew(world, two, first));
        let outcomes = [both.0.0, both.1.0];
        let won = outcomes.iter().filter(|outcome| matches!(outcome, RefreshResult::Renewed(_))).count();
        let stolen = outcomes.iter().filter(|outcome| matches!(outcome, RefreshResult::Stolen { .. })).count();
        assert_eq!((won, stolen), (1, 1), "{outcomes:?}");
        assert_eq!(shut(world, &one, session.id).await, Some(InvalidSession::Ended));
    }
}

pub(crate) async fn what_has_ended_or_expired_is_not_renewed(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (session, token) = sign_in(world, &store, ada.id).await;
    store.end_session(&user_actor(ada.id), ada.id, session.id).await.unwrap();
    assert_eq!(renew(world, &store, token).await.0, RefreshResult::Ended);
    let (_, token) = sign_in(world, &store, ada.id).await;
    world.clock.advance(WEEK);
    assert_eq!(renew(world, &store, token).await.0, RefreshResult::Ended);
    // That did not use the token: a clock that moves back does not make the next use a theft.
    assert_eq!(renew(world, &store, token).await.0, RefreshResult::Ended);
}

pub(crate) async fn a_session_of_a_key_that_is_over_is_not_renewed(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let secret = ApiKey::generate("tollgate").unwrap();
    let ends = after(world.clock.now(), Duration::from_secs(60));
    let new = NewKey { expires_at: Some(ends), ..NewKey::unbounded(ada.id, "laptop", &secret) };
    let key = store.create_key(&Actor::COMMAND, new).await.unwrap();
    let (_, token) = sign_in_by_key(world, &store, &secret, &key).await;
    let (renewed, token) = renew(world, &store, token).await;
    assert!(matches!(renewed, RefreshResult::Renewed(_)), "{renewed:?}");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(renew(world, &store, token).await.0, RefreshResult::Ended);
}

pub(crate) async fn who_signs_out_by_refresh_token_ends_its_session_and_is_no_thief(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let stranger = Actor { by: ActorKind::System, address: "203.0.113.9".parse().ok() };
    let (session, first) = sign_in(world, &store, ada.id).await;
    let (other, used) = sign_in(world, &store, ada.id).await;
    renew(world, &store, used).await;
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(store.sign_out(&stranger, first).await.unwrap(), Some(session.id));
    assert_eq!(shut(world, &store, session.id).await, Some(InvalidSession::Ended));
    // A repeated request, as after a lost response, is not a theft.
    assert_eq!(store.sign_out(&stranger, first).await.unwrap(), None);
    assert_eq!(renew(world, &store, first).await.0, RefreshResult::Ended);
    assert_eq!(store.sign_out(&stranger, ticket()).await.unwrap(), None);
    assert_eq!(shut(world, &store, other.id).await, None);
    world.clock.advance(Duration::from_millis(1));
    // A used token ends its session, and the log records the theft.
    assert_eq!(store.sign_out(&stranger, used).await.unwrap(), Some(other.id));
    let page = store.audit_page(&AuditFilter::default(), None, 2).await.unwrap();
    let told: Vec<_> = page.lines.into_iter().map(|line| (line.action, line.actor, line.target)).collect();
    let own = Actor { by: ActorKind::User { user: ada.id, session: Some(session.id) }, ..stranger };
    let expected = [("session.theft".to_owned(), stranger, other.id.0), ("session.end".to_owned(), own, session.id.0)];
    assert_eq!(told, expected);
}

pub(crate) async fn nobody_ends_another_users_session(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let eve = user(&store, "eve@example.com").await;
    let (session, _) = sign_in(world, &store, ada.id).await;
    assert!(!store.end_session(&user_actor(eve.id), eve.id, session.id).await.unwrap());
    assert!(!store.end_session(&user_actor(eve.id), eve.id, SessionId(eve.id.0)).await.unwrap());
    assert_eq!(shut(world, &store, session.id).await, None);
    for _ in 0..2 {
        assert!(store.end_session(&user_actor(ada.id), ada.id, session.id).await.unwrap(), "also when it has ended");
    }
}

pub(crate) async fn sessions_are_listed_newest_first_in_pages(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let eve = user(&store, "eve@example.com").await;
    sign_in(world, &store, eve.id).await;
    let mut begun = Vec::new();
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(1));
        begun.insert(0, sign_in(world, &store, ada.id).await.0);
    }
    let ended = begun.remove(3);
    store.end_session(&user_actor(ada.id), ada.id, ended.id).await.unwrap();
    let first = store.sessions_of(ada.id, None, 2).await.unwrap();
    assert_eq!(first, begun[..2]);
    let rest = store.sessions_of(ada.id, Some(first[1].id), 200).await.unwrap();
    assert_eq!(rest, begun[2..]);
    assert_eq!(store.end_sessions(&user_actor(ada.id), ada.id, Some(begun[1].id)).await.unwrap(), 3);
    assert_eq!(store.sessions_of(ada.id, None, 200).await.unwrap(), begun[1..2]);
    world.clock.advance(WEEK);
    assert_eq!(store.sessions_of(ada.id, None, 200).await.unwrap(), []);
}

pub(crate) async fn a_sign_in_too_many_ends_the_oldest_of_its_kind(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (secret, key) = key(&store, ada.id).await;
    let (by_password, _) = sign_in(world, &store, ada.id).await;
    let mut by_key = Vec::new();
    for _ in 0..=OPEN_MAX {
        world.clock.advance(Duration::from_secs(1));
        by_key.push(sign_in_by_key(world, &store, &secret, &key).await.0);
    }
    assert_eq!(shut(world, &store, by_key[0].id).await, Some(InvalidSession::Ended));
    assert_eq!(shut(world, &store, by_key[1].id).await, None);
    assert_eq!(shut(world, &store, by_password.id).await, None, "a script does not sign people out");
}

pub(crate) async fn a_new_password_ends_the_other_sessions(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (mine, token) = sign_in(world, &store, ada.id).await;
    let (other, others_token) = sign_in(world, &store, ada.id).await;
    store.set_password(&user_actor(ada.id), ada.id, &phc("new"), Some(mine.id)).await.unwrap();
    assert_eq!(shut(world, &store, mine.id).await, None);
    assert_eq!(shut(world, &store, other.id).await, Some(InvalidSession::Ended));
    assert_eq!(renew(world, &store, others_token).await.0, RefreshResult::Ended);
    assert!(matches!(renew(world, &store, token).await.0, RefreshResult::Renewed(_)));
    let (_, stored) = store.credentials_of(ada.email.as_ref().unwrap()).await.unwrap().unwrap();
    assert_eq!(stored, Some(phc("new")));
    // A sign-in that verified the previous password comes too late.
    let (new, _) = new_session(world, ada.id, SessionCredential::Password(phc("old")));
    let refused = store.begin_session(&user_actor(ada.id), new).await;
    assert!(matches!(refused, Err(SessionError::CredentialGone(_))), "{refused:?}");
    let missing = store.set_password(&Actor::COMMAND, UserId(mine.id.0), &phc("x"), None).await;
    assert!(matches!(missing, Err(PasswordChangeError::NoUser(_))), "{missing:?}");
    let (session, _) = new_session(world, ada.id, SessionCredential::Password(phc("new")));
    let other = store.begin_session(&user_actor(ada.id), session).await.unwrap();
    let old = phc("old");
    let new = phc("new");
    let newer = phc("newer");
    let late = PasswordChange { from: &old, to: &newer, keep: None };
    let refused = store.change_password(&user_actor(ada.id), ada.id, late).await;
    assert!(matches!(refused, Err(PasswordChangeError::CredentialGone(_))), "{refused:?}");
    assert_eq!(shut(world, &store, other.id).await, None, "nothing is changed");
    let change = PasswordChange { from: &new, to: &newer, keep: Some(mine.id) };
    store.change_password(&user_actor(ada.id), ada.id, change).await.unwrap();
    assert_eq!(shut(world, &store, mine.id).await, None);
    assert_eq!(shut(world, &store, other.id).await, Some(InvalidSession::Ended));
}

pub(crate) async fn nobody_signs_in_past_a_new_password(world: &World) {
    let one = world.store().await;
    let two = world.store().await;
    let ada = user(&one, "ada@example.com").await;
    for n in 0..10 {
        let old = phc(&format!("old {n}"));
        let new = phc(&format!("new {n}"));
        one.set_password(&Actor::COMMAND, ada.id, &old, None).await.unwrap();
        let (session, _) = new_session(world, ada.id, SessionCredential::Password(old));
        let actor = user_actor(ada.id);
        let both =
            tokio::join!(one.begin_session(&actor, session), two.set_password(&Actor::COMMAND, ada.id, &new, None),);
        both.1.unwrap();
        match both.0 {
            Ok(session) => assert_eq!(shut(world, &one, session.id).await, Some(InvalidSession::Ended)),
            Err(error) => assert!(matches!(error, SessionError::CredentialGone(_)), "{error:?}"),
        }
    }
}

pub(crate) async fn a_suspended_user_begins_no_session(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (secret, key) = key(&store, ada.id).await;
    store.set_password(&Actor::COMMAND, ada.id, &phc("old"), None).await.unwrap();
    let change = UserChange { status: Some(UserStatus::Suspended), ..UserChange::default() };
    store.change_user(&Actor::COMMAND, &UserRef::Id(ada.id), change).await.unwrap();
    for credential in [SessionCredential::Password(phc("old")), with(&secret, &key)] {
        let refused = store.begin_session(&user_actor(ada.id), new_session(world, ada.id, credential).0).await;
        assert!(matches!(refused, Err(SessionError::CredentialGone(_))), "{refused:?}");
    }
}

pub(crate) async fn a_hostile_client_is_named_in_plain_text(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (secret, key) = key(&store, ada.id).await;
    for (agent, shown) in [
        ("a\0b\u{1b}[2J\r\n", "ab[2J".to_owned()),
        (&*"é".repeat(10_000), "é".repeat(200)),
        ("'); DROP TABLE sessions; --", "'); DROP TABLE sessions; --".to_owned()),
        ("", String::new()),
    ] {
        let (new, _) = new_session(world, ada.id, with(&secret, &key));
        let new = NewSession { agent: Some(agent.to_owned()), address: "::ffff:203.0.113.7".parse().ok(), ..new };
        let session = store.begin_session(&user_actor(ada.id), new).await.unwrap();
        let state = store.session_state(session.id).await.unwrap().unwrap();
        assert_eq!(state.session.agent, Some(shown));
        assert_eq!(state.session.address, "203.0.113.7".parse::<IpAddr>().ok());
        assert_eq!(state.session, session);
    }
}
