//! The prices of LLM calls, which the configuration has.

use std::fmt;
use std::sync::Arc;

use ledger::billing::ChargedPrice;
use meter::RateCard;

/// A function that finds the rates of a price.
type FindRates = dyn Fn(&ChargedPrice) -> Option<RateCard> + Send + Sync;

/// The source of the rates by which requests were priced. Clones share it.
#[derive(Clone)]
pub struct PriceBook(Arc<FindRates>);

impl PriceBook {
    /// Returns a source of rates. `find` returns `None` for a price that is no longer configured.
    #[must_use]
    pub fn new(find: impl Fn(&ChargedPrice) -> Option<RateCard> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// Returns the rates of a price, unless it is no longer configured.
    #[must_use]
    pub fn find(&self, price: &ChargedPrice) -> Option<RateCard> {
        (self.0)(price)
    }
}

impl Default for PriceBook {
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for PriceBook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PriceBook")
    }
}
