use access::exchange::subject_budgets::SubjectBudgets;
use access::{Amount, KeyId, Plan, Subject, SubjectText, UserId};
use meter::{LimitPeriod, Measure, UsageEvent};
use spool::Record;
use store::nodes::backlog::GatheredCharges;
use uuid::Uuid;

use super::*;
use crate::fixture::Place;
use crate::usage_fixture::{IngestNode, TODAY, UsageFixture, attempt, caller, people};

fn principal(of: Caller, budgets: &[(BudgetId, Amount)]) -> Principal {
    let plan = Arc::new(Plan::unlimited("starter"));
    let user = (UserId(Uuid::nil()), of.user);
    let key = (KeyId(Uuid::nil()), of.key);
    Principal { plan_id: of.plan, budgets: budgets.into(), ..Principal::unbounded(user, key, plan) }
}

const fn budget(scope: BudgetScope, measure: Measure, per: LimitPeriod) -> BudgetId {
    BudgetId { scope, measure, per }
}

/// Creates two events of the caller in the store, and one in the backlog.
async fn lived(store: &Store, place: &Place, of: Caller) -> Node {
    people(store).await;
    let mut made = UsageFixture::starting_on(TODAY);
    let mut event = || Record::Event(made.event(Some(of), vec![attempt(1)]));
    IngestNode::join(store, place.folder.path()).await.write(&[event(), event()]).await;
    let gathered = GatheredCharges::default();
    gathered.note(&event());
    let node = place.join(store).await;
    node.backlog().begin(gathered, Vec::new()).await;
    node
}

#[tokio::test]
async fn a_budget_begins_with_what_is_in_the_store_and_what_waits_for_it() {
    for place in Place::both().await {
        let store = place.open().await;
        let of = caller(1, 1);
        let meter = Arc::new(Meter::default());
        let node = lived(&store, &place, of).await;
        let everybodys = budget(BudgetScope::Global, Measure::Money, LimitPeriod::Month);
        let counting = Counting::new(Some((meter.clone(), node)), move |_| vec![(everybodys, Amount(1))]);
        let budgets = [
            (budget(BudgetScope::Key(of.key), Measure::Tokens, LimitPeriod::Day), Amount(5)),
            (budget(BudgetScope::User(of.user), Measure::Money, LimitPeriod::Month), Amount(6)),
            (budget(BudgetScope::User(of.user), Measure::Tokens, LimitPeriod::Month), Amount(7)),
            (budget(BudgetScope::Plan(of.plan), Measure::Credits, LimitPeriod::Day), Amount(8)),
        ];
        let held = counting.hold(&store, principal(of, &budgets)).await.unwrap();
        assert_eq!(*held.budgets, [&budgets[..], &[(everybodys, Amount(1))]].concat());
        let used = held.budgets.iter().map(|(budget, _)| meter.used(*budget, TODAY));
        assert_eq!(used.collect::<Vec<_>>(), [2_100, 3 * 1_234_567_890, 2_100, 9, 3 * 1_234_567_890].map(Amount));
    }
}

#[tokio::test]
async fn a_budget_that_was_away_begins_anew_in_another_period_and_goes_on_in_its_own() {
    let place = Place::sqlite();
    let store = place.open().await;
    let of = caller(1, 1);
    let meter = Arc::new(Meter::default());
    let node = lived(&store, &place, of).await;
    let counting = Counting::new(Some((meter.clone(), node)), |_| Vec::new());
    let of_key = |measure| budget(BudgetScope::Key(of.key), measure, LimitPeriod::Day);
    let tokens = of_key(Measure::Tokens);
    let credits = of_key(Measure::Credits);
    meter.begin(tokens, access::Day(TODAY.0 - 1), Amount(4));
    meter.begin(credits, TODAY, Amount(4));
    counting.hold(&store, principal(of, &[(tokens, Amount(9)), (credits, Amount(9))])).await.unwrap();
    assert_eq!((meter.used(tokens, TODAY), meter.used(credits, TODAY)), (Amount(2_100), Amount(4)));
}

#[tokio::test]
async fn who_is_counted_on_a_later_day_than_the_clocks_is_so_in_all_budgets() {
    let place = Place::sqlite();
    let store = place.open().await;
    let of = caller(1, 1);
    let meter = Arc::new(Meter::default());
    people(&store).await;
    let tomorrow = TODAY.next();
    let event = UsageEvent { day: tomorrow, ..UsageFixture::starting_on(TODAY).event(Some(of), vec![attempt(1)]) };
    IngestNode::join(&store, place.folder.path()).await.write(&[Record::Event(event)]).await;
    // The state after a start that finds usage of the next day.
    meter.begin(BudgetId::credits_a_day(BudgetScope::User(of.user)), tomorrow, Amount(3));
    let counting = Counting::new(Some((meter.clone(), place.join(&store).await)), |_| Vec::new());
    let tokens = budget(BudgetScope::User(of.user), Measure::Tokens, LimitPeriod::Day);
    counting.hold(&store, principal(of, &[(tokens, Amount(9))])).await.unwrap();
    assert_eq!(meter.used(tokens, tomorrow), Amount(700));
}

fn ada() -> Subject {
    Subject::Basic { issuer: SubjectText::parse("ops").unwrap(), name: SubjectText::parse("ada").unwrap() }
}

fn budgets_of_ada() -> [BudgetId; 2] {
    let scope = BudgetScope::Subject(SubjectId::from_subject(&ada()).unwrap());
    [BudgetId::credits_a_day(scope), budget(scope, Measure::Credits, LimitPeriod::Month)]
}

/// Creates two events of a subject on these days in the store, and one in the backlog.
async fn used(store: &Store, place: &Place, days: [Day; 3]) -> Node {
    let mut made = UsageFixture::starting_on(TODAY);
    let mut event = |day| Record::Event(UsageEvent { day, subject: ada(), ..made.event(None, vec![attempt(1)]) });
    let [first, second, third] = days.map(&mut event);
    IngestNode::join(store, place.folder.path()).await.write(&[first, second]).await;
    let gathered = GatheredCharges::default();
    gathered.note(&third);
    let node = place.join(store).await;
    node.backlog().begin(gathered, Vec::new()).await;
    node
}

#[tokio::test]
async fn a_subject_begins_with_what_is_in_the_store_and_what_waits_for_it_and_is_read_once() {
    for place in Place::both().await {
        let store = place.open().await;
        let meter = Arc::new(Meter::default());
        let yesterday = Day(TODAY.0 - 1);
        let counting =
            Counting::new(Some((meter.clone(), used(&store, &place, [yesterday, TODAY, TODAY]).await)), |_| Vec::new());
        let used = || budgets_of_ada().map(|budget| meter.used(budget, TODAY));
        counting.begin(&store, &budgets_of_ada()[..1]).await.unwrap();
        assert_eq!(used(), [Amount(6), Amount(0)]);
        counting.begin(&store, &budgets_of_ada()).await.unwrap();
        assert_eq!(used(), [Amount(6), Amount(9)], "a budget of the month was added");
        // Without the store, counters that exist are used, and others cannot begin.
        store.close().await;
        counting.begin(&store, &budgets_of_ada()).await.unwrap();
        let other = BudgetId::credits_a_day(BudgetScope::Subject(SubjectId(Uuid::nil())));
        assert_eq!(counting.begin(&store, &[other]).await, Err(BeginError::Unavailable));
        assert!(meter.counter(other).is_none());
    }
}

#[tokio::test]
async fn a_subject_with_usage_of_tomorrow_counts_for_tomorrow_as_a_user_does() {
    let place = Place::sqlite();
    let store = place.open().await;
    let meter = Arc::new(Meter::default());
    let tomorrow = TODAY.next();
    let node = used(&store, &place, [TODAY, TODAY, tomorrow]).await;
    let counting = Counting::new(Some((meter.clone(), node)), |_| Vec::new());
    counting.begin(&store, &budgets_of_ada()).await.unwrap();
    let [quota, month] = budgets_of_ada();
    assert_eq!((meter.used(quota, tomorrow), meter.used(month, tomorrow)), (Amount(3), Amount(9)));
}

#[tokio::test]
async fn a_task_begins_the_subjects_of_its_queue() {
    let place = Place::sqlite();
    let store = place.open().await;
    let meter = Arc::new(Meter::default());
    let counting =
        Arc::new(Counting::new(Some((meter.clone(), used(&store, &place, [TODAY; 3]).await)), |_| Vec::new()));
    let (sender, queue) = tokio::sync::mpsc::channel(4);
    let subjects = SubjectBudgets::new(sender);
    let serving = crate::subject_budgets::serve(store, counting, queue, std::future::pending());
    let asking = async move {
        let begin = || subjects.begin(budgets_of_ada().to_vec());
        tokio::join!(begin(), begin())
    };
    // The task ends with the sender of its queue.
    let (begun, ()) = tokio::join!(asking, serving);
    assert_eq!(begun, (Ok(()), Ok(())));
    assert_eq!(meter.used(budgets_of_ada()[0], TODAY), Amount(9), "it began once");
}

#[tokio::test]
async fn an_open_window_goes_on_with_what_is_in_the_store_and_what_waits_for_it() {
    for place in Place::both().await {
        let store = place.open().await;
        let of = caller(1, 1);
        let scope = BudgetScope::User(of.user);
        let shapes = ["5h/first_use", "7d/first_use", "day/Asia/Jakarta", "1h/first_use"];
        let [session, week, day, idle] = shapes.map(|text| LimitPeriod::parse(text).unwrap());
        let now = store.clock().now();
        let before = |hours: u64| now.before(std::time::Duration::from_secs(hours * 3_600));
        let session_period = meter::Period::containing(session, before(2));
        let week_period = meter::Period::containing(week, before(30));
        let ended = meter::Period::containing(session, before(20));
        people(&store).await;
        let mut made = UsageFixture::starting_on(TODAY);
        let mut event = |windows: &[meter::Period]| {
            let event = made.event(Some(of), vec![attempt(1)]);
            Record::Event(UsageEvent { windows: windows.to_vec(), ..event })
        };
        let today = meter::Period::containing(day, now);
        let stored = [event(&[ended, week_period]), event(&[session_period, week_period, today])];
        IngestNode::join(&store, place.folder.path()).await.write(&stored).await;
        let gathered = GatheredCharges::default();
        gathered.note(&event(&[session_period, week_period, today]));
        let node = place.join(&store).await;
        node.backlog().begin(gathered, Vec::new()).await;
        let meter = Arc::new(Meter::default());
        let counting = Counting::new(Some((meter.clone(), node)), |_| Vec::new());
        let budgets = [session, week, day, idle].map(|per| (budget(scope, Measure::Credits, per), Amount(100)));
        counting.hold(&store, principal(of, &budgets)).await.unwrap();
        let state = |per| meter.counter(budget(scope, Measure::Credits, per)).map(|of| (of.period(), of.used()));
        assert_eq!(state(session), Some((session_period, Amount(6))));
        assert_eq!(state(week), Some((week_period, Amount(9))));
        assert_eq!(state(day), Some((today, Amount(6))));
        assert_eq!(state(idle), Some((meter::Period::ended(idle), Amount(0))));
    }
}
