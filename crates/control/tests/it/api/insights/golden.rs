//! Days that are worked out by hand, and figures that must agree wherever they are shown.

use std::io::Cursor;
use std::sync::Arc;

use access::{Day, LabelSet, NanoUsd, Timestamp, Tokens};
use insights::InsightSettings;
use ledger::reconcile::Days;
use ledger::{Ledger, UsageOf};
use meter::{CacheUse, RequestOrigin, Source, UnknownCost, Usage, UsageEvent};
use serde_json::{Value, json};

use super::{admin, by_name, date, node_ends, owned, time_at};
use crate::api::models;
use crate::client::{bytes, get};
use crate::world::{Holder, NOON, World, defaults, event};

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
        .record(vec![
            event(ada.caller, time_at(1, 1), Some(NanoUsd(900))),
            event(ada.caller, time_at(0, 1), Some(NanoUsd(40))),
        ])
        .await;
    let root = admin(&world).await;
    let brief = async |back: u32| get(world.address, &format!("/brief/{}", date(back)), &[&root]).await.json();
    let before = brief(1).await;
    assert_eq!((&before["spend"]["cost"], &before["figures_version"]), (&cost(900), &json!(1)));
    let late = UsageEvent { status: 502, ..event(ada.caller, time_at(1, 2), Some(NanoUsd(33))) };
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
        let mut event = event(ada.caller, time_at(0, seconds), None);
        event.model = Some("new".into());
        for attempt in &mut event.attempts {
            attempt.unknown = Some(UnknownCost::NoPrice);
        }
        event
    };
    world.record(vec![unpriced(1), unpriced(2), event(ada.caller, time_at(0, 3), Some(NanoUsd(1_500)))]).await;
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

/// The prices of 2026-11-19 and before, and those since 2026-11-20, which is today. A dollar per million tokens is 1,000
/// nano-dollars per token: a cached token saves 225 nano-dollars at the first price, and 300 at the second one.
const DATED_PRICES: &str = "providers:
  - {name: openai, kind: openai, credential: vault}
models:
  - {name: fast, targets: [{provider: openai, model: gpt-5-mini}]}
prices:
  - {model: openai/gpt-5-mini, until: 2026-11-19, input: '0.25', cached_input: '0.025', output: '2'}
  - {model: openai/gpt-5-mini, from: 2026-11-20, input: '0.40', cached_input: '0.10', output: '2'}
";

/// Each cached token saves the difference of the rates that its request had.
#[tokio::test]
async fn a_prompt_cache_saves_the_difference_of_the_dated_rates() {
    let world = models::world(DATED_PRICES).await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let traffic = world.live.load_full().traffic.clone();
    let provider = traffic.provider("openai").unwrap();
    let version = |on: Timestamp| traffic.price(provider, ("gpt-5-mini", None), on).unwrap().version.clone();
    let old = version(time_at(1, 1));
    let new = version(time_at(0, 1));
    assert_ne!(old, new);
    let call =
        |holder: &Holder, begun: Timestamp, price: Option<&Arc<str>>, [input, cached, output, nano]: [i64; 4]| {
            let mut event = event(holder.caller, begun, price.map(|_| NanoUsd(nano)));
            let tokens = |count: i64| Some(Tokens(count.unsigned_abs()));
            let usage = Usage {
                input: tokens(input),
                cached_input: tokens(cached),
                output: tokens(output),
                ..Usage::empty(Source::Reported)
            };
            for attempt in &mut event.attempts {
                (attempt.usage, attempt.price_version) = (Some(usage), price.cloned());
                attempt.unknown = price.is_none().then_some(UnknownCost::NoPrice);
            }
            event
        };
    let refused = UsageEvent {
        attempts: Vec::new(),
        status: 429,
        refusal: Some("budget_exceeded".into()),
        ..call(&bob, time_at(0, 5), None, [0; 4])
    };
    world
        .record(vec![
            // 2,000 x 400 + 1,000 x 100 + 100 x 2,000; without the cache 3,000 x 400 + 100 x 2,000 = 1,400,000.
            call(&ada, time_at(0, 1), Some(&new), [2_000, 1_000, 100, 1_100_000]),
            // 100 x 400 + 500 x 100 + 10 x 2,000; without the cache 600 x 400 + 10 x 2,000 = 260,000.
            call(&ada, time_at(0, 2), Some(&new), [100, 500, 10, 110_000]),
            // A node with yesterday's configuration: 3,000 x 250 + 2,000 x 25; without the cache 5,000 x 250 = 1,250,000.
            call(&bob, time_at(0, 3), Some(&old), [3_000, 2_000, 0, 800_000]),
            // Without a price, and without cached tokens.
            call(&bob, time_at(0, 4), None, [10, 9_000, 10, 0]),
            call(&bob, time_at(0, 6), Some(&new), [1_000, 0, 0, 400_000]),
            refused,
            // Yesterday is another day.
            call(&ada, time_at(1, 1), Some(&old), [0, 7_000, 0, 175_000]),
        ])
        .await;
    let root = admin(&world).await;
    let roi = async |credential: &str| get(world.address, "/roi/today", &[credential]).await.json();
    let all = roi(&root).await;
    assert_eq!(all["spent"], cost(1_100_000 + 110_000 + 800_000 + 400_000), "{all}");
    let saved = 300_000 + 150_000 + 450_000;
    assert_eq!((&all["total_saved"], &all["saved"][0]["amount"]), (&cost(saved), &cost(saved)), "{all}");
    assert_eq!((&all["saved"][0]["kind"], &all["saved"][0]["requests"]), (&json!("prompt_cache"), &json!(3)));
    assert_eq!(saved, (1_400_000 - 1_100_000) + (260_000 - 110_000) + (1_250_000 - 800_000));
    let not_counted = by_name(&all["not_counted"], "kind");
    assert!(not_counted.contains(&("prompt_cache".to_owned(), 1)), "{all}");
    assert!(not_counted.contains(&("refused_overspend".to_owned(), 1)), "{all}");
    let own = roi(&ada.bearer()).await;
    assert_eq!((&own["spent"], &own["total_saved"]), (&cost(1_210_000), &cost(450_000)), "{own}");
}

/// A route with a cache, whose requests have an event each.
const CACHED_ROUTE: &str = "routes: [{path: /a, events: rows, cache: {ttl: 9s}, upstreams: u}]
upstreams: [{name: u, backends: [{url: http://h}]}]
";

/// Responses from a cache are counted, and their money is not guessed.
#[tokio::test]
async fn a_response_cache_saves_an_amount_that_is_not_known() {
    let world = models::world(CACHED_ROUTE).await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let root = admin(&world).await;
    let cache = async |credential: &str| {
        world.clock.advance(std::time::Duration::from_secs(6));
        let roi = get(world.address, "/roi/today", &[credential]).await.json();
        assert_eq!((&roi["saved"], &roi["total_saved"]), (&json!([]), &cost(0)), "{roi}");
        let all = roi["not_counted"].as_array().unwrap().clone();
        let found = all.into_iter().find(|of| of["kind"] == "response_cache").unwrap();
        (found["requests"].as_u64().unwrap(), found["reason"].as_str().unwrap().to_owned())
    };
    let cached = world.live.load_full().traffic.clone();
    let without_cache = || world.configure(|snapshot| snapshot.traffic = defaults().traffic);
    without_cache();
    assert_eq!(cache(&root).await, (0, "no route has a cache".to_owned()));
    world.configure(|snapshot| snapshot.traffic = cached);
    assert_eq!(cache(&root).await, (0, "no request with an event was served from a cache".to_owned()));
    let plain = |holder: &Holder, begun: Timestamp, cache| UsageEvent {
        attempts: Vec::new(),
        format: None,
        model: None,
        route: "/a".into(),
        origin: RequestOrigin { cache, ..RequestOrigin::default() },
        ..event(holder.caller, begun, None)
    };
    world
        .record(vec![
            plain(&ada, time_at(0, 1), CacheUse::Hit),
            plain(&ada, time_at(0, 2), CacheUse::Stale),
            plain(&bob, time_at(0, 3), CacheUse::Collapsed),
            // The upstream has served these two, and the third one is of yesterday.
            plain(&bob, time_at(0, 4), CacheUse::Revalidated),
            plain(&bob, time_at(0, 5), CacheUse::None),
            plain(&ada, time_at(1, 1), CacheUse::Hit),
        ])
        .await;
    let reason =
        "these requests were served from a cache; the amount that they would have cost is not recorded".to_owned();
    assert_eq!(cache(&root).await, (3, reason.clone()));
    assert_eq!(cache(&ada.bearer()).await, (2, reason.clone()));
    // The requests remain known after the cache is removed.
    without_cache();
    assert_eq!(cache(&root).await, (3, reason));
}

/// The cost of the gateway is a part of what all users spent: 30 USD a month are 1 USD on each day of November.
#[tokio::test]
async fn the_gateway_has_a_cost_per_day() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    world.record(vec![event(ada.caller, time_at(0, 1), Some(NanoUsd(40)))]).await;
    let mut settings = InsightSettings::default();
    settings.roi.gateway_cost.amount_nano = 30_000_000_000;
    world.configure(|snapshot| snapshot.traffic.insights = Arc::new(settings));
    let root = admin(&world).await;
    let all = get(world.address, "/roi/today", &[&root]).await.json();
    assert_eq!(all["spent"], cost(1_000_000_040), "{all}");
    assert_eq!((&all["costs"][0]["amount"], &all["costs"][1]["amount"]), (&cost(40), &cost(1_000_000_000)));
    assert_eq!(all["costs"][1]["formula"], "insights.roi.gateway_cost / days of the month");
    let own = get(world.address, "/roi/today", &[&ada.bearer()]).await.json();
    assert_eq!((&own["spent"], own["costs"].as_array().unwrap().len()), (&cost(40), 1), "{own}");
}

/// A sequence of numbers that look random (Knuth's linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// Returns a request of today or yesterday, with labels; some failed, were refused, have an unknown cost, or were made with
    /// the user's own credential.
    fn event(&mut self, holders: &[Holder; 2], nth: u64) -> UsageEvent {
        const LABELS: [&str; 4] = ["", "team=payments", "team=payments,tier=gold", "team=core"];
        let holder = &holders[usize::try_from(self.below(2)).unwrap()];
        let nano = i64::try_from(self.below(5_000_000_000)).unwrap();
        let known = (self.below(5) > 0).then_some(NanoUsd(nano));
        let mut event = event(holder.caller, time_at(self.below(2), nth), known);
        event.attempts[0].own_credential = self.below(4) == 0;
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

/// The part of the cost that the user's own credential paid.
fn own_cost_of(event: &UsageEvent) -> i64 {
    let own = event.attempts.iter().filter(|attempt| attempt.own_credential);
    own.filter_map(|attempt| attempt.cost).map(|cost| cost.0).sum()
}

/// The sums of the files of an export.
#[derive(Debug, PartialEq, Eq)]
struct FileSums {
    events: usize,
    counted: u64,
    tokens: u64,
    cost_nano: i64,
    own_cost_nano: i64,
    refused: usize,
    is_equal: bool,
}

/// Exports a day, verifies the zip, and adds up its files.
async fn exported(world: &World, id: &str, credential: &str) -> FileSums {
    let mut zip = Cursor::new(bytes(world.address, &format!("/export/{id}"), credential).await);
    evidence::verify(&mut zip, None).unwrap();
    let mut file = |name: &str| {
        let mut content = Vec::new();
        evidence::read_file(&mut zip, name, |bytes| content.extend_from_slice(bytes)).unwrap();
        String::from_utf8(content).unwrap()
    };
    // The names in these columns and in those before them contain no commas; an unknown cost is empty.
    let column = |csv: &str, at: usize| -> Vec<i64> {
        let cell = |line: &str| match line.split(',').nth(at).unwrap() {
            "" => 0,
            figure => figure.parse().unwrap(),
        };
        csv.lines().skip(1).map(cell).collect()
    };
    let events = file("events.csv");
    let tokens = column(&events, 12);
    let costs = column(&events, 13);
    // Labels may contain commas.
    let last = |line: &str, nth: usize| line.rsplit(',').nth(nth).unwrap().to_owned();
    let own = events.lines().skip(1).map(|line| last(line, 1)).filter(|cell| !cell.is_empty());
    let own_cost_nano = own.map(|cell| cell.parse::<i64>().unwrap()).sum();
    let counted = column(&file("counts.csv"), 2).iter().sum::<i64>();
    let audit: Value = serde_json::from_str(&file("audit.json")).unwrap();
    FileSums {
        events: tokens.len(),
        counted: counted.unsigned_abs(),
        tokens: tokens.iter().sum::<i64>().unsigned_abs(),
        cost_nano: costs.iter().sum(),
        own_cost_nano,
        refused: events.lines().filter(|line| last(line, 0) == "refused").count(),
        is_equal: audit["equal"] == true,
    }
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
            let own: i64 = of_day.iter().map(|event| own_cost_of(event)).sum();
            let expected = of_day.iter().map(|event| cost_of(event)).sum::<i64>() - own;
            let refused = of_day.iter().filter(|event| event.refusal.is_some()).count();
            let brief = see(format!("/brief/{}", date(back))).await;
            let spend = &brief["spend"];
            let requests = of_day.len() - refused;
            assert_eq!((&spend["cost"], &spend["requests"]), (&cost(expected), &json!(requests)), "seed {seed}");
            assert_eq!((&spend["own_cost"], &spend["refused"]), (&cost(own), &json!(refused)), "seed {seed}");
            let of_classes = by_name(&brief["classes"], "class").iter().map(|(_, requests)| requests).sum::<u64>();
            assert_eq!(json!(of_classes), spend["requests"], "seed {seed}");
            let mut of_users = [0; 2];
            for holder in &holders {
                let of_user = see(format!("/brief/{}~user={}", date(back), holder.user)).await;
                for (sum, name) in of_users.iter_mut().zip(["cost", "own_cost"]) {
                    *sum += of_user["spend"][name]["amount_nano"].as_i64().unwrap();
                }
            }
            assert_eq!(of_users, [expected, own], "seed {seed}");
            let is_labelled = |event: &&&UsageEvent| event.origin.labels.value("team") == Some("core");
            let of_label: i64 = of_day.iter().filter(is_labelled).map(|event| own_cost_of(event)).sum();
            let labelled = see(format!("/brief/{}~team=core", date(back))).await;
            assert_eq!(labelled["spend"]["own_cost"], cost(of_label), "seed {seed}");
            let history = see("/api/usage/history?days=2&scope=all".to_owned()).await;
            let total = history["days"].as_array().unwrap().iter().find(|of| of["date"] == date(back)).unwrap();
            assert_eq!(
                (&total["cost"], &total["tokens"]["total"]),
                (&cost(expected + own), &spend["tokens"]),
                "seed {seed}"
            );
            let files = exported(&world, &date(back), &root).await;
            let tokens = spend["tokens"].as_u64().unwrap();
            let is_equal = true;
            let events = of_day.len();
            let counted = 0;
            let cost_nano = expected;
            let own_cost_nano = own;
            let sums = FileSums { events, counted, tokens, cost_nano, own_cost_nano, refused, is_equal };
            assert_eq!(files, sums, "seed {seed}");
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
