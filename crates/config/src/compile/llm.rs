//! Compiles `ai`, `on_hangup` and `providers`.

use std::sync::Arc;

use ai::{ProviderKind, ProviderPaths};
use settings::error::{Code, Problem};
use settings::field::{Either, Entries};
use settings::input::{Input, ValueSource};
use settings::plain::PlainInput;
use settings::section::SettingsReader;

use super::discover::SourceSettings;
use super::provider::{self, origin_of};
use super::{UsedNames, formats, link_local, upstream_tls};
use crate::note::Note;
use crate::resolve::MOCK;
use crate::schema::traffic::{
    AiInput, DRAIN_BYTES, DRAIN_TIME, OnHangupInput, ProviderInput, TimeoutsInput, TrafficInput, parse_credential,
};
use crate::snapshot::translation::default_formats;
use crate::snapshot::{
    AccountObjects, Ai, Credential, Mock, OnHangup, Origin, PoolRules, PriceSource, Provider, Scheme, Timeouts,
};
use crate::sources::flags::Flags;

/// The result of compiling `providers`.
#[derive(Default)]
pub(super) struct Providers {
    /// The providers that are on.
    pub(super) on: Vec<Arc<Provider>>,
    /// The providers that a stored credential switches on.
    pub(super) offered: Vec<Arc<Provider>>,
    /// The providers of the file that are off, as they have no credential.
    pub(super) off: Vec<Arc<Provider>>,
    /// Every name that models may use, including those of providers that are off.
    pub(super) names: Vec<String>,
    /// The built-in mock provider.
    pub(super) mock: Mock,
}

pub(super) fn ai(ai: &mut AiInput, general: &TimeoutsInput) -> Option<Ai> {
    let timeouts = &mut ai.timeouts;
    let client_idle = timeouts.idle.as_ref().map_or(general.idle.value, |own| own.value);
    let timeouts = Timeouts {
        connect: timeouts.connect.get_or_insert_with(|| general.connect.clone()).value,
        first_byte: timeouts.first_byte.value,
        idle: timeouts.idle.get_or_insert_with(|| timeouts.first_byte.clone()).value,
        client_idle,
        total: Some(timeouts.total.value),
        bounds_streams: true,
    };
    let first_content = ai.timeouts.first_content.as_ref().map(|within| within.value);
    let prefix = ai.prefix.value.trim_end_matches('/').to_owned();
    let translate = ai.translate.plain();
    ai.enabled.value.then_some(Ai { prefix, first_content, timeouts, translate })
}

pub(super) fn on_hangup(reader: &SettingsReader<'_>, input: Option<&Either<OnHangup, OnHangupInput>>) -> OnHangup {
    match input {
        Some(Either::Single(on_hangup)) => on_hangup.value,
        Some(Either::Nested(OnHangupInput { drain: Some(drain), .. })) => {
            OnHangup::Drain { bytes_max: drain.bytes.value, within: drain.r#for.value }
        }
        Some(Either::Nested(OnHangupInput { location, drain: None })) => {
            if !location.has("drain") {
                location.missing(reader, &["drain"]);
            }
            OnHangup::Drain { bytes_max: DRAIN_BYTES, within: DRAIN_TIME }
        }
        None => OnHangup::Cancel,
    }
}

/// Returns the providers of the file, otherwise those of the environment, otherwise the mock. Only providers that are
/// on remain in the input. Without `providers` in the file, those without a variable are offered.
pub(super) fn providers(
    reader: &SettingsReader<'_>,
    traffic: &mut TrafficInput,
    flags: &Flags,
    sources: &SourceSettings,
    notes: &mut Vec<Note>,
) -> Providers {
    let mut providers = Providers::default();
    let entries = &mut traffic.providers;
    let given = entries.list.len();
    traffic.mock.set_flag(flags.mock.then_some(true), "--mock");
    let forced = traffic.mock.value;
    if forced {
        // The mock replaces the providers, so the files of their TLS may be missing.
        entries.list.iter_mut().for_each(|entry| entry.tls = None);
    }
    if entries.is_given {
        from_file(reader, sources, entries, &mut providers, notes);
    } else {
        from_environment(reader, entries, &mut providers, notes);
    }
    if forced {
        entries.list.clear();
        providers.offered.clear();
        let off = std::mem::take(&mut providers.on).into_iter();
        notes.retain(|note| !matches!(note, Note::ProviderFromEnvironment { .. }));
        notes.extend(off.map(|provider| Note::ProviderMocked { provider: provider.name.to_string() }));
    }
    providers.mock.forced = forced;
    providers.mock.on |= forced || providers.on.is_empty();
    let is_listed = |entry: &ProviderInput| entry.name.as_ref().is_some_and(|name| name.value == MOCK);
    if providers.mock.on && !entries.list.iter().any(is_listed) {
        let nth = if forced { 0 } else { given };
        entries.list.push(builtin_mock(nth, if forced { &traffic.mock.source } else { &ValueSource::Default }));
    }
    if !providers.names.iter().any(|name| name == MOCK) {
        providers.names.push(MOCK.to_owned());
    }
    providers
}

/// Returns the entry of the built-in mock, which no source lists.
fn builtin_mock(nth: usize, source: &ValueSource) -> ProviderInput {
    let name = Input { value: MOCK.to_owned(), source: source.clone(), foreign: false };
    provider::unlisted(nth, name, ProviderKind::Mock, formats::all(ProviderKind::Mock))
}

fn from_environment(
    reader: &SettingsReader<'_>,
    entries: &mut Entries<ProviderInput>,
    providers: &mut Providers,
    notes: &mut Vec<Note>,
) {
    for kind in ProviderKind::all() {
        let Some(own) = &kind.descriptor().own else {
            continue;
        };
        let Some(url) = kind.own_url() else {
            continue;
        };
        let variable = own.variable;
        let name = kind.as_str();
        providers.names.push(name.to_owned());
        let Some(value) = reader.variable(variable) else {
            if let Ok(origin) = origin_of(kind, &url) {
                let credential = Credential::Vault { label: None };
                providers.offered.push(Arc::new(at_own_host(kind, origin, credential)));
            }
            continue;
        };
        let parsed = parse_credential(&value).and_then(|credential| provider::fitting(kind, credential));
        let credential = match parsed {
            Ok(credential) => credential,
            Err(expected) => {
                let message = format!("{variable} does not hold a valid credential");
                reader.report(Problem::new(Code::Environment, None, message).expected(expected));
                continue;
            }
        };
        if let Ok(origin) = origin_of(kind, &url) {
            let source = reader.environment().variable(variable).map_or(ValueSource::Default, ValueSource::Variable);
            let credential = Input { value: credential, source, foreign: true };
            let name = credential.derived(name.to_owned());
            let unlisted = provider::unlisted(entries.list.len(), name, kind, formats::all(kind));
            let base_url = Some(credential.derived(url.clone()));
            entries.list.push(ProviderInput { base_url, credential: Some(credential.clone()), ..unlisted });
            providers.on.push(Arc::new(at_own_host(kind, origin, credential.value)));
            notes.push(Note::ProviderFromEnvironment { provider: kind.as_str().to_owned(), variable });
        }
    }
}

/// Returns the provider of a kind at its own host, with the name of the kind.
fn at_own_host(kind: ProviderKind, origin: Origin, credential: Credential) -> Provider {
    let formats = default_formats(kind, None).into();
    let paths = ProviderPaths::OfKind;
    Provider {
        name: kind.as_str().into(),
        kind,
        formats,
        origin,
        paths,
        credential,
        tls: None,
        account_objects: AccountObjects::Own,
        price_source: PriceSource::Table,
        pool: PoolRules::OF_PROVIDER,
        discovery: None,
    }
}

fn from_file(
    reader: &SettingsReader<'_>,
    sources: &SourceSettings,
    entries: &mut Entries<ProviderInput>,
    providers: &mut Providers,
    notes: &mut Vec<Note>,
) {
    let mut taken = UsedNames::default();
    entries.list.retain_mut(|entry| {
        let name = entry.name.clone().filter(|name| taken.take(reader, name, "provider"));
        providers.names.extend(name.as_ref().map(|name| name.value.clone()));
        let kind = provider::kind(reader, entry);
        let Some((name, kind)) = name.zip(kind) else { return false };
        let location = &entry.location;
        if kind == ProviderKind::Mock && entry.base_url.is_none() {
            if name.value == MOCK {
                if let Some(tls) = &entry.tls {
                    upstream_tls::report_unused(reader, tls, "the built-in mock is part of this process");
                }
                providers.mock.on = true;
                providers.mock.formats = Some(formats::formats(reader, entry, kind, None));
                return true;
            }
            let expected = "`mock` for the built-in mock; another one needs its `base_url`";
            reader.bad(name.value_origin().unwrap_or(location.at), &location.name("name"), expected);
            return false;
        }
        let own = provider::base_url(reader, entry, kind).map(Input::default);
        let Some(url) = entry.base_url.take().or(own) else { return false };
        let url = entry.base_url.insert(url);
        let origin = match origin_of(kind, &url.value) {
            Ok(origin) => origin,
            Err(expected) => {
                reader.bad(url.value_origin().unwrap_or(location.at), &location.name("base_url"), expected);
                return false;
            }
        };
        url.value = origin.to_string();
        let at = url.value_origin().unwrap_or(location.at);
        let allow = link_local::is_allowed(reader, location, &entry.allow_link_local);
        let Some(origin) = link_local::checked(reader, &origin, allow, (at, &location.name("base_url"))) else {
            return false;
        };
        if origin.scheme != Scheme::Https
            && let Some(tls) = entry.tls.as_ref()
        {
            upstream_tls::report_unused(reader, tls, "`base_url` is not an `https` URL");
        }
        let formats = formats::formats(reader, entry, kind, Some(&origin));
        let account_objects = entry.account_objects.value;
        let credential = provider::credential(reader, entry, kind);
        let paths = provider::paths(entry);
        let tls = || entry.tls.as_ref().and_then(|tls| upstream_tls::load(reader, tls));
        let tls = credential.as_ref().and_then(|_| tls());
        let price_source = entry.price.as_ref().map_or(PriceSource::of_host(&origin.host), |source| source.value);
        let pool = entry.pool.plain().map_or(PoolRules::OF_PROVIDER, PoolRules::from);
        let discovery = if entry.dns.value { sources.of_provider(&origin).map(Arc::new) } else { None };
        let of = |credential| {
            let name = name.value.as_str().into();
            Arc::new(Provider {
                name,
                kind,
                formats,
                origin,
                paths,
                credential,
                tls,
                account_objects,
                price_source,
                pool,
                discovery,
            })
        };
        match credential {
            Some(credential) => providers.on.push(of(credential)),
            None => {
                notes.push(Note::ProviderOff { provider: name.value.clone() });
                providers.off.push(of(Credential::None));
                return false;
            }
        }
        true
    });
}
