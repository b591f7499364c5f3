//! Adds up the requests of a day by class.

use std::collections::BTreeMap;

use access::NanoUsd;
use uuid::Uuid;

use crate::classification::{Class, ClassShare};
use crate::figures::money::NanoMoney;
use crate::figures::ratio::Ratio;
use crate::rules::{Metadata, RuleSet};
use crate::settings::ClassRule;

/// The maximum number of requests that a class names.
const IDS_MAX: usize = 3;

/// Requests with equal metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestGroup<'a> {
    /// The metadata of each of these requests.
    pub metadata: Metadata<'a>,
    /// The number of requests; 0 for refused ones, whose tokens and costs count nevertheless.
    pub requests: u64,
    /// The number of tokens.
    pub tokens: u64,
    /// The sum of the known costs in nano-USD.
    pub cost_nano: i128,
    /// Some of the requests.
    pub ids: Vec<Uuid>,
}

/// The figures of a day that classes must add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DaySums {
    /// The number of requests.
    pub requests: u64,
    /// The number of tokens.
    pub tokens: u64,
    /// The sum of the known costs in nano-USD.
    pub cost_nano: i128,
}

#[derive(Default)]
struct ClassSum {
    sums: DaySums,
    by_rule: BTreeMap<(String, Ratio), u64>,
    ids: Vec<Uuid>,
}

/// Returns the classes with requests, those with the highest cost first. Requests of `day` that are in no group, for example
/// because their events are deleted, belong to the class `other`; without any group there are no classes.
#[must_use]
pub fn classify(rules: &RuleSet, groups: &[RequestGroup<'_>], day: DaySums) -> Vec<ClassShare> {
    let mut classes: BTreeMap<Class, ClassSum> = BTreeMap::new();
    let mut grouped = DaySums::default();
    for group in groups {
        let Some(ClassRule { class, name, confidence, .. }) = rules.decide(&group.metadata) else { continue };
        let sums = DaySums { requests: group.requests, tokens: group.tokens, cost_nano: group.cost_nano };
        if sums == DaySums::default() {
            continue;
        }
        let of = classes.entry(*class).or_default();
        of.sums.add(sums);
        grouped.add(sums);
        let by_rule = of.by_rule.entry((name.clone(), *confidence)).or_default();
        *by_rule = by_rule.saturating_add(group.requests);
        let missing = IDS_MAX.saturating_sub(of.ids.len());
        of.ids.extend(group.ids.iter().take(missing));
    }
    let rest = day.without(grouped);
    if !groups.is_empty() && rest != DaySums::default() {
        let of = classes.entry(Class::Other).or_default();
        of.sums.add(rest);
        *of.by_rule.entry(("other".to_owned(), Ratio::ONE)).or_default() += rest.requests;
    }
    let mut shares: Vec<ClassShare> = classes.into_iter().map(|(class, of)| of.share(class, day.requests)).collect();
    shares.sort_by_key(|share| (-share.cost.amount_nano, u64::MAX - share.requests, share.class));
    shares
}

/// Returns the places of the groups that have a further request whose id their class lacks. A class names up to three
/// requests. It has at most one such group, as two groups with two ids each suffice.
#[must_use]
pub fn lacking_ids(rules: &RuleSet, groups: &[RequestGroup<'_>]) -> Vec<usize> {
    let class_of = |group: &RequestGroup<'_>| rules.decide(&group.metadata).map(|rule| rule.class);
    let mut named: BTreeMap<Class, usize> = BTreeMap::new();
    for group in groups {
        if let Some(class) = class_of(group) {
            *named.entry(class).or_default() += group.ids.len();
        }
    }
    let is_lacking = |group: &RequestGroup<'_>| {
        let has_more = !group.ids.is_empty() && u64::try_from(group.ids.len()).is_ok_and(|ids| ids < group.requests);
        has_more && class_of(group).and_then(|class| named.get(&class)).is_some_and(|named| *named < IDS_MAX)
    };
    groups.iter().enumerate().filter(|(_, group)| is_lacking(group)).map(|(at, _)| at).collect()
}

impl DaySums {
    fn add(&mut self, more: Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.tokens = self.tokens.saturating_add(more.tokens);
        self.cost_nano = self.cost_nano.saturating_add(more.cost_nano);
    }

    const fn without(self, less: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(less.requests),
            tokens: self.tokens.saturating_sub(less.tokens),
            cost_nano: self.cost_nano.saturating_sub(less.cost_nano),
        }
    }
}

impl ClassSum {
    fn share(self, class: Class, all: u64) -> ClassShare {
        let decided = self.by_rule.into_iter().max_by_key(|(_, requests)| *requests);
        let (rule, confidence) =
            decided.map_or((String::new(), Ratio::ONE), |((rule, confidence), _)| (rule, confidence));
        ClassShare {
            class,
            requests: self.sums.requests,
            share: Ratio::new(self.sums.requests, all),
            tokens: self.sums.tokens,
            cost: NanoMoney::from_nano_usd(clamped(self.sums.cost_nano)),
            confidence,
            rule,
            request_ids: self.ids,
        }
    }
}

/// Returns an amount that fits its type; sums beyond it end at its limits.
#[must_use]
pub fn clamped(nano: i128) -> NanoUsd {
    NanoUsd(i64::try_from(nano).unwrap_or(if nano < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group<'a>(format: Option<&'a str>, requests: u64, cost_nano: i128) -> RequestGroup<'a> {
        let metadata = Metadata { format, streamed: Some(true), status: 200, ..Metadata::default() };
        let ids = (0..requests.min(2)).map(|at| Uuid::from_u128(u128::from(requests) * 10 + u128::from(at))).collect();
        RequestGroup { metadata, requests, tokens: requests * 7, cost_nano, ids }
    }

    #[test]
    fn classes_have_their_share_cost_and_requests() {
        let groups = [group(Some("chat"), 3, 30), group(None, 5, 0), group(Some("responses"), 2, 90)];
        let shares = classify(&RuleSet::with(&[]), &groups, DaySums { requests: 10, tokens: 70, cost_nano: 120 });
        let told: Vec<_> =
            shares.iter().map(|of| (of.class, of.requests, of.share, of.cost.amount_nano, of.rule.as_str())).collect();
        assert_eq!(
            told,
            [(Class::Chat, 5, Ratio(5_000), 120, "streamed_chat"), (Class::PlainApi, 5, Ratio(5_000), 0, "plain")]
        );
        assert_eq!(shares[0].request_ids.len(), 3);
        assert_eq!(shares[0].confidence, Ratio(8_000));
    }

    #[test]
    fn only_a_class_of_one_group_lacks_an_id() {
        let rules = RuleSet::with(&[]);
        // Five requests of one group; three requests of two groups; two requests; and counts, which have no ids.
        let counts = RequestGroup { ids: Vec::new(), ..group(Some("later"), 9, 0) };
        let groups =
            [group(Some("chat"), 5, 0), group(Some("completions"), 2, 0), group(None, 2, 0), group(None, 1, 0), counts];
        assert_eq!(lacking_ids(&rules, &groups), [0]);
        assert_eq!(lacking_ids(&rules, &[]), [0_usize; 0]);
    }

    #[test]
    fn requests_without_events_are_other() {
        let day = DaySums { requests: 4, tokens: 0, cost_nano: 9 };
        let shares = classify(&RuleSet::with(&[]), &[group(None, 3, 0)], day);
        assert_eq!((shares[0].class, shares[0].requests, shares[0].cost.amount_nano), (Class::Other, 1, 9));
        assert_eq!(classify(&RuleSet::with(&[]), &[], day), []);
        assert_eq!(classify(&RuleSet::with(&[]), &[], DaySums::default()), []);
    }

    proptest! {
        #[test]
        fn classes_add_up_to_the_day(groups in prop::collection::vec((0_usize..4, 0_u64..1_000, 0_i64..1_000_000_000), 1..20), rest in 0_u64..50) {
            let formats = [None, Some("chat"), Some("embeddings"), Some("later")];
            let groups: Vec<_> = groups.into_iter().map(|(at, requests, cost)| group(formats[at], requests, cost.into())).collect();
            let requests = groups.iter().map(|group| group.requests).sum::<u64>() + rest;
            let tokens = groups.iter().map(|group| group.tokens).sum::<u64>() + rest;
            let cost_nano = groups.iter().map(|group| group.cost_nano).sum::<i128>() + i128::from(rest);
            let shares = classify(&RuleSet::with(&[]), &groups, DaySums { requests, tokens, cost_nano });
            prop_assert_eq!(shares.iter().map(|of| of.requests).sum::<u64>(), requests);
            prop_assert_eq!(shares.iter().map(|of| of.tokens).sum::<u64>(), tokens);
            prop_assert_eq!(shares.iter().map(|of| i128::from(of.cost.amount_nano)).sum::<i128>(), cost_nano);
        }
    }
}
