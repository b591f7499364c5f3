//! Providers that are on, off or offered: by the file, and by keys in the environment.

use access::Secret;

use super::*;
use crate::snapshot::Credential;

#[test]
fn providers_without_a_variable_are_offered_if_the_file_has_no_providers() {
    let offered = |yaml: &str, keys: &Environment| {
        let traffic = read_with(yaml, keys).unwrap().snapshot.traffic;
        traffic.offered_providers.iter().map(|provider| provider.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    let none = Environment::default();
    let keys = Environment::from_variables([("OPENAI_API_KEY", "sk-S3CRET"), ("ANTHROPIC_API_KEY", "")]);
    assert_eq!(offered("", &none), "openai anthropic gemini");
    assert_eq!(offered("", &keys), "anthropic gemini");
    // A list of the operator is complete.
    assert_eq!(offered("providers: [{name: up, kind: anthropic, credential: k}]\n", &none), "");
    assert_eq!(offered("providers: []\n", &none), "");
    assert_eq!(offered("mock: true\n", &none) + &offered("ai: {enabled: false}\n", &none), "");
    // A bare name of a model is still that of the only provider that is on, and nothing costs money yet.
    let traffic = read_with("", &none).unwrap().snapshot.traffic;
    assert!(traffic.mock.on && traffic.providers.is_empty() && !traffic.costs_money());
    let named = traffic.resolve_model(ai::Endpoint::ChatCompletions, "openai/gpt-5-mini").unwrap();
    assert_eq!(named.provider.credential, Credential::Vault { label: None });
    assert!(traffic.resolve_model(ai::Endpoint::ChatCompletions, "gpt-5-mini").is_err());
    assert!(traffic.serves("openai/gpt-5-mini") && traffic.provider_of("gemini/gemini-2.5-flash").is_some());
}

#[test]
fn keys_in_the_environment_switch_providers_on_where_the_file_has_none() {
    let keys = Environment::from_variables([
        ("OPENAI_API_KEY", "sk-S3CRET"),
        ("ANTHROPIC_API_KEY", ""),
        ("GEMINI_API_KEY", "g"),
    ]);
    let loaded = read_with("", &keys).unwrap();
    let provider = &loaded.snapshot.traffic.providers[0];
    assert_eq!(
        (&*provider.name, provider.origin.authority.as_str(), provider.origin.path.as_str()),
        ("openai", "api.openai.com", "/v1")
    );
    assert_eq!(provider.credential, Credential::Fixed(Secret::new("sk-S3CRET".to_owned())));
    let gemini = &loaded.snapshot.traffic.providers[1];
    assert_eq!((&*gemini.name, gemini.origin.authority.as_str()), ("gemini", "generativelanguage.googleapis.com"));
    assert!(
        loaded.snapshot.traffic.providers.len() == 2
            && !loaded.snapshot.traffic.mock.on
            && loaded.snapshot.traffic.costs_money()
    );
    let notes = loaded.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(
        notes,
        "OPENAI_API_KEY is set: the provider openai is on, its calls cost money\n\
         GEMINI_API_KEY is set: the provider gemini is on, its calls cost money"
    );
    assert!(!format!("{loaded:?}").contains("S3CRET"));

    let flags = Flags { mock: true, ..Flags::default() };
    let mocked = load_text("", "", Sources { file: None, environment: &keys, flags }).unwrap();
    assert!(
        mocked.snapshot.traffic.providers.is_empty()
            && mocked.snapshot.traffic.mock.forced
            && !mocked.snapshot.traffic.costs_money()
    );
    let by_key = read_with("mock: true\n", &keys).unwrap();
    let both = Environment::from_variables([("OPENAI_API_KEY", "sk-S3CRET"), ("TOLLGATE_MOCK", "true")]);
    let by_variable =
        read_with("mock: false\nproviders: [{name: up, kind: anthropic, credential: k}]\n", &both).unwrap();
    for (loaded, off) in [(by_key, "openai"), (by_variable, "up")] {
        let LoadedConfig { snapshot, notes, .. } = loaded;
        assert!(
            snapshot.traffic.providers.is_empty()
                && snapshot.traffic.mock.forced
                && snapshot.traffic.mock.on
                && !snapshot.traffic.costs_money()
        );
        assert!(notes.contains(&Note::ProviderMocked { provider: off.to_owned() }), "{notes:?}");
    }
    assert!(!read_with("mock: false\n", &keys).unwrap().snapshot.traffic.mock.on);

    let source = "providers: [{name: openai, kind: openai, credential: ''}]\n";
    let loaded = read_with(source, &keys).unwrap();
    assert!(loaded.snapshot.traffic.providers.is_empty() && loaded.snapshot.traffic.mock.on);
    assert_eq!(loaded.notes, [Note::ProviderOff { provider: "openai".to_owned() }]);
}

#[test]
fn an_entry_whose_provider_is_off_is_left_out() {
    let source = "
providers: [{name: openai, kind: openai, credential: ''}, {name: other, kind: gemini, credential: k}]
models: [{name: fast, targets: [{provider: openai, model: gpt-5}]}]
";
    let loaded = read_text(source).unwrap();
    assert!(loaded.snapshot.traffic.models.is_empty());
    assert_eq!(["providers", "models", "plans"].map(|list| loaded.listed(list)), [2, 1, 0]);
    assert_eq!(loaded.notes[1].to_string(), "the model fast is left out, as its provider openai is off");
    let alone = read_text(&source.replace(", {name: other, kind: gemini, credential: k}", "")).unwrap();
    assert_eq!(alone.notes[1].to_string(), "the mock serves the model fast, as its provider openai is off");
    assert_eq!(alone.snapshot.traffic.mock.models[0].name.as_ref(), "fast");
    assert_eq!((alone.listed("providers"), alone.listed("models")), (1, 1));
}
