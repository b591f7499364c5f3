//! Entries of `models` whose name ends in `*`: one entry for all names with the same beginning.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use access::Credits;
use ai::price::undated;

use super::table_of;
use crate::snapshot::{Model, Provider, Target, Traffic};

/// At the end of an entry's name: any further characters. At the end of its target's model: the same characters.
pub(crate) const ANY: char = '*';

/// A name of the list of models, with the entry that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct ListedModel<'a> {
    /// The name that clients request; with `*` if the models of the provider are unknown.
    pub(crate) name: Cow<'a, str>,
    /// The provider of the first usable target.
    pub(crate) provider: &'a Arc<Provider>,
    /// The provider's own name of the model.
    pub(crate) model: &'a str,
    /// The entry of `models`.
    pub(crate) entry: &'a Model,
}

/// Whether `pattern`, a name or a beginning with `*`, applies to `name`.
pub(crate) fn is_match(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix(ANY).map_or(pattern == name, |beginning| name.starts_with(beginning))
}

impl Model {
    /// The beginning of the names that the entry serves; `None` if it serves exactly its name.
    pub(crate) fn prefix(&self) -> Option<&str> {
        self.name.strip_suffix(ANY)
    }

    /// Returns the part of `asked` that the `*` of the name represents: at least one character.
    fn rest<'a>(&self, asked: &'a str) -> Option<&'a str> {
        asked.strip_prefix(self.prefix()?).filter(|rest| !rest.is_empty())
    }

    /// Returns the provider's own name of the model that `target`, one of the entry's, serves for `asked`.
    #[must_use]
    pub fn model_of(&self, target: &Target, asked: &str) -> Arc<str> {
        match (target.prefix(), self.rest(asked)) {
            (Some(prefix), Some(rest)) => format!("{prefix}{rest}").into(),
            _ => target.model.clone(),
        }
    }

    /// Returns the name by which an entry with `*` serves a model of a provider; `None` if it does not.
    pub(crate) fn name_of(&self, provider: &Provider, model: &str) -> Option<String> {
        let start = self.prefix()?;
        let targets = self.targets.iter().filter(|target| target.provider.name == provider.name);
        let mut rests = targets.filter_map(|target| model.strip_prefix(target.prefix()?));
        let rest = rests.find(|rest| !rest.is_empty())?;
        Some(format!("{start}{rest}"))
    }

    /// Whether all names of the entry have the same targets.
    pub(crate) fn is_of_one_model(&self) -> bool {
        self.targets.iter().all(|target| target.prefix().is_none())
    }

    /// Returns the first target of the file.
    pub(crate) fn first_target(&self) -> Option<&Target> {
        self.targets.first()
    }

    /// Returns the targets, the usable ones first.
    fn usable_first(&self, usable: impl Fn(&Provider) -> bool + Copy) -> impl Iterator<Item = &Target> {
        let is_usable = move |target: &&Target| usable(&target.provider);
        let others = self.targets.iter().filter(move |target| !is_usable(target));
        self.targets.iter().filter(is_usable).chain(others)
    }
}

impl Target {
    /// The beginning of the models' names; `None` for one model.
    pub(crate) fn prefix(&self) -> Option<&str> {
        self.model.strip_suffix(ANY)
    }

    /// Whether a request that an entry with this target serves can be sent to `model` of `provider`, dates aside.
    fn covers(&self, provider: &Provider, model: &str) -> bool {
        self.provider.name == provider.name
            && match self.prefix() {
                Some(prefix) => model.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()),
                None => undated(&self.model) == undated(model),
            }
    }
}

impl Traffic {
    /// Returns the entry of `models` that serves `asked`: the one of exactly this name, otherwise the one with the longest
    /// beginning of it.
    pub(crate) fn entry(&self, asked: &str) -> Option<&Arc<Model>> {
        let exact = self.models.iter().find(|model| *model.name == *asked && model.prefix().is_none());
        let longest = || {
            let matching = self.models.iter().filter(|model| model.rest(asked).is_some());
            matching.max_by_key(|model| model.name.len())
        };
        exact.or_else(longest)
    }

    /// Returns the credits of a request for `asked`, which `entry` serves: those of the most expensive entry for any of its
    /// models.
    pub(crate) fn credits_of_entry(&self, entry: &Model, asked: &str) -> Credits {
        let of_any = entry.targets.iter().filter(|target| target.prefix().is_some());
        let named = of_any.filter_map(|target| {
            self.credits_of(&target.provider, &entry.model_of(target, asked), Model::is_of_one_model)
        });
        named.max().unwrap_or_default().max(entry.credits)
    }

    /// Returns the credits of the most expensive entry among those that `counts` whose target is this model.
    pub(crate) fn credits_of(
        &self,
        provider: &Provider,
        model: &str,
        counts: impl Fn(&Model) -> bool,
    ) -> Option<Credits> {
        let covers = |entry: &Model| entry.targets.iter().any(|target| target.covers(provider, model));
        let entries = self.models.iter().filter(|entry| counts(entry) && covers(entry));
        entries.map(|entry| entry.credits).max()
    }

    /// Returns the entries of `models` in the order of the file. An entry with `*` is listed as the models of the providers of its
    /// targets that a price list names; without such models, by its own name. `usable` is whether the client can use a provider.
    pub(crate) fn listed_models(&self, usable: impl Fn(&Provider) -> bool + Copy) -> Vec<ListedModel<'_>> {
        let mut listed = Vec::new();
        for entry in &self.models {
            let known = self.known_names(entry, usable);
            if known.is_empty()
                && let Some(target) = entry.usable_first(usable).next()
            {
                let name = Cow::Borrowed(&*entry.name);
                listed.push(ListedModel { name, provider: &target.provider, model: &target.model, entry });
            }
            listed.extend(known.into_values());
        }
        listed
    }

    /// Returns the names of an entry with `*` for which no other entry exists.
    fn known_names<'a>(
        &'a self,
        entry: &'a Model,
        usable: impl Fn(&Provider) -> bool + Copy,
    ) -> BTreeMap<String, ListedModel<'a>> {
        let mut known = BTreeMap::new();
        let Some(start) = entry.prefix() else { return known };
        for target in entry.usable_first(usable) {
            let Some(prefix) = target.prefix() else { continue };
            let provider = &target.provider;
            for model in self.priced_models(provider) {
                let Some(rest) = model.strip_prefix(prefix).filter(|rest| !rest.is_empty()) else { continue };
                let name = format!("{start}{rest}");
                if self.entry(&name).is_some_and(|serving| serving.name == entry.name) {
                    let listed = || ListedModel { name: Cow::Owned(name.clone()), provider, model, entry };
                    known.entry(name.clone()).or_insert_with(listed);
                }
            }
        }
        known
    }

    /// Returns the models of a provider that a price list names.
    pub(crate) fn priced_models<'a>(&'a self, provider: &'a Provider) -> impl Iterator<Item = &'a str> {
        self.prices.models(&provider.name).chain(self.prices_builtin.models(table_of(provider)))
    }
}
