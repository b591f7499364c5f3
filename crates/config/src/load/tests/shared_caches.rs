//! Caches, and those that nodes share through Redis.

use access::exchange::shared_responses::ResponseScope;

use super::errors::check_codes;
use super::{read_text, snapshot};

const BACKEND: &str = "\nupstreams: [{name: u, backends: [{url: http://h}]}]";

#[test]
fn a_cache_in_redis_needs_redis() {
    let source = format!("routes: [{{path: /a, cache: {{store: redis}}, upstreams: u}}]{BACKEND}");
    check_codes(&source, &[("missing", 1, 21)]);
    assert!(read_text(&format!("redis: redis://h\n{source}")).is_ok());
}

#[test]
fn an_entry_is_at_most_as_large_as_its_cache() {
    for (cache, expected) in [("size: 64KiB", 64 << 10), ("size: 2MiB", 1 << 20), ("entry_max: 10KiB", 10 << 10)] {
        let snapshot = snapshot(&format!("routes: [{{path: /a, cache: {{{cache}}}, upstreams: u}}]{BACKEND}"));
        let routes = snapshot.traffic.router.routes();
        let rules = routes.iter().find_map(|route| route.policy.cache.as_ref()).unwrap();
        assert_eq!(rules.entry_bytes_max, expected, "{cache}");
    }
}

/// Returns the scopes of the routes with the paths `/a` and `/b`.
fn scopes(source: &str) -> [Option<ResponseScope>; 2] {
    let snapshot = snapshot(&format!("redis: redis://h\n{source}"));
    ["/a", "/b"].map(|name| {
        let route = snapshot.traffic.router.routes().iter().find(|route| &*route.policy.name == name).unwrap();
        route.policy.cache.as_ref().unwrap().shared_scope
    })
}

#[test]
fn equal_configurations_have_equal_scopes_and_a_change_another_one() {
    let routes = |of_a: &str, of_b: &str| {
        format!(
            "routes: [{{path: /a, cache: {{{of_a}}}, upstreams: u}}, {{path: /b, cache: {{{of_b}}}, upstreams: u}}]{BACKEND}"
        )
    };
    let base = routes("store: redis", "store: redis");
    let [a, b] = scopes(&base);
    assert!(a.is_some() && b.is_some() && a != b);
    // Neither places and comments nor keys of the process matter, which differ between nodes.
    for equal in [
        base.clone(),
        format!("# A node.\n\n{base}"),
        format!("listen: 127.0.0.1:9999\n{base}"),
        routes("ttl: null, store: redis", "shared: false, store: redis"),
    ] {
        assert_eq!(scopes(&equal), [a, b], "{equal}");
    }
    for other in [
        routes("store: redis, ttl: 1s", "store: redis"),
        base.replace("http://h", "http://i"),
        base.replace("path: /a", "auth: none, path: /a"),
        format!("{base}\nvia: true"),
    ] {
        assert!(scopes(&other).iter().zip([a, b]).all(|(other, scope)| *other != scope), "{other}");
    }
    assert_eq!(scopes(&routes("ttl: 1s", "store: redis"))[0], None);
}
