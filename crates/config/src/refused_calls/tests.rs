use access::Day;
use settings::environment::Environment;

use crate::load::{LoadedConfig, Sources, load_text};
use crate::sources::flags::Flags;

fn loaded(source: &str, flags: Flags) -> LoadedConfig {
    let environment = Environment::default();
    load_text("t.yaml", source, Sources { file: None, environment: &environment, flags })
        .unwrap_or_else(|error| panic!("{error}"))
}

fn notes(source: &str) -> Vec<String> {
    let loaded = loaded(source, Flags::default());
    let at = Day::parse("2026-11-30").unwrap().start();
    let refused = loaded.snapshot.traffic.refused_calls(at);
    refused.iter().chain(&loaded.snapshot.payments_missing()).map(ToString::to_string).collect()
}

const PROVIDER: &str =
    "providers: [{name: own, kind: openai, base_url: 'https://llm.example.com/v1', credential: k}]\n";

#[test]
fn models_without_a_price_are_named_with_the_money_budget_that_refuses_them() {
    let models = "models: [{name: fast, targets: [{provider: own, model: m}]}, {name: all-*, targets: [{provider: own, model: '*'}]}]\n";
    let plan = "plans: [{name: retail, budgets: [{money: '5 USD', per: day}]}]\n";
    let expected = "under the money budget of the plan retail, calls are refused (price_unknown), as these models have no price: \
        fast (own/m); add them to `prices`, or set `price_as`";
    assert_eq!(notes(&format!("{PROVIDER}{models}{plan}")), [expected]);
    let limits = "budgets: {limits: [{dimension: user, money: '5 USD', per: day}]}\n";
    let noted = notes(&format!("{PROVIDER}{models}{plan}{limits}"));
    assert!(noted.len() == 1 && noted[0].starts_with("under the money budget of budgets.limits, "), "{noted:?}");
    let none = [
        // A price, another measure, and a plan without this model.
        format!("{PROVIDER}{models}{plan}prices: [{{model: own/m, input: '1', output: '2'}}]\n"),
        format!("{PROVIDER}{models}plans: [{{name: retail, budgets: [{{tokens: 5, per: day}}]}}]\n"),
        format!(
            "{PROVIDER}{models}plans: [{{name: retail, models: [own/x], budgets: [{{money: '5 USD', per: day}}]}}]\n"
        ),
        format!("{PROVIDER}{models}{plan}ai: {{enabled: false}}\n"),
    ];
    for source in none {
        assert_eq!(notes(&source), [""; 0], "{source}");
    }
}

#[test]
fn a_plan_whose_models_are_off_and_a_sale_without_payments_are_noted() {
    let off = "providers: [{name: own, kind: openai, credential: k}, {name: off, kind: gemini, credential: ''}]\n\
        models: [{name: fast, targets: [{provider: off, model: m}]}]\n";
    let plan = "plans: [{name: small, models: [fast]}, {name: large, models: [fast, own/gpt-5]}]\n";
    assert_eq!(
        notes(&format!("{off}{plan}")),
        ["no model of the plan small is served: its LLM calls are refused (model_not_found)"]
    );
    let mocked = format!("mock: true\n{off}{plan}");
    assert_eq!(notes(&mocked), [""; 0]);
    let sold = "plans: [{name: pro, price: '5 IDR'}]\nbilling: {enabled: true, fallback_plan: pro}\n";
    let expected = "billing is on without `midtrans.server_key`: customers cannot pay their invoices";
    assert_eq!(notes(sold), [expected]);
    assert_eq!(notes(&format!("{sold}midtrans: {{server_key: k}}\n")), [""; 0]);
    assert_eq!(notes(&sold.replace("enabled", "stub: true, enabled")), [""; 0], "the stub takes payments");
}

#[test]
fn the_mock_takes_the_place_of_no_provider_where_plans_are_sold() {
    let off = "providers: [{name: own, kind: openai, credential: ''}]\nmodels: [{name: fast, targets: [{provider: own, model: m}]}]\n";
    let budget = "plans: [{name: retail, budgets: [{tokens: 5, per: day}]}]\n";
    let billing = "billing: {enabled: true}\n";
    for (source, flags, is_on) in [
        (off.to_owned(), Flags::default(), true),
        (format!("{off}{budget}"), Flags::default(), false),
        (format!("{off}{billing}"), Flags::default(), false),
        (format!("{off}{}", billing.replace("enabled", "stub: true, enabled")), Flags::default(), true),
        (format!("{off}{budget}mock: true\n"), Flags::default(), true),
        (format!("{off}{budget}"), Flags { mock: true, ..Flags::default() }, true),
        (format!("providers: [{{name: mock, kind: mock}}]\n{budget}"), Flags::default(), true),
    ] {
        let loaded = loaded(&source, flags);
        assert_eq!(loaded.snapshot.traffic.mock.on, is_on, "{source}");
        let noted = loaded.notes.iter().filter(|note| note.to_string().starts_with("no provider is on")).count();
        assert_eq!(noted, usize::from(!is_on), "{source}: {:?}", loaded.notes);
        let refuses = loaded.notes.iter().any(|note| note.refuses(loaded.snapshot.sells_plans()));
        assert!(is_on || refuses, "{source}: {:?}", loaded.notes);
    }
}

#[test]
fn a_price_of_the_table_that_a_provider_hides_is_named() {
    let source = "providers: [{name: openai, kind: openai, base_url: 'https://llm.example.com/v1', credential: k}]\n\
        models: [{name: fast, targets: [{provider: openai, model: m, price_as: openai/gpt-5}]}]\n";
    let environment = Environment::default();
    let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
    let error = load_text("t.yaml", source, sources).unwrap_err().to_string();
    assert!(
        error.contains("`openai/gpt-5` has no price, as the provider `openai` of this configuration has another host"),
        "{error}"
    );
    assert!(error.contains("expected another name for this provider"), "{error}");
    let renamed = source.replace("name: openai", "name: own").replace("provider: openai", "provider: own");
    loaded(&renamed, Flags::default());
}
