use super::*;

#[test]
fn a_provider_gets_its_own_credential_and_none_of_the_callers() {
    let secret = Secret::new("sk-real".to_owned());
    let openai = Dialect::OpenAi;
    let anthropic = Dialect::Anthropic;
    let google = Dialect::Google;
    for (kind, dialect, header, value) in [
        (ProviderKind::OpenAi, openai, "authorization", "Bearer sk-real"),
        (ProviderKind::Anthropic, anthropic, "x-api-key", "sk-real"),
        (ProviderKind::Gemini, google, "x-goog-api-key", "sk-real"),
        (ProviderKind::AzureOpenAi, openai, "api-key", "sk-real"),
        (ProviderKind::Bedrock, anthropic, "authorization", "Bearer sk-real"),
        (ProviderKind::Mock, openai, "authorization", "Bearer sk-real"),
        (ProviderKind::Mock, anthropic, "x-api-key", "sk-real"),
        (ProviderKind::Mock, google, "x-goog-api-key", "sk-real"),
    ] {
        let received = [
            ("authorization", "Bearer caller"),
            ("x-api-key", "caller"),
            ("api-key", "caller"),
            ("cookie", "c=1"),
            ("accept-encoding", "gzip"),
            ("x-stainless-lang", "js"),
            ("x-request-id", "theirs"),
        ];
        let written = with_credential(&received, kind, dialect, Some(&secret));
        assert_eq!(written.value(header), value);
        assert_eq!((written.value("accept-encoding"), written.value("x-stainless-lang")), ("identity", "js"));
        assert_eq!(written.value("x-request-id"), "theirs");
        assert!(written.0.iter().all(|(_, value)| !value.contains("caller")), "{written:?}");
        assert!(!written.has("cookie"));
    }
}

#[test]
fn a_signed_call_has_the_signature_and_no_other_credential() {
    let signed = SignedHeaders {
        authorization: Secret::new("AWS4-HMAC-SHA256 sk-real".to_owned()),
        date: "20261129T230000Z".to_owned(),
        session_token: Some(Secret::new("sk-real-token".to_owned())),
    };
    let head = get(&[("authorization", "Bearer caller"), ("x-amz-date", "caller")]);
    let destination = provider_edits(&origin()).unwrap();
    let kind = ProviderKind::Bedrock;
    let dialect = Dialect::Anthropic;
    let credential = SentCredential::Signed(&signed);
    let receiver = Receiver::Provider(ProviderTarget {
        kind,
        dialect,
        is_translated: false,
        surface: ai::ClaudeSurface::Anthropic,
        credential: Some(credential),
    });
    let edits =
        RequestEdits { trace: &TraceContext::from_head(&head, id(), None), destination: &destination, receiver };
    let edits = edits.head_edits(&head, Vec::new()).unwrap();
    assert!(!format!("{edits:?}").contains("sk-real"));
    let written = Written::new(&head, &edits);
    assert_eq!(written.value("authorization"), "AWS4-HMAC-SHA256 sk-real");
    assert_eq!(written.value("x-amz-date"), "20261129T230000Z");
    assert_eq!(written.value("x-amz-security-token"), "sk-real-token");
}
