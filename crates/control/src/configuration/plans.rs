//! The plans of a new configuration: the one of new users, those that the store lacks, and their prices.

use std::sync::atomic::Ordering;

use config::Snapshot;
use config::snapshot::{Signup, SignupMode, Traffic};
use ledger::billing::plan_versions;

use super::Configurator;
use super::result::ApplyError;

impl Configurator {
    /// Refuses a registration whose plan neither the configuration nor the store has, as a start does.
    pub(super) async fn refuse_lost_signup_plan(&self, new: &Snapshot) -> Result<(), ApplyError> {
        let Signup { mode, plan } = &new.traffic.signup;
        let running = self.parts.live.load_full();
        let is_known = *mode == SignupMode::Closed
            || (running.traffic.signup.mode != SignupMode::Closed && running.traffic.signup.plan == *plan)
            || new.traffic.plans.iter().any(|configured| configured.name == *plan);
        if is_known || self.parts.store.plans().await?.iter().any(|stored| stored.name == *plan) {
            return Ok(());
        }
        Err(ApplyError::NoSignupPlan { plan: plan.clone() })
    }

    /// Adds the prices that this process has for a configuration without any: those of a demo.
    pub(super) fn price_plans(&self, traffic: &mut Traffic) {
        if !traffic.plan_prices.is_empty() {
            return;
        }
        let Some(prices) = &self.parts.plan_prices else { return };
        let is_listed = |name: &str| traffic.plans.iter().any(|plan| plan.name == name);
        traffic.plan_prices = prices.iter().filter(|(name, _)| is_listed(name)).cloned().collect();
    }

    /// Adds the missing plans to the store, and makes the prices of the configuration those that are for sale, as a
    /// start does, if they are not stored yet.
    pub(super) async fn store_plans(&self, traffic: &Traffic) {
        if self.unstored.plans.load(Ordering::Relaxed) && self.are_plans_stored(traffic).await {
            self.unstored.plans.store(false, Ordering::Relaxed);
        }
    }

    /// Stores the plans and prices, and returns whether that succeeded.
    async fn are_plans_stored(&self, traffic: &Traffic) -> bool {
        let store = &self.parts.store;
        match store.ensure_plans(&traffic.plans).await {
            Ok(differences) if differences.is_empty() => {}
            Ok(_) => {
                tracing::warn!(
                    "plans in the store differ from the configuration; `tollgate plans apply --config FILE --dry-run` shows them"
                );
            }
            Err(error) => {
                tracing::warn!(%error, "new plans of the configuration are not in the store yet");
                return false;
            }
        }
        if self.parts.plan_prices.is_none() {
            return true;
        }
        match plan_versions::apply(store, &traffic.plan_prices).await {
            Ok(0) => true,
            Ok(added) => {
                tracing::info!(added, "new versions of plan prices are for sale; subscribers keep their versions");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "changed prices of plans are not for sale yet");
                false
            }
        }
    }
}
