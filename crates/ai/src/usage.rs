//! A provider's usage object becomes `meter`'s disjoint classes.
//!
//! What is not told stays unknown, a true zero stays zero. Figures that are no whole numbers are not told.

pub(crate) mod chat;
pub(crate) mod messages;
pub(crate) mod responses;

use meter::{Source, Usage};
use serde_json::Value;

/// A figure inside a usage object, by the names on the way to it. (A JSON pointer would be unescaped, and cost more than
/// parsing the object.)
fn figure(usage: &Value, path: &[&str]) -> Option<u64> {
    path.iter().try_fold(usage, |value, name| value.get(name))?.as_u64()
}

/// Writes to a cache: their sum as it is told, and the parts of it that are told by lifetime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Writes {
    sum: Option<u64>,
    short: Option<u64>,
    long: Option<u64>,
}

impl Writes {
    /// Short and long: what is not told apart is short.
    fn by_lifetime(self) -> (Option<u64>, Option<u64>) {
        let rest = self.sum.map(|sum| sum.saturating_sub(self.long.unwrap_or(0)));
        (self.short.max(rest), self.long)
    }
}

/// OpenAI's figures: the input includes reads from and writes to caches, the output includes reasoning.
#[derive(Debug, Clone, Copy)]
struct Inclusive {
    input: Option<u64>,
    cached_input: Option<u64>,
    writes: Writes,
    output: Option<u64>,
    reasoning: Option<u64>,
}

impl Inclusive {
    /// Takes them apart; `None` where nothing is told.
    fn disjoint(self) -> Option<Usage> {
        let (cache_write_short, cache_write_long) = self.writes.by_lifetime();
        let less = |whole: Option<u64>, parts: &[Option<u64>]| {
            let parts = parts.iter().flatten().fold(0_u64, |sum, part| sum.saturating_add(*part));
            whole.map(|whole| whole.saturating_sub(parts))
        };
        told(Usage {
            source: Source::Reported,
            input: less(self.input, &[self.cached_input, cache_write_short, cache_write_long]),
            cached_input: self.cached_input,
            cache_write_short,
            cache_write_long,
            output: less(self.output, &[self.reasoning]),
            reasoning: self.reasoning,
        })
    }
}

fn told(usage: Usage) -> Option<Usage> {
    usage.classes().iter().any(Option::is_some).then_some(usage)
}
