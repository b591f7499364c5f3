//! Compiles `routes[].cache`.

use std::sync::Arc;

use crate::schema::process::ProcessInput;
use crate::schema::traffic::{CacheInput, CachePlace, RouteInput, TrafficInput};
use crate::snapshot::CacheRules;
use access::exchange::shared_responses::ResponseScope;
use settings::error::{Code, Problem};
use settings::field::Either;
use settings::section::SettingsReader;
use settings::section::section_input::SectionInput;
use settings::section::setting::Listing;

/// The parts of the file on which caches in Redis depend.
pub(super) struct SharedCaches {
    has_redis: bool,
    /// The scope of the whole file: another route or authentication may change a response.
    scope: Option<ResponseScope>,
}

impl SharedCaches {
    /// Returns these parts. Only a file that uses Redis for a cache has a scope.
    pub(super) fn from_inputs(reader: &SettingsReader<'_>, process: &ProcessInput, traffic: &TrafficInput) -> Self {
        let is_shared = |route: &RouteInput| route.cache.as_ref().is_some_and(is_shared);
        let scope = traffic.routes.list.iter().any(is_shared).then(|| scope(reader, traffic));
        Self { has_redis: process.redis.is_some(), scope }
    }

    /// Compiles the cache of the route with this number.
    pub(super) fn rules(&self, reader: &SettingsReader<'_>, input: &CacheInput, route: usize) -> Arc<CacheRules> {
        let scope = if is_shared(input) { self.scope } else { None };
        let shared_scope = scope.map(|scope| scope.part(route));
        if shared_scope.is_some() && !self.has_redis {
            let location = &input.location;
            let message = format!("`{}` stores responses in Redis, and the file has no Redis", location.path);
            reader.report(Problem::new(Code::Missing, location.at, message).expected("the URL of Redis in `redis`"));
        }
        Arc::new(CacheRules {
            ttl: input.ttl.as_ref().map(|ttl| ttl.value),
            vary: input.vary.list.iter().map(|name| name.value.as_str().into()).collect(),
            bytes_max: input.size.value,
            // A larger response would empty the cache, and not fit.
            entry_bytes_max: input.entry_max.value.min(input.size.value),
            shared: input.shared.value,
            tags: input.tags.as_ref().map(|name| name.value.as_str().into()),
            shared_scope,
        })
    }
}

/// Reports changes of the heads of one upstream's responses beside `cache`: stored responses would lack them. Bodies are stored as
/// they were changed.
pub(super) fn check_changes(reader: &SettingsReader<'_>, route: &RouteInput) {
    const KEYS: [&str; 4] = ["status", "remove_headers", "add_headers", "append_headers"];
    let Some(_) = &route.cache else { return };
    let Some(Either::Nested(entries)) = &route.upstreams else { return };
    for entry in &entries.list {
        let Some(response) = entry.transformations.as_ref().and_then(|both| both.response.as_ref()) else { continue };
        let location = &response.location;
        if let Some(key) = KEYS.into_iter().find(|key| location.has(key)) {
            let message = format!("stored responses of the route would lack `{key}` of `{}`", location.path);
            let problem = Problem::new(Code::BadValue, location.at, message);
            reader.report(problem.expected(format!("`{key}` in `transformations` of the route, or no `cache`")));
        }
    }
}

/// Returns the scope of all effective values: not their places, which may differ between nodes, nor secrets.
fn scope(reader: &SettingsReader<'_>, traffic: &TrafficInput) -> ResponseScope {
    let mut listing = Listing::new(reader);
    traffic.show(&mut listing);
    ResponseScope::from_settings(listing.settings.into_iter().map(|setting| (setting.key, setting.value.to_string())))
}

fn is_shared(input: &CacheInput) -> bool {
    input.store.value == CachePlace::Redis
}
