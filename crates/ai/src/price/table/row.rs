//! From the figures of a row to its price.

use std::sync::Arc;

use meter::{Rates, UnitRates};

use super::{AS_OF, VERSION};
use crate::price::{LongContextRates, OtherPrices, Price, PricePeriod};

/// Returns a price of the built-in table, without an end.
pub(super) fn builtin(
    rates: Rates,
    long: Option<LongContextRates>,
    units: UnitRates,
    others: OtherPrices,
    source: Arc<str>,
) -> Price {
    Price {
        rates,
        long,
        units,
        others: Arc::new(others),
        period: PricePeriod::ALWAYS,
        limits: None,
        version: VERSION.into(),
        source,
        as_of: AS_OF.into(),
    }
}

/// Returns the rates of a model of text: input, cached input, cache write short and long, output.
pub(super) fn text_rates([input, cached_input, cache_write_short, cache_write_long, output]: [u64; 5]) -> Rates {
    rates([input, cached_input, cache_write_short, cache_write_long, output, 0, input, 0, 0])
}

/// Returns the rates of all classes of tokens; a rate of 0 is unknown.
pub(super) fn rates(figures: [u64; 9]) -> Rates {
    let [
        input,
        cached_input,
        cache_write_short,
        cache_write_long,
        output,
        audio_input,
        image_input,
        audio_output,
        image_output,
    ] = figures.map(known);
    Rates {
        input,
        cached_input,
        cache_write_short,
        cache_write_long,
        output,
        audio_input,
        image_input,
        audio_output,
        image_output,
    }
}

/// Returns the rates of images, milliseconds and characters; a rate of 0 is unknown.
pub(super) fn unit_rates(figures: [u64; 3]) -> UnitRates {
    let [image, millisecond, character] = figures.map(known);
    UnitRates { image, millisecond, character, ..UnitRates::default() }
}

fn known(rate: u64) -> Option<u64> {
    (rate > 0).then_some(rate)
}
