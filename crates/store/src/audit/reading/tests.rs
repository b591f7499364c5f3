use std::time::Duration;

use access::Clock;
use serde_json::json;

use super::*;
use crate::audit::Act;
use crate::fixture::Place;
use crate::sql::StoreKind;
use crate::{Email, NewUser, Options};

const FIRST: Timestamp = Timestamp(1_800_000_000_000_000);

/// Opens a store, and returns the clock that dates its lines.
async fn opened(place: &Place) -> (Store, Clock) {
    let clock = Clock::manual(FIRST);
    let options = Options { clock: clock.clone(), ..place.options(true) };
    (Store::open(options).await.unwrap(), clock)
}

async fn user(store: &Store, name: &str) -> UserId {
    store.ensure_plans(&[access::Plan::unlimited("free")]).await.unwrap();
    let email = Email::parse(&format!("{name}@example.com")).unwrap();
    store.create_user(&Actor::COMMAND, NewUser::member(email, name, "free")).await.unwrap().id
}

async fn note(store: &Store, by: &Actor, act: Act) {
    let mut transaction = store.begin().await.unwrap();
    store.note(&mut transaction, by, act).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Reads all pages of `limit` lines. Returns the number of lines of each page, and the targets of all lines.
async fn pages(store: &Store, filter: &AuditFilter, limit: usize) -> (Vec<usize>, Vec<Uuid>) {
    let mut counts = Vec::new();
    let mut targets = Vec::new();
    let mut after = None;
    loop {
        let page = store.audit_page(filter, after, limit).await.unwrap();
        counts.push(page.lines.len());
        targets.extend(page.lines.iter().map(|line| line.target));
        match page.next {
            Some(next) => after = Some(next),
            None => return (counts, targets),
        }
    }
}

#[tokio::test]
async fn a_line_says_who_did_what_to_whose_thing_and_from_where() {
    for place in Place::both().await {
        let (store, clock) = opened(&place).await;
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let key = KeyId(store.new_id());
        let target = store.new_id();
        clock.advance(Duration::from_micros(1));
        let by = Actor { by: ActorKind::Key { user: ada, key }, address: Some("::ffff:192.0.2.7".parse().unwrap()) };
        note(&store, &by, Act::new(AuditAction::KeyChange, target, Some(bob)).with(json!({"label": "läptop"}))).await;
        let page = store.audit_page(&AuditFilter::default(), None, 1).await.unwrap();
        let [line] = page.lines.as_slice() else { panic!("{page:?}") };
        // The address is returned in its own address family.
        assert_eq!(line.actor, Actor { address: Some("192.0.2.7".parse().unwrap()), ..by });
        assert_eq!((line.actor_name.as_deref(), line.owner_name.as_deref()), (Some("ada"), Some("bob")));
        assert_eq!((line.action.as_str(), line.target, line.owner), ("key.change", target, Some(bob)));
        assert_eq!((&line.detail, line.place.at), (&json!({"label": "läptop"}), clock.now()));
        assert!(page.next.is_some());
        let session = Some(SessionId(store.new_id()));
        for by in [
            ActorKind::System,
            ActorKind::Command,
            ActorKind::User { user: ada, session },
            ActorKind::User { user: ada, session: None },
        ] {
            clock.advance(Duration::from_micros(1));
            let by = Actor { by, address: None };
            note(&store, &by, Act::new(AuditAction::VaultRotate, target, None)).await;
            let page = store.audit_page(&AuditFilter::default(), None, 1).await.unwrap();
            assert_eq!((page.lines[0].actor, page.lines[0].owner), (by, None));
        }
    }
}

#[tokio::test]
async fn pages_are_newest_first_and_neither_lose_nor_repeat_a_line_of_one_moment() {
    for place in Place::both().await {
        let (store, clock) = opened(&place).await;
        // Five lines with the same time; their relative order is undefined.
        let mut written: Vec<Vec<Uuid>> = Vec::new();
        for n in 0..23_u64 {
            if n % 5 == 0 {
                clock.advance(Duration::from_micros(1));
                written.insert(0, Vec::new());
            }
            let target = store.new_id();
            note(&store, &Actor::SYSTEM, Act::new(AuditAction::VaultRotate, target, None)).await;
            written[0].push(target);
        }
        written.iter_mut().for_each(|moment| moment.sort_unstable());
        for limit in [1, 4, 22, 23, 24, usize::MAX] {
            let (counts, targets) = pages(&store, &AuditFilter::default(), limit).await;
            let mut targets = targets.into_iter();
            for moment in &written {
                let mut found: Vec<Uuid> = targets.by_ref().take(moment.len()).collect();
                found.sort_unstable();
                assert_eq!(found, *moment, "{limit}");
            }
            assert_eq!(targets.next(), None, "{limit}");
            assert!(counts.iter().all(|count| *count > 0), "{limit}: {counts:?}");
        }
    }
}

#[tokio::test]
async fn lines_are_found_by_user_actor_action_and_time() {
    for place in Place::both().await {
        let (store, clock) = opened(&place).await;
        let ada = user(&store, "ada").await;
        let bob = user(&store, "bob").await;
        let mut written = Vec::new();
        for n in 0..12_usize {
            clock.advance(Duration::from_secs(1));
            let action = if n % 3 == 0 { AuditAction::KeyCreate } else { AuditAction::KeyRevoke };
            let owner = if n % 2 == 0 { ada } else { bob };
            let target = store.new_id();
            let by_bob = Actor { by: ActorKind::User { user: bob, session: None }, address: None };
            let (by, actor) = if n % 4 < 2 { (by_bob, Some(bob)) } else { (Actor::SYSTEM, None) };
            note(&store, &by, Act::new(action, target, Some(owner))).await;
            written.insert(0, (owner, actor, action, clock.now(), target));
        }
        let since = Timestamp(FIRST.0 + 4_000_000);
        let until = Timestamp(FIRST.0 + 9_000_000);
        for (user, by) in [(None, None), (Some(ada), None), (None, Some(bob)), (Some(ada), Some(bob))] {
            for action in [Some(AuditAction::KeyCreate), Some(AuditAction::SessionTheft)] {
                for (since, until) in
                    [(None, None), (Some(since), None), (None, Some(until)), (Some(since), Some(until))]
                {
                    let filter = AuditFilter { user, actor: by, action, since, until };
                    let expected = written.iter().filter(|(owner, actor, done, at, _)| {
                        user.is_none_or(|user| user == *owner)
                            && by.is_none_or(|by| *actor == Some(by))
                            && action.is_none_or(|action| action == *done)
                            && since.is_none_or(|since| *at >= since)
                            && until.is_none_or(|until| *at < until)
                    });
                    let expected: Vec<Uuid> = expected.map(|(.., target)| *target).collect();
                    assert_eq!(pages(&store, &filter, 2).await.1, expected, "{filter:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_page_looks_at_a_bounded_number_of_lines_and_the_next_goes_on() {
    let place = Place::sqlite();
    let (store, clock) = opened(&place).await;
    let ada = user(&store, "ada").await;
    let mut transaction = store.begin().await.unwrap();
    store.note(&mut transaction, &Actor::SYSTEM, Act::new(AuditAction::KeyCreate, ada.0, Some(ada))).await.unwrap();
    clock.advance(Duration::from_micros(1));
    for _ in 0..LOOKED_AT_MAX + 1 {
        store
            .note(&mut transaction, &Actor::SYSTEM, Act::new(AuditAction::SessionCreate, ada.0, Some(ada)))
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    let filter = AuditFilter { user: Some(ada), action: Some(AuditAction::KeyCreate), ..AuditFilter::default() };
    let (counts, targets) = pages(&store, &filter, 10).await;
    assert_eq!((counts, targets), (vec![0, 1], vec![ada.0]));
}

#[tokio::test]
async fn a_line_is_never_changed_and_never_deleted() {
    for place in Place::both().await {
        let (store, _) = opened(&place).await;
        user(&store, "ada").await;
        let before = store.audit_page(&AuditFilter::default(), None, 10).await.unwrap();
        assert!(!before.lines.is_empty());
        let mut texts =
            vec!["UPDATE audit_log SET detail = '{}'", "UPDATE audit_log SET id = id", "DELETE FROM audit_log"];
        if store.kind() == StoreKind::Postgres {
            texts.extend([
                "TRUNCATE audit_log",
                "INSERT INTO audit_log SELECT * FROM audit_log ON CONFLICT (id) DO UPDATE SET detail = ''",
            ]);
        } else {
            texts.extend(["UPDATE OR REPLACE audit_log SET id = id", "REPLACE INTO audit_log SELECT * FROM audit_log"]);
        }
        for text in texts {
            let mut transaction = store.begin().await.unwrap();
            let refused = transaction.query(text).once().run().await;
            let error = refused.expect_err(text);
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("rows of audit_log are never changed"), "{text}: {cause}");
        }
        assert_eq!(store.audit_page(&AuditFilter::default(), None, 10).await.unwrap(), before);
    }
}
