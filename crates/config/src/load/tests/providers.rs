//! Kinds of providers with keys of their own, presets, and `price_as`.

use ai::{Endpoint, Format, ProviderPaths};

use super::errors::check_codes;
use super::*;
use crate::snapshot::{PoolRules, PriceSource, Provider};

/// Returns the only provider of a file, which is on.
fn provider(entry: &str) -> Provider {
    let traffic = snapshot(&format!("providers: [{{name: p, {entry}}}]")).traffic;
    let [provider] = &traffic.providers[..] else { panic!("{entry}: {:?}", traffic.providers) };
    Provider::clone(provider)
}

#[test]
fn a_preset_is_a_provider_of_openais_kind_at_its_host() {
    let is_same = |preset: &str, kind: &str| {
        let preset = provider(preset);
        let kind = provider(kind);
        assert_eq!((preset.kind, &preset.origin, &preset.formats), (kind.kind, &kind.origin, &kind.formats));
        assert_eq!(preset.credential, kind.credential);
        preset
    };
    is_same("preset: groq, credential: k", "kind: openai, base_url: 'https://api.groq.com/openai/v1', credential: k");
    is_same(
        "preset: xai, base_url: 'http://h/v2', formats: [responses], credential: k",
        "kind: openai, base_url: 'http://h/v2', formats: [responses], credential: k",
    );
    let local = provider("preset: ollama, credential: '${NONE:-}'");
    assert_eq!((local.credential, &*local.formats), (Credential::None, &[Format::Chat][..]));
    assert_eq!(local.origin.to_string(), "http://127.0.0.1:11434/v1");
    assert_eq!(provider("preset: vllm, credential: k").credential, Credential::Fixed(Secret::new("k".to_owned())));
    let off = snapshot("providers: [{name: p, preset: groq}]").traffic;
    assert!(off.providers.is_empty(), "a host needs a credential");
}

#[test]
fn openrouter_and_providers_that_are_configured_so_report_their_costs() {
    const SAME: &str = "kind: openai, base_url: 'http://h/v1', credential: k";
    for (entry, expected) in [
        ("preset: openrouter, credential: k", PriceSource::Reported),
        ("kind: openai, base_url: 'https://eu.openrouter.ai/api/v1', credential: k", PriceSource::Reported),
        ("preset: openrouter, price: table, credential: k", PriceSource::Table),
        (SAME, PriceSource::Table),
        (&format!("{SAME}, price: reported"), PriceSource::Reported),
    ] {
        assert_eq!(provider(entry).price_source, expected, "{entry}");
    }
}

#[test]
fn connections_to_a_provider_are_kept_for_less_than_its_servers_keep_them() {
    const OPENAI: &str = "kind: openai, credential: k";
    let pool = |entry: &str| provider(&format!("{OPENAI}{entry}")).pool;
    assert_eq!(pool("").idle_timeout, Duration::from_secs(4));
    let given = pool(", pool: {max_connections: 9}");
    assert_eq!((given.idle_timeout, given.max_connections), (Duration::from_secs(4), Some(9)));
    assert_eq!(pool(", pool: {idle: 3, idle_timeout: 50s}"), PoolRules { idle: 3, ..PoolRules::DEFAULT });
}

#[test]
fn the_addresses_of_a_providers_name_are_followed_on_demand() {
    let sources = |more: &str| {
        let provider = provider(&format!("kind: openai, credential: k{more}"));
        let backends: Vec<String> = provider.backends().iter().map(|backend| backend.origin.to_string()).collect();
        let found = provider.discovery.as_ref().map(|discovery| discovery.sources().collect::<Vec<_>>().join(" "));
        (found, backends.join(" "))
    };
    let own = "https://api.openai.com/v1".to_owned();
    assert_eq!(sources(""), (None, own.clone()));
    // Until an address is known, a connection looks the name up.
    assert_eq!(sources(", dns: true"), (Some("dns api.openai.com:443".to_owned()), own));
    let vllm = "http://vllm.internal:8000/v1";
    let with = |address: &str| sources(&format!(", base_url: '{address}', dns: true"));
    assert_eq!(with(vllm), (Some("dns vllm.internal:8000".to_owned()), vllm.to_owned()));
    assert_eq!(with("http://10.1.2.3:8000/v1").0, None);
    assert_eq!(with("http://localhost:8000/v1").0, None);
}

#[test]
fn a_provider_has_either_a_kind_or_a_preset_and_no_keys_of_another_kind() {
    for entry in [
        "kind: openai, preset: groq",
        "kind: openai, region: us-east-1",
        "preset: groq, api_version: v1",
        "kind: azure_openai, base_url: 'http://h', endpoint: mantle",
        "kind: bedrock, region: us-east-1, credential: k, aws: {access_key_id: a, secret_access_key: b}",
    ] {
        check_codes(&format!("providers: [{{name: p, {entry}}}]"), &[("bad_value", 1, 13)]);
    }
    for entry in ["credential: k", "kind: azure_openai", "kind: bedrock", "kind: azure_openai, base_url: "] {
        check_codes(&format!("providers: [{{name: p, {entry}}}]"), &[("missing", 1, 13)]);
    }
    let error = read_text("providers: [{name: p, preset: grok}]").map(|_| ()).unwrap_err().to_string();
    for name in ["`ollama`", "`openrouter`", "`xai`"] {
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn azure_has_its_first_version_or_that_of_a_date() {
    const AZURE: &str = "kind: azure_openai, base_url: 'https://r.openai.azure.com/', credential: k";
    for version in ["", ", api_version: v1"] {
        let azure = provider(&format!("{AZURE}{version}"));
        assert_eq!((azure.paths, &*azure.formats), (ProviderPaths::OfKind, &[Format::Responses, Format::Chat][..]));
    }
    let dated = provider(&format!("{AZURE}, api_version: 2025-04-01-preview"));
    let paths = ProviderPaths::AzureDated("2025-04-01-preview".into());
    assert_eq!((dated.paths, &*dated.formats), (paths, &[Format::Chat][..]));
    for (entry, column) in [
        ("api_version: v2", 36),
        ("api_version: 2025-4-1", 36),
        ("api_version: '2025-04-01&x=y'", 36),
        ("base_url: 'https://r.openai.azure.com/openai/v1'", 33),
        ("base_url: 'https://r.openai.azure.com/openai/'", 33),
    ] {
        let base = if entry.starts_with("base_url") { "" } else { ", base_url: 'http://h'" };
        let source = format!("providers: [{{kind: azure_openai, name: p, {entry}{base}}}]");
        check_codes(&source, &[("bad_value", 1, column + 20)]);
    }
}

#[test]
fn bedrock_has_the_host_of_its_region_and_signs_with_keys() {
    let bearer = provider("kind: bedrock, region: us-east-1, endpoint: mantle, credential: k");
    assert_eq!(bearer.origin.to_string(), "https://bedrock-mantle.us-east-1.api.aws");
    assert_eq!(&*bearer.formats, [Format::Messages, Format::Responses, Format::Chat]);
    let signing = provider(
        "kind: bedrock, region: eu-west-1, base_url: 'http://h/x', aws: {access_key_id: a, secret_access_key: b, session_token: ''}",
    );
    let Credential::Aws(keys) = &signing.credential else { panic!("{signing:?}") };
    assert_eq!((&*keys.region, keys.service, &keys.session_token), ("eu-west-1", "bedrock-mantle", &None));
    assert_eq!(signing.origin.to_string(), "http://h/x");
    assert!(!bearer.speaks(Format::Embeddings), "the endpoint has calls for text only");
    let off = "providers: [{name: p, kind: bedrock, region: r, aws: {access_key_id: '', secret_access_key: ''}}]";
    assert!(snapshot(off).traffic.providers.is_empty());
    let one = "providers: [{name: p, kind: bedrock, region: r, aws: {access_key_id: a}}]";
    check_codes(one, &[("missing", 1, 49)]);
    for region in ["us.evil.example/", "-a", "US-EAST-1"] {
        let source = format!("providers: [{{name: p, kind: bedrock, region: {region}, credential: k}}]");
        check_codes(&source, &[("bad_value", 1, 46)]);
    }
}

#[test]
fn the_runtime_endpoint_of_bedrock_has_its_host_its_signatures_and_claude_only() {
    const RUNTIME: &str = "kind: bedrock, region: eu-west-1, endpoint: runtime";
    let signing = provider(&format!("{RUNTIME}, aws: {{access_key_id: a, secret_access_key: b}}"));
    let Credential::Aws(keys) = &signing.credential else { panic!("{signing:?}") };
    assert_eq!((&*keys.region, keys.service), ("eu-west-1", "bedrock"));
    assert_eq!(signing.origin.to_string(), "https://bedrock-runtime.eu-west-1.amazonaws.com");
    assert_eq!((&signing.paths, &*signing.formats), (&ProviderPaths::BedrockRuntime, &[Format::Messages][..]));
    let endpoint = |path| signing.format_of(ai::EndpointCall::from_path(path).unwrap().endpoint);
    let served = ["/v1/messages", "/v1/chat/completions", "/v1/messages/count_tokens"].map(endpoint);
    assert_eq!(served, [Some(Format::Messages); 3]);
    assert!(!signing.of_model("m").counts(Endpoint::CountTokens), "its counts are estimates");
    let china = provider("kind: bedrock, region: cn-north-1, endpoint: runtime, credential: k");
    assert_eq!(china.origin.to_string(), "https://bedrock-runtime.cn-north-1.amazonaws.com.cn");
    check_codes(&format!("providers: [{{name: p, {RUNTIME}, formats: [messages, chat]}}]"), &[("bad_value", 1, 96)]);
    for (target, is_served) in [
        ("model: eu.anthropic.claude-haiku-4-5-20251001-v1:0", true),
        ("model: 'eu.amazon.nova-pro-v1:0', price_as: anthropic/claude-haiku-4-5", true),
        ("model: eu.amazon.nova-pro-v1:0", false),
    ] {
        let source = format!(
            "providers: [{{name: p, {RUNTIME}, credential: k}}]\nmodels: [{{name: a, targets: [{{provider: p, {target}}}]}}]"
        );
        if is_served {
            assert_eq!(snapshot(&source).traffic.models.len(), 1, "{target}");
        } else {
            check_codes(&source, &[("bad_value", 2, 51)]);
        }
    }
}

#[test]
fn vertex_has_the_host_of_its_location_and_a_format_for_each_model() {
    for (location, url, folder) in [
        ("", "https://aiplatform.googleapis.com", "/v1/projects/p/locations/global"),
        (", location: eu", "https://aiplatform.eu.rep.googleapis.com", "/v1/projects/p/locations/eu"),
        (
            ", location: us-central1",
            "https://us-central1-aiplatform.googleapis.com",
            "/v1/projects/p/locations/us-central1",
        ),
    ] {
        let vertex = provider(&format!("kind: vertex, project: p, credential: vault{location}"));
        assert_eq!((vertex.origin.to_string().as_str(), vertex.paths), (url, ProviderPaths::Vertex(folder.into())));
    }
    let vertex = provider("kind: vertex, project: p, base_url: 'http://h/x', credential: vault");
    assert_eq!(vertex.origin.to_string(), "http://h/x");
    let format = |model: &str, endpoint| vertex.of_model(model).format_of(endpoint);
    for (model, own) in
        [("gemini-x", Format::GenerateContent), ("claude-x", Format::Messages), ("meta/llama", Format::Chat)]
    {
        for endpoint in [Endpoint::ChatCompletions, Endpoint::Responses, Endpoint::Messages, Endpoint::GenerateContent]
        {
            assert_eq!(format(model, endpoint), Some(own), "{model} {endpoint:?}");
        }
        assert_eq!(format(model, Endpoint::Embeddings), None);
        let counts = vertex.of_model(model).counts(Endpoint::CountTokens);
        assert_eq!((format(model, Endpoint::CountTokens), counts), (Some(Format::Messages), own == Format::Messages));
    }
    let limited = provider("kind: vertex, project: p, formats: [messages], credential: vault");
    assert_eq!(limited.of_model("gemini-x").format_of(Endpoint::Messages), None, "no format of the model is listed");
}

#[test]
fn vertex_needs_a_project_and_the_key_of_a_service_account() {
    check_codes("providers: [{name: p, kind: vertex, credential: vault}]", &[("missing", 1, 13)]);
    for (entry, column) in [
        ("project: p, credential: sk-key", 61),
        ("project: p, credential: '{\"type\": \"authorized_user\"}'", 61),
        ("project: p/x, credential: vault", 46),
        ("project: p, location: Global, credential: vault", 59),
        ("project: p, formats: [responses], credential: vault", 59),
    ] {
        check_codes(&format!("providers: [{{name: p, kind: vertex, {entry}}}]"), &[("bad_value", 1, column)]);
    }
    let text = "providers: [{name: p, kind: vertex, project: p, credential: '{\"type\": \"authorized_user\", \"private_key\": \"s3cret\"}'}]";
    let error = read_text(text).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("service_account") && error.contains("Google Cloud"), "{error}");
    let foreign = "providers: [{name: p, kind: openai, project: p, credential: k}]";
    check_codes(foreign, &[("bad_value", 1, 13)]);
}

const AZURE: &str = "providers: [{name: azure, kind: azure_openai, base_url: 'http://h', credential: k}, {name: own, kind: anthropic}]\n";

fn models(targets: &str) -> String {
    format!("{AZURE}models: [{{name: a, targets: [{targets}]}}]\n")
}

#[test]
fn a_target_has_the_price_the_limits_and_the_rules_of_the_model_that_price_as_names() {
    let now = access::Timestamp(1_795_176_000_000_000);
    let source = models(
        "{provider: azure, model: d, price_as: openai/gpt-5-mini}, {provider: azure, model: e, price_as: own/claude-haiku-4-5}, {provider: azure, model: f, price_as: api.x.ai/grok-4.5}, {provider: azure, model: plain}",
    );
    let traffic = snapshot(&format!("{source}prices: [{{model: own/claude-haiku-4-5, input: 7, output: 8}}]")).traffic;
    let azure = &traffic.providers[0];
    let input = |names| traffic.price(azure, names, now).and_then(|price| price.rates.input);
    // The price of OpenAI's own host, whatever model has responded.
    for answered in [None, Some("gpt-5-nano-2025-08-07"), Some("d")] {
        assert_eq!(input(("d", answered)), Some(250_000), "{answered:?}");
    }
    assert_eq!(input(("e", None)), Some(7_000_000), "a provider that is off has its configured prices");
    assert_eq!(input(("f", None)), Some(2_000_000));
    assert_eq!(input(("plain", Some("gpt-5-mini"))), None, "a price of Azure is not guessed");
    assert!(traffic.limits(azure, "d", now).is_some() && traffic.limits(azure, "plain", now).is_none());
    assert_eq!(["d", "plain"].map(|model| traffic.known_name(azure, model)), ["gpt-5-mini", "plain"]);
    let price = traffic.price(azure, ("d", None), now).unwrap();
    let found = traffic.price_of_version("azure", ("d", Some("gpt-5-mini-2025-08-07")), &price.version).unwrap();
    assert_eq!(found.rates, price.rates, "the cost of an event can be computed again");
    let catalog = traffic.catalog(now, |_| true, |_| true);
    let listed = catalog.iter().find(|model| model.name == "a").unwrap();
    assert_eq!((listed.model, listed.price.map(|price| price.rates.input)), ("d", Some(Some(250_000))));
}

#[test]
fn a_price_as_without_a_price_or_with_another_one_is_an_error_at_its_place() {
    let check = |targets: &str, prices: &str, expected: (&str, u32)| {
        let source = format!("{}{prices}", models(targets));
        check_codes(&source, &[(expected.0, 2, expected.1)]);
    };
    check("{provider: azure, model: d, price_as: openai/nothing}", "", ("unknown_name", 68));
    check("{provider: azure, model: d, price_as: azure/d}", "", ("unknown_name", 68));
    check("{provider: azure, model: d, price_as: opnai/gpt-5}", "", ("unknown_name", 68));
    check("{provider: azure, model: d, price_as: gpt-5}", "", ("bad_value", 68));
    check("{provider: azure, model: d, price_as: 'openai/*'}", "", ("bad_value", 68));
    let priced = "prices: [{model: azure/d, input: 1, output: 1}]";
    check("{provider: azure, model: d, price_as: openai/gpt-5}", priced, ("bad_value", 68));
    let again = "models: [{name: a, targets: [{provider: azure, model: d, price_as: openai/gpt-5}]}, {name: b, targets: [{provider: azure, model: d, price_as: openai/gpt-5-mini}]}]";
    check_codes(&format!("{AZURE}{again}"), &[("bad_value", 2, 143)]);
    let star = "models: [{name: 'a*', targets: [{provider: azure, model: '*', price_as: openai/gpt-5}]}]";
    check_codes(&format!("{AZURE}{star}"), &[("bad_value", 2, 73)]);
}

#[test]
fn no_mock_takes_the_place_of_missing_providers_in_production() {
    let models = "models: [{name: fast, targets: [{provider: openai, model: gpt-5-mini}]}]\n";
    for (source, is_on) in [("", true), ("production: true\n", false)] {
        let file = format!("{source}providers: [{{name: openai, kind: openai, credential: ''}}]\n{models}");
        let LoadedConfig { snapshot, notes, settings, .. } = read_text(&file).unwrap();
        assert_eq!(
            (snapshot.traffic.mock.on, snapshot.traffic.mock.models.len()),
            (is_on, usize::from(is_on)),
            "{source}"
        );
        let is_off = notes.iter().any(|note| matches!(note, Note::ModelOff { model, .. } if model == "fast"));
        assert_eq!(is_off, !is_on, "{source} {notes:?}");
        assert_eq!(settings.iter().any(|setting| setting.key == "providers[1].name"), is_on, "{source}");
    }
    let named = read_text("production: true\nproviders: [{name: mock, kind: mock}]\n").unwrap();
    assert!(
        named.snapshot.traffic.mock.on && read_text("production: true\nmock: true\n").unwrap().snapshot.traffic.mock.on
    );
}
