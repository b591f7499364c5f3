//! The check of a request's cost: lines to attempts, attempts to the request, and tokens to lines.

use meter::usage::CLASSES;

use super::check_error::ReceiptDifference;
use super::priced::PricedAttempt;
use super::row::ReceiptRow;
use crate::rules::terms::ListedPrice;

impl ReceiptRow {
    /// Returns the first figure of the row's prices that differs. `place` names the row.
    pub(super) fn price_difference(&self, prices: &[ListedPrice], place: &str) -> Option<ReceiptDifference> {
        let found = self.priced.iter().find_map(|attempt| attempt.difference(prices, place));
        if found.is_some() || self.requests != 1 {
            return found;
        }
        let sum = self.priced.iter().fold(0_u64, |sum, attempt| sum.saturating_add(attempt.cost_nano));
        if sum != self.cost_nano.unwrap_or(0) {
            return Some(ReceiptDifference {
                place: format!("{place}, the cost of all attempts"),
                stated: self.cost_nano.unwrap_or(0).to_string(),
                computed: sum.to_string(),
            });
        }
        let [PricedAttempt { lines: Some(lines), .. }] = self.priced.as_slice() else { return None };
        if self.tokens.is_empty() {
            return None;
        }
        CLASSES.into_iter().find_map(|class| {
            let stated = self.tokens.get(class).copied().unwrap_or(0);
            let of_class = lines.iter().filter(|line| line.class == class);
            let computed = of_class.fold(0_u64, |sum, line| sum.saturating_add(line.quantity));
            (stated != computed).then(|| ReceiptDifference {
                place: format!("{place}, the tokens of the class {class}"),
                stated: stated.to_string(),
                computed: computed.to_string(),
            })
        })
    }
}
