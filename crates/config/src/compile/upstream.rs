//! Compiles `upstreams`.

use std::collections::HashMap;
use std::sync::Arc;

use super::upstream_tls::upstream_tls;
use super::{UsedNames, link_local};
use crate::error::{At, Code, Problem};
use crate::input::Input;
use crate::schema::field::Entries;
use crate::schema::traffic::{BackendInput, CircuitBreakerInput, UpstreamInput};
use crate::section::Reader;
use crate::snapshot::{Backend, BreakerRules, ErrorRate, Origin, Upstream};

/// The upstreams, and every name in the file, so that one invalid upstream is not reported again for each route.
pub(super) struct Upstreams {
    pub(super) list: Vec<Arc<Upstream>>,
    names: Vec<String>,
    by_name: HashMap<String, Option<Arc<Upstream>>>,
}

/// Compiles the upstreams; `breaker` is that of upstreams without their own.
pub(super) fn upstreams(
    reader: &Reader<'_>,
    entries: &Entries<UpstreamInput>,
    breaker: Option<BreakerRules>,
) -> Upstreams {
    let mut taken = UsedNames::default();
    let mut upstreams = Upstreams { list: Vec::new(), names: Vec::new(), by_name: HashMap::new() };
    for entry in &entries.list {
        let UpstreamInput { name, backends, strategy, .. } = entry;
        let Some(name) = name.as_ref().filter(|name| taken.take(reader, name, "upstream")) else { continue };
        let backends =
            self::backends(reader, backends, link_local::is_allowed(reader, &entry.location, &entry.allow_link_local));
        let tls = upstream_tls(reader, entry, &backends);
        let (name_text, place) = (name.value.as_str().into(), entry.location.at.place());
        let breaker = entry.circuit_breaker.as_ref().map(self::breaker).or(breaker);
        let upstream = Upstream { name: name_text, backends, strategy: strategy.value, tls, breaker, place };
        // An upstream without a valid backend has been reported; its name exists.
        let upstream = (!upstream.backends.is_empty()).then(|| Arc::new(upstream));
        upstreams.list.extend(upstream.clone());
        upstreams.names.push(name.value.clone());
        upstreams.by_name.insert(name.value.clone(), upstream);
    }
    upstreams
}

/// Returns the rules of a circuit breaker.
pub(super) fn breaker(input: &CircuitBreakerInput) -> BreakerRules {
    let (min_requests, window) = (input.min_requests.value, input.window.value);
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
fn backends(reader: &Reader<'_>, entries: &Entries<BackendInput>, allow_link_local: bool) -> Vec<Backend> {
    let mut taken: HashMap<&Origin, Option<At>> = HashMap::new();
    let mut backends = Vec::new();
    for BackendInput { location, url, weight } in &entries.list {
        let Some(url) = url else { continue };
        if let Some(first) = taken.get(&url.value) {
            let problem = Problem::new(Code::Duplicate, url.at(), "a second backend of the upstream has this URL");
            reader.report(problem.expected("another URL, or a higher `weight` of the first").first(*first));
            continue;
        }
        taken.insert(&url.value, url.at());
        let place = (url.at().unwrap_or(location.at), location.name("url"));
        let origin = link_local::checked(reader, &url.value, allow_link_local, (place.0, &place.1));
        backends.extend(origin.map(|origin| Backend { origin, weight: weight.value }));
    }
    backends
}

/// Returns the upstream of this name; `None` if it is invalid.
pub(super) fn upstream(reader: &Reader<'_>, name: &Input<String>, upstreams: &Upstreams) -> Option<Arc<Upstream>> {
    let Some(upstream) = upstreams.by_name.get(&name.value) else {
        reader.unknown_name(name, "upstream", upstreams.names.iter().map(String::as_str));
        return None;
    };
    upstream.clone()
}
