//! Credits by tokens: the rates of the file, and those of plans.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use access::Credits;
use meter::rating::credit_price::{CreditPrice, Millionths, TokenWeights};

/// At the end of an entry: any further characters.
const ANY: char = '*';

/// What the calls of a plan's users cost in credits, by their tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditRates {
    /// The weights of the classes of tokens.
    pub weights: TokenWeights,
    /// The number of tokens of weight 1 that cost a credit.
    pub per_tokens: NonZeroU32,
    /// The least that a call costs.
    pub minimum: Credits,
    /// Factors of models by their names or beginnings with `*`; the most exact first.
    factors: Box<[(Box<str>, Millionths)]>,
}

/// The rates of all plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanCreditRates {
    /// The rates of plans without their own; `None` means flat credits.
    pub default: Option<Arc<CreditRates>>,
    /// The rates of the plans that have their own, by name.
    pub plans: BTreeMap<Box<str>, Arc<CreditRates>>,
}

impl PlanCreditRates {
    /// Returns the rates of a plan; `None` if its calls cost the flat credits of their models.
    #[must_use]
    pub fn of_plan(&self, plan: &str) -> Option<&Arc<CreditRates>> {
        self.plans.get(plan).or(self.default.as_ref())
    }
}

impl CreditRates {
    /// Returns rates. A name without `*` is more exact than a beginning, and a longer beginning than a shorter one.
    pub(crate) fn new(
        weights: TokenWeights,
        per_tokens: NonZeroU32,
        minimum: Credits,
        mut factors: Vec<(Box<str>, Millionths)>,
    ) -> Self {
        factors.sort_by_key(|(name, _)| (name.ends_with(ANY), Reverse(name.len())));
        Self { weights, per_tokens, minimum, factors: factors.into() }
    }

    /// Returns the price of a model that a client requests as `asked`, and that `provider` serves as `model`. The most exact
    /// entry that applies to `asked` or to PROVIDER/MODEL has the factor; if both are equally exact, that of `asked`. A model
    /// without an entry has the factor 1.
    #[must_use]
    pub fn price(&self, asked: &str, provider: &str, model: &str) -> CreditPrice {
        let of_asked = self.factors.iter().find(|(entry, _)| applies(entry, asked.bytes()));
        let target = || provider.bytes().chain(*b"/").chain(model.bytes());
        let of_target = self.factors.iter().find(|(entry, _)| applies(entry, target()));
        // Names without `*` are equally exact, whatever their length.
        let exactness = |(entry, _): &&(Box<str>, Millionths)| entry.strip_suffix(ANY).map_or(usize::MAX, str::len);
        // `max_by_key` returns the last one of equal entries.
        let found = [of_target, of_asked].into_iter().flatten().max_by_key(exactness);
        let factor = found.map_or(Millionths::ONE, |(_, factor)| *factor);
        CreditPrice { weights: self.weights, factor, per_tokens: self.per_tokens }
    }
}

/// Whether an entry applies to the name with these bytes. A stream asks for each chunk, so PROVIDER/MODEL is not put together.
fn applies(entry: &str, mut name: impl Iterator<Item = u8>) -> bool {
    let beginning = entry.strip_suffix(ANY);
    let begins = beginning.unwrap_or(entry).bytes().all(|byte| name.next() == Some(byte));
    begins && (beginning.is_some() || name.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_entry_has_the_factor_and_of_two_that_of_the_requested_name() {
        let factors = [("openai/gpt-5*", 2), ("openai/*", 3), ("fast", 4), ("openai/gpt-5", 5), ("fa*", 6), ("*", 7)];
        let factors = factors.map(|(name, factor)| (name.into(), Millionths(factor))).to_vec();
        let weights = TokenWeights {
            input: Millionths::ONE,
            cached_input: Millionths::ONE,
            cache_write: Millionths::ONE,
            output: Millionths::ONE,
        };
        let rates = CreditRates::new(weights, NonZeroU32::MIN, Credits::ZERO, factors);
        for (asked, provider, model, factor) in [
            ("openai/gpt-5-mini", "openai", "gpt-5-mini", 2),
            ("other", "openai", "gpt-4", 3),
            ("fast", "openai", "gpt-5-mini", 4),
            ("other", "openai", "gpt-5", 5),
            ("fast", "openai", "gpt-5", 4),
            ("faster", "anthropic", "claude", 6),
            ("other", "anthropic", "claude", 7),
        ] {
            assert_eq!(rates.price(asked, provider, model).factor, Millionths(factor), "{asked} {provider}/{model}");
        }
        let none = CreditRates::new(weights, NonZeroU32::MIN, Credits::ZERO, Vec::new());
        assert_eq!(none.price("a", "b", "c").factor, Millionths::ONE);
    }

    #[test]
    fn a_plan_with_its_own_rates_has_no_others() {
        let rates = |minimum| {
            let one = Millionths::ONE;
            let weights = TokenWeights { input: one, cached_input: one, cache_write: one, output: one };
            Arc::new(CreditRates::new(weights, NonZeroU32::MIN, Credits(minimum), Vec::new()))
        };
        let plans = BTreeMap::from([("pro".into(), rates(2))]);
        let all = PlanCreditRates { default: Some(rates(1)), plans };
        let minimum = |plan| all.of_plan(plan).map(|rates| rates.minimum.0);
        assert_eq!((minimum("pro"), minimum("starter")), (Some(2), Some(1)));
        assert_eq!(PlanCreditRates::default().of_plan("pro"), None);
    }
}
