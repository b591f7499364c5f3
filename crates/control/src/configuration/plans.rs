//! The plans of a new configuration: those of new users and of customers who owe, those that the store lacks, and their prices.

use std::sync::atomic::Ordering;

use config::Snapshot;
use config::snapshot::{Billing, Signup, SignupMode, Traffic};
use ledger::billing::{plan_versions, subscriptions};

use super::Configurator;
use super::billing_role::BillingRole;
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

    /// Refuses billing whose plan for customers who owe neither the configuration nor the store has, as a start does.
    pub(super) async fn refuse_lost_fallback_plan(&self, new: &Snapshot) -> Result<(), ApplyError> {
        let Billing { is_enabled, fallback_plan: plan, .. } = &new.traffic.billing;
        let running = self.parts.live.load_full();
        let old = &running.traffic.billing;
        let is_known = !is_enabled
            || (old.is_enabled && old.fallback_plan == *plan)
            || new.traffic.plans.iter().any(|configured| configured.name == *plan);
        if is_known || self.parts.store.plans().await?.iter().any(|stored| stored.name == *plan) {
            return Ok(());
        }
        Err(ApplyError::NoFallbackPlan { plan: plan.clone() })
    }

    /// Refuses to turn billing off while customers have subscriptions or invoices: nobody would invoice and collect.
    pub(super) async fn refuse_unbilled(&self, new: &Snapshot) -> Result<(), ApplyError> {
        let is_on =
            |traffic: &Traffic| matches!(self.parts.billing, BillingRole::Demo(_)) || traffic.billing.is_enabled;
        let is_turned_off = is_on(&self.parts.live.load_full().traffic) && !is_on(&new.traffic);
        if is_turned_off && subscriptions::is_needed(&self.parts.store).await? {
            return Err(ApplyError::BillingNeeded);
        }
        Ok(())
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
        if !traffic.billing.is_enabled || !self.parts.billing.stores_prices() {
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
