use access::{Day, NanoUsd, Timestamp, Tokens, UserId};
use ledger::{DecisionError, GroupBounds, Ledger, NewDecision, RequestPlace, SettingsChange, SettingsError, UsageOf};
use meter::{Attempt, CacheUse, RequestOrigin, RequestResult, SessionHash, Source, ToolUse, Usage, UsageEvent};
use spool::Record;
use store::{Actor, Store};

use crate::usage_world::{attempt, caller};
use crate::world::{NOW, World, user};

const TODAY: [Day; 2] = [Day(NOW_DAY), Day(NOW_DAY)];
/// The day of the clock of these tests.
const NOW_DAY: u32 = 20_833;

/// Two users with three requests today, one of them refused; counts of ten requests; and one request of yesterday.
async fn recorded(world: &World) -> (Store, Ledger, UsageOf) {
    assert_eq!(NOW.day(), Day(NOW_DAY));
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    let bob = caller(&store, "bob@example.com").await;
    let dear = Attempt { cost: Some(NanoUsd(i64::MAX / 2)), ..attempt() };
    let refused = UsageEvent {
        status: 429,
        refusal: Some("budget_exceeded".into()),
        attempts: Vec::new(),
        ..world.event(Some(ada))
    };
    let slow = UsageEvent { attempts: vec![dear], duration_us: 1_234_567, streamed: true, ..world.event(Some(bob)) };
    let late = UsageEvent { day: Day(NOW_DAY - 1), started_at: Day(NOW_DAY).start(), ..world.event(Some(ada)) };
    let records = [world.event(Some(ada)), refused, slow, late].map(Record::Event);
    world.ingest(&store, &records).await;
    world.ingest(&store, &[world.counts(Some(bob), 5)]).await;
    (store.clone(), Ledger::new(store), ada.user.into())
}

pub(crate) async fn a_day_adds_up_by_its_totals_groups_and_events(world: &World) {
    let (_, ledger, ada) = recorded(world).await;
    for (of, requests, own) in [(UsageOf::All, 13, 3), (ada, 2, 2)] {
        let totals = ledger.day_totals(of, TODAY).await.unwrap();
        assert_eq!((totals.len(), totals[0].day, totals[0].results.all()), (1, Day(NOW_DAY), requests));
        let groups = ledger
            .event_groups(of, Day(NOW_DAY), GroupBounds { input_tokens: &[1, 1_000], ..GroupBounds::default() })
            .await
            .unwrap();
        let counts = ledger.minute_groups(of, Day(NOW_DAY)).await.unwrap();
        let grouped: u64 = groups.iter().map(|group| group.requests).sum();
        assert_eq!((grouped, counts.iter().map(|group| group.requests).sum::<u64>()), (own, requests - own));
        let cost: i128 = groups.iter().map(|group| group.cost_nano).sum();
        assert_eq!(cost, i128::from(totals[0].totals.cost.0));
        let events = ledger.day_events(of, Day(NOW_DAY), None).await.unwrap();
        assert_eq!(u64::try_from(events.len()).unwrap(), own);
        assert!(events.is_sorted_by_key(|event| event.id.0));
        let tokens: u64 = events.iter().map(|event| event.tokens).sum();
        assert_eq!(tokens, groups.iter().map(|group| group.tokens).sum::<u64>());
        let rest = ledger.day_events(of, Day(NOW_DAY), Some(events[0].place())).await.unwrap();
        assert_eq!(rest, events[1..]);
    }
    let groups = ledger
        .event_groups(ada, Day(NOW_DAY), GroupBounds { input_tokens: &[1, 1_000], ..GroupBounds::default() })
        .await
        .unwrap();
    let refused = groups.iter().find(|group| group.result == RequestResult::Refused).unwrap();
    assert_eq!((refused.refusal.as_deref(), refused.input_bounds, refused.tokens), (Some("budget_exceeded"), 0, 0));
    let used = groups.iter().find(|group| group.result == RequestResult::Succeeded).unwrap();
    assert_eq!((used.model.as_deref(), used.route.as_deref(), used.input_bounds), (Some("mock"), Some("ai"), 1));
    assert_eq!(used.ids[0], used.ids[1]);
}

pub(crate) async fn durations_models_and_caches_of_a_day_are_read(world: &World) {
    let (_, ledger, ada) = recorded(world).await;
    let durations = ledger.durations_of_day(UsageOf::All, Day(NOW_DAY)).await.unwrap();
    let told: Vec<(u64, u64)> = durations.iter().map(|of| (of.duration_ms, of.requests)).collect();
    assert_eq!(told, [(1, 1), (1_200, 1)]);
    let models = ledger.models_of_day(ada, Day(NOW_DAY)).await.unwrap();
    assert_eq!((models.len(), models[0].name.as_deref()), (1, Some("mock")));
    assert_eq!(models[0].totals.cost, NanoUsd(1_000));
    let cached = ledger.cached_usage(UsageOf::All, Day(NOW_DAY)).await.unwrap();
    assert_eq!((cached.len(), cached[0].requests, cached[0].cached_input), (1, 2, 4));
    assert_eq!(cached[0].price_version.as_deref(), Some("2026-11"));
    assert!(ledger.cached_usage(UsageOf::All, Day(0)).await.unwrap().is_empty());
}

pub(crate) async fn cached_tokens_have_the_price_of_their_own_attempt(world: &World) {
    let store = world.store().await;
    let of = |provider: &str, cached| {
        let usage = Usage { cached_input: Some(Tokens(cached)), ..Usage::empty(Source::Reported) };
        Attempt { provider: provider.into(), usage: Some(usage), price_version: Some(provider.into()), ..attempt() }
    };
    let ada = caller(&store, "ada@example.com").await;
    let event = UsageEvent { attempts: vec![of("a", 7), of("b", 0), of("c", 1)], ..world.event(Some(ada)) };
    world.ingest(&store, &[Record::Event(event), Record::Event(world.event(Some(ada)))]).await;
    let cached = Ledger::new(store).cached_usage(UsageOf::All, Day(NOW_DAY)).await.unwrap();
    let told: Vec<_> = cached.iter().map(|of| (of.price_version.as_deref().unwrap(), of.cached_input)).collect();
    assert_eq!(told, [("a", 7), ("2026-11", 2), ("c", 1)]);
}

pub(crate) async fn requests_from_response_caches_are_counted(world: &World) {
    let store = world.store().await;
    let own = caller(&store, "ada@example.com").await;
    let bob = caller(&store, "bob@example.com").await;
    let ledger = Ledger::new(store.clone());
    let ada = UsageOf::from(own.user);
    let of = |caller, cache| UsageEvent {
        origin: RequestOrigin { cache, ..RequestOrigin::default() },
        ..world.event(Some(caller))
    };
    let mut events: Vec<UsageEvent> = CacheUse::ALL.into_iter().map(|cache| of(own, cache)).collect();
    events.push(of(bob, CacheUse::Hit));
    world.ingest(&store, &events.into_iter().map(Record::Event).collect::<Vec<_>>()).await;
    let count = async |of: UsageOf, day| ledger.requests_from_cache(of, Day(day)).await.unwrap();
    // Fresh, stale and shared responses of the user; a confirmed response has cost a request to the upstream.
    assert_eq!((count(UsageOf::All, NOW_DAY).await, count(ada, NOW_DAY).await), (4, 3));
    assert_eq!(count(ada, NOW_DAY - 1).await, 0);
}

pub(crate) async fn each_batch_raises_the_version_of_earlier_days(world: &World) {
    let (store, ledger, _) = recorded(world).await;
    let version = async |day: u32| ledger.figures_version(Day(day)).await.unwrap();
    assert_eq!((version(NOW_DAY - 1).await, version(NOW_DAY).await), (1, 0));
    let late = UsageEvent { day: Day(NOW_DAY - 1), ..world.event(None) };
    world.ingest(&store, &[late.clone(), UsageEvent { id: world.id(), ..late }].map(Record::Event)).await;
    assert_eq!((version(NOW_DAY - 1).await, version(NOW_DAY).await, version(NOW_DAY - 2).await), (2, 0, 0));
}

fn decision<'a>(user: UserId, role: &'a str, figures_version: u64) -> NewDecision<'a> {
    let day = Day(NOW_DAY - 1);
    NewDecision { day, scope: "all", role, user, approve: true, comment: Some("ok"), figures_version, figures: "{}" }
}

pub(crate) async fn one_person_decides_once_about_a_version(world: &World) {
    let (store, ledger, _) = recorded(world).await;
    let lead = user(&store, "lead@example.com").await.id;
    let finance = user(&store, "fin@example.com").await.id;
    let decide = async |of: NewDecision<'_>| ledger.decide(&Actor::COMMAND, of).await;
    assert!(matches!(decide(decision(lead, "team_lead", 0)).await, Err(DecisionError::FiguresChanged)));
    decide(decision(lead, "team_lead", 1)).await.unwrap();
    assert!(matches!(decide(decision(lead, "finance", 1)).await, Err(DecisionError::SamePerson)));
    decide(decision(finance, "finance", 1)).await.unwrap();
    let stored = ledger.decisions(Day(NOW_DAY - 1), "all").await.unwrap();
    let mut roles: Vec<&str> = stored.iter().map(|of| of.role.as_str()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["finance", "team_lead"]);
    assert!(ledger.decisions(Day(NOW_DAY), "all").await.unwrap().is_empty());
}

/// Of decisions at the same time, each has exactly one outcome, and the store has those that succeeded.
pub(crate) async fn concurrent_decisions_have_one_outcome_each(world: &World) {
    let (store, ledger, _) = recorded(world).await;
    let [lead, finance, other] = ["lead", "fin", "other"].map(|name| format!("{name}@example.com"));
    let lead = user(&store, &lead).await.id;
    let finance = user(&store, &finance).await.id;
    let other = user(&store, &other).await.id;
    let decide = async |of: NewDecision<'_>| ledger.decide(&Actor::COMMAND, of).await;
    let count = async || ledger.decisions(Day(NOW_DAY - 1), "all").await.unwrap().len();
    // One person for two roles, and twice for one role.
    for roles in [["team_lead", "finance"], ["team_lead", "team_lead"]] {
        let person = if roles[1] == "finance" { lead } else { other };
        let before = count().await;
        let (one, two) = tokio::join!(decide(decision(person, roles[0], 1)), decide(decision(person, roles[1], 1)));
        let refused = [&one, &two].into_iter().filter(|of| matches!(of, Err(DecisionError::SamePerson))).count();
        assert!(one.is_ok() != two.is_ok() && refused == 1, "{roles:?}: {one:?} {two:?}");
        assert_eq!(count().await, before + 1, "{roles:?}");
    }
    // Two persons for two roles.
    let late = user(&store, "late@example.com").await.id;
    let (one, two) = tokio::join!(decide(decision(finance, "finance", 1)), decide(decision(late, "team_lead", 1)));
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    assert_eq!(count().await, 4);
}

/// A decision beside a late batch is either stored about the figures that it names, or refused.
pub(crate) async fn a_decision_beside_a_late_batch_is_about_known_figures(world: &World) {
    let (store, ledger, _) = recorded(world).await;
    let mut stored = 0;
    for round in 1..=5_u64 {
        let person = user(&store, &format!("lead{round}@example.com")).await.id;
        let late = UsageEvent { day: Day(NOW_DAY - 1), ..world.event(None) };
        let batch = [Record::Event(late)];
        let (decided, _) = tokio::join!(
            ledger.decide(&Actor::COMMAND, decision(person, "team_lead", round)),
            world.ingest(&store, &batch)
        );
        let decisions = ledger.decisions(Day(NOW_DAY - 1), "all").await.unwrap();
        match decided {
            Ok(()) => {
                stored += 1;
                let of = decisions.iter().find(|of| of.user == person).unwrap();
                assert_eq!(of.figures_version, round, "round {round}");
            }
            Err(DecisionError::FiguresChanged) => {}
            Err(error) => panic!("round {round}: {error}"),
        }
        assert_eq!(decisions.len(), stored, "round {round}");
        assert_eq!(ledger.figures_version(Day(NOW_DAY - 1)).await.unwrap(), round + 1);
    }
}

pub(crate) async fn settings_change_over_the_expected_version_only(world: &World) {
    let ledger = Ledger::new(world.store().await);
    let change = async |expected: u64| {
        let settings = |number| format!("{{\"n\":{number}}}");
        let change = SettingsChange { expected, changed: &["rules"] };
        ledger.change_insight_settings(&Actor::COMMAND, change, 1, settings).await
    };
    assert_eq!(ledger.insight_settings().await.unwrap(), None);
    assert!(matches!(change(2).await, Err(SettingsError::Changed)));
    assert_eq!((change(1).await.unwrap(), change(2).await.unwrap()), (2, 3));
    assert!(matches!(change(1).await, Err(SettingsError::Changed)));
    assert_eq!(ledger.insight_settings().await.unwrap(), Some((3, "{\"n\":3}".to_owned())));
}

/// The requests of one user are in the order of their begin, and those of all users in the order of their ids.
pub(crate) async fn a_later_id_that_began_earlier_is_on_one_page(world: &World) {
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    let first = world.event(Some(ada));
    let second = UsageEvent { started_at: Timestamp(NOW.0 - 1_000_000), ..world.event(Some(ada)) };
    let first_id = first.id;
    let second_id = second.id;
    world.ingest(&store, &[first, second].map(Record::Event)).await;
    let ledger = Ledger::new(store);
    for (of, order) in [(ada.user.into(), [second_id, first_id]), (UsageOf::All, [first_id, second_id])] {
        let events = ledger.day_events(of, Day(NOW_DAY), None).await.unwrap();
        assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), order);
        let rest = ledger.day_events(of, Day(NOW_DAY), Some(events[0].place())).await.unwrap();
        assert_eq!(rest, events[1..]);
    }
}

/// The page after the last event is empty.
pub(crate) async fn a_place_after_all_events_has_no_page(world: &World) {
    let (_, ledger, ada) = recorded(world).await;
    let last = RequestPlace { at: Timestamp(u64::MAX >> 1), id: uuid::Uuid::max() };
    for of in [UsageOf::All, ada] {
        assert!(ledger.day_events(of, Day(NOW_DAY), Some(last)).await.unwrap().is_empty());
    }
}

/// A group of three requests has one between its ends, however it is divided; a group of two has none.
pub(crate) async fn a_request_between_two_of_a_group_belongs_to_it(world: &World) {
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    let ledger = Ledger::new(store.clone());
    let of_status = |status, tools| {
        let origin = RequestOrigin { tools, session: Some(SessionHash([7; 16])), ..RequestOrigin::default() };
        UsageEvent { status, origin, ..world.event(Some(ada)) }
    };
    let plain = GroupBounds::default();
    let sessions = GroupBounds {
        input_tokens: &[1],
        requests_per_key: &[2],
        requests_per_session: &[3],
        interval_s: &[60],
        sessions_of_called: false,
    };
    let of_called = GroupBounds { sessions_of_called: true, interval_s: &[], ..sessions };
    // Two groups in turns, first with called tools and then without tools.
    let in_turns = |tools| [200, 502, 200, 502, 200].map(|status| of_status(status, tools));
    let events: Vec<UsageEvent> = [ToolUse::Called, ToolUse::None].into_iter().flat_map(in_turns).collect();
    world.ingest(&store, &events.iter().cloned().map(Record::Event).collect::<Vec<_>>()).await;
    for of in [UsageOf::All, ada.user.into()] {
        for bounds in [plain, sessions, of_called] {
            let groups = ledger.event_groups(of, Day(NOW_DAY), bounds).await.unwrap();
            let mut found = Vec::new();
            for group in &groups {
                let between = ledger.request_between(of, Day(NOW_DAY), bounds, group).await.unwrap();
                assert_eq!(between.is_some(), group.requests > 2, "{of:?} {bounds:?} {group:?}");
                let Some(between) = between else { continue };
                let event = events.iter().find(|event| event.id == between).unwrap();
                assert_eq!((event.status, Some(event.origin.tools)), (group.status, group.tools), "{of:?} {bounds:?}");
                assert!(group.ids[0] < between && between < group.ids[1], "{of:?} {bounds:?}");
                found.push(between);
            }
            assert!(!found.is_empty(), "{of:?} {bounds:?}");
        }
    }
}
