//! The choice of backends, their checks, and what follows from their failures.

use std::time::Duration;

use http::HeaderValue;

use super::errors::check_codes;
use super::*;
use crate::snapshot::{
    Action, EjectionRules, HashedValue, HealthProbe, PoolRules, RetryCause, RetryRules, Strategy, Upstream,
};

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
    assert_eq!((check.unhealthy_threshold, check.healthy_threshold, check.panic_percent), (3, 2, Some(0)));
    let probe = |keys| upstream(keys).health_check.as_ref().map(|check| check.probe.clone());
    assert_eq!(probe(", health_check: {tcp: true}"), Some(HealthProbe::Tcp));
    assert_eq!(probe(", health_check: {grpc: pay.v1.Pay}"), Some(HealthProbe::Grpc { service: "pay.v1.Pay".into() }));
    assert_eq!(probe(""), None);
    let rules = EjectionRules { failures: 5, time: Duration::from_secs(30), max: 50 };
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
        (", circuit_breaker: {success_threshold: 0}", "0}", "bad_value"),
        (", circuit_breaker: {half_open_requests: 0}", "0}", "bad_value"),
        (", circuit_breaker: {timeout: 0s}", "0s", "bad_value"),
        (", circuit_breaker: {error_rate: 0%}", "0%", "bad_value"),
        (", circuit_breaker: {error_rate: 101%}", "101%", "bad_value"),
        (", circuit_breaker: {error_rate: 5%, min_requests: 0}", "0}", "bad_value"),
        (", circuit_breaker: {error_rate: 5%, window: 0s}", "0s", "bad_value"),
        (", ejection: {time: 0s}", "0s", "bad_value"),
        (", health_check: {path: /, unhealthy_threshold: 0}", "0}", "bad_value"),
        (", health_check: {path: /, healthy_threshold: 0}", "0}", "bad_value"),
        (", health_check: {path: /, timeout: 0s}", "0s", "bad_value"),
        (", health_check: {path: /, port: 0}", "0}", "bad_value"),
        (", pool: {max_connections: 0}", "0}", "bad_value"),
        (", health_check: {}", "health_check", "missing"),
        (", health_check: {path: health}", "health}", "bad_value"),
        (", health_check: {tcp: false}", "false", "bad_value"),
        (", health_check: {path: /, tcp: true}", "health_check", "bad_value"),
        (", health_check: {path: /, status: 299-200}", "299-200", "bad_value"),
        (", health_check: {path: /, interval: 0s}", "0s", "bad_value"),
        (", health_check: {path: /, headers: {Host: a}}", "Host", "bad_value"),
        (", health_check: {script: [check.sh]}", "check.sh", "bad_value"),
        (", health_check: {script: []}", "script", "bad_value"),
        (", health_check: {script: [/bin/true], tcp: true}", "health_check", "bad_value"),
    ] {
        check_codes(&with(keys), &[(code, 1, at(keys, part))]);
    }
    let drained = "upstreams: [{name: u, backends: [{url: http://a, weight: 0}, {url: http://b, weight: 0}]}]\n";
    check_codes(drained, &[("bad_value", 1, u32::try_from(drained.find("0}").unwrap() + 1).unwrap())]);
}

#[test]
fn retries_and_pools_are_read() {
    assert_eq!(upstream("").retry, None, "they are off by default");
    assert_eq!(upstream("").pool, PoolRules::DEFAULT);
    let given = upstream(", retry: {}, pool: {}");
    let statuses = [502, 503, 504].map(RetryCause::Status);
    let causes: Vec<_> = [RetryCause::Connect, RetryCause::Reset].into_iter().chain(statuses).collect();
    let defaults = RetryRules {
        attempts: 2,
        allows_unsafe: false,
        backoff: Duration::from_millis(25),
        backoff_max: Duration::from_secs(1),
        causes: causes.into(),
        budget_percent: 20,
        body_bytes_max: 64 << 10,
    };
    assert_eq!((given.retry.as_deref(), given.pool), (Some(&defaults), PoolRules::DEFAULT));
    let own =
        upstream(", retry: {attempts: 1, unsafe: true, on: [5xx, 429, timeout]}, pool: {idle: 2, max_connections: 9}");
    let rules = own.retry.as_deref().unwrap();
    assert_eq!(*rules.causes, [RetryCause::ServerErrors, RetryCause::Status(429), RetryCause::Timeout]);
    assert!([500, 511, 429].into_iter().all(|status| rules.includes_status(status)) && !rules.includes_status(400));
    assert_eq!((own.pool.idle, own.pool.max_connections, own.pool.pending), (2, Some(9), 1_024));
    for off in [", retry: {attempts: 0}", ", retry: {on: []}"] {
        assert_eq!(upstream(off).retry, None);
    }
    for (keys, code) in [
        (", retry: {attempts: 11}", "bad_value"),
        (", retry: {on: [200]}", "bad_value"),
        (", retry: {on: [reset, 4xx]}", "bad_value"),
        (", retry: {budget: 101%}", "bad_value"),
        (", retry: {body: 2MiB}", "bad_value"),
        (", retry: {max_backoff: 2m}", "bad_value"),
        (", pool: {max_connections: 0}", "bad_value"),
        (", pool: {idle_timeout: 0s}", "bad_value"),
        (", pool: {max: 1}", "unknown_key"),
    ] {
        let error = read_text(&with(keys)).map(|_| ()).expect_err(keys);
        assert_eq!(error.problems[0].code.name(), code, "{keys}: {error}");
    }
}

#[test]
fn a_provider_may_be_silent_as_long_as_before_its_first_byte_and_a_client_as_of_any_route() {
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let seconds = Duration::from_secs;
    for (source, expected) in [
        ("", (minutes(10), seconds(60))),
        ("timeouts: {idle: 5s}", (minutes(10), seconds(5))),
        ("ai: {timeouts: {first_byte: 2m}}", (minutes(2), seconds(60))),
        ("ai: {timeouts: {idle: 3m}}", (minutes(3), minutes(3))),
    ] {
        let timeouts = snapshot(source).traffic.ai.as_ref().unwrap().timeouts;
        assert_eq!((timeouts.idle, timeouts.client_idle), expected, "{source}");
    }
}

#[test]
fn a_route_has_its_own_timeouts_and_its_fallback() {
    let policy = |keys: &str| {
        let source = format!("{}timeouts: {{total: 9s}}\nroutes: [{{path: /, upstreams: u{keys}}}]\n", with(""));
        let snapshot = snapshot(&source);
        let route = snapshot.traffic.router.routes()[0].clone();
        (route.policy.clone(), snapshot.traffic.shortest_timeout)
    };
    let seconds = Duration::from_secs;
    let (inherited, shortest) = policy("");
    assert_eq!((inherited.timeouts.total, inherited.timeouts.bounds_streams), (Some(seconds(9)), false));
    assert!(inherited.timeouts.total_of(true) > seconds(1_000_000) && inherited.timeouts.total_of(false) == seconds(9));
    assert_eq!((inherited.fallback.is_none(), shortest), (true, seconds(9)));
    let (own, shortest) = policy(", timeouts: {total: 5s, first_byte: 2s}");
    assert_eq!((own.timeouts.total_of(true), own.timeouts.first_byte, shortest), (seconds(5), seconds(2), seconds(2)));
    assert_eq!(own.timeouts.idle, seconds(60));
    let (unlimited, _) = policy(", timeouts: {total: none}");
    assert!(unlimited.timeouts.total_of(false) > seconds(1_000_000));
    let (other, _) = policy(", fallback: {body: later, headers: {X-A: b}}");
    let fallback = other.fallback.as_ref().unwrap();
    assert_eq!(
        (fallback.status.as_u16(), &fallback.body[..], &fallback.headers["x-a"]),
        (503, &b"later"[..], &HeaderValue::from_static("b"))
    );
    for key in ["timeouts: {idle: 1s}", "fallback: {}"] {
        let source = format!("routes: [{{path: /, respond: {{}}, {key}}}]");
        assert_eq!(read_text(&source).map(|_| ()).unwrap_err().problems[0].code.name(), "bad_value", "{key}");
    }
}

#[test]
fn routes_have_labels_of_at_most_four_names() {
    let labels = |labels: &str| {
        let source = format!(
            "routes: [{{path: /a, respond: {{}}, labels: {{{labels}}}}}, {{path: /b, respond: {{}}, labels: {{e: x}}}}]"
        );
        read_text(&source).map(|loaded| loaded.snapshot.traffic.router.routes()[0].policy.labels.text.to_string())
    };
    assert_eq!(labels("").unwrap(), "");
    assert_eq!(labels("tier: gold, team: accounts").unwrap(), "team=accounts,tier=gold");
    assert!(labels("a: x, b: x, c: x").is_ok());
    for invalid in ["a: x, b: x, c: x, d: x", "route: x", "1a: x", "a-b: x", "a: 'x y'", "a: ''", "a: 'x,b=c'"] {
        assert_eq!(labels(invalid).unwrap_err().problems[0].code.name(), "bad_value", "{invalid}");
    }
}

#[test]
fn a_check_may_be_a_script() {
    let check = upstream(", health_check: {script: [/opt/check.sh, --fast]}").health_check.clone().unwrap();
    assert_eq!(check.probe, HealthProbe::Script(vec!["/opt/check.sh".to_owned(), "--fast".to_owned()]));
}
