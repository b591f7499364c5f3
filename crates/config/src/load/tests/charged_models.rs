//! The models of charges.

use super::errors::check_codes;
use super::*;

fn plans(models: &str) -> String {
    format!(
        "providers: [{{name: openai, kind: openai, credential: sk-1}}, {{name: claude, kind: anthropic, credential: sk-2}}]
models:
  - {{name: fast, targets: [{{provider: openai, model: gpt-5-mini}}]}}
  - {{name: 'gpt-*', targets: [{{provider: openai, model: 'gpt-*'}}]}}
  - {{name: 'own-*', targets: [{{provider: openai, model: o1}}]}}
plans: [{{name: pro, price: 5 USD, charges: [{{name: LLM, metric: cost, models: {models}}}]}}]
"
    )
}

#[test]
fn a_charge_names_models_under_which_usage_is_counted() {
    for (models, named) in [
        ("['gpt-*']", "'gpt-*']}]}]"),
        ("['openai/*']", "'openai/*'"),
        ("[fast, '*']", "'*'"),
        ("[fats]", "fats"),
        ("[fast, elsewhere/gpt-5]", "elsewhere"),
        ("['openai/']", "'openai/'"),
    ] {
        let source = plans(models);
        let line = source.lines().nth(5).unwrap();
        let column = u32::try_from(line.find(named).unwrap() + 1).unwrap();
        check_codes(&source, &[("unknown_name", 6, column)]);
    }
}

#[test]
fn other_names_of_the_models_of_a_charge_are_noted() {
    let notes = |models: &str| {
        let loaded = read_with(&plans(models), &Environment::default()).unwrap();
        loaded.notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let of_charge = "the charge \"LLM\" of the plan pro leaves out calls of openai/gpt-5-mini: add the name to `models` of the charge";
    assert_eq!(notes("[fast]"), [of_charge]);
    assert_eq!(notes("[fast, openai/gpt-5-mini]"), [""; 0]);
    assert_eq!(notes("[gpt-5.2, mock]"), [""; 0]);
    assert_eq!(notes("[gpt-5-mini]"), [""; 0], "the name of a target's model");
    assert_eq!(
        notes("[fast]}], models: [fast, gpt-5.2], budgets: [{credits: 5, per: day"),
        [""; 0],
        "the plan has no other name"
    );
    assert_eq!(notes("['own-*', openai/o1]"), [""; 0], "an entry whose names have the same target");
}

#[test]
fn the_only_provider_serves_names_that_are_not_listed() {
    let only =
        plans("[fast, openai/gpt-5-mini, o9]").replace(", {name: claude, kind: anthropic, credential: sk-2}", "");
    let loaded = read_with(&only, &Environment::default()).unwrap();
    let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
    assert!(matches!(&notes[..], [note] if note.contains("leaves out calls of gpt-5-mini:")), "{notes:?}");
}
