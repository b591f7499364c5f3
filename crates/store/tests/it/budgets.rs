use access::{Amount, Budget, BudgetId, BudgetScope, KeyId, KeyNo, LimitPeriod, Measure, Plan, PlanId, UserId, UserNo};
use serde_json::json;
use store::{Actor, AuditFilter, BudgetError, BudgetHolder, EVERYBODY, PlanChange, Store};

use crate::world::{World, key, user};

async fn set(store: &Store, holder: &BudgetHolder, measure: Measure, amount: Option<u64>) -> bool {
    store
        .set_budget(&Actor::COMMAND, holder, measure, LimitPeriod::Day, amount.map(|units| measure.limit_of(units)))
        .await
        .unwrap()
}

fn id(scope: BudgetScope, measure: Measure) -> BudgetId {
    BudgetId { scope, measure, per: LimitPeriod::Day }
}

pub(crate) async fn a_budget_is_set_changed_and_removed(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (_, laptop) = key(&store, ada.id).await;
    let holders = [
        (BudgetHolder::Global, BudgetScope::Global, ""),
        (
            BudgetHolder::Plan("starter".to_owned()),
            BudgetScope::Plan(store.stored_plans().await.unwrap()[0].id),
            "starter",
        ),
        (BudgetHolder::Key(laptop.id), BudgetScope::Key(laptop.no), "laptop"),
        (BudgetHolder::User(ada.id), BudgetScope::User(ada.no), "ada@example.com"),
    ];
    for (holder, ..) in &holders {
        assert!(set(&store, holder, Measure::Money, Some(5)).await);
        let revision = store.revision().await.unwrap();
        assert!(!set(&store, holder, Measure::Money, Some(5)).await, "it is so already");
        assert_eq!(store.revision().await.unwrap(), revision);
        assert!(set(&store, holder, Measure::Money, Some(0)).await);
        assert!(store.revision().await.unwrap() > revision);
    }
    assert!(set(&store, &BudgetHolder::Global, Measure::Credits, Some(Plan::CREDITS_MAX.rounded_down())).await);
    let listed = store.budgets().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|stored| (stored.scope, &*stored.name, stored.budget)).collect();
    let none = Budget::new(Measure::Money, LimitPeriod::Day, Amount(0));
    let most = Budget::quota(Plan::CREDITS_MAX);
    let [global, plan, key, user] = holders.each_ref().map(|(_, scope, name)| (*scope, *name, none));
    assert_eq!(listed, [key, user, plan, (BudgetScope::Global, "", most), global]);
    for (holder, ..) in &holders {
        assert!(set(&store, holder, Measure::Money, None).await);
        assert!(!set(&store, holder, Measure::Money, None).await);
    }
    assert_eq!(store.budgets().await.unwrap().len(), 1);
}

pub(crate) async fn scopes_are_found_by_their_public_ids(world: &World) {
    let store = world.store().await;
    let mut scopes = vec![BudgetScope::Global, BudgetScope::Key(KeyNo(9_999)), BudgetScope::User(UserNo(9_999))];
    let mut expected = Vec::new();
    // More scopes than one query covers.
    for nth in 0..40 {
        let owner = user(&store, &format!("user-{nth}@example.com")).await;
        let (secret, key) = key(&store, owner.id).await;
        scopes.extend([BudgetScope::User(owner.no), BudgetScope::Key(key.no), BudgetScope::Key(key.no)]);
        expected.push((owner, key, secret));
    }
    let plan = store.stored_plans().await.unwrap()[0].id;
    scopes.push(BudgetScope::Plan(plan));
    let ids = store.scope_ids(scopes).await.unwrap();
    for (owner, key, secret) in expected {
        assert_eq!(ids.user(owner.no), Some(owner.id));
        assert_eq!(ids.key(key.no), Some((key.id, secret.last4())));
    }
    assert_eq!(ids.plan(plan), Some("starter"));
    assert_eq!((ids.key(KeyNo(9_999)), ids.user(UserNo(9_999)), ids.plan(PlanId::NIL)), (None, None, None));
}

pub(crate) async fn budgets_are_read_by_page_and_by_whom_they_hold(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let bob = user(&store, "bob@example.com").await;
    let (_, laptop) = key(&store, ada.id).await;
    let starter = store.stored_plans().await.unwrap()[0].id;
    for holder in [
        BudgetHolder::User(bob.id),
        BudgetHolder::Global,
        BudgetHolder::Key(laptop.id),
        BudgetHolder::User(ada.id),
        BudgetHolder::Plan("starter".to_owned()),
    ] {
        world.clock.advance(std::time::Duration::from_millis(1));
        set(&store, &holder, Measure::Money, Some(5)).await;
    }
    // A changed budget keeps its place.
    set(&store, &BudgetHolder::Global, Measure::Money, Some(6)).await;
    let scopes = [
        BudgetScope::User(bob.no),
        BudgetScope::Global,
        BudgetScope::Key(laptop.no),
        BudgetScope::User(ada.no),
        BudgetScope::Plan(starter),
    ];
    let first = store.budgets_after(EVERYBODY, 3).await.unwrap();
    let rest = store.budgets_after(first[2].id, 3).await.unwrap();
    let whom = |page: &[store::StoredBudget]| page.iter().map(|stored| stored.scope).collect::<Vec<_>>();
    assert_eq!((whom(&first), whom(&rest)), (scopes[..3].to_vec(), scopes[3..].to_vec()));
    assert!(store.budgets_after(rest[1].id, 3).await.unwrap().is_empty());

    assert_eq!(store.plan_of(ada.id).await.unwrap(), Some(starter));
    assert_eq!(store.plan_of(UserId(world.id().0)).await.unwrap(), None);
    let mut of_ada = whom(&store.budgets_of([laptop.id.0, ada.id.0, starter.0, EVERYBODY]).await.unwrap());
    of_ada.sort();
    assert_eq!(of_ada, [scopes[2], scopes[3], scopes[4], scopes[1]]);
    assert_eq!(whom(&store.budgets_of([bob.id.0; 4]).await.unwrap()), [scopes[0]]);
}

pub(crate) async fn a_change_of_a_budget_is_told_to_whom_it_holds(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    set(&store, &BudgetHolder::User(ada.id), Measure::Money, Some(1_500_000_000)).await;
    set(&store, &BudgetHolder::User(ada.id), Measure::Money, None).await;
    set(&store, &BudgetHolder::Global, Measure::Tokens, Some(7)).await;
    let filter = AuditFilter { action: Some(store::AuditAction::BudgetChange), ..AuditFilter::default() };
    let lines = store.audit_page(&filter, None, 10).await.unwrap().lines;
    let told = |owner, before: Option<&str>, amount: Option<&str>| {
        let values = |line: &store::AuditLine| json!([line.detail["before"]["amount"], line.detail["amount"]]);
        lines.iter().any(|line| line.owner == owner && values(line) == json!([before, amount]))
    };
    assert!(told(None, None, Some("7 tokens")) && told(Some(ada.id), Some("1.5 USD"), None));
    assert!(told(Some(ada.id), None, Some("1.5 USD")));
    assert_eq!(lines.len(), 3);
}

pub(crate) async fn a_budget_of_nobody_is_refused(world: &World) {
    let store = world.store().await;
    let none = world.id().0;
    let of = async |holder| {
        store.set_budget(&Actor::COMMAND, &holder, Measure::Money, LimitPeriod::Day, Some(Amount(1))).await.unwrap_err()
    };
    assert!(matches!(of(BudgetHolder::Key(KeyId(none))).await, BudgetError::NoKey(key) if key.id.0 == none));
    assert!(matches!(of(BudgetHolder::User(UserId(none))).await, BudgetError::NoUser(_)));
    assert!(matches!(of(BudgetHolder::Plan("gone".to_owned())).await, BudgetError::NoPlan(_)));
    let huge = Some(Amount(Budget::AMOUNT_MAX.0 + 1));
    let refused =
        store.set_budget(&Actor::COMMAND, &BudgetHolder::Global, Measure::Money, LimitPeriod::Day, huge).await;
    assert!(matches!(refused, Err(BudgetError::BudgetTooLarge)));
    let session = LimitPeriod::parse("5h/first_use").unwrap();
    let refused =
        store.set_budget(&Actor::COMMAND, &BudgetHolder::Global, Measure::Money, session, Some(Amount(1))).await;
    assert!(matches!(refused, Err(BudgetError::WindowOfMany)));
    assert_eq!(store.budgets().await.unwrap(), []);
}

pub(crate) async fn a_user_has_windows_from_its_creation_on(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (secret, _) = key(&store, ada.id).await;
    let holder = BudgetHolder::User(ada.id);
    let set = async |per: &str| {
        let per = LimitPeriod::parse(per).unwrap();
        store.set_budget(&Actor::COMMAND, &holder, Measure::Credits, per, Some(Amount(400))).await
    };
    for per in ["week/subscription", "period", "5h/first_use"] {
        assert!(set(per).await.unwrap(), "{per}");
    }
    let held = store.find_principal(secret.hash()).await.unwrap().unwrap().budgets.clone();
    let mut held: Vec<String> = held.iter().map(|(id, _)| id.per.to_string()).collect();
    held.sort();
    let dates = store.subscription_dates(&[ada.id]).await.unwrap()[&ada.id];
    let week = LimitPeriod::parse("week/subscription").unwrap().for_subscriber(dates).to_string();
    let days = LimitPeriod::parse("period").unwrap().for_subscriber(dates).to_string();
    let mut expected = vec!["5h/first_use".to_owned(), days, week];
    expected.sort();
    assert_eq!(held, expected);
    assert_eq!(dates.since.0 % 60, 0, "an hour");
    for hours in 1..=5 {
        assert!(set(&format!("{hours}m/first_use")).await.unwrap());
    }
    assert!(matches!(set("9m/first_use").await, Err(BudgetError::TooManyWindows)));
}

pub(crate) async fn a_principal_comes_with_what_holds_it(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let [(secret, laptop), (other_secret, other)] = [key(&store, ada.id).await, key(&store, ada.id).await];
    let budgets =
        async |secret: &access::ApiKey| store.find_principal(secret.hash()).await.unwrap().unwrap().budgets.clone();
    assert!(budgets(&secret).await.is_empty());
    let of_plan = Budget::new(Measure::Tokens, LimitPeriod::Month, Amount(9));
    let change = PlanChange { budgets: Some(vec![of_plan]), ..PlanChange::default() };
    let plan = store.change_plan(&Actor::COMMAND, "starter", change).await.unwrap().id;
    let of_plan = of_plan.id_and_amount(BudgetScope::User(ada.no));
    assert_eq!(*budgets(&secret).await, [of_plan]);
    set(&store, &BudgetHolder::Key(laptop.id), Measure::Money, Some(1)).await;
    assert_eq!(*budgets(&secret).await, [of_plan, (id(BudgetScope::Key(laptop.no), Measure::Money), Amount(1))]);
    assert_eq!(*budgets(&other_secret).await, [of_plan]);
    set(&store, &BudgetHolder::User(ada.id), Measure::Credits, Some(2)).await;
    set(&store, &BudgetHolder::Plan("starter".to_owned()), Measure::Money, Some(3)).await;
    set(&store, &BudgetHolder::Global, Measure::Tokens, Some(4)).await;
    // Budgets of other users and other plans, which do not apply.
    let bob = user(&store, "bob@example.com").await;
    store.create_plan(&Actor::COMMAND, &Plan::unlimited("other")).await.unwrap();
    set(&store, &BudgetHolder::User(bob.id), Measure::Money, Some(5)).await;
    set(&store, &BudgetHolder::Plan("other".to_owned()), Measure::Money, Some(6)).await;
    let shared = [
        (id(BudgetScope::User(ada.no), Measure::Credits), Measure::Credits.limit_of(2)),
        (id(BudgetScope::Plan(plan), Measure::Money), Amount(3)),
        (id(BudgetScope::Global, Measure::Tokens), Amount(4)),
        of_plan,
    ];
    for (secret, own) in [(&secret, Some(laptop.no)), (&other_secret, None)] {
        let mut held = budgets(secret).await.to_vec();
        held.sort();
        let own = own.map(|no| (id(BudgetScope::Key(no), Measure::Money), Amount(1)));
        let mut expected: Vec<_> = shared.into_iter().chain(own).collect();
        expected.sort();
        assert_eq!(held, expected, "{}", other.no.0);
    }
}
