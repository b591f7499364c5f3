use std::num::NonZeroU32;

use access::{Amount, Budget, LimitPeriod, Measure, Plan};
use serde_json::json;
use store::{Actor, AuditAction, AuditFilter, PLANS_MAX, PlanChange, PlanDifference, PlanDifferences, PlanError};

use crate::world::{World, plan};

pub(crate) async fn absent_plans_are_added_and_differing_ones_reported(world: &World) {
    let store = world.store().await;
    let free = Plan { credits_per_day: None, requests_per_minute: None, ..plan("free", 0) };
    let seeds = [plan("starter", 1_000), free, plan("none", 0)];
    assert_eq!(store.ensure_plans(&seeds).await.unwrap(), []);
    let revision = store.revision().await.unwrap();
    assert_eq!(store.ensure_plans(&seeds).await.unwrap(), []);
    assert_eq!(store.revision().await.unwrap(), revision);
    let more = [plan("starter", 5), plan("pro", 10_000)];
    let difference = PlanDifference { stored: plan("starter", 1_000), configured: plan("starter", 5) };
    assert_eq!(store.ensure_plans(&more).await.unwrap(), [difference]);
    let [free, none] = [seeds[1].clone(), seeds[2].clone()];
    assert_eq!(store.plans().await.unwrap(), [free, none, plan("pro", 10_000), plan("starter", 1_000)]);
}

pub(crate) async fn applied_plans_are_as_configured_and_none_is_removed(world: &World) {
    let store = world.store().await;
    store.ensure_plans(&[plan("starter", 1_000), plan("old", 7)]).await.unwrap();
    let wished = [
        plan("starter", 5),
        Plan { requests_per_minute: None, shared_keys: false, ..plan("pro", 10) },
        Plan::unlimited("free"),
    ];
    let expected = PlanDifferences {
        absent: vec![wished[2].clone(), wished[1].clone()],
        differing: vec![PlanDifference { stored: plan("starter", 1_000), configured: plan("starter", 5) }],
    };
    let revision = store.revision().await.unwrap();
    assert_eq!(store.compare_plans(&wished).await.unwrap(), expected);
    assert_eq!(store.revision().await.unwrap(), revision);
    assert_eq!(store.apply_plans(&Actor::COMMAND, &wished).await.unwrap(), expected);
    let revision = store.revision().await.unwrap();
    let [starter, pro, free] = wished.clone();
    assert_eq!(store.plans().await.unwrap(), [free, plan("old", 7), pro, starter]);
    // A second call changes nothing, and reports that.
    assert!(store.apply_plans(&Actor::COMMAND, &wished).await.unwrap().is_empty());
    assert_eq!(store.revision().await.unwrap(), revision);
    // One invalid plan prevents the change of the others.
    let broken = [plan("starter", 9), plan("No Name", 1)];
    assert!(matches!(store.apply_plans(&Actor::COMMAND, &broken).await, Err(PlanError::InvalidPlan)));
    assert_eq!(store.plans().await.unwrap()[3], plan("starter", 5));
}

pub(crate) async fn a_plan_is_made_once_and_changed_in_part(world: &World) {
    let store = world.store().await;
    let made = store.create_plan(&Actor::COMMAND, &plan("team", 10)).await.unwrap();
    assert_eq!(made.plan, plan("team", 10));
    let again = store.create_plan(&Actor::COMMAND, &plan("team", 11)).await;
    assert!(matches!(again, Err(PlanError::PlanTaken { name }) if name == "team"));
    for bad in ["", "Team", "a b", &"x".repeat(65)] {
        let refused = store.create_plan(&Actor::COMMAND, &plan(bad, 1)).await;
        assert!(matches!(refused, Err(PlanError::InvalidPlan)), "{bad}");
    }
    let fast = |requests: u32| Plan { requests_per_minute: std::num::NonZeroU32::new(requests), ..plan("fast", 1) };
    let refused = store.create_plan(&Actor::COMMAND, &fast(2_147_483_648)).await;
    assert!(matches!(refused, Err(PlanError::InvalidPlan)));
    assert!(store.create_plan(&Actor::COMMAND, &fast(2_147_483_647)).await.is_ok());
    let refused = store.create_plan(&Actor::COMMAND, &plan("huge", u64::MAX)).await;
    assert!(matches!(refused, Err(PlanError::InvalidPlan)));
    let revision = store.revision().await.unwrap();
    let unchanged = store.change_plan(&Actor::COMMAND, "team", PlanChange::default()).await.unwrap();
    assert_eq!((unchanged, store.revision().await.unwrap()), (made.clone(), revision));
    let change = PlanChange { credits_per_day: Some(None), shared_keys: Some(false), ..PlanChange::default() };
    let changed = store.change_plan(&Actor::COMMAND, "team", change).await.unwrap();
    let expected = Plan { credits_per_day: None, shared_keys: false, ..plan("team", 0) };
    assert_eq!((changed.id, &changed.plan), (made.id, &expected));
    assert!(store.revision().await.unwrap() > revision);
    let per_minute = PlanChange { requests_per_minute: Some(NonZeroU32::new(7)), ..PlanChange::default() };
    let changed = store.change_plan(&Actor::COMMAND, "team", per_minute.clone()).await.unwrap();
    assert_eq!(changed.plan, Plan { requests_per_minute: NonZeroU32::new(7), ..expected });
    let filter = AuditFilter { action: Some(AuditAction::PlanChange), ..AuditFilter::default() };
    let lines = store.audit_page(&filter, None, 10).await.unwrap().lines;
    let mut details: Vec<String> = lines.into_iter().map(|line| line.detail.to_string()).collect();
    details.sort_unstable();
    let limits = json!({"name": "team", "credits_per_day": null, "shared_keys": false,
        "before": {"credits_per_day": 10, "shared_keys": true}});
    let rate = json!({"name": "team", "requests_per_minute": 7, "before": {"requests_per_minute": 60}});
    let mut expected = [limits, rate].map(|detail| detail.to_string());
    expected.sort_unstable();
    assert_eq!(details, expected);
    let stored = store.stored_plans().await.unwrap();
    assert_eq!(stored.iter().map(|plan| plan.plan.name.as_str()).collect::<Vec<_>>(), ["fast", "team"]);
    assert!(stored.contains(&changed), "{stored:?}");
    for none in ["none", "te\u{0}am", "Team"] {
        let absent = store.change_plan(&Actor::COMMAND, none, per_minute.clone()).await;
        assert!(matches!(&absent, Err(PlanError::NoPlan(plan)) if plan.name == none), "{absent:?}");
        assert_eq!(store.find_plan(none).await.unwrap(), None, "{none:?}");
    }
}

pub(crate) async fn budgets_of_a_plan_are_the_same_in_any_order(world: &World) {
    let store = world.store().await;
    let [credits, tokens, money] =
        Measure::ALL.map(|measure| Budget::new(measure, LimitPeriod::Day, measure.limit_of(5)));
    let with = |budgets: &[Budget]| Plan { budgets: budgets.to_vec(), ..plan("team", 1) };
    assert_eq!(store.ensure_plans(&[with(&[money, credits])]).await.unwrap(), []);
    assert_eq!(store.ensure_plans(&[with(&[credits, money])]).await.unwrap(), []);
    assert_eq!(store.plans().await.unwrap(), [with(&[credits, money])]);
    let applied = store.apply_plans(&Actor::COMMAND, &[with(&[tokens, credits])]).await.unwrap();
    let difference = PlanDifference { stored: with(&[credits, money]), configured: with(&[credits, tokens]) };
    assert_eq!(applied.differing, [difference]);
    let change = PlanChange { budgets: Some(vec![money]), ..PlanChange::default() };
    assert_eq!(store.change_plan(&Actor::COMMAND, "team", change).await.unwrap().plan, with(&[money]));
    let huge = Budget { amount: Amount(Budget::AMOUNT_MAX.0 + 1), ..money };
    for unfit in [vec![money, Budget { amount: Amount(6), ..money }], vec![huge]] {
        let change = PlanChange { budgets: Some(unfit), ..PlanChange::default() };
        let refused = store.change_plan(&Actor::COMMAND, "team", change).await;
        assert!(matches!(refused, Err(PlanError::InvalidPlan)), "{refused:?}");
    }
}

pub(crate) async fn two_servers_that_start_at_once_add_the_same_plans_once(world: &World) {
    let one = world.store().await;
    let other = world.store().await;
    let plans = [plan("a", 1), plan("b", 2)];
    let reversed = [plan("b", 2), plan("a", 1)];
    let applied = one.apply_plans(&Actor::COMMAND, &plans);
    let (first, second, third) = tokio::join!(one.ensure_plans(&plans), other.ensure_plans(&reversed), applied);
    assert_eq!((first.unwrap(), second.unwrap()), (vec![], vec![]));
    third.unwrap();
    assert_eq!(one.plans().await.unwrap(), plans);
}

pub(crate) async fn plans_have_a_bound(world: &World) {
    let store = world.store().await;
    let many: Vec<Plan> = (0..PLANS_MAX).map(|number| plan(&format!("p{number}"), 1)).collect();
    store.apply_plans(&Actor::COMMAND, &many).await.unwrap();
    let more = store.create_plan(&Actor::COMMAND, &plan("more", 1)).await;
    assert!(matches!(more, Err(PlanError::TooManyPlans)));
}
