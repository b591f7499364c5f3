//! Lowers the limit of output tokens, so that a request fits into the remaining budgets.

use access::{NanoUsd, Tokens};

use super::arithmetic::{Output, times};
use super::extent::Extent;
use crate::format::Format;
use crate::models::TokenLimits;
use crate::price::Price;
use crate::request::LoweredLimit;

/// The remaining amounts of budgets; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemainingBudget {
    /// The remaining tokens, if limited.
    pub tokens: Option<Tokens>,
    /// The remaining money, if limited.
    pub money: Option<NanoUsd>,
}

impl Extent {
    /// Returns the highest limit, at most the current one, with which the request fits into the remaining budgets.
    ///
    /// Returns `None` if no limit suffices: the input is already too large, the format has no such limit, the limit
    /// would be below its minimum, or the request has no bound.
    #[must_use]
    pub fn clamp(
        &self,
        price: Option<&Price>,
        limits: Option<TokenLimits>,
        left: RemainingBudget,
    ) -> Option<LoweredLimit> {
        let input = self.input(limits)?;
        let output = self.output(price, limits)?;
        let mut each = output.each;
        let rest = |each_max: u64| Output { each: each_max, ..output };
        if output.answers == 0 || !self.has_limit(price) {
            return None;
        }
        if let Some(tokens) = left.tokens {
            let tokens = tokens.0.checked_sub(input.tokens)?.checked_sub(rest(0).tokens())?;
            each = each.min(tokens / output.answers);
        }
        if let Some(money) = left.money {
            let price = price?;
            let dearest = self.dearest(price, input, true)?;
            let fixed = self.input_pico(price, input, dearest)?.saturating_add(times(rest(0).tokens(), dearest.output));
            let left = i128::from(money.0).saturating_mul(1_000).checked_sub(fixed).filter(|left| *left >= 0)?;
            let of_each = times(output.answers, dearest.output);
            if of_each > 0 {
                each = each.min(u64::try_from(left / of_each).unwrap_or(u64::MAX));
            }
        }
        (each >= self.limit.least).then(|| self.lowered(each))?
    }

    /// Returns the same extent with this limit of output tokens at each position that has one.
    #[must_use]
    pub fn limited(&self, max_tokens: u64) -> Self {
        let mut limited = self.clone();
        (limited.limit.requested, limited.limit.odd) = (Some(max_tokens), false);
        limited
    }

    /// Whether a body of this format can limit the output.
    fn has_limit(&self, price: Option<&Price>) -> bool {
        let says = matches!(
            self.format,
            Format::Chat | Format::Completions | Format::Responses | Format::Messages | Format::GenerateContent
        );
        says && !self.makes_images(price)
    }

    /// Returns the edits that write the limit; `None` if the body has no position for it.
    ///
    /// A field that is null stays so if another one is set, because OpenAI refuses two limits. If none is set, only the
    /// field that may be added is written, because OpenAI's reasoning models refuse `max_tokens`.
    fn lowered(&self, max_tokens: u64) -> Option<LoweredLimit> {
        let fields = &self.limit.fields;
        let added = self.limit.added;
        let is_any_set = fields.iter().any(|field| field.is_set);
        let written = fields.iter().filter(|field| if is_any_set { field.is_set } else { field.name == added });
        let places = written.flat_map(|field| &field.places);
        let mut edits: Vec<_> = places.map(|at| (at.clone(), max_tokens.to_string())).collect();
        if edits.is_empty() {
            let (at, before, behind) = self.limit.room.clone()?;
            edits.push((at, format!("{before}{max_tokens}{behind}")));
        }
        Some(LoweredLimit { max_tokens, edits })
    }
}
