//! What a provider says afterwards that it counted: an export of its usage or costs, by day and model.
//!
//! Read as they are published (2026-11): pages of OpenAI's `GET /v1/organization/usage/completions`, `…/usage/embeddings` and
//! `…/costs`, of Anthropic's `GET /v1/organizations/usage_report/messages` and `…/cost_report`, one after the other in one
//! file, and a table in CSV. What they split further (by key, project, service tier, hour) is summed.

mod decimal;
mod pages;
mod table;

use std::collections::BTreeMap;

use access::Day;
use thiserror::Error;

use crate::format::ProviderKind;

/// An export, as far as it can be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// Whose shape it has; `None` for a table.
    pub kind: Option<ProviderKind>,
    /// The days that it speaks of, those without use too, in order.
    pub days: Vec<Day>,
    /// By day, provider and model, each `None` where it does not say.
    pub lines: BTreeMap<Of, Figures>,
}

/// What figures are of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    /// The UTC day.
    pub day: Day,
    /// The provider, where a table says it.
    pub provider: Option<String>,
    /// The model; `None` is all of them together.
    pub model: Option<String>,
}

/// What was counted; `None` is not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests.
    pub requests: Option<u64>,
    /// All input tokens, those of caches included.
    pub input: Option<u64>,
    /// Of those, read from a cache.
    pub cached_input: Option<u64>,
    /// Of those, written to a cache of the short lifetime.
    pub cache_write_short: Option<u64>,
    /// The same of the long one.
    pub cache_write_long: Option<u64>,
    /// All output tokens.
    pub output: Option<u64>,
    /// Billionths of a US dollar.
    pub cost: Option<i64>,
}

/// Why a file is no such export.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportError {
    /// It is no JSON, or has another shape.
    #[error("line {line}, column {column}: {what}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// A field is missing, or says what it cannot.
    #[error("{field}: {what}")]
    Field {
        /// Its path: `page 1: data[0].results[2].input_tokens`.
        field: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A line of a table does not fit its header.
    #[error("line {line}, {column}: {what}")]
    Table {
        /// From 1.
        line: usize,
        /// The column's name.
        column: String,
        /// What is wrong there.
        what: &'static str,
    },
    /// Lines with and without a model would count twice.
    #[error("{day}: some figures are of one model and some of all: export it anew, grouped by model")]
    Mixed {
        /// The first such day.
        day: Day,
    },
    /// There are further pages.
    #[error("the last page says that there are more (has_more): append them to the file")]
    Incomplete,
    /// There is nothing in it.
    #[error("there is nothing in it")]
    Empty,
}

impl Export {
    /// Reads a file: JSON where it begins with a brace, a table elsewhere.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn read(text: &str) -> Result<Self, ExportError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut export = match text.trim_start().chars().next() {
            None => return Err(ExportError::Empty),
            Some('{') => pages::read(text)?,
            Some(_) => table::read(text)?,
        };
        export.days.sort_unstable();
        export.days.dedup();
        let mixed = export.lines.keys().find(|of| {
            let other = Of { model: None, ..(*of).clone() };
            of.model.is_some() && export.lines.get(&other).is_some_and(|all| all.overlaps(export.lines.get(*of)))
        });
        match mixed {
            Some(of) => Err(ExportError::Mixed { day: of.day }),
            None => Ok(export),
        }
    }

    fn add(&mut self, of: Of, figures: &Figures) {
        let line = self.lines.entry(of).or_default();
        *line = line.and(figures);
    }
}

impl Figures {
    /// Both together; what either says.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        let cost = match (self.cost, other.cost) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Self {
            requests: sum(self.requests, other.requests),
            input: sum(self.input, other.input),
            cached_input: sum(self.cached_input, other.cached_input),
            cache_write_short: sum(self.cache_write_short, other.cache_write_short),
            cache_write_long: sum(self.cache_write_long, other.cache_write_long),
            output: sum(self.output, other.output),
            cost,
        }
    }

    /// Whether both say something of one measure.
    fn overlaps(&self, other: Option<&Self>) -> bool {
        let Some(other) = other else { return false };
        let told = |of: &Self| {
            let counts = [of.requests, of.input, of.cached_input, of.cache_write_short, of.cache_write_long, of.output];
            let [a, b, c, d, e, f] = counts.map(|count| count.is_some());
            [a, b, c, d, e, f, of.cost.is_some()]
        };
        told(self).into_iter().zip(told(other)).any(|(one, other)| one && other)
    }
}

#[cfg(test)]
mod tests;
