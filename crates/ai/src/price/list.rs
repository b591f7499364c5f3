//! Prices by provider and model, and the selection of the price for a day.

use std::borrow::Cow;
use std::sync::Arc;

use access::Day;
use rustc_hash::FxHashMap;

use super::names::{ANY, REGIONAL_HOSTS, fine_tuned, undated};
use super::{Price, Region, table};

/// Prices by provider and model; a model may have one for each of several periods. Cloning is cheap.
///
/// In the built-in table a provider is the name of a [`ProviderKind`](crate::ProviderKind), which means that provider's
/// own host, or the name of another host.
#[derive(Debug, Clone, Default)]
pub struct Prices(Arc<FxHashMap<Box<str>, Models>>);

/// Rows by model; rows of one model share no day and are ordered by their first day.
///
/// Clients choose the names that are looked up, but not those that are stored, so no hash is flooded.
type Models = FxHashMap<Box<str>, Vec<Price>>;

/// The end of a model's last price: the model's cost is unknown after that day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// The last day that has a price.
    pub until: Day,
    /// The name of the model.
    pub model: String,
}

impl Prices {
    /// Returns the built-in table: the mock, models of OpenAI, Anthropic and Google, and of hosts with OpenAI's API.
    #[must_use]
    pub fn builtin() -> Self {
        Self::default().over_builtin(true)
    }

    /// Merges these prices with the built-in table. A model in both keeps the rows of the newer table, which is `self`
    /// if `is_newer`.
    #[must_use]
    pub fn over_builtin(self, is_newer: bool) -> Self {
        let mut builtin = Self::default();
        for (model, price) in table::prices() {
            builtin = builtin.with(&model, price);
        }
        let mut prices = if is_newer { builtin.replaced_by(self) } else { self.replaced_by(builtin) };
        prices.add_regions();
        prices
    }

    /// Sets a price of `name`, which is `PROVIDER/MODEL`, and replaces prices that share a day with it; a name without
    /// a slash is ignored.
    #[must_use]
    pub fn with(mut self, name: &str, price: Price) -> Self {
        if let Some((provider, model)) = name.split_once('/') {
            let rows = Arc::make_mut(&mut self.0).entry(provider.into()).or_default().entry(model.into()).or_default();
            rows.retain(|row| !row.period.overlaps(price.period));
            rows.push(price);
            rows.sort_by_key(|row| row.period.from);
        }
        self
    }

    /// Replaces each model of `newer` by the rows of `newer`.
    fn replaced_by(mut self, newer: Self) -> Self {
        let all = Arc::make_mut(&mut self.0);
        for (provider, models) in Arc::unwrap_or_clone(newer.0) {
            all.entry(provider).or_default().extend(models);
        }
        self
    }

    /// Adds OpenAI's rows at its regional hosts, unless the host has its own row for the model.
    fn add_regions(&mut self) {
        let all = Arc::make_mut(&mut self.0);
        let Some(models) = all.get("openai").cloned() else { return };
        for host in REGIONAL_HOSTS {
            let of_host = all.entry(host.into()).or_default();
            for (model, rows) in &models {
                let regional: Option<Vec<Price>> = rows.iter().map(|row| row.at_region(host)).collect();
                if !of_host.contains_key(model)
                    && let Some(regional) = regional
                {
                    of_host.insert(model.clone(), regional);
                }
            }
        }
    }

    /// Returns every row as `PROVIDER/MODEL`; the rows of one model in the order of their days, the models in no order.
    pub fn all(&self) -> impl Iterator<Item = (String, &Price)> {
        let models = self
            .0
            .iter()
            .flat_map(|(provider, models)| models.iter().map(move |(model, rows)| (provider, model, rows)));
        models.flat_map(|(provider, model, rows)| rows.iter().map(move |row| (format!("{provider}/{model}"), row)))
    }

    /// Returns the price on `day` of the first of `names` that is listed for `provider`; `None` is an unknown price,
    /// never zero.
    ///
    /// A name that is not listed is looked up without its final date, and a fine-tuned model by its base. A listed name
    /// decides even if none of its rows applies on `day`. The price of every model is used only after all names.
    #[must_use]
    pub fn find<'a>(&self, provider: &str, names: impl IntoIterator<Item = &'a str>, day: Day) -> Option<&Price> {
        self.rows(provider, names)?.iter().find(|row| row.period.contains(day))
    }

    /// Returns the row that was known under `version`, or that row at other terms, for any day. Of an operator's rows also
    /// one with the same figures and other days: a row that is ended keeps the lines of earlier requests.
    #[must_use]
    pub fn of_version<'a>(
        &self,
        provider: &str,
        names: impl IntoIterator<Item = &'a str>,
        version: &str,
    ) -> Option<Cow<'_, Price>> {
        let rows = self.rows(provider, names)?;
        let exact = rows.iter().find_map(|row| row.of_version(version));
        exact.or_else(|| rows.iter().find_map(|row| row.of_figures(version)))
    }

    fn rows<'a>(&self, provider: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&[Price]> {
        let models = self.0.get(provider)?;
        let named = names.into_iter().find_map(|name| {
            let base = fine_tuned(name);
            let forms = [name, undated(name), base, undated(base)];
            // All forms begin the name, so forms of one length are equal.
            let mut tried = [usize::MAX; 4];
            forms.into_iter().zip(0..).find_map(|(form, at)| {
                let is_new = !tried.contains(&form.len());
                if let Some(place) = tried.get_mut(at) {
                    *place = form.len();
                }
                is_new.then(|| models.get(form)).flatten()
            })
        });
        named.or_else(|| models.get(ANY)).map(Vec::as_slice)
    }

    /// Whether `provider` has a price of this model on any day, if only that of every model.
    #[must_use]
    pub fn has(&self, provider: &str, model: &str) -> bool {
        self.rows(provider, [model]).is_some()
    }

    /// Whether exactly this model is listed for `provider`, not only the price of every model.
    #[must_use]
    pub fn names(&self, provider: &str, model: &str) -> bool {
        model != ANY && self.0.get(provider).is_some_and(|models| models.contains_key(model))
    }

    /// Returns the models that are listed for `provider`, in no order; the price of every model is not among them.
    pub fn models(&self, provider: &str) -> impl Iterator<Item = &str> {
        self.0.get(provider).into_iter().flat_map(FxHashMap::keys).map(|model| &**model).filter(|model| *model != ANY)
    }

    /// Returns the maximum input of a request that is not long, if a row of `model` has rates of long requests; of
    /// several, the lowest.
    #[must_use]
    pub fn long_above(&self, provider: &str, model: &str) -> Option<u64> {
        self.rows(provider, [model])?.iter().filter_map(|row| row.long).map(|long| long.above_tokens).min()
    }

    /// Returns the models of `provider` that have no price on `day` but a later one, with its first day; in the order
    /// of these days.
    #[must_use]
    pub fn beginnings(&self, provider: &str, day: Day) -> Vec<(Day, String)> {
        let mut beginnings = Vec::new();
        for (model, rows) in self.0.get(provider).into_iter().flatten() {
            if !rows.iter().any(|row| row.period.contains(day)) {
                let from = rows.iter().filter_map(|row| row.period.from).find(|from| *from > day);
                beginnings.extend(from.map(|from| (from, model.to_string())));
            }
        }
        beginnings.sort();
        beginnings
    }

    /// Returns the models of `provider` whose last price has an end, in the order of these ends. An end that another
    /// price follows is not listed.
    #[must_use]
    pub fn expiries(&self, provider: &str) -> Vec<Expiry> {
        let mut expiries = Vec::new();
        for (model, rows) in self.0.get(provider).into_iter().flatten() {
            let until = rows.last().and_then(|row| row.period.until);
            expiries.extend(until.map(|until| Expiry { until, model: model.to_string() }));
        }
        expiries.sort();
        expiries
    }
}

impl Price {
    /// Returns the price at one of OpenAI's regional hosts; `None` if it is unknown there.
    fn at_region(&self, host: &str) -> Option<Self> {
        let price = match self.others.region {
            Region::Unknown => return None,
            Region::Same => self.clone(),
            Region::TenthMore => self.times(11, 10)?,
        };
        Some(Self { version: format!("{}/{host}", self.version).into(), ..price })
    }
}

#[cfg(test)]
mod tests;
