use store::PlanDifference;

use crate::world::{World, plan};

pub(crate) async fn absent_plans_are_added_and_differing_ones_reported(world: &World) {
    let store = world.store().await;
    let free = access::Plan { credits_per_day: None, requests_per_minute: None, ..plan("free", 0) };
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
