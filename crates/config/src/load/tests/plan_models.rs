//! The models, aliases and rate limits of plans.

use super::errors::check_codes;
use super::*;

fn plan(keys: &str) -> String {
    format!(
        "providers: [{{name: openai, kind: openai, credential: sk-1}}, {{name: claude, kind: anthropic, credential: sk-2}}]
models:
  - {{name: fast, targets: [{{provider: openai, model: gpt-5-mini}}]}}
  - {{name: both, targets: [{{provider: openai, model: gpt-5}}, {{provider: claude, model: opus}}]}}
  - {{name: 'own-*', targets: [{{provider: openai, model: 'gpt-*'}}]}}
plans: [{{name: pro, {keys}}}]
"
    )
}

fn check(keys: &str, code: &str, place: &str) {
    let source = plan(keys);
    let column = source.lines().nth(5).unwrap().find(place).unwrap() + 1;
    check_codes(&source, &[(code, 6, u32::try_from(column).unwrap())]);
}

#[test]
fn a_plan_names_models_that_the_gateway_has() {
    for models in ["[fast, 'openai/*', claude/opus, mock]", "['*']", "['fa*', 'open*', own-1, 'own-*', 'own-1*']", "[]"]
    {
        let of = snapshot(&plan(&format!("models: {models}"))).traffic.plan_models;
        assert!(of["pro"].models.is_some(), "{models}");
    }
    assert!(snapshot(&plan("credits_per_day: 5")).traffic.plan_models.is_empty());
    check("models: [fats]", "unknown_name", "fats");
    check("models: [elsewhere/gpt-5]", "unknown_name", "elsewhere");
    check("models: ['fats*']", "unknown_name", "'fats");
    check("models: ['f*st']", "bad_value", "'f*st");
}

#[test]
fn an_alias_is_the_name_of_a_model_of_the_plan() {
    for keys in [
        "aliases: {gpt-4o: fast, gpt-4: openai/gpt-5, fast: both}",
        "models: [fast], aliases: {gpt-4o: fast}",
        "models: ['openai/*'], aliases: {gpt-4o: fast, gpt-4: own-4}",
        "models: ['own-*'], aliases: {gpt-4o: own-4}",
    ] {
        assert!(!snapshot(&plan(keys)).traffic.plan_models["pro"].aliases.is_empty(), "{keys}");
    }
    check("aliases: {gpt-4o: fats}", "unknown_name", "fats");
    check("aliases: {gpt-4o: 'own-*'}", "bad_value", "'own-*'");
    check("aliases: {'gpt-*': fast}", "bad_value", "'gpt-*'");
    check("models: [both], aliases: {gpt-4o: fast}", "unknown_name", "fast}");
    check("models: ['openai/*'], aliases: {gpt-4o: both}", "unknown_name", "both}");
}

#[test]
fn a_charge_names_no_alias() {
    let charges = |models| format!("price: 5 USD, charges: [{{name: LLM, metric: cost, models: {models}}}]");
    check(&format!("aliases: {{gpt-4o: fast}}, {}", charges("[gpt-4o]")), "unknown_name", "gpt-4o]");
}

#[test]
fn the_limits_of_a_plan_apply_to_its_clients_only() {
    let source = plan(
        "rate_limits: [{dimension: [model, user], limit: 60, window: 60s}, {dimension: ip, limit: 5, window: 1s}]",
    ) + "rate_limits: [{dimension: ip, limit: 5, window: 1s}, {dimension: [key, model], limit: 9, window: 1s}]\n";
    let limits = snapshot(&source).traffic.rate_limits;
    let named = |plan| limits.positions(plan, &(0..0)).map(|at| limits.all()[at].name.to_string()).collect::<Vec<_>>();
    assert_eq!(named(Some("pro")), ["ip", "key+model", "user+model", "ip"]);
    for plan in [None, Some("other")] {
        assert_eq!(named(plan), ["ip", "key+model"]);
    }
    assert_eq!(limits.positions_of_all_plans(&(0..0)).count(), 4);
    let [.., of_model, of_address] = limits.all() else { panic!("{limits:?}") };
    assert!(of_model.needs_call() && of_address.needs_client() && !of_address.needs_call() && limits.has_models());
    assert!(of_model.tier(Some("pro")).is_some() && of_model.tier(Some("other")).is_none());
    assert_ne!(limits.all()[0].id, of_address.id, "they count apart");
}

#[test]
fn the_limits_of_a_plan_have_no_tiers_and_those_of_routes_no_model() {
    check("rate_limits: [{dimension: user, limit: 1, window: 1s, tiers: {by: plan, pro: 5}}]", "unknown_key", "tiers");
    check("rate_limits: [{dimension: user, window: 1s}]", "missing", "{dimension");
    let twice = "rate_limits: [{dimension: user, limit: 1, window: 1s}, {dimension: [user], limit: 2, window: 1s}]";
    check(twice, "duplicate", "{dimension: [user]");
    let route = "routes: [{path: /a, respond: {}, rate_limits: [{dimension: model, limit: 1, window: 1s}]}]";
    check_codes(route, &[("bad_value", 1, 48)]);
}
