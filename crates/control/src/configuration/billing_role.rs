//! What a process has to do with billing.

use access::{Day, PlanPrice};
use config::snapshot::Traffic;

/// What a process has to do with billing.
#[derive(Debug, Clone)]
pub enum BillingRole {
    /// Another process serves the API and stores the prices of plans.
    Elsewhere,
    /// This process serves the API and stores the prices of plans.
    Served,
    /// The same, in a demo.
    Demo(DemoBilling),
}

/// What a demo adds to a configuration.
#[derive(Debug, Clone)]
pub struct DemoBilling {
    /// The prices of plans, if the configuration has none.
    pub prices: Vec<(String, PlanPrice)>,
    /// Millionths of a rupiah per dollar from a day on, if the configuration has no rate.
    pub exchange: (Day, u64),
}

impl BillingRole {
    /// Whether this process stores the prices of plans.
    #[must_use]
    pub const fn stores_prices(&self) -> bool {
        match self {
            Self::Elsewhere => false,
            Self::Served | Self::Demo(_) => true,
        }
    }

    /// Adds what a demo has to a configuration: billing is on, and the stub takes payments.
    pub fn complete(&self, traffic: &mut Traffic) {
        let Self::Demo(DemoBilling { prices, exchange }) = self else { return };
        traffic.billing.is_enabled = true;
        traffic.billing.is_stub = true;
        if traffic.billing.exchange.is_empty() {
            traffic.billing.exchange = vec![*exchange];
        }
        if traffic.plan_prices.is_empty() {
            let is_listed = |name: &str| traffic.plans.iter().any(|plan| plan.name == name);
            traffic.plan_prices = prices.iter().filter(|(name, _)| is_listed(name)).cloned().collect();
        }
    }
}
