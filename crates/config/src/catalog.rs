//! The models that clients may request: every entry of `models`, and every model of a provider that has a price.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use access::{Credits, Timestamp};
use ai::Format;
use ai::price::{Price, TokenLimits};

use crate::resolve::pattern::ANY;
use crate::snapshot::{Model, Provider, Traffic};

/// A name that clients may request, with the model that serves it.
#[derive(Debug, Clone)]
pub struct CatalogModel<'a> {
    /// The name of an entry of `models`, otherwise `PROVIDER/MODEL`.
    pub name: String,
    /// Other names of the same model of the same provider. They may cost other credits.
    pub aliases: Vec<String>,
    /// Whether the name is an entry of `models`, which `GET /v1/models` lists.
    pub is_entry: bool,
    /// The provider that serves it: that of the first usable target, otherwise of the first one.
    pub provider: &'a Arc<Provider>,
    /// The provider's own name of the model.
    pub model: &'a str,
    /// The names of the formats in which clients may call the usable targets; without any, those of `provider`.
    pub formats: Vec<&'static str>,
    /// The credits that a request costs.
    pub credits: Credits,
    /// The price on the day; `None` is unknown, never zero.
    pub price: Option<&'a Price>,
    /// Maximum input and output of the model; `None` if they are unknown.
    pub limits: Option<TokenLimits>,
}

/// The models that a provider lists itself.
#[derive(Debug, Clone)]
pub struct ProviderModels {
    /// The name of the provider.
    pub provider: Arc<str>,
    /// The provider's own names of its models.
    pub models: Arc<[Box<str>]>,
}

impl Provider {
    /// Returns the names of the formats in which clients may call the provider.
    pub fn formats(&self) -> impl Iterator<Item = &'static str> {
        self.of_any_model().formats()
    }
}

impl Model {
    /// Returns the names of the formats in which clients may call any usable target.
    fn formats(&self, usable: impl Fn(&Provider) -> bool) -> Vec<&'static str> {
        let usable: Vec<_> = self.targets.iter().filter(|target| usable(&target.provider)).collect();
        let models = || usable.iter().map(|target| target.provider.of_model(&target.model));
        let formats = Format::ALL.into_iter().filter(|format| models().any(|of| of.serves(*format)));
        formats.map(Format::name).collect()
    }
}

impl Traffic {
    /// Returns the models whose names `opens` permits, on the day of `at`: first the entries of `models` in the order of the
    /// file, then by provider and name the models that no permitted entry names, if another entry names them or they have
    /// a price. Only the provider knows its other models. `usable` is whether the client has what a provider needs.
    #[must_use]
    pub fn catalog(
        &self,
        at: Timestamp,
        opens: impl Fn(&str) -> bool,
        usable: impl Fn(&Provider) -> bool,
    ) -> Vec<CatalogModel<'_>> {
        if self.ai.is_none() {
            return Vec::new();
        }
        let mut names: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
        let entries = self.listed_models(&usable);
        let permitted = || entries.iter().filter(|listed| opens(&listed.name));
        for listed in permitted() {
            names.entry((&listed.provider.name, listed.model)).or_default().push(&listed.name);
        }
        // An entry may have the name `PROVIDER/MODEL` and serve another model.
        let is_full_name = |name: &str| opens(name) && self.entry(name).is_none();
        let mut catalog: Vec<CatalogModel<'_>> = Vec::new();
        for listed in permitted() {
            let provider = listed.provider;
            let of = listed.model;
            let others = names.get(&(&*provider.name, of)).into_iter().flatten().map(|name| (*name).to_owned());
            let full = Some(format!("{}/{of}", provider.name)).filter(|name| is_full_name(name));
            let described = self.described(provider, of, at);
            let formats = Some(listed.entry.formats(&usable)).filter(|formats| !formats.is_empty());
            catalog.push(CatalogModel {
                name: listed.name.to_string(),
                formats: formats.unwrap_or_else(|| described.formats.clone()),
                aliases: others.chain(full).filter(|name| **name != *listed.name).collect(),
                is_entry: true,
                credits: self.credits_of_entry(listed.entry, &listed.name),
                ..described
            });
        }
        for provider in self.known_providers() {
            let targets = entries.iter().filter(|listed| listed.provider.name == provider.name);
            let targets = targets.map(|listed| listed.model).filter(|model| !model.ends_with(ANY));
            let priced = self.priced_models(provider).filter(|model| self.price(provider, (model, None), at).is_some());
            let unnamed = targets.chain(priced).filter(|model| !names.contains_key(&(&*provider.name, *model)));
            let mut unnamed: Vec<&str> = unnamed.collect();
            unnamed.sort_unstable();
            unnamed.dedup();
            let described = unnamed.into_iter().map(|model| self.described(provider, model, at));
            catalog.extend(described.filter(|model| is_full_name(&model.name)));
        }
        catalog
    }

    /// Returns the models of [`Self::catalog`] that a plan includes, then its aliases, each as the model in its place.
    #[must_use]
    pub fn catalog_in_plan(
        &self,
        plan: &str,
        at: Timestamp,
        opens: impl Fn(&str) -> bool,
        usable: impl Fn(&Provider) -> bool,
    ) -> Vec<CatalogModel<'_>> {
        let of = match self.plan_models.get(plan) {
            Some(of) if self.ai.is_some() => of,
            Some(_) | None => return self.catalog(at, opens, usable),
        };
        let is_shown = |name: &str| opens(name) && !of.aliases.contains_key(name) && self.includes_meant(of, name);
        let mut catalog = self.catalog(at, is_shown, &usable);
        let all = if of.aliases.is_empty() { Vec::new() } else { self.catalog(at, |_| true, &usable) };
        let aliases = of.aliases.iter().filter(|(alias, meant)| opens(alias) && self.includes_meant(of, meant));
        catalog.extend(aliases.filter_map(|(alias, meant)| {
            let has_name =
                |model: &&CatalogModel<'_>| model.name == **meant || model.aliases.iter().any(|of| **of == **meant);
            let known = all.iter().find(has_name).cloned();
            let model = known.or_else(|| self.described_name(meant, at))?;
            let credits = match self.entry(meant) {
                Some(entry) => self.credits_of_entry(entry, meant),
                None => self.credits(model.provider, model.model),
            };
            Some(CatalogModel { name: alias.to_string(), aliases: Vec::new(), is_entry: true, credits, ..model })
        }));
        catalog
    }

    /// Returns the models for `GET /v1/models`: the entries of `models` that a plan includes and its aliases; without any, the
    /// other models that a price list names, or that their provider lists in `of_providers`. A pattern is no name that clients can
    /// request.
    #[must_use]
    pub fn listed_in_plan<'a>(
        &'a self,
        plan: &str,
        at: Timestamp,
        opens: impl Fn(&str) -> bool,
        of_providers: &'a [ProviderModels],
    ) -> Vec<CatalogModel<'a>> {
        let mut catalog = self.catalog_in_plan(plan, at, &opens, |_| true);
        catalog.retain(|model| !model.name.contains(ANY));
        let known: HashSet<String> = catalog.iter().map(|model| model.name.clone()).collect();
        let is_new = |model: &CatalogModel<'_>| {
            !known.contains(&model.name) && opens(&model.name) && self.serves_in_plan(plan, &model.name)
        };
        catalog.extend(of_providers.iter().flat_map(|of| self.listed_by(of, at)).filter(is_new));
        if catalog.iter().any(|model| model.is_entry) {
            catalog.retain(|model| model.is_entry);
        }
        catalog
    }

    /// Returns the providers whose own lists complete `GET /v1/models`, because no price list names their models: those of entries
    /// with `*`, and all of them without entries of `models`.
    #[must_use]
    pub fn unpriced_providers(&self) -> Vec<&Arc<Provider>> {
        let is_of_pattern = |provider: &Provider| {
            let mut targets =
                self.models.iter().filter(|entry| entry.prefix().is_some()).flat_map(|entry| &entry.targets);
            targets.any(|target| target.prefix().is_some() && target.provider.name == provider.name)
        };
        let has_list = |provider: &Provider| self.models.is_empty() || is_of_pattern(provider);
        let unpriced = |provider: &Provider| self.priced_models(provider).next().is_none();
        if self.ai.is_none() {
            return Vec::new();
        }
        self.known_providers().filter(|provider| unpriced(provider) && has_list(provider)).collect()
    }

    /// Returns the models of a provider's own list under the names that clients may request: those of entries with `*`, otherwise
    /// `PROVIDER/MODEL`.
    fn listed_by<'a>(&'a self, of: &'a ProviderModels, at: Timestamp) -> Vec<CatalogModel<'a>> {
        let Some(provider) = self.provider(&of.provider) else { return Vec::new() };
        let mut listed = Vec::new();
        for model in of.models.iter() {
            let mut is_entry = false;
            for entry in &self.models {
                let Some(name) = entry.name_of(provider, model) else { continue };
                if self.entry(&name).is_some_and(|serving| serving.name == entry.name) {
                    let credits = self.credits_of_entry(entry, &name);
                    listed.push(CatalogModel { name, credits, is_entry: true, ..self.described(provider, model, at) });
                    is_entry = true;
                }
            }
            let described = self.described(provider, model, at);
            if !is_entry && self.entry(&described.name).is_none() {
                listed.push(described);
            }
        }
        listed
    }

    /// Returns the provider of the first target of an entry of `models`, or of `PROVIDER/MODEL`.
    #[must_use]
    pub fn provider_of(&self, name: &str) -> Option<&Arc<Provider>> {
        let entry = self.entry(name).and_then(|entry| Some(&entry.first_target()?.provider));
        let named = || {
            let (provider, _) = name.split_once('/')?;
            self.provider(provider)
        };
        entry.or_else(named)
    }

    /// Returns the description of the first target of an entry of `models`, or of `PROVIDER/MODEL`.
    #[must_use]
    pub fn described_name<'a>(&'a self, name: &'a str, at: Timestamp) -> Option<CatalogModel<'a>> {
        if let Some(entry) = self.entry(name) {
            let target = entry.first_target()?;
            return Some(self.described(&target.provider, &target.model, at));
        }
        let (provider, model) = name.split_once('/').filter(|(_, model)| !model.is_empty())?;
        Some(self.described(self.provider(provider)?, model, at))
    }

    /// Returns the flat credits of a request for an entry of `models`, or for `PROVIDER/MODEL`; `None` for another name.
    #[must_use]
    pub fn flat_credits(&self, name: &str) -> Option<Credits> {
        if let Some(entry) = self.entry(name) {
            return Some(self.credits_of_entry(entry, name));
        }
        let (provider, model) = name.split_once('/').filter(|(_, model)| !model.is_empty())?;
        Some(self.credits(self.provider(provider)?, model))
    }

    fn described<'a>(&'a self, provider: &'a Arc<Provider>, model: &'a str, at: Timestamp) -> CatalogModel<'a> {
        CatalogModel {
            name: format!("{}/{model}", provider.name),
            aliases: Vec::new(),
            is_entry: false,
            provider,
            model,
            formats: provider.of_model(model).formats().collect(),
            credits: self.credits(provider, model),
            price: self.price(provider, (model, None), at),
            limits: self.limits(provider, model, at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Environment, Flags, Sources, load};

    const NOW: Timestamp = Timestamp(1_795_176_000_000_000);

    fn traffic(source: &str) -> Traffic {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.yaml");
        std::fs::write(&path, source).unwrap();
        let environment = Environment::default();
        let sources = Sources { file: Some(&path), environment: &environment, flags: Flags::default() };
        load(sources).unwrap_or_else(|error| panic!("{error}")).snapshot.traffic
    }

    #[test]
    fn a_catalog_has_the_entries_and_the_priced_models_once() {
        let traffic = traffic(
            "providers:\n  - {name: openai, kind: openai, credential: k}\n  - {name: own, kind: openai, base_url: 'http://127.0.0.1:9/v1', credential: k}\n\
             models:\n  - {name: fast, credits: 2, targets: [{provider: openai, model: gpt-5-mini}]}\n  - {name: quick, targets: [{provider: openai, model: gpt-5-mini}]}\n  - {name: home, targets: [{provider: own, model: llama}]}\n",
        );
        let catalog = traffic.catalog(NOW, |_| true, |_| true);
        let names = |name: &str| catalog.iter().filter(|model| model.name == name).collect::<Vec<_>>();
        let [fast] = names("fast")[..] else { panic!("{catalog:?}") };
        assert_eq!(
            (fast.aliases.join(" "), fast.credits, fast.is_entry),
            ("quick openai/gpt-5-mini".into(), Credits::whole(2), true)
        );
        assert!(fast.price.is_some() && fast.limits.is_some());
        let provider = |name: &str| traffic.provider_of(name).map(|provider| provider.name.to_string());
        let own = Some("own".to_owned());
        let openai = Some("openai".to_owned());
        assert_eq!(
            [provider("home"), provider("own/x"), provider("quick"), provider("x/y")],
            [own.clone(), own, openai, None]
        );
        let [home] = names("home")[..] else { panic!("{catalog:?}") };
        assert!(home.price.is_none() && home.limits.is_none() && home.aliases == ["own/llama"], "{home:?}");
        // A model that an entry names is listed under the entry only; others have the credits of their own name.
        assert!(names("openai/gpt-5-mini").is_empty());
        let [plain] = names("openai/gpt-5")[..] else { panic!("{catalog:?}") };
        assert_eq!((plain.credits, plain.is_entry, plain.model), (Credits::whole(1), false, "gpt-5"));
        assert!(!catalog.iter().any(|model| model.name.starts_with("own/") || model.name.contains('*')));
        let mut all: Vec<&str> = catalog.iter().map(|model| model.name.as_str()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), catalog.len());
        // With a list of names, other names of a model are neither listed nor mentioned.
        let some = |names: &[&str]| -> Vec<(String, String)> {
            let catalog = traffic.catalog(NOW, |name| names.contains(&name), |_| true);
            catalog.into_iter().map(|model| (model.name, model.aliases.join(" "))).collect()
        };
        let pair = |name: &str, aliases: &str| (name.to_owned(), aliases.to_owned());
        assert_eq!(some(&["quick"]), [pair("quick", "")]);
        assert_eq!(some(&["openai/gpt-5-mini", "own/llama"]), [pair("openai/gpt-5-mini", ""), pair("own/llama", "")]);
        assert_eq!(some(&["fast", "quick", "openai/x"]), [pair("fast", "quick"), pair("quick", "fast")]);
    }

    #[test]
    fn the_lists_of_providers_without_prices_complete_a_list() {
        const PROVIDERS: &str = "providers:\n  - {name: openai, kind: openai, credential: k}\n  - {name: own, kind: openai, base_url: 'http://127.0.0.1:9/v1', credential: k}\n";
        let own = [ProviderModels { provider: "own".into(), models: ["llama".into(), "qwen/3".into()].into() }];
        let listed = |models: &str, opens: &dyn Fn(&str) -> bool| {
            let traffic = traffic(&format!("{PROVIDERS}{models}"));
            let unpriced: Vec<_> = traffic.unpriced_providers().iter().map(|of| of.name.to_string()).collect();
            let listed = traffic.listed_in_plan("starter", NOW, opens, &own);
            let own = listed.iter().filter(|model| &*model.provider.name == "own");
            (unpriced.join(" "), own.map(|model| (model.name.clone(), model.is_entry)).collect::<Vec<_>>())
        };
        let pair = |name: &str, is_entry| (name.to_owned(), is_entry);
        let (unpriced, all) = listed("", &|_| true);
        assert_eq!((unpriced.as_str(), all), ("own", vec![pair("own/llama", false), pair("own/qwen/3", false)]));
        assert_eq!(listed("", &|name| name == "own/llama").1, [pair("own/llama", false)]);
        let pattern = "models: [{name: 'o/*', targets: [{provider: own, model: '*'}]}, {name: o/llama, targets: [{provider: openai, model: gpt-5}]}]\n";
        let (unpriced, of_pattern) = listed(pattern, &|_| true);
        assert_eq!((unpriced.as_str(), of_pattern), ("own", vec![pair("o/qwen/3", true)]));
        // With entries of `models` alone, the list has these.
        let entry = "models: [{name: fast, targets: [{provider: own, model: llama}]}]\n";
        assert_eq!(listed(entry, &|_| true), (String::new(), vec![pair("fast", true)]));
    }

    #[test]
    fn an_entry_is_described_by_its_first_usable_target() {
        let traffic = traffic(
            "providers: [{name: openai, kind: openai, credential: k}, {name: claude, kind: anthropic, credential: k}]\n\
             models: [{name: smart, targets: [{provider: openai, model: gpt-5}, {provider: claude, model: claude-opus-4-8}]}]\n",
        );
        let described = |usable: &[&str]| {
            let catalog = traffic.catalog(NOW, |name| name == "smart", |provider| usable.contains(&&*provider.name));
            let [smart] = &catalog[..] else { panic!("{catalog:?}") };
            let speaks = |format| smart.formats.contains(&format);
            assert!(["chat", "responses", "messages"].into_iter().all(speaks), "they are translated");
            (smart.provider.name.to_string(), smart.model.to_owned(), speaks("embeddings"))
        };
        let openai = ("openai".to_owned(), "gpt-5".to_owned());
        let claude = ("claude".to_owned(), "claude-opus-4-8".to_owned());
        let with = |(provider, model): &(String, String), embeddings| (provider.clone(), model.clone(), embeddings);
        assert_eq!(described(&["openai", "claude"]), with(&openai, true));
        assert_eq!(described(&["claude"]), with(&claude, false));
        assert_eq!(described(&[]), with(&openai, true));
    }

    #[test]
    fn names_with_a_star_are_listed_if_any_target_has_a_price_for_them() {
        let traffic = traffic(
            "providers: [{name: own, kind: openai, base_url: 'http://127.0.0.1:9/v1', credential: k}, {name: openai, kind: openai, credential: k}]\n\
             models: [{name: 'x/*', targets: [{provider: own, model: '*'}, {provider: openai, model: 'gpt-5*'}]}]\n\
             prices: [{model: own/llama, input: 1, output: 1}, {model: own/-mini, input: 1, output: 1}]\n",
        );
        let names = traffic.model_names();
        for name in ["x/llama", "x/-mini", "x/-nano"] {
            assert_eq!(names.iter().filter(|listed| *listed == name).count(), 1, "{name} {names:?}");
        }
        assert!(!names.iter().any(|name| name.contains('*')), "{names:?}");
        let catalog = traffic.catalog(NOW, |_| true, |_| true);
        let provider = |name: &str| catalog.iter().find(|model| model.name == name).map(|model| &*model.provider.name);
        assert_eq!([provider("x/-mini"), provider("x/-nano")], [Some("own"), Some("openai")]);
    }

    #[test]
    fn a_list_has_the_entries_otherwise_the_priced_models_and_no_pattern() {
        const PROVIDERS: &str = "providers: [{name: openai, kind: openai, credential: k}, {name: own, kind: openai, base_url: 'http://127.0.0.1:9/v1', credential: k}]\n";
        let listed = |models: &str, opens: fn(&str) -> bool| -> Vec<String> {
            let traffic = traffic(&format!("{PROVIDERS}{models}"));
            traffic.listed_in_plan("free", NOW, opens, &[]).into_iter().map(|model| model.name).collect()
        };
        let without_entries = listed("", |_| true);
        assert!(without_entries.contains(&"openai/gpt-5".to_owned()) && without_entries.len() > 10);
        assert_eq!(listed("", |name| name == "openai/gpt-5"), ["openai/gpt-5"]);
        assert_eq!(listed("models: [{name: fast, targets: [{provider: own, model: m}]}]\n", |_| true), ["fast"]);
        let expanded = listed("models: [{name: 'o/*', targets: [{provider: openai, model: '*'}]}]\n", |_| true);
        assert!(expanded.contains(&"o/gpt-5".to_owned()) && expanded.iter().all(|name| name.starts_with("o/")));
        let unknown = listed("models: [{name: 'o/*', targets: [{provider: own, model: '*'}]}]\n", |_| true);
        assert!(unknown.contains(&"openai/gpt-5".to_owned()) && !unknown.iter().any(|name| name.contains('*')));
    }

    #[test]
    fn a_catalog_without_endpoints_is_empty() {
        assert!(
            traffic("ai: {enabled: false}\nproviders: [{name: openai, kind: openai, credential: k}]\n")
                .catalog(NOW, |_| true, |_| true)
                .is_empty()
        );
    }
}
