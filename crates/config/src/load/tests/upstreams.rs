//! The choice of backends, their checks, and what follows from their failures.

use std::time::Duration;

use super::errors::check_codes;
use super::*;
use crate::snapshot::{Action, EjectionRules, HashedValue, HealthProbe, Strategy, Upstream};

fn with(keys: &str) -> String {
    format!("upstreams: [{{name: u, backends: [{{url: http://h}}, {{url: http://i}}]{keys}}}]\n")
}

fn upstream(keys: &str) -> Arc<Upstream> {
    snapshot(&with(keys)).traffic.upstreams[0].clone()
}

/// The blocks as users first wrote them.
#[test]
fn the_blocks_of_breakers_and_upstreams_load_as_they_were_written() {
    let breaker = "
circuit_breaker:
  failure_threshold: 5
  success_threshold: 2
  timeout: 60s
  half_open_requests: 3
";
    let upstreams = "
upstreams:
  - name: user-service
    strategy: round_robin
    backends:
      - url: http://backend-1:8080
        weight: 1
      - url: http://backend-2:8080
        weight: 2
    health_check:
      path: /health
      interval: 10s
      timeout: 5s
      unhealthy_threshold: 3
      healthy_threshold: 2
";
    let both = snapshot(&format!("{breaker}{upstreams}"));
    let rules = both.traffic.upstreams[0].breaker.unwrap();
    assert_eq!((rules.failure_threshold, rules.timeout), (5, Duration::from_secs(60)));
    assert!(both.traffic.upstreams[0].health_check.is_some());
    assert_eq!(snapshot(breaker).traffic.breaker, Some(rules));
}

#[test]
fn strategies_are_read() {
    let hash = Strategy::Hash;
    for (keys, expected) in [
        ("", Strategy::RoundRobin),
        (", strategy: weighted_round_robin", Strategy::RoundRobin),
        (", strategy: least_connections", Strategy::LeastConnections),
        (", strategy: ewma", Strategy::Ewma),
        (", strategy: random", Strategy::Random),
        (", strategy: ip_hash", hash(HashedValue::Address)),
        (", strategy: hash, hash: {header: X-User}", hash(HashedValue::Header("x-user".into()))),
        (", strategy: hash, hash: {cookie: s}", hash(HashedValue::Cookie("s".into()))),
        (", strategy: hash, hash: {claim: tenant}", hash(HashedValue::Claim("tenant".into()))),
        (", strategy: hash, hash: {query: id}", hash(HashedValue::Query("id".into()))),
    ] {
        assert_eq!(upstream(keys).strategy, expected, "{keys}");
    }
    assert_eq!(upstream("").slow_start, Duration::from_secs(10));
}

#[test]
fn a_route_has_its_strategy_and_the_upstreams_value() {
    let routes = "routes: [{path: /a, upstreams: u, strategy: hash}, {path: /b, upstreams: u}]\n";
    let snapshot = snapshot(&format!("{}{routes}", with(", hash: {cookie: s}")));
    let strategies = snapshot.traffic.router.routes().iter().filter_map(|route| {
        let Action::Forward(upstream) = &route.action else { return None };
        Some(upstream.strategy.clone())
    });
    let expected = [Strategy::Hash(HashedValue::Cookie("s".into())), Strategy::RoundRobin];
    assert_eq!(strategies.collect::<Vec<_>>(), expected);
}

#[test]
fn checks_and_ejections_are_read() {
    let check = upstream(", health_check: {path: '/health?a=1', host: h.test, headers: {X-A: b}, status: 204}");
    let check = check.health_check.as_ref().unwrap();
    let HealthProbe::Http { path, host, headers, statuses } = &check.probe else { panic!("{check:?}") };
    assert_eq!((path.as_str(), host.as_deref(), statuses), ("/health?a=1", Some("h.test"), &(204, 204)));
    assert_eq!(headers["x-a"], "b");
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(10), Duration::from_secs(5)));
    assert_eq!((check.unhealthy_threshold, check.healthy_threshold, check.panic_percent), (3, 2, 0));
    let probe = |keys| upstream(keys).health_check.as_ref().map(|check| check.probe.clone());
    assert_eq!(probe(", health_check: {tcp: true}"), Some(HealthProbe::Tcp));
    assert_eq!(probe(", health_check: {grpc: pay.v1.Pay}"), Some(HealthProbe::Grpc { service: "pay.v1.Pay".into() }));
    assert_eq!(probe(""), None);
    let rules = EjectionRules { failures: 5, time: Duration::from_secs(30), max_percent: 50 };
    assert_eq!((upstream(", ejection: {}").ejection, upstream("").ejection), (Some(rules), None));
}

#[test]
fn invalid_values_are_reported_at_their_places() {
    let at = |keys: &str, part: &str| u32::try_from(with(keys).find(part).unwrap() + 1).unwrap();
    for (keys, part, code) in [
        (", strategy: hash", "hash", "missing"),
        (", hash: {cookie: a, header: b}", "hash:", "bad_value"),
        (", ejection: {failures: 0}", "0}", "bad_value"),
        (", ejection: {max: 0%}", "0%", "bad_value"),
        (", circuit_breaker: {failure_threshold: 0}", "0}", "bad_value"),
        (", health_check: {}", "health_check", "missing"),
        (", health_check: {path: health}", "health}", "bad_value"),
        (", health_check: {path: /, tcp: true}", "health_check", "bad_value"),
        (", health_check: {path: /, status: 299-200}", "299-200", "bad_value"),
        (", health_check: {path: /, interval: 0s}", "0s", "bad_value"),
        (", health_check: {path: /, headers: {Host: a}}", "Host", "bad_value"),
        (", health_check: {script: [/bin/true]}", "script", "not_yet"),
    ] {
        check_codes(&with(keys), &[(code, 1, at(keys, part))]);
    }
}
