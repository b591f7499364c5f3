//! Azure, Bedrock and presets: the mock has their paths. Their credentials, and the prices of deployments.

use super::*;

/// The mock as a deployment of Azure, as Bedrock and as a preset.
fn kinds(mock: &Mock) -> Setup {
    let address = mock.address();
    let providers = format!(
        "[{{name: azure, kind: azure_openai, base_url: \"http://{address}\", api_version: 2024-10-21, credential: sk-of-azure}}, \
         {{name: aws, kind: bedrock, region: us-east-1, base_url: \"http://{address}\", aws: {{access_key_id: AKID, secret_access_key: sk-of-aws}}}}, \
         {{name: local, preset: ollama, base_url: \"http://{address}/v1\"}}]"
    );
    let models = "[{name: deployed, targets: [{provider: azure, model: mock/tokens-20, price_as: openai/gpt-5-mini}]}]";
    Setup::new()
        .section("providers", &providers)
        .section("models", models)
        .section("control", "{rate_limits: []}")
        .plans("{name: small, budgets: [{money: \"1 USD\", per: day}]}")
}

/// Returns the target and these headers of the last request for a model of the mock.
async fn received(mock: &Mock, model: &str, headers: [&str; 2]) -> (String, [Option<String>; 2]) {
    let seen = mock.seen(model).await;
    let header = |name| seen["headers"][name].as_str().map(str::to_owned);
    (seen["target"].as_str().unwrap_or_else(|| panic!("{seen}")).to_owned(), headers.map(header))
}

#[tokio::test]
async fn a_deployment_costs_as_its_model_in_budgets_and_events() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(kinds(&mock)).await;
    let key = gateway.account("small").await.key;
    let mut body = Format::Chat.body("deployed", false);
    body["max_completion_tokens"] = 20.into();
    gateway.call(Call::json(CHAT, &body).key(&key)).await.expect(200);
    let (target, [credential, _]) = received(&mock, "tokens-20", ["api-key", "authorization"]).await;
    assert_eq!(target, "/openai/deployments/mock%2Ftokens-20/chat/completions?api-version=2024-10-21");
    assert_eq!(credential.as_deref(), Some("sk-of-azure"));
    let usage = gateway.counted(&key, 1).await;
    // OpenAI's price of the 15, 6 cached, 3 written tokens of input and the 20 of output.
    assert_eq!(usage["cost"]["amount_nano"], 15 * 250 + 6 * 25 + 3 * 250 + 20 * 2_000, "{usage}");
    for model in ["azure/mock/tokens-20", "azure/other"] {
        body["model"] = model.into();
        let answer = gateway.call(Call::json(CHAT, &body).key(&key)).await;
        let expected = if model == "azure/other" { 400 } else { 200 };
        assert_eq!(answer.status(), expected, "{model}: {}", answer.text());
    }
    let models = gateway.ask(Call::get("/api/models").key(&key)).await.expect(200).json();
    let listed = models["items"].as_array().unwrap().iter().find(|model| model["name"] == "deployed").unwrap();
    assert!(!listed["price"].is_null(), "{listed}");
    let audited = commands::run(gateway.folder(), &["audit", "--data", "data"]).await;
    assert!(audited.status.success(), "{}", String::from_utf8_lossy(&audited.stdout));
}

#[tokio::test]
async fn own_credentials_reach_azure_and_bedrock_in_their_headers_and_are_not_shown() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(kinds(&mock)).await;
    let key = gateway.key().await;
    let call = |provider: &str, number: u32| {
        let (path, format) = if provider == "aws" { (MESSAGES, Format::Messages) } else { (CHAT, Format::Chat) };
        Call::json(path, &format.body(&format!("{provider}/mock/tokens-{number}"), false)).key(&key)
    };
    gateway.call(call("aws", 7)).await.expect(200);
    let (target, [signed, date]) = received(&mock, "tokens-7", ["authorization", "x-amz-date"]).await;
    assert_eq!(target, "/anthropic/v1/messages");
    assert!(signed.is_some_and(|signed| signed.contains("/us-east-1/bedrock-mantle/aws4_request")) && date.is_some());
    gateway.call(call("local", 8)).await.expect(200);
    let (target, [none, _]) = received(&mock, "tokens-8", ["authorization", "api-key"]).await;
    assert_eq!((target.as_str(), none), ("/v1/chat/completions", None));

    for (provider, number, headers, own_value) in [
        ("azure", 9, ["api-key", "authorization"], "sk-own-of-azure"),
        ("aws", 10, ["authorization", "x-amz-date"], "Bearer sk-own-of-aws"),
    ] {
        let id = put(&gateway, &key, &own(provider, provider, own_value.trim_start_matches("Bearer "))).await;
        let tested = Call::new("POST", &format!("{KEYS}/{id}/test")).key(&key);
        let tested = gateway.ask(tested).await.expect(200).json();
        assert_eq!(tested["status"], 200, "{provider} lists its models: {tested}");
        let arrives = async || {
            gateway.call(call(provider, number)).await.expect(200);
            let (_, [credential, other]) = received(&mock, &format!("tokens-{number}"), headers).await;
            (credential.as_deref() == Some(own_value) && other.is_none()).then_some(())
        };
        eventually("the own credential is used", arrives).await;
    }

    let root = admin(&gateway).await;
    let config = gateway.ask(Call::get("/api/config").key(&root)).await.expect(200).text();
    let explained = json!({"method": "POST", "url": "http://localhost/v1/messages", "model": "aws/m"});
    let explained = gateway.ask(Call::json("/api/explain", &explained).key(&root)).await.text();
    let providers = gateway.ask(Call::get("/api/providers").key(&root)).await.expect(200).text();
    for text in [config, explained, providers, gateway.stderr(), gateway.metrics().await] {
        assert!(!text.contains("sk-of-") && !text.contains("sk-own") && !text.contains("AKID"), "{text}");
    }
}
