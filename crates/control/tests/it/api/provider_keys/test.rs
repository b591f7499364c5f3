use super::*;

fn answer(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: 20\r\nlocation: http://127.0.0.1:1/\r\n\r\nsecret of a provider")
}

/// Stores a credential for the provider of this kind, which responds with `answer`, and tests it.
async fn check(kind: &str, answer: &str) -> (Answer, Vec<String>) {
    let provider = Provider::start(answer).await;
    let path = if kind == "openai" { "/v1" } else { "" };
    let world =
        world(&format!("{{name: up, kind: {kind}, base_url: '{}{path}', credential: vault}}", provider.url)).await;
    let ada = world.holder("ada", "starter").await;
    let new = json!({"provider": "up", "label": "work", "secret": SECRET});
    let created = id(&create(&world, &ada.bearer(), &new).await);
    let tested = call(world.address, &format!("POST {PATH}/{created}/test"), &[&ada.bearer()], "").await;
    assert_eq!(tested.status, 200, "{tested:?}");
    assert!(!tested.body.contains("secret of a provider") && !tested.body.contains(SECRET), "{tested:?}");
    (tested, provider.seen())
}

#[tokio::test]
async fn the_test_request_matches_the_kind_of_the_provider() {
    for (kind, line, header) in [
        ("openai", "GET /v1/models HTTP/1.1", format!("authorization: Bearer {SECRET}")),
        ("anthropic", "GET /v1/models HTTP/1.1", format!("x-api-key: {SECRET}")),
        ("gemini", "GET /v1beta/models HTTP/1.1", format!("x-goog-api-key: {SECRET}")),
    ] {
        let (tested, seen) = check(kind, &answer("200 OK")).await;
        let tested = tested.json();
        assert_eq!((&tested["ok"], &tested["status"]), (&json!(true), &json!(200)), "{tested}");
        assert!(tested["latency_ms"].is_u64() && tested["message"].is_string(), "{tested}");
        assert_eq!(seen.len(), 1);
        let head = &seen[0];
        assert!(head.starts_with(line) && head.contains(&format!("\r\n{header}\r\n")), "{head}");
        assert_eq!(head.contains("\r\nanthropic-version: "), kind == "anthropic", "{head}");
        assert_eq!(head.matches(SECRET).count(), 1, "{head}");
    }
}

#[tokio::test]
async fn the_result_follows_the_status_of_the_provider() {
    for (kind, status, says) in [
        ("openai", "401 Unauthorized", "refuses"),
        ("anthropic", "403 Forbidden", "refuses"),
        ("gemini", "400 Bad Request", "refuses"),
        ("openai", "400 Bad Request", "rejects the request"),
        ("openai", "429 Too Many Requests", "too many requests"),
        ("openai", "302 Found", "not followed"),
        ("openai", "404 Not Found", "base_url"),
        ("openai", "503 Service Unavailable", "internal error"),
    ] {
        let (tested, seen) = check(kind, &answer(status)).await;
        let tested = tested.json();
        let code: u64 = status.split(' ').next().unwrap().parse().unwrap();
        assert_eq!((&tested["ok"], &tested["status"]), (&json!(false), &json!(code)), "{tested}");
        assert!(tested["message"].as_str().unwrap().contains(says), "{tested}");
        assert_eq!(seen.len(), 1, "no redirect is followed");
    }
}

#[tokio::test]
async fn a_missing_response_is_reported() {
    let endless = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "x".repeat(200 * 1024));
    for answer in ["", "no HTTP at all\r\n\r\n", endless.as_str()] {
        let (tested, _) = check("openai", answer).await;
        let tested = tested.json();
        assert_eq!((&tested["ok"], &tested["status"]), (&json!(false), &Value::Null), "{tested}");
        assert!(tested["message"].as_str().unwrap().contains("no response"), "{tested}");
    }
    let closed_port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in
        [format!("http://{closed_port}/v1"), format!("h2c://{closed_port}/v1"), format!("https://{closed_port}/v1")]
    {
        let world = world(&format!("{{name: openai, kind: openai, base_url: '{url}', credential: vault}}")).await;
        let ada = world.holder("ada", "starter").await;
        let created = id(&create(&world, &ada.bearer(), &new("work")).await);
        let tested = call(world.address, &format!("POST {PATH}/{created}/test"), &[&ada.bearer()], "").await.json();
        assert_eq!((&tested["ok"], &tested["status"]), (&json!(false), &Value::Null), "{tested}");
    }
}

#[tokio::test]
async fn a_user_tests_at_most_two_providers_at_once_and_other_users_are_served() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = silent.local_addr().unwrap();
    let world = world(&format!("{{name: openai, kind: openai, base_url: 'http://{url}/v1', credential: vault}}")).await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let mut asking = JoinSet::new();
    let mut waiting = Vec::new();
    let ask = async |asking: &mut JoinSet<Answer>, holder: &Holder, label: &str| {
        let created = id(&create(&world, &holder.bearer(), &new(label)).await);
        let address = world.address;
        let bearer = holder.bearer();
        asking.spawn(async move { call(address, &format!("POST {PATH}/{created}/test"), &[&bearer], "").await });
    };
    for (holder, label) in [(&ada, "one"), (&ada, "two"), (&bob, "his")] {
        ask(&mut asking, holder, label).await;
        waiting.push(silent.accept().await.unwrap());
    }
    ask(&mut asking, &ada, "three").await;
    let says = asking.join_next().await.unwrap().unwrap().refuses(503, "overloaded");
    assert!(says.contains("two of your"), "{says}");
}

#[tokio::test]
async fn an_undecryptable_credential_is_not_sent() {
    let world = usual().await;
    let ada = world.holder("ada", "starter").await;
    let owner = Some(ada.user);
    let provider = "openai".to_owned();
    let label = "lost".to_owned();
    let secret = Secret::new(SECRET.to_owned());
    let other = access::Vault::new(&access::MasterKey::parse(&format!("{}A", "B".repeat(42))).unwrap(), None);
    world.store.reset_vault(&store::Actor::COMMAND, &other).await.unwrap();
    let new = store::NewProviderKey { owner, provider, label, secret };
    let lost = world.store.create_provider_key(&store::Actor::COMMAND, &other, new).await.unwrap().id;
    let says = call(world.address, &format!("POST {PATH}/{lost}/test"), &[&ada.bearer()], "").await;
    says.refuses(503, "unavailable");
    // The server must not encrypt either, because other servers could not decrypt the result.
    let says = create(&world, &ada.bearer(), &super::new("new")).await.refuses(503, "unavailable");
    assert!(says.contains("master key is not the one in use"), "{says}");
}

#[tokio::test]
async fn a_provider_that_went_out_of_the_configuration_is_a_conflict() {
    let world = usual().await;
    let ada = world.holder("ada", "starter").await;
    let created = id(&create(&world, &ada.bearer(), &new("work")).await);
    world.configure(|snapshot| snapshot.traffic.providers.clear());
    call(world.address, &format!("POST {PATH}/{created}/test"), &[&ada.bearer()], "").await.refuses(409, "conflict");
    let says = create(&world, &ada.bearer(), &new("more")).await.refuses(422, "unprocessable");
    assert!(says.contains("no provider"), "{says}");
}
