//! The order in which the targets of a model are tried.

use access::NanoUsd;
use config::snapshot::{Model, Target, TargetStrategy};
use meter::SkipReason;
use tokio::time::Instant;

use super::model_plan::InferenceRequest;
use super::parsed_call::ParsedCall;
use super::target_call::extent;
use super::tries::TargetOrder;
use crate::account::RequestAccount;
use crate::action::credential;
use crate::forward::fraction;
use crate::refusal::problem::Problem;
use crate::upstream::targets::EntryTarget;

/// The targets among which a call chooses.
pub(super) struct TargetChoice<'a> {
    pub(super) entry: &'a Model,
    pub(super) states: &'a [EntryTarget],
    pub(super) strategy: TargetStrategy,
    /// The target of the call's session.
    pub(super) kept: Option<usize>,
}

impl TargetChoice<'_> {
    /// Returns the numbers of the targets that serve the call's endpoint, by a translation or without, and for which the client has a credential, in the order
    /// in which they are tried.
    ///
    /// # Errors
    /// The client has a credential for no target. The error names the first one.
    pub(super) async fn order(
        &self,
        account: &mut RequestAccount,
        parsed: &ParsedCall,
        of: &InferenceRequest<'_>,
    ) -> Result<TargetOrder, Problem> {
        let Self { entry, states, .. } = self;
        let mut order = self.usable(account, of)?;
        match self.strategy {
            TargetStrategy::Fallback => {}
            TargetStrategy::Weighted => {
                // Those without a weight come after the others.
                order.sort_by_key(|target| entry.targets.get(*target).is_some_and(|target| target.weight == 0));
                let is_own = |target: &Target| of.client.principal.provider_keys.own(&target.provider.name).is_some();
                if let Some(first) = self.by_weight(&order, account.request.read_at(), fraction(), is_own) {
                    to_front(&mut order, first);
                }
            }
            TargetStrategy::Fastest => {
                let now = account.request.read_at();
                order.sort_by_key(|target| states.get(*target).map_or(0, |known| known.state.compared_us(now)));
            }
            TargetStrategy::Cheapest => {
                let extent = extent(account, &of.endpoint.called, &parsed.fields, &parsed.content).await?;
                let traffic = &account.request.snapshot.traffic;
                let at = account.request.started_at;
                let cost = |target: &usize| {
                    let target = entry.targets.get(*target)?;
                    let provider = &target.provider;
                    let model = entry.model_of(target, &of.plan.requested);
                    let price = traffic.price(provider, (&model, None), at);
                    let host = &provider.origin.host;
                    let extent = extent.clone().at_host(host).of_model(host, &model);
                    extent.bound(price, traffic.limits(provider, &model, at)).money
                };
                // A target without a known price comes last.
                order.sort_by_key(|target| cost(target).unwrap_or(NanoUsd::MAX));
            }
        }
        if let Some(kept) = self.kept {
            to_front(&mut order, kept);
        }
        Ok(order)
    }

    /// Returns the numbers of the targets that serve the call's endpoint and for which the client has a credential. The others
    /// are skipped.
    fn usable(&self, account: &mut RequestAccount, of: &InferenceRequest<'_>) -> Result<TargetOrder, Problem> {
        let mut first = None;
        let mut order = TargetOrder::new();
        for (number, target) in self.entry.targets.iter().enumerate() {
            if self.entry.format_of(target, of.endpoint.called.endpoint, &of.plan.requested).is_none() {
                of.plan.skip(account, target, SkipReason::Format);
                continue;
            }
            match credential::choose(&target.provider, &of.client.principal) {
                Ok(_) => order.push(number),
                Err(problem) => {
                    of.plan.skip(account, target, SkipReason::Credential);
                    first.get_or_insert(problem);
                }
            }
        }
        match first {
            Some(problem) if order.is_empty() => Err(problem),
            Some(_) | None => Ok(order),
        }
    }

    /// Chooses a target that is not left out by weight; `chance` is from 0 to below 1.
    fn by_weight(&self, order: &[usize], now: Instant, chance: f64, is_own: impl Fn(&Target) -> bool) -> Option<usize> {
        let Self { entry, states, .. } = self;
        let is_used = |target: &usize| {
            let known = states.get(*target).zip(entry.targets.get(*target));
            known.is_some_and(|(known, target)| known.unavailable(now, is_own(target)).is_none())
        };
        let weight = |target: usize| f64::from(entry.targets.get(target).map_or(0, |target| target.weight));
        let weighted = || order.iter().copied().filter(is_used).map(|target| (target, weight(target)));
        let mut left = chance * weighted().map(|(_, weight)| weight).sum::<f64>();
        let chosen = weighted().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        chosen.map(|(target, _)| target)
    }
}

/// Moves a target to the front, if it is in the order.
fn to_front(order: &mut [usize], target: usize) {
    if let Some(place) = order.iter().position(|known| *known == target) {
        order.get_mut(..=place).unwrap_or_default().rotate_right(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use access::Credits;
    use config::snapshot::{AccountObjects, CooldownRules, Credential, Origin, PoolRules, PriceSource, Provider};

    use super::*;
    use crate::upstream::targets::Targets;
    use crate::upstream::targets::cooldown::CooldownCause;

    #[test]
    fn the_chance_selects_a_target_by_weight_among_those_that_are_not_left_out() {
        let origin = Origin::parse("http://127.0.0.1:1").unwrap();
        let name = "p".into();
        let kind = ai::ProviderKind::Mock;
        let credential = Credential::None;
        let provider = Arc::new(Provider {
            account_objects: AccountObjects::Own,
            price_source: PriceSource::Table,
            pool: PoolRules::OF_PROVIDER,
            discovery: None,
            name,
            kind,
            formats: Box::default(),
            origin,
            paths: ai::ProviderPaths::OfKind,
            credential,
            tls: None,
        });
        let weights = [(90, "a"), (10, "b"), (0, "c")];
        let target = |(weight, model): (u32, &str)| Target {
            provider: provider.clone(),
            model: model.into(),
            weight,
            limits: None,
            prompt_cache: true,
            adapts: true,
        };
        let targets = weights.into_iter().map(target).collect();
        let entry = Model { name: "m".into(), credits: Credits::whole(1), targets, fallback: None };
        let states = Targets::default().for_model(&entry);
        let now = Instant::now();
        let choice = TargetChoice { entry: &entry, states: &states, strategy: TargetStrategy::Weighted, kept: None };
        let chosen = |chance: f64| choice.by_weight(&[0, 1, 2], now, chance, |_| false);
        let of_hundred: Vec<_> = (0..100).map(|hundredth| chosen((f64::from(hundredth) + 0.5) / 100.0)).collect();
        let count = |target| of_hundred.iter().filter(|chosen| **chosen == Some(target)).count();
        assert_eq!([0, 1, 2].map(count), [90, 10, 0]);
        let rules = CooldownRules { failures: 1, time: Duration::from_secs(30), max: Duration::from_secs(600) };
        states[0].state.cooldown.failed(&rules, CooldownCause::Failure, now, now);
        assert_eq!((chosen(0.0), chosen(0.99)), (Some(1), Some(1)), "the first one is left out");
        let own = choice.by_weight(&[0, 1, 2], now, 0.0, |_| true);
        assert_eq!(own, Some(0), "it is left out for the operator's credential alone");
    }

    #[test]
    fn a_target_moves_to_the_front_and_the_others_keep_their_order() {
        for (target, expected) in [(0, [0, 1, 2]), (1, [1, 0, 2]), (2, [2, 0, 1]), (7, [0, 1, 2])] {
            let mut order = [0, 1, 2];
            to_front(&mut order, target);
            assert_eq!(order, expected);
        }
    }
}
