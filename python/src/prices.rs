//! The price table, and the cost of usage.

use std::path::PathBuf;

use access::{Day, NanoUsd, PublicKey, Tokens};
use ai::Prices;
use ai::price::{KnownCost, PriceTerms, Tier};
use config::read_price_file;
use meter::usage::{CLASSES, TOOL_CALLS};
use meter::{BilledQuantity, Source, ToolCalls, Unit, UnknownCost, Usage};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::failure::{of_cost, of_price_file};

/// Prices by provider and model.
#[pyclass(frozen, module = "tollgate._native")]
pub(crate) struct PriceTable(Prices);

/// A request whose cost is computed.
#[derive(FromPyObject)]
pub(crate) struct RatedRequest {
    /// The provider and its model: `openai/gpt-5`.
    model: String,
    /// The model that responded, if the provider reports it.
    answered_model: Option<String>,
    /// The UTC day of the request.
    on: String,
    tier: String,
    us: bool,
}

#[pymethods]
impl PriceTable {
    /// Returns the built-in table.
    #[staticmethod]
    fn builtin() -> Self {
        Self(Prices::builtin())
    }

    /// Returns the built-in table with the prices of a file.
    #[staticmethod]
    #[pyo3(signature = (path, key=None))]
    fn load(py: Python<'_>, path: PathBuf, key: Option<&str>) -> PyResult<Self> {
        let key = match key.map(PublicKey::parse) {
            None => None,
            Some(Some(key)) => Some(key),
            Some(None) => {
                let what =
                    "the key is not an Ed25519 key: 32 bytes in base64, or the text between the lines of a PEM file";
                return Err(of_price_file(py, "key_malformed", what.to_owned()));
            }
        };
        let read = py.detach(|| read_price_file(&path, key));
        let (prices, _) = read.map_err(|error| {
            let code = error.problems.first().map_or("file", |problem| problem.code.name());
            of_price_file(py, code, error.to_string())
        })?;
        Ok(Self(prices))
    }

    /// Returns the cost of usage as a dictionary.
    fn rate<'py>(
        &self,
        py: Python<'py>,
        request: RatedRequest,
        tokens: &Bound<'py, PyDict>,
        units: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let RatedRequest { model, answered_model, on, tier, us } = request;
        let unknown = |reason: UnknownCost| {
            let what = format!("the cost of {model} on {on} is unknown: {}", reason.as_str());
            of_cost(py, reason.as_str(), what)
        };
        let usage = usage(py, tokens, units)?;
        let day = Day::parse(&on).ok_or_else(|| PyValueError::new_err("`on` is a day such as 2026-11-30"))?;
        let tier =
            Tier::ALL.into_iter().find(|of| of.as_str() == tier).ok_or_else(|| unknown(UnknownCost::UnknownTerms))?;
        let (provider, name) = model.split_once('/').ok_or_else(|| unknown(UnknownCost::NoPrice))?;
        if !usage.has_tokens() && usage.billed.is_none() && usage.tools.is_empty() {
            return Err(unknown(UnknownCost::NoUsage));
        }
        let names: Vec<&str> = answered_model.as_deref().into_iter().chain([name]).collect();
        let listed = self.0.priced(provider, &names, day).map_err(unknown)?;
        let KnownCost { cost, price } = listed.rate(PriceTerms { tier, us }, &usage).map_err(unknown)?;
        if cost == NanoUsd(i64::MAX) {
            let what = format!("the cost of {model} is larger than any amount: {} nano-USD", cost.0);
            return Err(of_cost(py, UnknownCost::UnreadableUsage.as_str(), what));
        }
        let lines = price.lines(&usage).unwrap_or_default();
        let lines: Vec<_> = lines.iter().map(|line| (line.class, line.quantity, line.rate_pico)).collect();
        let rated = PyDict::new(py);
        rated.set_item("cost_nano", cost.0)?;
        rated.set_item("price", &*price.version)?;
        rated.set_item("source", &*price.source)?;
        rated.set_item("lines", lines)?;
        Ok(rated)
    }
}

/// Reads tokens by class, and other units: calls of tools, and one billed unit.
fn usage(py: Python<'_>, tokens: &Bound<'_, PyDict>, units: &Bound<'_, PyDict>) -> PyResult<Usage> {
    let refused =
        |name: &str, what: &str| of_cost(py, UnknownCost::UnreadableUsage.as_str(), format!("{name:?} {what}"));
    let mut classes = [None; CLASSES.len()];
    for (name, count) in tokens {
        let (name, count) = pair(py, &name, &count)?;
        let place = CLASSES.iter().position(|class| *class == name).and_then(|place| classes.get_mut(place));
        *place.ok_or_else(|| refused(&name, "is not a class of tokens"))? = Some(Tokens(count));
    }
    let mut calls = [None; TOOL_CALLS.len()];
    let mut billed = None;
    for (name, count) in units {
        let (name, count) = pair(py, &name, &count)?;
        let unit = Unit::ALL.into_iter().find(|unit| unit.as_str() == name);
        let place = TOOL_CALLS.iter().position(|tool| *tool == name).and_then(|place| calls.get_mut(place));
        match (unit, place) {
            (Some(unit), _) if billed.is_none() => billed = Some(BilledQuantity { unit, quantity: count }),
            (Some(_), _) => return Err(refused(&name, "is a second unit: usage has at most one")),
            (None, Some(place)) => *place = Some(count),
            (None, None) => return Err(refused(&name, "is not a unit")),
        }
    }
    Ok(Usage { billed, tools: ToolCalls::of_counts(calls), ..Usage::of_classes(Source::Reported, classes) })
}

/// Reads a name and its number.
fn pair(py: Python<'_>, name: &Bound<'_, PyAny>, count: &Bound<'_, PyAny>) -> PyResult<(String, u64)> {
    let name: String = name.extract()?;
    let count = count.extract().map_err(|_| {
        let what = format!("{name:?} is not a whole number from 0 to {}", u64::MAX);
        of_cost(py, UnknownCost::UnreadableUsage.as_str(), what)
    })?;
    Ok((name, count))
}
