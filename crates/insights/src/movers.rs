//! The change of the cost of each model, split into volume, price and mix.
//!
//! With tokens `t` and cost `c` of a model, before (0) and now (1), and `T` of all models: volume is
//! `c0 * (T1 - T0) / T0`, price is `c1 - t1 * c0 / t0`, and mix is the rest of `c1 - c0`. A model without earlier tokens has
//! no earlier price, so its whole change is mix, or volume if the scope had no tokens before.

use crate::brief::Mover;
use crate::classify::clamped;
use crate::figures::money::NanoMoney;

/// The maximum number of models that are listed; the others are one group.
const LISTED_MAX: usize = 10;

/// The usage of one model on two days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelChange {
    /// The name of the model.
    pub name: String,
    /// The tokens of the earlier day.
    pub tokens_before: u64,
    /// The cost of the earlier day in nano-USD.
    pub cost_before: i64,
    /// The tokens of the day.
    pub tokens: u64,
    /// The cost of the day in nano-USD.
    pub cost: i64,
}

/// The three parts of a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Parts {
    volume: i128,
    price: i128,
    mix: i128,
}

/// Returns the models whose cost changed most, and the sum of the others. `cost_before` and `cost` cover the whole scope. Cost
/// without a model is in the group `other`, so that the differences sum to the difference of the scope.
#[must_use]
pub fn movers(models: &[ModelChange], cost_before: i64, cost: i64) -> Vec<Mover> {
    let sum = |of: fn(&ModelChange) -> u64| models.iter().map(|model| i128::from(of(model))).sum::<i128>();
    let all_before = sum(|model| model.tokens_before);
    let all_now = sum(|model| model.tokens);
    let mut changes: Vec<(&ModelChange, Parts)> =
        models.iter().map(|model| (model, parts(model, all_before, all_now))).collect();
    changes.sort_by_key(|(model, _)| {
        (-(i128::from(model.cost) - i128::from(model.cost_before)).abs(), model.name.clone())
    });
    let is_listed =
        |(at, (model, _)): &(usize, &(&ModelChange, Parts))| *at < LISTED_MAX && model.cost != model.cost_before;
    let listed: Vec<Mover> = changes
        .iter()
        .enumerate()
        .filter(is_listed)
        .map(|(_, (model, parts))| mover("model", &model.name, [model.cost_before.into(), model.cost.into()], *parts))
        .collect();
    let mut rest = Parts::default();
    let mut rest_before = i128::from(cost_before);
    let mut rest_now = i128::from(cost);
    for (at, change) in changes.iter().enumerate() {
        let (model, of) = change;
        if is_listed(&(at, change)) {
            rest_before -= i128::from(model.cost_before);
            rest_now -= i128::from(model.cost);
        } else {
            rest = Parts { volume: rest.volume + of.volume, price: rest.price + of.price, mix: rest.mix + of.mix };
        }
    }
    // Costs of requests without a model have no tokens.
    rest.mix = rest_now - rest_before - rest.volume - rest.price;
    let is_needed = rest != Parts::default();
    listed.into_iter().chain(is_needed.then(|| mover("other", "other", [rest_before, rest_now], rest))).collect()
}

fn parts(model: &ModelChange, all_before: i128, all_now: i128) -> Parts {
    let before = i128::from(model.cost_before);
    let now = i128::from(model.cost);
    let difference = now - before;
    if all_before == 0 {
        return Parts { volume: difference, ..Parts::default() };
    }
    if model.tokens_before == 0 {
        return Parts { mix: difference, ..Parts::default() };
    }
    let volume = before * (all_now - all_before) / all_before;
    let price = now - i128::from(model.tokens) * before / i128::from(model.tokens_before);
    Parts { volume, price, mix: difference - volume - price }
}

fn mover(kind: &str, name: &str, [before, now]: [i128; 2], of: Parts) -> Mover {
    let nano = |of: i128| clamped(of).0;
    Mover {
        kind: kind.to_owned(),
        name: name.to_owned(),
        cost: NanoMoney::from_nano_usd(clamped(now)),
        before: NanoMoney::from_nano_usd(clamped(before)),
        difference: nano(now - before),
        volume: nano(of.volume),
        price: nano(of.price),
        mix: nano(of.mix),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model(name: &str, [tokens_before, tokens]: [u64; 2], [cost_before, cost]: [i64; 2]) -> ModelChange {
        ModelChange { name: name.to_owned(), tokens_before, cost_before, tokens, cost }
    }

    fn told(movers: &[Mover]) -> Vec<(&str, i64, i64, i64, i64)> {
        movers.iter().map(|of| (of.name.as_str(), of.difference, of.volume, of.price, of.mix)).collect()
    }

    #[test]
    fn a_change_of_one_cause_has_one_part() {
        // Twice the tokens of both models.
        let twice = [model("a", [10, 20], [100, 200]), model("b", [10, 20], [300, 600])];
        assert_eq!(told(&movers(&twice, 400, 800)), [("b", 300, 300, 0, 0), ("a", 100, 100, 0, 0)]);
        // Another price of one model.
        let dearer = [model("a", [10, 10], [100, 150]), model("b", [10, 10], [300, 300])];
        assert_eq!(told(&movers(&dearer, 400, 450)), [("a", 50, 0, 50, 0)]);
        // All tokens move to the other model.
        let moved = [model("a", [10, 0], [100, 0]), model("b", [10, 20], [300, 600])];
        assert_eq!(told(&movers(&moved, 400, 600)), [("b", 300, 0, 0, 300), ("a", -100, 0, 0, -100)]);
        // The first day.
        assert_eq!(told(&movers(&[model("a", [0, 5], [0, 50])], 0, 50)), [("a", 50, 50, 0, 0)]);
        // Costs without a model.
        assert_eq!(told(&movers(&[], 10, 30)), [("other", 20, 0, 0, 20)]);
        assert_eq!(movers(&[], 0, 0), []);
    }

    proptest! {
        #[test]
        fn volume_price_and_mix_are_the_difference(
            of in prop::collection::vec((0_u64..1_000_000, 0_u64..1_000_000, 0_i64..9_000_000_000, 0_i64..9_000_000_000), 0..25),
            rest in (0_i64..1_000, 0_i64..1_000),
        ) {
            let models: Vec<_> = of.iter().enumerate()
                .map(|(at, (before, now, cost_before, cost))| model(&at.to_string(), [*before, *now], [*cost_before, *cost]))
                .collect();
            let cost_before = models.iter().map(|model| model.cost_before).sum::<i64>() + rest.0;
            let cost = models.iter().map(|model| model.cost).sum::<i64>() + rest.1;
            let movers = movers(&models, cost_before, cost);
            prop_assert!(movers.len() <= LISTED_MAX + 1);
            for mover in &movers {
                prop_assert_eq!(mover.volume + mover.price + mover.mix, mover.difference);
                prop_assert_eq!(mover.cost.amount_nano - mover.before.amount_nano, mover.difference);
            }
            prop_assert_eq!(movers.iter().map(|mover| mover.difference).sum::<i64>(), cost - cost_before);
        }
    }
}
