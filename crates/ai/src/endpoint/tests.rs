use super::*;

fn check(method: &str, path: &str, endpoint: Endpoint, model: Option<&str>) {
    let EndpointMatch::Endpoint(called) = Endpoint::find(method, path) else { panic!("{method} {path}") };
    assert_eq!((called.endpoint, called.model.as_deref()), (endpoint, model), "{method} {path}");
}

#[test]
fn every_path_leads_to_its_endpoint() {
    for endpoint in Endpoint::ALL {
        let model = endpoint.path().contains("{model}").then_some("m");
        for method in endpoint.allow().split(", ") {
            check(method, &endpoint.path().replace("{model}", "m"), endpoint, model);
        }
    }
    check("HEAD", "", Endpoint::Root, None);
    check("GET", "/v1beta/models", Endpoint::Models, None);
    check("GET", "/v1beta/models/mock/slow", Endpoint::Model, Some("mock/slow"));
    check("GET", "/v1beta/models/models/slow", Endpoint::Model, Some("slow"));
    check("POST", "/v1/models/a%2Fb%3Ac:generateContent", Endpoint::GenerateContent, Some("a/b:c"));
    check("GET", "/v1/models/ft:gpt-5:me", Endpoint::Model, Some("ft:gpt-5:me"));
}

#[test]
fn azure_clients_name_the_model_in_the_path_or_in_the_body() {
    check("POST", "/openai/deployments/d%201/chat/completions", Endpoint::ChatCompletions, Some("d 1"));
    check("POST", "/openai/deployments/d/images/generations", Endpoint::ImagesGenerations, Some("d"));
    check("POST", "/openai/responses", Endpoint::Responses, None);
    check("POST", "/openai/v1/responses", Endpoint::Responses, None);
    check("POST", "/openai/responses/compact", Endpoint::Compact, None);
    check("GET", "/openai/models", Endpoint::Models, None);
    check("GET", "/openai/models/a%2Fb", Endpoint::Model, Some("a/b"));
    assert_eq!(Endpoint::find("POST", "/openai/v1/messages"), EndpointMatch::None);
}

#[test]
fn names_with_a_slash_need_no_escape() {
    check("POST", "/openai/deployments/mock/tool/chat/completions", Endpoint::ChatCompletions, Some("mock/tool"));
    check("POST", "/openai/deployments/a/b/c/embeddings", Endpoint::Embeddings, Some("a/b/c"));
    check("POST", "/openai/deployments/a%2Fb/c/responses", Endpoint::Responses, Some("a/b/c"));
    check("POST", "/v1beta/mock/tool:generateContent", Endpoint::GenerateContent, Some("mock/tool"));
    check("POST", "/v1/mock/tool:streamGenerateContent", Endpoint::StreamGenerateContent, Some("mock/tool"));
    check("POST", "/v1beta/models/mock/tool:generateContent", Endpoint::GenerateContent, Some("mock/tool"));
    check("POST", "/v1beta/models/models/tool:generateContent", Endpoint::GenerateContent, Some("tool"));
    check("POST", "/v1beta/a/b/c:embedContent", Endpoint::EmbedContent, Some("a/b/c"));
    let long = format!("/openai/deployments/{}chat/completions", "a/".repeat(9));
    for path in [
        "/openai/deployments/mock/tool/chat",
        "/openai/deployments/mock/../chat/completions",
        "/openai/deployments/d/models/m",
        "/v1beta/tool:generateContent",
        "/v1beta/mock/tool:predict",
        "/v1beta/mock/../tool:generateContent",
        "/v1beta/mock/tool",
        "/v1/projects/p/locations/l/publishers/google/models/m:generateContent",
        "/v1/publishers/google/models/m:generateContent",
        &long,
    ] {
        assert_eq!(Endpoint::find("POST", path), EndpointMatch::None, "{path}");
    }
    let target = EndpointCall::from_path("/v1beta/mock/tool:generateContent").unwrap().target("gemini", Some("key=k"));
    assert_eq!(target, "/v1beta/models/gemini:generateContent");
}

/// Found by fuzzing: such a path would have called another endpoint, with the provider's credential.
#[test]
fn no_model_leads_out_of_its_folder() {
    for path in [
        "/v1beta/models/..%2Fx:generateContent",
        "/v1beta/models/%2e%2e%2f..%2Fx:generateContent",
        "/v1beta/models/../x:generateContent",
        "/v1/models/a/./b:countTokens",
        "/v1/models/%2E%2E:embedContent",
        "/v1beta/models/..",
        "/openai/deployments/%2e%2e/chat/completions",
    ] {
        assert_eq!(Endpoint::find("POST", path), EndpointMatch::None, "{path}");
    }
    check("POST", "/v1/models/a..b/...:generateContent", Endpoint::GenerateContent, Some("a..b/..."));
}

#[test]
fn other_methods_are_refused_with_the_allowed_ones() {
    let allowed = |method: &str, path: &str| match Endpoint::find(method, path) {
        EndpointMatch::WrongMethod { allow, .. } => allow,
        EndpointMatch::Endpoint(_) | EndpointMatch::None => "",
    };
    assert_eq!(allowed("GET", "/v1/responses"), "POST");
    assert_eq!(allowed("POST", "/v1/models"), "GET");
    assert_eq!(allowed("DELETE", "/v1/models/m"), "GET");
    assert_eq!(allowed("DELETE", "/"), "GET, HEAD");
    assert_eq!(allowed("post", "/v1/messages"), "POST");
}

#[test]
fn other_paths_are_no_endpoint() {
    for path in [
        "/v1",
        "/v1/",
        "/v1/messages/",
        "/V1/messages",
        "/v1/responses/abc",
        "v1/models",
        "/v1/models/",
        "/v1beta/chat/completions",
        "/v1beta/models/:generateContent",
        "/v1beta/models/%FF:generateContent",
        "/openai/deployments//chat/completions",
        "/openai/deployments/d",
    ] {
        assert_eq!(Endpoint::find("POST", path), EndpointMatch::None, "{path}");
    }
}

#[test]
fn a_call_in_another_format_has_the_path_of_its_provider() {
    let path = |format, is_streamed, model: &str| {
        let called = EndpointCall::of_format(format, is_streamed, model)?;
        assert_eq!(called.endpoint.format(), Some(format));
        Some(called.target(model, None))
    };
    for format in [Format::Chat, Format::Responses, Format::Messages] {
        let path = path(format, true, "..").unwrap();
        assert_eq!(EndpointCall::from_path(&path), EndpointCall::of_format(format, false, "m"));
    }
    let gemini = |is_streamed, model| path(Format::GenerateContent, is_streamed, model);
    assert_eq!(gemini(false, "a/b c?"), Some("/v1beta/models/a/b%20c%3F:generateContent".to_owned()));
    assert_eq!(gemini(true, "m"), Some("/v1beta/models/m:streamGenerateContent".to_owned()));
    for model in ["", "..", "../files", "a/./b"] {
        assert_eq!(gemini(true, model), None, "{model}");
    }
    assert_eq!(path(Format::Embeddings, false, "m"), None);
}

#[test]
fn a_count_has_the_path_of_its_format() {
    for format in Format::ALL {
        let called = EndpointCall::counter(format, "m");
        assert_eq!(called.as_ref().map(|called| called.endpoint), Endpoint::counter_of(format), "{}", format.name());
        assert!(called.is_none_or(|called| called.endpoint.counts_tokens() && called.endpoint.free()));
    }
    assert!(!Endpoint::Compact.free());
    let gemini = EndpointCall::counter(Format::GenerateContent, "m").unwrap();
    assert_eq!(gemini.target("m", None), "/v1beta/models/m:countTokens");
    assert_eq!(EndpointCall::counter(Format::GenerateContent, "../m"), None);
}

#[test]
fn forwarded_paths_have_the_providers_model_and_no_client_credential() {
    let target =
        |path: &str, model: &str, query: Option<&str>| EndpointCall::from_path(path).unwrap().target(model, query);
    assert_eq!(target("/v1/messages", "m", Some("beta=true")), "/v1/messages?beta=true");
    assert_eq!(
        target("/v1/models/fast:streamGenerateContent", "gemini-3", Some("alt=sse&key=k")),
        "/v1/models/gemini-3:streamGenerateContent?alt=sse"
    );
    assert_eq!(
        target("/v1/models/fast:generateContent", "m", Some("%6Bey=k&k%65y=k&key&keys=1&x=key&%61lt=sse")),
        "/v1/models/m:generateContent?%61lt=sse"
    );
    assert_eq!(
        target(
            "/v1/models/m:generateContent",
            "m",
            Some("fields=candidates&%24fields=x&alt=proto&alt=json&$alt=media")
        ),
        "/v1/models/m:generateContent?alt=json"
    );
    assert_eq!(
        target("/v1beta/models/a:countTokens", "a b/c:d", Some("key=k")),
        "/v1beta/models/a%20b/c%3Ad:countTokens"
    );
    assert_eq!(
        target("/openai/deployments/d/chat/completions", "m", Some("api-version=2024-10-21&x=1")),
        "/v1/chat/completions"
    );
    assert_eq!(
        target("/v1/chat/completions", "m", Some("key=k&api-version=preview&api_key=k&&=&api-version")),
        "/v1/chat/completions?api-version=preview&api-version"
    );
    assert_eq!(
        target("/v1/messages/count_tokens", "m", Some("key=k&b%65ta=true&Beta=x&access_token=k")),
        "/v1/messages/count_tokens?b%65ta=true"
    );
    let options = [
        "callback",
        "$callback",
        "%24callback",
        "$userProject",
        "userProject",
        "access_token",
        "oauth_token",
        "quotaUser",
        "$fields",
        "upload_protocol",
        "$.xgafv",
        "prettyPrint",
    ];
    let query = options.map(|name| format!("{name}=x")).join("&") + "&$alt=sse";
    assert_eq!(
        target("/v1beta/models/m:streamGenerateContent", "m", Some(&query)),
        "/v1beta/models/m:streamGenerateContent?$alt=sse"
    );
}
