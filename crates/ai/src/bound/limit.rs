//! Lowering the limit of an answer's tokens, so that a call fits into what is left.

use std::ops::Range;

use access::NanoUsd;

use super::arithmetic::{Output, times};
use super::extent::Extent;
use crate::format::Format;
use crate::models::Limits;
use crate::price::Price;

/// What is left of budgets; `None` has no end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Tokens.
    pub tokens: Option<u64>,
    /// Money.
    pub money: Option<NanoUsd>,
}

/// A limit that is to be written into a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    /// Tokens of each answer.
    pub max_tokens: u64,
    pub(crate) edits: Vec<(Range<usize>, String)>,
}

impl Extent {
    /// The highest limit, at most the one that stands, with which the call is bounded by what is left.
    ///
    /// `None` where none is: what goes in is too much already, the format has no such limit, less than its least would be
    /// left, or what is asked cannot be bounded.
    #[must_use]
    pub fn clamp(&self, price: Option<&Price>, limits: Option<Limits>, left: Left) -> Option<Lowered> {
        let input = self.input(limits)?;
        let output = self.output(price, limits)?;
        let mut each = output.each;
        let rest = |each_max: u64| Output { each: each_max, ..output };
        if output.answers == 0 || !self.has_limit(price) {
            return None;
        }
        if let Some(tokens) = left.tokens {
            let tokens = tokens.checked_sub(input.tokens)?.checked_sub(rest(0).tokens())?;
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

    /// The same call with this limit of each answer's tokens, wherever the body says one.
    #[must_use]
    pub fn limited(&self, max_tokens: u64) -> Self {
        let mut limited = self.clone();
        (limited.limit.asked, limited.limit.odd) = (Some(max_tokens), false);
        limited
    }

    /// Whether a body of this format can say how much may come out.
    fn has_limit(&self, price: Option<&Price>) -> bool {
        let says = matches!(
            self.format,
            Format::Chat | Format::Completions | Format::Responses | Format::Messages | Format::GenerateContent
        );
        says && !self.makes_images(price)
    }

    /// The edits that say so; `None` where there is no room for them.
    fn lowered(&self, max_tokens: u64) -> Option<Lowered> {
        let mut edits: Vec<_> = self.limit.places.iter().map(|at| (at.clone(), max_tokens.to_string())).collect();
        if edits.is_empty() {
            let (at, before, behind) = self.limit.room.clone()?;
            edits.push((at, format!("{before}{max_tokens}{behind}")));
        }
        Some(Lowered { max_tokens, edits })
    }
}
