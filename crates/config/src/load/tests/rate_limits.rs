//! The rate limits of all routes, and those of single routes.

use std::num::NonZeroU32;

use meter::limiter::tokens::{TokenLimitTerms, TokenUnit};
use meter::limiter::{LimitTerms, RequestTerms};
use meter::rate::Rate;
use meter::window::Window;

use super::errors::{check, check_codes};
use super::*;
use crate::snapshot::{LimitDimension, LimitStage, RateLimit};

const ROUTES: &str = "upstreams: [{name: u, backends: [{url: http://h}]}]\nroutes: [{path: /a, upstreams: u, ";

fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn sliding(limit: u32, seconds: u64) -> LimitTerms {
    LimitTerms::Requests(RequestTerms::SlidingWindow(Window::new(some(limit), Duration::from_secs(seconds))))
}

fn only(source: &str) -> RateLimit {
    let limits = snapshot(source).traffic.rate_limits;
    let [limit] = limits.all() else { panic!("{limits:?}") };
    limit.clone()
}

/// The block of the users' first sketch of this product, unchanged.
#[test]
fn the_sketched_block_is_read() {
    let source = "
rate_limits:
  - dimension: ip
    limit: 100
    window: 60s
  - dimension: user
    limit: 1000
    window: 3600s
";
    let traffic = snapshot(source).traffic;
    let [ip, user] = traffic.rate_limits.all() else { panic!("{:?}", traffic.rate_limits) };
    assert_eq!((&*ip.name, ip.needs_client(), &*user.name, user.needs_client()), ("ip", false, "user", true));
    let ip = ip.tier(None).unwrap();
    let user = user.tier(Some("any")).unwrap();
    assert_eq!((ip.terms, user.terms), (sliding(100, 60), sliding(1_000, 3_600)));
    assert_eq!((&*ip.policy, &*user.policy), ("\"ip\";q=100;w=60", "\"user\";q=1000;w=3600"));
    assert!(traffic.unauthenticated.is_some(), "the default for requests without a key remains");
}

#[test]
fn combinations_algorithms_and_units_are_read() {
    let rate = Rate::new(some(100), Duration::from_secs(60)).with_burst(some(20));
    let bucket = LimitTerms::Requests(RequestTerms::TokenBucket(rate));
    for (entry, name, terms, policy) in [
        (
            "{dimension: [route, ip], limit: 100, window: 60s, algorithm: token_bucket, burst: 20}",
            "ip+route",
            bucket,
            "\"ip+route\";q=100;w=60",
        ),
        (
            "{dimension: user, unit: concurrent, limit: 20}",
            "user",
            LimitTerms::Concurrent(some(20)),
            "\"user\";q=20;qu=\"concurrent-requests\"",
        ),
        (
            "{dimension: {header: X-Tenant}, limit: 5, window: 1d}",
            "header:x-tenant",
            sliding(5, 86_400),
            "\"header:x-tenant\";q=5;w=86400",
        ),
        (
            "{dimension: [global], limit: 1000000, window: 1500ms}",
            "global",
            sliding(1_000_000, 0),
            "\"global\";q=1000000;w=2",
        ),
    ] {
        let limit = only(&format!("rate_limits: [{entry}]"));
        let tier = limit.tier(None).unwrap();
        assert_eq!((&*limit.name, &*tier.policy), (name, policy), "{entry}");
        if name != "global" {
            assert_eq!(tier.terms, terms, "{entry}");
        }
    }
}

#[test]
fn limits_of_tokens_have_larger_numbers_and_apply_to_calls() {
    let minute = Duration::from_secs(60);
    let window = |unit, limit| TokenLimitTerms::sliding_window(unit, some(limit), minute);
    let bucket = TokenLimitTerms::token_bucket(TokenUnit::Output, some(1_000_000_000), minute, some(500));
    for (entry, name, terms, policy) in [
        (
            "{dimension: [model, key], unit: tokens, limit: 200000, window: 60s}",
            "key+model:tokens",
            window(TokenUnit::All, 200_000),
            "\"key+model:tokens\";q=200000;qu=\"tokens\";w=60",
        ),
        (
            "{dimension: plan, unit: input_tokens, limit: 30000000, window: 1m}",
            "plan:input_tokens",
            window(TokenUnit::Input, 30_000_000),
            "\"plan:input_tokens\";q=30000000;qu=\"input_tokens\";w=60",
        ),
        (
            "{dimension: global, unit: output_tokens, limit: 1000000000, window: 1m, algorithm: token_bucket, burst: 500}",
            "global:output_tokens",
            bucket,
            "\"global:output_tokens\";q=1000000000;qu=\"output_tokens\";w=60",
        ),
    ] {
        let limits = snapshot(&format!("rate_limits: [{entry}]")).traffic.rate_limits;
        let [limit] = limits.all() else { panic!("{limits:?}") };
        let tier = limit.tier(None).unwrap();
        assert_eq!((&*limit.name, tier.terms, &*tier.policy), (name, LimitTerms::Tokens(terms), policy), "{entry}");
        assert!(limit.needs_call() && limit.needs_client() && limits.has_tokens() && !limits.has_models(), "{entry}");
    }
    let tiers = "tiers: {by: plan, pro: 2000000}, unit: tokens, window: 1m";
    let of_plan = only(&format!("rate_limits: [{{dimension: user, {tiers}}}]"));
    assert_eq!(of_plan.tier(Some("pro")).unwrap().terms, LimitTerms::Tokens(window(TokenUnit::All, 2_000_000)));
    assert_eq!(only("rate_limits: [{dimension: plan, limit: 5, window: 1s}]").stage, LimitStage::Client);
}

#[test]
fn a_route_has_its_own_limits_beside_those_of_all() {
    let source = format!(
        "{ROUTES}rate_limit: {{requests: 9, window: 60s}}, rate_limits: [{{dimension: global, limit: 3, window: 1s}}]}}, \
         {{path: /b, upstreams: u}}]\nrate_limits: [{{dimension: ip, limit: 1, window: 1s}}]"
    );
    let traffic = snapshot(&source).traffic;
    let limits = &traffic.rate_limits;
    let names = |path: &str| {
        let requested = crate::RouteRequest {
            method: "GET",
            host: b"",
            path,
            listener: 0,
            parts: &crate::snapshot::WrittenParts::default(),
        };
        let crate::Match::Route(route) = traffic.router.find(requested) else { panic!("{path}") };
        limits
            .positions(None, &route.policy.rate_limits)
            .map(|position| limits.all()[position].name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (names("/a"), names("/b")),
        (vec!["ip".into(), "client".into(), "global".into()], vec!["ip".to_owned()])
    );
    assert_eq!(*limits.all()[1].dimensions, [LimitDimension::Client]);
    assert_eq!(limits.all()[1].tier(None).unwrap().terms, sliding(9, 60));
}

#[test]
fn a_plan_has_its_own_number_of_requests() {
    let with_rest =
        only("rate_limits: [{dimension: ip, limit: 7, tiers: {by: plan, free: 100, pro: 1000}, window: 60s}]");
    let without = only("rate_limits: [{dimension: user, tiers: {by: plan, free: 100}, window: 60s}]");
    assert!(with_rest.needs_client());
    let terms = |limit: &RateLimit, plan: Option<&str>| limit.tier(plan).map(|tier| tier.terms);
    for (plan, rest, none) in [
        (Some("free"), Some(sliding(100, 60)), Some(sliding(100, 60))),
        (Some("pro"), Some(sliding(1_000, 60)), None),
        (Some("other"), Some(sliding(7, 60)), None),
        (None, Some(sliding(7, 60)), None),
    ] {
        assert_eq!((terms(&with_rest, plan), terms(&without, plan)), (rest, none), "{plan:?}");
    }
}

#[test]
fn limits_are_leased_unless_they_are_small_or_exact() {
    for (entry, is_exact) in [
        ("limit: 100", true),
        ("limit: 101", false),
        ("limit: 101, consistency: leased", false),
        ("limit: 101, consistency: exact", true),
        ("limit: 100, consistency: leased", true),
        ("limit: 100, algorithm: token_bucket", true),
        ("limit: 101, algorithm: token_bucket", false),
        ("limit: 101, algorithm: token_bucket, consistency: exact", true),
    ] {
        let limit = only(&format!("rate_limits: [{{dimension: ip, window: 60s, {entry}}}]"));
        assert_eq!(limit.tier(None).unwrap().is_exact, is_exact, "{entry}");
    }
}

#[test]
fn a_changed_number_keeps_the_counters() {
    let id = |entry: &str| only(&format!("rate_limits: [{entry}]")).id;
    let first = id("{dimension: [ip, route], limit: 5, window: 60s}");
    assert_eq!(first, id("{dimension: [route, ip], limit: 6, window: 1m}"));
    for other in [
        "{dimension: ip, limit: 5, window: 60s}",
        "{dimension: [ip, route], limit: 5, window: 61s}",
        "{dimension: [ip, route], limit: 5, window: 60s, algorithm: token_bucket}",
        "{dimension: [ip, route], limit: 5, unit: concurrent}",
        "{dimension: [ip, route], limit: 5, window: 60s, unit: tokens}",
        "{dimension: [ip, route], limit: 5, window: 60s, unit: input_tokens}",
    ] {
        assert_ne!(first, id(other), "{other}");
    }
}

#[test]
fn a_named_route_keeps_the_counters_if_it_selects_other_requests() {
    let of_routes = |routes: &str| {
        let limits = snapshot(&format!("routes: [{routes}]")).traffic.rate_limits;
        limits.all().iter().map(|limit| limit.id.clone()).collect::<Vec<_>>()
    };
    let rest = "respond: {}, rate_limits: [{dimension: ip, limit: 5, window: 60s}]}";
    let id = |selectors: &str| of_routes(&format!("{{{selectors}, {rest}"));
    let named = id("name: a, path: /a");
    for other in
        ["path: [/a, /b]", "path: /a, methods: [GET]", "path: /a, host: b.example", "path: /a, headers: {x: y}"]
    {
        assert_eq!(id(&format!("name: a, {other}")), named, "{other}");
        assert_ne!(id(other), id("path: /a"), "{other}: only these distinguish routes without names");
    }
    assert_ne!(id("name: b, path: /a"), named);
    let both = of_routes(&format!("{{name: a, path: /a, {rest}, {{path: /a, methods: [GET], {rest}"));
    assert_ne!(both[0], both[1]);
}

#[test]
fn limits_that_cannot_be_are_refused_at_their_place() {
    for (entry, code, column) in [
        ("{dimension: ip, limit: 0, window: 1s}", "bad_value", 38),
        ("{dimension: ip, limit: 9223372036854775808, window: 1s}", "bad_value", 38),
        ("{dimension: ip, limit: 1, window: 0s}", "bad_value", 49),
        ("{dimension: ip, limit: 1, window: 365d}", "bad_value", 49),
        ("{dimension: ip, limit: 1}", "missing", 15),
        ("{dimension: ip, window: 1s}", "missing", 15),
        ("{limit: 1, window: 1s}", "missing", 15),
        ("{dimension: host, limit: 1, window: 1s}", "bad_value", 27),
        ("{dimension: [], limit: 1, window: 1s}", "bad_value", 16),
        ("{dimension: [ip, host], limit: 1, window: 1s}", "bad_value", 32),
        ("{dimension: [ip, user, key, route, global], limit: 1, window: 1s}", "bad_value", 50),
        ("{dimension: {claim: ''}, limit: 1, window: 1s}", "bad_value", 35),
        ("{dimension: {}, limit: 1, window: 1s}", "missing", 16),
        ("{dimension: {claim: a, header: b}, limit: 1, window: 1s}", "bad_value", 16),
        ("{dimension: ip, tiers: {by: {claim: a}}, window: 1s}", "bad_value", 15),
        ("{dimension: ip, tiers: {by: {}, free: 1}, window: 1s}", "missing", 39),
        ("{dimension: ip, tiers: {by: plan, free: {claim: a}}, window: 1s}", "bad_value", 49),
        ("{dimension: {header: 'a b'}, limit: 1, window: 1s}", "bad_value", 36),
        ("{dimension: ip, limit: 1, window: 1s, burst: 5}", "bad_value", 60),
        ("{dimension: ip, limit: 1, window: 1d, algorithm: token_bucket, burst: 367}", "bad_value", 15),
        ("{dimension: ip, limit: 1, window: 1s, unit: bytes}", "bad_value", 59),
        ("{dimension: ip, limit: 1, window: 1s, unit: concurrent}", "bad_value", 15),
        ("{dimension: ip, limit: 1, unit: concurrent, burst: 4}", "bad_value", 15),
        ("{dimension: ip, limit: 1, window: 1s, consistency: loose}", "bad_value", 66),
        ("{dimension: ip, limit: 1, unit: concurrent, consistency: exact}", "bad_value", 72),
        ("{dimension: ip, tiers: {free: 1}, window: 1s}", "bad_value", 15),
        ("{dimension: ip, tiers: {by: plan}, window: 1s}", "bad_value", 15),
        ("{dimension: ip, tiers: {by: plan, free: plan}, window: 1s}", "bad_value", 55),
        ("{dimension: ip, tiers: {by: 5, free: 1}, window: 1s}", "bad_value", 43),
        ("{dimension: ip, tiers: {by: plan, Free: 1}, window: 1s}", "bad_value", 49),
        ("{dimension: ip, tiers: {by: plan, free: 0, pro: 1}, window: 1s}", "bad_value", 55),
        ("{dimension: [ip, ip], limit: 1, window: 1s}", "duplicate", 15),
        ("{dimension: key, limit: 1000001, window: 1s}", "bad_value", 39),
        ("{dimension: key, limit: 1000001, unit: concurrent}", "bad_value", 39),
        ("{dimension: key, tiers: {by: plan, free: 1000001}, window: 1s}", "bad_value", 56),
        ("{dimension: key, limit: 1000000001, unit: tokens, window: 1s}", "bad_value", 39),
        ("{dimension: key, limit: 5, unit: tokens}", "missing", 15),
        ("{dimension: key, limit: 5, unit: tokens, window: 1s, consistency: exact}", "bad_value", 81),
        ("{dimension: key, limit: 5, unit: tokens, window: 1s, burst: 5}", "bad_value", 75),
    ] {
        check_codes(&format!("rate_limits: [{entry}]"), &[(code, 1, column)]);
    }
    check_codes(&format!("{ROUTES}rate_limit: {{requests: 0, window: 1s}}}}]"), &[("bad_value", 2, 58)]);
    check_codes(&format!("{ROUTES}rate_limit: {{requests: 1}}}}]"), &[("missing", 2, 35)]);
    check(
        &format!("{ROUTES}rate_limits: [{{dimension: ip, unit: tokens, limit: 5, window: 1s}}]}}]"),
        "
error[bad_value]: `routes[0].rate_limits[0].unit` has an invalid value
 --> t.yaml:2:71
  |
2 | routes: [{path: /a, upstreams: u, rate_limits: [{dimension: ip, unit: tokens, limit: 5, window: 1s}]}]
  |                                                                       ^^^^^^ expected `requests` or `concurrent`: requests of a route have no tokens. Limits of tokens belong into the top-level `rate_limits` or `plans[].rate_limits`, which apply to LLM endpoints",
    );
    let without = "rate_limits: [{dimension: ip, limit: 1, window: 1s, without: key}]}]";
    check_codes(&format!("{ROUTES}{without}"), &[("unknown_key", 2, 87)]);
}

#[test]
fn a_claim_is_a_dimension_and_decides_the_tier() {
    let limit = only(
        "rate_limits: [{dimension: {claim: 'https://h/\"tenant'}, tiers: {by: {claim: tier}, free: 100, Pro Team: 1000}, window: 60s}]",
    );
    assert!(limit.needs_client());
    assert_eq!(*limit.dimensions, [LimitDimension::Claim("https://h/\"tenant".into())]);
    assert_eq!(limit.tier_by, crate::snapshot::TierBy::Claim("tier".into()));
    let terms = |tier: Option<&str>| limit.tier(tier).map(|tier| tier.terms);
    assert_eq!((terms(Some("Pro Team")), terms(Some("pro")), terms(None)), (Some(sliding(1_000, 60)), None, None));
    assert_eq!(&*limit.tier(Some("free")).unwrap().policy, "\"claim:https://h/_tenant\";q=100;w=60");
}

#[test]
fn two_limits_that_count_the_same_are_refused() {
    check(
        "rate_limits:\n  - {dimension: [ip, route], limit: 5, window: 60s}\n  - {dimension: [route, ip], limit: 9, window: 1m}\n",
        "
error[duplicate]: a second rate limit counts the same requests by the same dimension in the same window
 --> t.yaml:3:5
  |
3 |   - {dimension: [route, ip], limit: 9, window: 1m}
  |     ^ expected another `dimension`, `unit`, `algorithm` or `window`
  = the first is at t.yaml:2:5",
    );
    // The same limit of two routes, and one of a route beside one of all routes, are different.
    snapshot(&format!(
        "{ROUTES}rate_limits: [{{dimension: ip, limit: 1, window: 1s}}]}}, \
         {{path: /b, upstreams: u, rate_limits: [{{dimension: ip, limit: 1, window: 1s}}]}}, \
         {{path: /c, upstreams: u, rate_limit: {{requests: 1, window: 1s}}}}, \
         {{path: {{prefix: /c}}, headers: {{x: y}}, upstreams: u, rate_limit: {{requests: 1, window: 1s}}}}, \
         {{path: {{prefix: /c}}, methods: [GET], upstreams: u, rate_limit: {{requests: 1, window: 1s}}}}, \
         {{path: {{prefix: /c}}, methods: [POST], upstreams: u, rate_limit: {{requests: 1, window: 1s}}}}]\n\
         rate_limits: [{{dimension: ip, limit: 1, window: 1s}}]"
    ));
}
