use ai::Format;

use crate::resolve::ResolveError;
use crate::resolve::tests::{endpoint, loaded};
use crate::snapshot::Traffic;

const SOURCE: &str = "
providers:
  - {name: openai, kind: openai, credential: sk-1}
  - {name: claude, kind: anthropic, credential: sk-2}
models:
  - {name: fast, credits: 3, targets: [{provider: openai, model: gpt-5-mini}]}
  - {name: both, targets: [{provider: openai, model: gpt-5}, {provider: claude, model: claude-opus-4-8}]}
  - {name: 'own-*', targets: [{provider: openai, model: 'gpt-*'}]}
  - {name: hidden, targets: [{provider: claude, model: claude-opus-4-8}]}
plans:
  - {name: pro, models: [both, 'openai/gpt-5*'], aliases: {gpt-4o: fast, hidden: openai/gpt-5.2}}
  - {name: none, models: []}
  - {name: free}
";

fn asked(traffic: &Traffic, plan: Option<&str>, name: &str) -> String {
    let endpoint = endpoint(Format::Messages);
    match traffic.resolve_model_in_plan(plan, endpoint, name) {
        Ok(model) => format!("{} as {}/{} for {}", model.asked, model.provider.name, model.model, model.credits),
        Err(ResolveError::NotFound) => "not found".to_owned(),
        Err(ResolveError::NotInPlan { plan }) => format!("not in {plan}"),
        Err(ResolveError::Mismatch { path }) => path,
    }
}

#[test]
fn a_plan_includes_an_entry_by_its_name_or_by_all_of_its_targets() {
    let traffic = loaded(SOURCE, false).snapshot.traffic;
    for (name, expected) in [
        ("both", "both as openai/gpt-5 for 1"),
        ("fast", "fast as openai/gpt-5-mini for 3"),
        ("own-5.2", "own-5.2 as openai/gpt-5.2 for 1"),
        ("own-4.1", "not in pro"),
        ("openai/gpt-5.2", "openai/gpt-5.2 as openai/gpt-5.2 for 1"),
        ("openai/o3", "not in pro"),
        ("claude/claude-opus-4-8", "not in pro"),
        // Anthropic's format is that of one provider.
        ("claude-opus-4-8", "not in pro"),
        ("elsewhere/x", "not in pro"),
    ] {
        assert_eq!(asked(&traffic, Some("pro"), name), expected, "{name}");
        assert_eq!(asked(&traffic, Some("none"), name), "not in none", "{name}");
    }
    for plan in [None, Some("free"), Some("unlisted")] {
        assert_eq!(asked(&traffic, plan, "hidden"), "hidden as claude/claude-opus-4-8 for 1");
    }
}

#[test]
fn an_alias_is_resolved_before_models_and_counted_as_its_model() {
    let traffic = loaded(SOURCE, false).snapshot.traffic;
    assert_eq!(asked(&traffic, Some("pro"), "gpt-4o"), "fast as openai/gpt-5-mini for 3");
    assert_eq!(asked(&traffic, Some("pro"), "hidden"), "openai/gpt-5.2 as openai/gpt-5.2 for 1");
    let limited = |name: &str| traffic.limited_name(traffic.meant_in_plan(Some("pro"), name), "openai", "gpt-5.2");
    assert_eq!(
        (&*limited("gpt-4o"), &*limited("hidden"), &*limited("gpt-5.2")),
        ("fast", "openai/gpt-5.2", "openai/gpt-5.2")
    );
}

#[test]
fn the_list_has_the_models_of_the_plan_and_its_aliases() {
    let traffic = loaded(SOURCE, false).snapshot.traffic;
    let names = traffic.model_names_in_plan("pro");
    for name in ["both", "fast", "gpt-4o", "hidden", "own-5.2"] {
        assert_eq!(names.iter().filter(|of| **of == *name).count(), 1, "{name} {names:?}");
        assert!(traffic.serves_in_plan("pro", name), "{name}");
    }
    assert!(!names.iter().any(|name| name.starts_with("own-4") || name.contains('*')), "{names:?}");
    assert!(traffic.model_names_in_plan("none").is_empty() && !traffic.serves_in_plan("none", "fast"));
    assert_eq!(traffic.model_names_in_plan("free"), traffic.model_names());
    assert!(!traffic.serves_in_plan("pro", "own-4.1") && traffic.serves_in_plan("pro", "openai/gpt-5.9"));
}
