//! Usage that a provider reports afterwards: an export of its usage or costs, by day and model.
//!
//! The formats are those that are published (2026-11): pages of OpenAI's `GET /v1/organization/usage/completions`,
//! `…/usage/embeddings` and `…/costs`, of Anthropic's `GET /v1/organizations/usage_report/messages` and
//! `…/cost_report`, concatenated in one file, or a table in CSV. Finer divisions (by key, project, service tier, hour)
//! are summed.

mod decimal;
mod pages;
mod table;

use std::collections::BTreeMap;

use access::Day;
use thiserror::Error;

use crate::provider::ProviderKind;

/// The comparable part of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// The provider whose format the export has; `None` for a table.
    pub kind: Option<ProviderKind>,
    /// The days that the export covers, including days without use, in order.
    pub days: Vec<Day>,
    /// Figures by day, provider and model; provider and model are `None` if the export does not name them.
    pub lines: BTreeMap<ExportLineKey, ExportFigures>,
}

/// The day, provider and model of some figures.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportLineKey {
    /// The day, in UTC.
    pub day: Day,
    /// The provider, if a table names it.
    pub provider: Option<String>,
    /// The model; `None` means all models together.
    pub model: Option<String>,
}

/// Reported figures; `None` if the export does not report the figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportFigures {
    /// The number of requests.
    pub requests: Option<u64>,
    /// All input tokens, including those of caches.
    pub input: Option<u64>,
    /// Input tokens that were read from a cache.
    pub cached_input: Option<u64>,
    /// Input tokens that were written to a cache with the short lifetime.
    pub cache_write_short: Option<u64>,
    /// Input tokens that were written to a cache with the long lifetime.
    pub cache_write_long: Option<u64>,
    /// All output tokens, reasoning included.
    pub output: Option<u64>,
    /// The cost in nano-USD.
    pub cost: Option<i64>,
}

/// The reason why a file is not a valid export.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportError {
    /// The file is not JSON, or has another structure.
    #[error("line {line}, column {column}: {what}")]
    Json {
        /// The line number, from 1.
        line: usize,
        /// The column number, from 1.
        column: usize,
        /// A description of the error.
        what: String,
    },
    /// A field is missing or has an invalid value.
    #[error("{field}: {what}")]
    Field {
        /// The path of the field: `page 1: data[0].results[2].input_tokens`.
        field: String,
        /// A description of the error.
        what: &'static str,
    },
    /// A line of a table does not match its header.
    #[error("line {line}, {column}: {what}")]
    Table {
        /// The line number, from 1.
        line: usize,
        /// The name of the column.
        column: String,
        /// A description of the error.
        what: &'static str,
    },
    /// Lines with and without a model would be counted twice.
    #[error("{day}: some figures are for one model and some for all models: export the file again, grouped by model")]
    Mixed {
        /// The first such day.
        day: Day,
    },
    /// The export has further pages.
    #[error("the last page reports further pages (has_more): append them to the file")]
    Incomplete,
    /// The export contains no figures.
    #[error("it contains no figures")]
    Empty,
}

impl Export {
    /// Reads a file: JSON if it begins with a brace, otherwise a table.
    ///
    /// # Errors
    /// Returns an [`ExportError`] if the file is not a valid export.
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
            let other = ExportLineKey { model: None, ..(*of).clone() };
            of.model.is_some() && export.lines.get(&other).is_some_and(|all| all.overlaps(export.lines.get(*of)))
        });
        match mixed {
            Some(of) => Err(ExportError::Mixed { day: of.day }),
            None => Ok(export),
        }
    }

    fn add(&mut self, of: ExportLineKey, figures: &ExportFigures) {
        let line = self.lines.entry(of).or_default();
        *line = line.and(figures);
    }
}

impl ExportFigures {
    /// Adds the figures; a figure that only one side reports is kept.
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

    /// Whether both report the same measure.
    fn overlaps(&self, other: Option<&Self>) -> bool {
        let Some(other) = other else { return false };
        let present = |of: &Self| {
            let counts = [of.requests, of.input, of.cached_input, of.cache_write_short, of.cache_write_long, of.output];
            let [a, b, c, d, e, f] = counts.map(|count| count.is_some());
            [a, b, c, d, e, f, of.cost.is_some()]
        };
        present(self).into_iter().zip(present(other)).any(|(one, other)| one && other)
    }
}

#[cfg(test)]
mod tests;
