//! Compiles `upstreams`.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use settings::error::{Code, Problem, ValueOrigin};
use settings::field::Entries;
use settings::input::Input;
use settings::plain::PlainInput;
use settings::section::SettingsReader;
use tls::UpstreamTls;

use super::discover::SourceSettings;
use super::matches::exactly_one;
use super::upstream_tls::upstream_tls;
use super::{UsedNames, link_local, retry};
use crate::schema::traffic::{
    BackendInput, CircuitBreakerInput, HEALTH_KEYS_OF_REQUESTS, HashInput, HealthCheckInput, StrategyWord,
    UpstreamInput,
};
use crate::snapshot::{
    Backend, BreakerRules, ErrorRate, HashedValue, HealthCheck, HealthProbe, Origin, PoolRules, Strategy, Upstream,
};

/// The upstreams, and every name in the file, so that one invalid upstream is not reported again for each route.
pub(super) struct Upstreams {
    pub(super) list: Vec<Arc<Upstream>>,
    names: Vec<String>,
    by_name: HashMap<String, Option<Arc<Upstream>>>,
    /// What `hash` names, also if the upstream's strategy does not need it: that of a route may.
    hashes: HashMap<String, HashedValue>,
    /// The TLS to the sources of members.
    pub(super) source_tls: Vec<Arc<UpstreamTls>>,
}

/// Compiles the upstreams; `breaker` is that of upstreams without their own.
pub(super) fn upstreams(
    reader: &SettingsReader<'_>,
    entries: &Entries<UpstreamInput>,
    breaker: Option<BreakerRules>,
    sources: &SourceSettings,
) -> Upstreams {
    let mut taken = UsedNames::default();
    let mut upstreams = Upstreams {
        list: Vec::new(),
        names: Vec::new(),
        by_name: HashMap::new(),
        hashes: HashMap::new(),
        source_tls: sources.tls(),
    };
    for entry in &entries.list {
        let UpstreamInput { name, backends, .. } = entry;
        let Some(name) = name.as_ref().filter(|name| taken.take(reader, name, "upstream")) else { continue };
        let allow_link_local = link_local::is_allowed(reader, &entry.location, &entry.allow_link_local);
        let backends = self::backends(reader, backends, allow_link_local);
        let discovery = sources.discovery(reader, &backends, entry.discover.as_ref(), allow_link_local);
        let tls = upstream_tls(reader, entry, &backends);
        let name_text = name.value.as_str().into();
        let place = entry.location.at.place();
        let breaker = entry.circuit_breaker.as_ref().map(self::breaker).or(breaker);
        let hash = entry.hash.as_ref().and_then(|hash| hashed_value(reader, hash));
        let strategy = strategy(reader, &entry.strategy, hash.as_ref());
        let slow_start = entry.slow_start.value;
        let ejection = entry.ejection.plain();
        let health_check = entry.health_check.as_ref().and_then(|check| health_check(reader, check)).map(Arc::new);
        let upstream = Upstream {
            name: name_text,
            configured: backends.into(),
            discovery: discovery.map(Arc::new),
            strategy,
            slow_start,
            tls,
            breaker,
            health_check,
            ejection,
            retry: entry.retry.as_ref().and_then(retry::retry).map(Arc::new),
            pool: entry.pool.plain().unwrap_or(PoolRules::DEFAULT),
            place,
        };
        upstreams.hashes.extend(hash.map(|hash| (name.value.clone(), hash)));
        // An upstream without a valid backend has been reported; its name exists.
        let has_backends = !upstream.configured.is_empty() || upstream.discovery.is_some();
        let upstream = has_backends.then(|| Arc::new(upstream));
        upstreams.list.extend(upstream.clone());
        upstreams.names.push(name.value.clone());
        upstreams.by_name.insert(name.value.clone(), upstream);
    }
    upstreams
}

/// Returns the strategy; `hash` is the value that `hash` names.
fn strategy(reader: &SettingsReader<'_>, input: &Input<StrategyWord>, hash: Option<&HashedValue>) -> Strategy {
    match (input.value, hash) {
        (StrategyWord::RoundRobin, _) => Strategy::RoundRobin,
        (StrategyWord::LeastConnections, _) => Strategy::LeastConnections,
        (StrategyWord::Ewma, _) => Strategy::Ewma,
        (StrategyWord::Random, _) => Strategy::Random,
        (StrategyWord::IpHash, _) => Strategy::Hash(HashedValue::Address),
        (StrategyWord::Hash, Some(value)) => Strategy::Hash(value.clone()),
        (StrategyWord::Hash, None) => {
            let problem =
                Problem::new(Code::Missing, input.value_origin(), "the strategy `hash` needs a value of the request");
            reader.report(problem.expected("the upstream's `hash: {header: NAME}`, or cookie, claim or query"));
            Strategy::RoundRobin
        }
    }
}

fn hashed_value(reader: &SettingsReader<'_>, input: &HashInput) -> Option<HashedValue> {
    if !exactly_one(reader, &input.location, &["header", "cookie", "claim", "query"]) {
        return None;
    }
    let name = |name: &Input<String>| name.value.as_str().into();
    match input {
        HashInput { header: Some(header), .. } => Some(HashedValue::Header(header.value.to_lowercase().into())),
        HashInput { cookie: Some(cookie), .. } => Some(HashedValue::Cookie(name(cookie))),
        HashInput { claim: Some(claim), .. } => Some(HashedValue::Claim(name(claim))),
        HashInput { query: Some(query), .. } => Some(HashedValue::Query(name(query))),
        _ => None,
    }
}

/// Returns the checks; `None` if they have no kind, which is reported.
fn health_check(reader: &SettingsReader<'_>, input: &HealthCheckInput) -> Option<HealthCheck> {
    if !exactly_one(reader, &input.location, &["path", "tcp", "grpc", "script"]) {
        return None;
    }
    let unused = HEALTH_KEYS_OF_REQUESTS.into_iter().find(|key| input.path.is_none() && input.location.has(key));
    if let Some(key) = unused {
        reader.bad(input.location.at, &input.location.name(key), "`path`, whose requests have it, or no such key");
    }
    let probe = match input {
        HealthCheckInput { path: Some(path), host, headers, status, .. } => {
            let named = |(name, value): &(String, Input<HeaderValue>)| {
                Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value.value.clone()))
            };
            let host = host.as_ref().map(|host| host.value.clone());
            let headers = headers.iter().filter_map(named).collect();
            HealthProbe::Http { path: path.value.clone(), host, headers, statuses: status.value }
        }
        HealthCheckInput { grpc: Some(service), .. } => HealthProbe::Grpc { service: service.value.clone() },
        HealthCheckInput { tcp: Some(_), .. } => HealthProbe::Tcp,
        HealthCheckInput { script, .. } if !script.list.is_empty() => HealthProbe::Script(script_of(reader, input)?),
        _ => return None,
    };
    Some(HealthCheck {
        probe,
        port: input.port.as_ref().and_then(|port| u16::try_from(port.value).ok()),
        interval: input.interval.value,
        timeout: input.timeout.value,
        unhealthy_threshold: input.unhealthy_threshold.value,
        healthy_threshold: input.healthy_threshold.value,
        panic_percent: input.panic.value,
    })
}

/// Returns the program of a check. A text of the API cannot set it, because an admin is not the operator of the machine.
fn script_of(reader: &SettingsReader<'_>, input: &HealthCheckInput) -> Option<Vec<String>> {
    let key = input.location.name("script");
    let first = input.script.list.first()?;
    if !first.value_origin().is_none_or(|at| reader.may_allow(at, &key)) {
        let problem = Problem::new(Code::BadValue, first.value_origin(), format!("the API cannot set `{key}`"));
        reader.report(problem.expected("the entry as it is in force, or a change of the configuration file"));
        return None;
    }
    if !first.value.starts_with('/') {
        let problem =
            Problem::new(Code::BadValue, first.value_origin(), format!("the program of `{key}` has no absolute path"));
        reader.report(problem.expected("the program's absolute path, such as /opt/check.sh"));
        return None;
    }
    Some(input.script.list.iter().map(|argument| argument.value.clone()).collect())
}

/// Returns the upstream as a route with this strategy uses it. The states of its backends are the same.
pub(super) fn with_strategy(
    reader: &SettingsReader<'_>,
    upstream: &Arc<Upstream>,
    input: Option<&Input<StrategyWord>>,
    upstreams: &Upstreams,
) -> Arc<Upstream> {
    let Some(input) = input else { return upstream.clone() };
    let strategy = strategy(reader, input, upstreams.hashes.get(&*upstream.name));
    if strategy == upstream.strategy {
        upstream.clone()
    } else {
        Arc::new(Upstream { strategy, ..(**upstream).clone() })
    }
}

/// Returns the rules of a circuit breaker.
pub(super) fn breaker(input: &CircuitBreakerInput) -> BreakerRules {
    let min_requests = input.min_requests.value;
    let window = input.window.value;
    let rate = |percent: &Input<u32>| ErrorRate { percent: percent.value, min_requests, window };
    BreakerRules {
        failure_threshold: input.failure_threshold.value,
        error_rate: input.error_rate.as_ref().map(rate),
        timeout: input.timeout.value,
        half_open_requests: input.half_open_requests.value,
        success_threshold: input.success_threshold.value,
    }
}

/// Returns the backends of one upstream. Two with the same URL are reported: `weight` gives a backend more requests.
fn backends(reader: &SettingsReader<'_>, entries: &Entries<BackendInput>, allow_link_local: bool) -> Vec<Backend> {
    let mut taken: HashMap<&Origin, Option<ValueOrigin>> = HashMap::new();
    let mut backends = Vec::new();
    for BackendInput { location, url, weight } in &entries.list {
        let Some(url) = url else { continue };
        if let Some(first) = taken.get(&url.value) {
            let problem =
                Problem::new(Code::Duplicate, url.value_origin(), "a second backend of the upstream has this URL");
            reader.report(problem.expected("another URL, or a higher `weight` of the first").first(*first));
            continue;
        }
        taken.insert(&url.value, url.value_origin());
        let place = (url.value_origin().unwrap_or(location.at), location.name("url"));
        if url.value.socket_path().is_some() && !reader.may_allow(place.0, &place.1) {
            let problem = Problem::new(
                Code::BadValue,
                url.value_origin(),
                format!("the API cannot set `{}` to a Unix socket", place.1),
            );
            reader.report(problem.expected("the entry as it is in force, or a change of the configuration file"));
            continue;
        }
        let origin = link_local::checked(reader, &url.value, allow_link_local, (place.0, &place.1));
        backends.extend(origin.map(|origin| Backend { origin, weight: weight.value }));
    }
    if !backends.is_empty() && backends.iter().all(|backend| backend.weight == 0) {
        let at = entries.list.first().and_then(|entry| entry.weight.value_origin());
        let problem = Problem::new(Code::BadValue, at, "no backend of the upstream has a weight above 0");
        reader.report(problem.expected("at least one weight from 1 to 1000"));
    }
    backends
}

/// Returns the upstream of this name; `None` if it is invalid.
pub(super) fn upstream(
    reader: &SettingsReader<'_>,
    name: &Input<String>,
    upstreams: &Upstreams,
) -> Option<Arc<Upstream>> {
    let Some(upstream) = upstreams.by_name.get(&name.value) else {
        reader.unknown_name(name, "upstream", upstreams.names.iter().map(String::as_str));
        return None;
    };
    upstream.clone()
}
