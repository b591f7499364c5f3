//! Days whose briefs are worked out by hand: a launch, a change of a price, and an agent that runs away.

use super::*;

fn change(name: &str, [tokens_before, tokens]: [u64; 2], [cost_before, cost]: [i64; 2]) -> ModelChange {
    ModelChange { name: name.to_owned(), tokens_before, cost_before, tokens, cost }
}

/// Returns the movers of a day as name, difference, volume, price and mix.
fn movers_of(models: &[ModelChange]) -> Vec<(String, [i64; 4])> {
    let sum = |of: fn(&ModelChange) -> i64| models.iter().map(of).sum::<i64>();
    let days = [figures(7, 10, sum(|of| of.cost_before)), figures(0, 10, sum(|of| of.cost))];
    let of = BriefFigures {
        head: head(DayScope::All {}),
        days: &days,
        outcomes: DayOutcomes::default(),
        models,
        groups: &[chats(10, 0)],
        codes: Vec::new(),
        failed: FailedCost::default(),
        latency: DayLatency::default(),
        budget: None,
        signed: None,
    };
    let told = brief(of, &InsightSettings::default());
    let difference = told.spend.cost.amount_nano - told.spend.same_weekday.amount_nano;
    assert_eq!(told.movers.iter().map(|of| of.difference).sum::<i64>(), difference);
    told.movers.into_iter().map(|of| (of.name, [of.difference, of.volume, of.price, of.mix])).collect()
}

/// The new model has no earlier price, so its cost is mix. The tokens of the day have doubled, which is volume for the other
/// model, and its smaller share is mix.
#[test]
fn a_launch_is_mix_of_the_new_model() {
    let models = [change("fast", [1_000, 1_000], [10_000, 10_000]), change("smart", [0, 1_000], [0, 40_000])];
    let expected = [("smart".to_owned(), [40_000, 0, 0, 40_000]), ("other".to_owned(), [0, 10_000, 0, -10_000])];
    assert_eq!(movers_of(&models), expected);
}

/// Twice the tokens at 1.5 times the price: 10,000 more at the old price, and 2,000 tokens at 5 more each.
#[test]
fn a_price_change_is_apart_from_volume() {
    let models = [change("fast", [1_000, 2_000], [10_000, 30_000])];
    assert_eq!(movers_of(&models), [("fast".to_owned(), [20_000, 10_000, 10_000, 0])]);
}

/// The deviation of 900 requests from the median of 100, by a MAD of at least a hundredth of it: 0.6745 times 900.
#[test]
fn an_agent_that_runs_away_is_an_anomaly_and_a_class() {
    let mut days: Vec<DayFigures> = (1..=56).rev().map(|back| figures(back, 100, 1_000)).collect();
    days.push(figures(0, 1_000, 90_000));
    let agent = Metadata { client: Some("codex"), format: Some("responses"), ..Metadata::default() };
    let ids = vec![Uuid::from_u128(5)];
    let agent = RequestGroup { metadata: agent, requests: 900, tokens: 9_000, cost_nano: 89_000, ids: ids.clone() };
    let told = compose(&days, &[chats(100, 1_000), agent], DayOutcomes::default());
    assert!(told.headline.ends_with("900 of 1000 requests are agent_session"), "{}", told.headline);
    assert_eq!((told.classes[0].class, told.classes[0].requests), (Class::AgentSession, 900));
    let found: Vec<_> = told.anomalies.iter().map(|of| (of.measure.as_str(), of.value, of.median, of.mad)).collect();
    assert_eq!(found[0], ("requests", 1_000, 100, 0));
    assert_eq!(found.iter().map(|of| of.0).collect::<Vec<_>>(), ["requests", "tokens", "cost_nano"]);
    assert_eq!(told.anomalies[0].score, crate::figures::ratio::Ratio(6_070_500));
    assert_eq!(told.anomalies[0].request_ids[0], ids[0]);
}

/// A day that is not over has too few requests because of the time, but too many are too many at any time.
#[test]
fn a_day_that_is_not_over_has_only_anomalies_above_the_median() {
    let found = |requests, cost_nano, complete| {
        let mut days: Vec<DayFigures> = (1..=56).rev().map(|back| figures(back, 5_000, 1_000)).collect();
        days.push(figures(0, requests, cost_nano));
        let of = BriefFigures {
            head: FiguresHead { complete, ..head(DayScope::All {}) },
            days: &days,
            outcomes: DayOutcomes::default(),
            models: &[],
            groups: &[],
            codes: Vec::new(),
            failed: FailedCost::default(),
            latency: DayLatency::default(),
            budget: None,
            signed: None,
        };
        let told = brief(of, &InsightSettings::default());
        assert_eq!(told.anomalies_reason, None);
        told.anomalies.into_iter().map(|of| of.measure).collect::<Vec<_>>()
    };
    assert!(found(12, 2, false).is_empty());
    assert_eq!(found(12, 2, true), ["requests", "tokens", "cost_nano"]);
    assert_eq!(found(9_000, 2, false), ["requests", "tokens"]);
}
