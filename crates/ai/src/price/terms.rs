//! The terms of a response that determine its price: the tier, and the place of inference.

use std::borrow::Cow;
use std::sync::Arc;

use meter::Rates;

use super::{LongContextRates, Price};

/// A provider's name for faster or slower service, which has its own rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// The service to which the price table's own rates apply.
    #[default]
    Standard,
    /// Responses that may take a day.
    Batch,
    /// The fast mode of Anthropic.
    Fast,
    /// Responses that wait for idle machines.
    Flex,
    /// OpenAI's and Google's priority processing, which OpenAI also calls fast since 2026-07-30.
    Priority,
    /// The fastest service of OpenAI.
    Ultrafast,
}

impl Tier {
    /// Every tier, in order of declaration.
    pub const ALL: [Self; 6] = [Self::Standard, Self::Batch, Self::Fast, Self::Flex, Self::Priority, Self::Ultrafast];

    /// Returns the word in a price's version.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Fast => "fast",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
        }
    }

    /// Parses OpenAI's `service_tier`, and that of compatible providers (Groq's `on_demand`). `auto` in a response has
    /// no separate rates, so it counts as standard. `None` is a tier whose rates are unknown.
    #[must_use]
    pub fn of_openai(word: &str) -> Option<Self> {
        match word {
            "default" | "standard" | "auto" | "on_demand" => Some(Self::Standard),
            "batch" => Some(Self::Batch),
            "flex" => Some(Self::Flex),
            "priority" | "fast" => Some(Self::Priority),
            "ultrafast" => Some(Self::Ultrafast),
            _ => None,
        }
    }

    /// Parses Google's `serviceTier` or `trafficType`, in any spelling.
    #[must_use]
    pub fn of_google(word: &str) -> Option<Self> {
        let is = |words: &[&str]| words.iter().any(|it| it.eq_ignore_ascii_case(word));
        if is(&[
            "ON_DEMAND",
            "TRAFFIC_TYPE_UNSPECIFIED",
            "STANDARD",
            "SERVICE_TIER_STANDARD",
            "SERVICE_TIER_UNSPECIFIED",
        ]) {
            Some(Self::Standard)
        } else if is(&["ON_DEMAND_FLEX", "FLEX", "SERVICE_TIER_FLEX"]) {
            Some(Self::Flex)
        } else if is(&["ON_DEMAND_PRIORITY", "PRIORITY", "SERVICE_TIER_PRIORITY"]) {
            Some(Self::Priority)
        } else {
            None
        }
    }
}

/// The terms at which a response was served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PriceTerms {
    /// The tier of the service.
    pub tier: Tier,
    /// Whether inference was restricted to the US.
    pub us: bool,
}

impl PriceTerms {
    /// Returns the suffix of a price's version: empty for the standard terms, else one word for each term, `+fast+us`.
    #[must_use]
    pub fn suffix(self) -> String {
        let tier = if self.tier == Tier::Standard { String::new() } else { format!("+{}", self.tier.as_str()) };
        if self.us { tier + "+us" } else { tier }
    }

    fn parse(suffix: &str) -> Option<Self> {
        let (rest, us) = suffix.strip_suffix("+us").map_or((suffix, false), |rest| (rest, true));
        let tier = match rest.strip_prefix('+') {
            None => rest.is_empty().then_some(Tier::Standard),
            Some(word) => Tier::ALL.into_iter().find(|tier| *tier != Tier::Standard && tier.as_str() == word),
        };
        Some(Self { tier: tier?, us })
    }
}

/// The prices of a model at terms other than the standard ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherPrices {
    /// Tiers with their own rates, and their rates of long requests.
    pub tiers: Vec<(Tier, Rates, Option<LongContextRates>)>,
    /// Whether all tokens cost a tenth more if inference is restricted to the US.
    pub us_tenth: bool,
    /// The price of tokens at OpenAI's regional hosts.
    pub region: Region,
}

/// The price of tokens at OpenAI's regional hosts, compared with its main host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Region {
    /// The rates at regional hosts are unknown.
    #[default]
    Unknown,
    /// Regional hosts charge the same rates.
    Same,
    /// Regional hosts charge a tenth more.
    TenthMore,
}

impl Price {
    /// Returns the price at `terms`, whose version names them; `None` if it is unknown, and never the standard price
    /// instead.
    #[must_use]
    pub fn with_terms(&self, terms: PriceTerms) -> Option<Cow<'_, Self>> {
        if terms == PriceTerms::default() {
            return Some(Cow::Borrowed(self));
        }
        let standard = (Tier::Standard, self.rates, self.long);
        let mut tiers = std::iter::once(&standard).chain(&self.others.tiers);
        let (_, mut rates, mut long) = *tiers.find(|(tier, ..)| *tier == terms.tier)?;
        if terms.us {
            if !self.others.us_tenth {
                return None;
            }
            rates = rates.times(11, 10)?;
            long = match long {
                Some(long) => Some(LongContextRates { rates: long.rates.times(11, 10)?, ..long }),
                None => None,
            };
        }
        let version: Arc<str> = format!("{}{}", self.version, terms.suffix()).into();
        Some(Cow::Owned(Self { rates, long, version, others: Arc::default(), ..self.clone() }))
    }

    /// Returns the price that was known under `version`: this one, or this one at other terms.
    #[must_use]
    pub fn of_version(&self, version: &str) -> Option<Cow<'_, Self>> {
        self.with_terms(PriceTerms::parse(version.strip_prefix(&*self.version)?)?)
    }

    /// Returns the price whose figures `version` names, for any days; `None` for a built-in price, of which rows of other
    /// days have the same version and other rates.
    #[must_use]
    pub fn of_figures(&self, version: &str) -> Option<Cow<'_, Self>> {
        let has_figures = ["configured-", "file-"].iter().any(|start| version.starts_with(start));
        if !has_figures {
            return None;
        }
        let figures = self.version.split_once('@').map_or(&*self.version, |(figures, _)| figures);
        let rest = version.strip_prefix(figures)?;
        let terms = match rest.strip_prefix('@') {
            Some(days) => days.split_at_checked(days.find('+').unwrap_or(days.len()))?.1,
            None => rest,
        };
        self.with_terms(PriceTerms::parse(terms)?)
    }
}

#[cfg(test)]
mod tests {
    use access::Tokens;
    use meter::{Source, UnitRates, Usage};

    use super::*;
    use crate::price::Prices;

    /// The day 2026-11-21 in UTC.
    const DAY: access::Day = access::Day(20_778);

    #[test]
    fn every_terms_are_known_by_their_words() {
        for tier in Tier::ALL {
            for us in [false, true] {
                let terms = PriceTerms { tier, us };
                assert_eq!(PriceTerms::parse(&terms.suffix()), Some(terms));
            }
        }
        for odd in ["x", "+", "+standard", "+us+us", "+flex+", "+us+flex", " "] {
            assert_eq!(PriceTerms::parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_price_at_terms_is_found_again_by_its_version() {
        for (name, price) in Prices::builtin().all() {
            for tier in Tier::ALL {
                for us in [false, true] {
                    let Some(at) = price.with_terms(PriceTerms { tier, us }) else { continue };
                    assert_eq!(price.of_version(&at.version).as_ref(), Some(&at), "{name}");
                }
            }
            assert_eq!(price.of_version("builtin-1999-01-01"), None);
            assert_eq!(price.of_version(&format!("{}+later", price.version)), None);
        }
    }

    #[test]
    fn terms_have_only_the_rates_of_the_source() {
        let prices = Prices::builtin();
        let rate = |name: &str, tier, us| {
            let (provider, model) = name.split_once('/').unwrap();
            let price = prices.find(provider, [model], DAY).unwrap().with_terms(PriceTerms { tier, us })?;
            Some((price.rates.input, price.rates.cache_write_long, price.rates.output))
        };
        let known = |input, write, output| Some((Some(input), write, Some(output)));
        for (name, tier, us, expected) in [
            ("openai/gpt-5", Tier::Flex, false, known(625_000, Some(625_000), 5_000_000)),
            ("openai/gpt-5", Tier::Priority, false, known(2_500_000, Some(2_500_000), 20_000_000)),
            ("openai/gpt-6-astra", Tier::Ultrafast, false, known(60_000_000, Some(150_000_000), 300_000_000)),
            ("openai/gpt-5-nano", Tier::Priority, false, None),
            ("openai/gpt-5", Tier::Fast, false, None),
            ("openai/gpt-5", Tier::Standard, true, None),
            ("anthropic/claude-opus-5", Tier::Fast, false, known(10_000_000, Some(20_000_000), 50_000_000)),
            ("anthropic/claude-opus-5", Tier::Fast, true, known(11_000_000, Some(22_000_000), 55_000_000)),
            ("anthropic/claude-opus-5", Tier::Batch, false, known(2_500_000, None, 12_500_000)),
            ("anthropic/claude-sonnet-5", Tier::Standard, true, known(2_200_000, Some(4_400_000), 11_000_000)),
            ("anthropic/claude-sonnet-5", Tier::Fast, false, None),
            ("anthropic/claude-opus-5", Tier::Priority, false, None),
            ("anthropic/claude-haiku-4-5", Tier::Standard, true, None),
            ("gemini/gemini-2.5-pro", Tier::Priority, false, known(2_250_000, Some(2_250_000), 18_000_000)),
            ("mock/any", Tier::Flex, false, None),
        ] {
            assert_eq!(rate(name, tier, us), expected, "{name} {tier:?} {us}");
        }
    }

    #[test]
    fn a_long_request_at_a_tier_without_long_rates_has_an_unknown_cost() {
        let prices = Prices::builtin();
        let price = prices
            .find("openai", ["gpt-5.4"], DAY)
            .unwrap()
            .with_terms(PriceTerms { tier: Tier::Priority, us: false })
            .unwrap();
        let usage = |input| Usage { input: Some(Tokens(input)), ..Usage::empty(Source::Reported) };
        assert_eq!(price.cost(&usage(272_000)).map(|cost| cost.0), Some(272_000 * 5_000));
        assert_eq!(price.cost(&usage(272_001)), None);
    }

    #[test]
    fn a_configured_price_holds_at_the_standard_terms_alone() {
        let price = Price::configured(Rates::flat(7), UnitRates::default());
        assert_eq!(price.with_terms(PriceTerms::default()).as_deref(), Some(&price));
        assert_eq!(price.with_terms(PriceTerms { tier: Tier::Flex, us: false }), None);
        assert_eq!(price.with_terms(PriceTerms { tier: Tier::Standard, us: true }), None);
    }
}
