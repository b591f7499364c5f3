//! Compiles the values of the file into the [`Snapshot`]: checks that involve several keys, and defaults that follow
//! from other keys.

mod addresses;
mod auth;
mod billing;
mod body_changes;
mod budget;
mod cache;
mod change_inputs;
mod changes;
mod charged_models;
mod cors;
mod credits;
mod default_mock;
mod discover;
mod export;
mod formats;
mod header_rules;
mod insights;
mod limit;
mod link_local;
mod listen;
pub(crate) mod llm;
mod matches;
mod model;
mod paths;
mod plan;
mod plan_models;
mod plan_price;
mod price;
mod price_file;
mod priced_models;
mod process;
mod provider;
mod rate_limit;
mod redirect;
mod request_test;
mod retry;
mod rewrite;
mod route;
mod signup;
mod traces;
mod upstream;
mod upstream_tls;
mod weighted;

use std::collections::HashMap;
use std::sync::Arc;

use crate::note::Note;
use crate::schema::RootInput;
use crate::schema::traffic::{SizesInput, TrafficInput};
use crate::snapshot::{BuiltInPolicies, Model, PriceFile, PricedModels, Sizes, Snapshot, Traffic};
use crate::sources::flags::Flags;
use ai::price::Prices;
use discover::SourceSettings;
pub use price_file::read_price_file;
use settings::error::{Code, Problem, ValueOrigin};
use settings::input::Input;
use settings::section::SettingsReader;
use settings::section::section_input::SectionInput;
use settings::section::setting::{Listing, Setting};
use settings::yaml::YamlNode;
pub(crate) use upstream_tls::RunningTls;

/// The result of compiling a file.
pub(crate) struct CompiledConfig {
    pub(crate) snapshot: Snapshot,
    /// Every effective value with its source.
    pub(crate) settings: Vec<Setting>,
    pub(crate) notes: Vec<Note>,
    /// The number of entries of `tests` and `insights.tests`.
    pub(crate) tests_count: usize,
}

/// Compiles the whole file; `None` if it is not a mapping. Problems are reported to `reader`.
pub(crate) fn compile<'a>(
    reader: &'a SettingsReader<'a>,
    root: &'a YamlNode,
    flags: &Flags,
    mut notes: Vec<Note>,
) -> Option<CompiledConfig> {
    let mut root = RootInput::read(&reader.section(root, String::new(), RootInput::SPEC)?);
    let process = &mut root.process;
    let traffic = &mut root.traffic;
    process::set_flags(reader, process, flags);
    let ai = llm::ai(&mut traffic.ai, &traffic.timeouts);
    let sources = SourceSettings::from_traffic(reader, traffic);
    let mut providers = llm::providers(reader, traffic, flags, &sources, &mut notes);
    default_mock::rule_out(process, traffic, &mut providers, &mut notes);
    let charged = charged_models::ChargedModels::from_entries(&traffic.models, &providers);
    let (models, prices) = models_with_prices(reader, traffic, &mut providers, &mut notes);
    providers.mock.on &= ai.is_some();
    let breaker = traffic.circuit_breaker.as_ref().map(upstream::breaker);
    let upstreams = upstream::upstreams(reader, &traffic.upstreams, breaker, &sources);
    let (plans, plan_prices) = plan::plans(reader, &mut traffic.plans, &charged, &mut notes);
    let parts = auth::AuthParts { plans: &plans, has_redis: process.redis.is_some() };
    let auth = auth::entries(reader, &mut traffic.auth, parts);
    let token_plans = if auth.has_plans() { plans.as_slice() } else { &[] };
    let mut rate_limits = rate_limit::RateLimitList::before_routes(reader, traffic, token_plans);
    let timeouts = retry::timeouts(&traffic.timeouts);
    let built_in = BuiltInPolicies::new(timeouts, ai.as_ref().map_or(timeouts, |ai| ai.timeouts));
    let rate = &mut rate_limits;
    let notes_of = &mut notes;
    let shared = cache::SharedCaches::from_inputs(reader, process, traffic);
    let parts = route::RouteParts { upstreams: &upstreams, auth: &auth, timeouts, rate_limits: rate, notes: notes_of };
    let routes = route::routes(reader, &mut traffic.routes, &listen::names(process), parts, shared);
    let listeners = listen::listeners(reader, process, flags, &mut notes);
    listen::check_peers(reader, process, traffic);
    billing::check(reader, process, &traffic.billing);
    let snapshot = Snapshot {
        file: reader.file().into(),
        process: process::process(reader, process, listeners, &sources),
        traffic: Traffic {
            trusted_proxies: limit::trusted_proxies(&mut traffic.trusted_proxies),
            forwarded: traffic.forwarded.value,
            via: traffic.via.value,
            unauthenticated: limit::unauthenticated(reader, &mut traffic.rate_limits),
            rate_limits: rate_limits.finish(),
            timeouts,
            shortest_timeout: route::shortest_timeout(&routes, timeouts),
            shared_scopes: routes.iter().filter_map(|route| route.policy.cache.as_ref()?.shared_scope).collect(),
            sizes: sizes(&traffic.sizes),
            on_hangup: llm::on_hangup(reader, traffic.on_hangup.as_ref()),
            providers: providers.on,
            offered_providers: if ai.is_some() { providers.offered } else { Vec::new() },
            mock: providers.mock,
            models,
            prices: prices.configured,
            price_file: prices.file,
            prices_builtin: prices.builtin,
            priced_models: prices.of_models,
            ai,
            signup: signup::signup(traffic, &plans, &mut notes),
            plans,
            billing: billing::billing(reader, &traffic.billing, &process.brand.name.value),
            plan_prices,
            plan_models: plan_models::plan_models(reader, &traffic.plans, &charged),
            credit_rates: credits::credit_rates(reader, traffic),
            budgets: budget::budgets(reader, &traffic.budgets),
            insights: Arc::new(insights::insights(reader, &traffic.insights, &mut notes)),
            limit_places: budget::limit_places(traffic),
            quota_status: traffic.quota_status.value,
            claim_headers: auth.claim_headers(),
            service_tls: auth.service_tls().chain(upstreams.source_tls).collect(),
            issuers: auth.issuers.into(),
            health_paths: traffic.health_paths.list.iter().map(|path| path.value.as_str().into()).collect(),
            breaker,
            upstreams: upstreams.list,
            merge_slashes: traffic.paths.merge_slashes.as_ref().is_some_and(|merge| merge.value),
            built_in,
            refused_paths: paths::refused(traffic),
            router: paths::router(reader, traffic, routes, &mut notes),
        },
    };
    request_test::run(reader, &root.traffic.tests, &snapshot);
    let tests_count = root.traffic.tests.list.len() + root.traffic.insights.tests.list.len();
    Some(CompiledConfig { snapshot, settings: settings(reader, &root), notes, tests_count })
}

/// The prices of models.
struct CompiledPrices {
    configured: Prices,
    file: Option<PriceFile>,
    builtin: Prices,
    of_models: PricedModels,
}

/// Returns the models whose provider is on, and all prices.
fn models_with_prices(
    reader: &SettingsReader<'_>,
    traffic: &mut TrafficInput,
    providers: &mut llm::Providers,
    notes: &mut Vec<Note>,
) -> (Vec<Arc<Model>>, CompiledPrices) {
    let priced = priced_models::PricedTargets::from_entries(&traffic.models);
    let models = model::models(reader, &mut traffic.models, providers, notes);
    let (file, builtin) = price_file::table(reader, traffic, notes);
    let configured = price::prices(reader, &mut traffic.prices, providers, &builtin, notes);
    let of_models = priced.compile(reader, providers, &configured, &builtin);
    (models, CompiledPrices { configured, file, builtin, of_models })
}

/// Returns every effective value with its source.
fn settings(reader: &SettingsReader<'_>, root: &RootInput) -> Vec<Setting> {
    let mut listing = Listing::new(reader);
    root.show(&mut listing);
    listing.settings
}

fn sizes(input: &SizesInput) -> Sizes {
    Sizes {
        headers_bytes_max: usize::try_from(input.headers.value).unwrap_or(usize::MAX),
        body_bytes_max: input.body.value,
        buffered_bytes_max: input.buffered.value,
    }
}

/// The names that entries of one list use, and their positions.
#[derive(Default)]
struct UsedNames(HashMap<String, Option<ValueOrigin>>);

impl UsedNames {
    /// Records a name and reports a duplicate. Returns whether the name is new.
    fn take(&mut self, reader: &SettingsReader<'_>, name: &Input<String>, kind: &str) -> bool {
        let first = self.0.get(&name.value).copied();
        let Some(first) = first else {
            self.0.insert(name.value.clone(), name.value_origin());
            return true;
        };
        let message = if name.foreign {
            format!("a second {kind} of this name")
        } else {
            format!("a second {kind} is named `{}`", name.value)
        };
        reader
            .report(Problem::new(Code::Duplicate, name.value_origin(), message).expected("another name").first(first));
        false
    }
}
