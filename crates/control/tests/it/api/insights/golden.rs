//! Days that are worked out by hand, and figures that must agree wherever they are shown.

use access::{Day, LabelSet, NanoUsd, Timestamp};
use ledger::reconcile::Days;
use ledger::{Ledger, UsageOf};
use meter::{RequestOrigin, UnknownCost, UsageEvent};
use serde_json::{Value, json};

use super::{admin, at, by_name, date, node_ends, owned};
use crate::client::get;
use crate::world::{Holder, NOON, World, event};

/// The tokens of an event.
const TOKENS: u64 = 187;

fn day(back: u32) -> Day {
    Day(NOON.day().0 - back)
}

fn cost(nano: i64) -> Value {
    json!({"amount_nano": nano, "currency": "USD"})
}

/// A request belongs to the UTC day on which it begins, to the microsecond, in every figure.
#[tokio::test]
async fn midnight_divides_requests_by_their_begin() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let midnight = day(0).start();
    let last = UsageEvent { duration_us: 5_000_000, ..event(ada.caller, Timestamp(midnight.0 - 1), Some(NanoUsd(70))) };
    let first = event(ada.caller, midnight, Some(NanoUsd(300)));
    world.record(vec![last.clone(), first.clone()]).await;
    node_ends(&world).await;
    let root = admin(&world).await;
    for (back, nano, of) in [(1, 70, &last), (0, 300, &first)] {
        let brief = get(world.address, &format!("/brief/{}", date(back)), &[&root]).await.json();
        let spend = &brief["spend"];
        assert_eq!((&spend["cost"], &spend["requests"], &spend["tokens"]), (&cost(nano), &json!(1), &json!(TOKENS)));
        assert_eq!(by_name(&brief["classes"], "class"), owned(&[("chat", 1)]));
        let events = Ledger::new(world.store.clone()).day_events(UsageOf::All, day(back), None).await.unwrap();
        assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), [of.id], "day {back}");
    }
    let today = get(world.address, "/brief/today", &[&root]).await.json();
    assert_eq!(today["spend"]["yesterday"], cost(70));
    assert_eq!(today["movers"][0]["difference"], 300, "the same weekday had no usage");
    let roi = get(world.address, "/roi/today", &[&root]).await.json();
    assert_eq!((&roi["spent"], &roi["total_saved"]), (&cost(300), &cost(0)));
}

/// Usage of yesterday that arrives today changes yesterday and the comparison with it, and not today.
#[tokio::test]
async fn late_usage_changes_its_day_and_the_comparison_with_it() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    world
        .record(vec![event(ada.caller, at(1, 1), Some(NanoUsd(900))), event(ada.caller, at(0, 1), Some(NanoUsd(40)))])
        .await;
    let root = admin(&world).await;
    let brief = async |back: u32| get(world.address, &format!("/brief/{}", date(back)), &[&root]).await.json();
    let before = brief(1).await;
    assert_eq!((&before["spend"]["cost"], &before["figures_version"]), (&cost(900), &json!(1)));
    let late = UsageEvent { status: 502, ..event(ada.caller, at(1, 2), Some(NanoUsd(33))) };
    world.record(vec![late]).await;
    let after = brief(1).await;
    assert_eq!((&after["spend"]["cost"], &after["spend"]["requests"]), (&cost(933), &json!(2)));
    assert_eq!((&after["figures_version"], &after["errors"]["requests"]), (&json!(2), &json!(1)));
    assert_eq!(after["recommendations"][0]["saves"], cost(33));
    world.clock.advance(std::time::Duration::from_secs(6));
    let today = brief(0).await;
    assert_eq!((&today["spend"]["cost"], &today["spend"]["yesterday"]), (&cost(40), &cost(933)));
    assert_eq!(today["figures_version"], 0);
}

/// A model without a price costs an unknown amount, which is never zero and never guessed.
#[tokio::test]
async fn unpriced_models_are_counted_and_not_guessed() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let unpriced = |seconds| {
        let mut event = event(ada.caller, at(0, seconds), None);
        event.model = Some("new".into());
        for attempt in &mut event.attempts {
            attempt.unknown = Some(UnknownCost::NoPrice);
        }
        event
    };
    world.record(vec![unpriced(1), unpriced(2), event(ada.caller, at(0, 3), Some(NanoUsd(1_500)))]).await;
    let root = admin(&world).await;
    let classes = get(world.address, "/classify/today", &[&root]).await.json();
    assert_eq!((&classes["requests"], &classes["unpriced_requests"]), (&json!(3), &json!(2)));
    assert_eq!((&classes["tokens"], &classes["cost"]), (&json!(3 * TOKENS), &cost(1_500)));
    let brief = get(world.address, "/brief/today", &[&root]).await.json();
    assert_eq!(brief["spend"]["unpriced_requests"], 2);
    let advice = &brief["recommendations"][0];
    assert_eq!((&advice["kind"], &advice["saves"]), (&json!("missing_prices"), &Value::Null));
    assert!(advice["text"].as_str().unwrap().starts_with("the cost of 2 requests is unknown"), "{advice}");
    let roi = get(world.address, "/roi/today", &[&root]).await.json();
    assert_eq!((&roi["spent"], &roi["saved"]), (&cost(1_500), &json!([])));
    // Their cached tokens may have saved money.
    assert!(by_name(&roi["not_counted"], "kind").contains(&("prompt_cache".to_owned(), 3)), "{roi}");
}

/// A sequence of numbers that look random (Knuth's linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// Returns a request of today or yesterday, with labels; some failed, were refused or have an unknown cost.
    fn event(&mut self, holders: &[Holder; 2], nth: u64) -> UsageEvent {
        const LABELS: [&str; 4] = ["", "team=payments", "team=payments,tier=gold", "team=core"];
        let holder = &holders[usize::try_from(self.below(2)).unwrap()];
        let nano = i64::try_from(self.below(5_000_000_000)).unwrap();
        let known = (self.below(5) > 0).then_some(NanoUsd(nano));
        let event = event(holder.caller, at(self.below(2), nth), known);
        let labels = LabelSet::of_text(LABELS[usize::try_from(self.below(4)).unwrap()]);
        let event = UsageEvent { origin: RequestOrigin { labels, ..RequestOrigin::default() }, ..event };
        match self.below(6) {
            0 => UsageEvent { status: 502, ..event },
            1 => UsageEvent { status: 429, refusal: Some("quota_exceeded".into()), attempts: Vec::new(), ..event },
            _ => event,
        }
    }
}

fn cost_of(event: &UsageEvent) -> i64 {
    event.attempts.iter().filter_map(|attempt| attempt.cost).map(|cost| cost.0).sum()
}

/// The brief, its classes, the totals, the sums by label and by user, the exported events and the audit have the same sums, to the
/// nano-dollar.
#[tokio::test]
async fn brief_totals_events_and_audit_agree() {
    for seed in [1, 2, 3] {
        let world = World::start().await;
        let holders = [world.holder("ada", "starter").await, world.holder("bob", "endless").await];
        let mut dice = Dice(seed);
        let events: Vec<UsageEvent> = (0..40).map(|nth| dice.event(&holders, nth)).collect();
        world.record(events.clone()).await;
        node_ends(&world).await;
        let root = admin(&world).await;
        let see = async |path: String| get(world.address, &path, &[&root]).await.json();
        let ledger = Ledger::new(world.store.clone());
        for back in [0, 1] {
            let of_day: Vec<&UsageEvent> = events.iter().filter(|event| event.day == day(back)).collect();
            let expected: i64 = of_day.iter().map(|event| cost_of(event)).sum();
            let brief = see(format!("/brief/{}", date(back))).await;
            let spend = &brief["spend"];
            assert_eq!((&spend["cost"], &spend["requests"]), (&cost(expected), &json!(of_day.len())), "seed {seed}");
            let of_classes = by_name(&brief["classes"], "class").iter().map(|(_, requests)| requests).sum::<u64>();
            assert_eq!(json!(of_classes), spend["requests"], "seed {seed}");
            let mut of_users = 0;
            for holder in &holders {
                let own = see(format!("/brief/{}~user={}", date(back), holder.user)).await;
                of_users += own["spend"]["cost"]["amount_nano"].as_i64().unwrap();
            }
            assert_eq!(of_users, expected, "seed {seed}");
            let history = see("/api/usage/history?days=2&scope=all".to_owned()).await;
            let total = history["days"].as_array().unwrap().iter().find(|of| of["date"] == date(back)).unwrap();
            assert_eq!((&total["cost"], &total["tokens"]["total"]), (&cost(expected), &spend["tokens"]), "seed {seed}");
            // An export has these events.
            let stored = ledger.day_events(UsageOf::All, day(back), None).await.unwrap();
            let of_events: i64 = stored.iter().filter_map(|event| event.cost).map(|cost| cost.0).sum();
            assert_eq!((of_events, stored.len()), (expected, of_day.len()), "seed {seed}");
            for event in of_day {
                let stored = stored.iter().find(|stored| stored.id == event.id).unwrap();
                assert_eq!(stored.labels.as_str(), event.origin.labels.as_str(), "seed {seed}");
            }
        }
        let series = see("/api/usage/series?by=label:team&scope=all&step=day".to_owned()).await;
        let points = series["series"].as_array().unwrap().iter().flat_map(|of| of["points"].as_array().unwrap());
        let of_labels: i64 = points.map(|point| point["cost"]["amount_nano"].as_i64().unwrap()).sum();
        assert_eq!(of_labels, events.iter().map(cost_of).sum::<i64>(), "seed {seed}");
        let audit = ledger.reconcile(Days { first: day(1), last: day(0) }).await.unwrap();
        assert!(audit.agrees(), "seed {seed}: {:?}", audit.differences);
    }
}
