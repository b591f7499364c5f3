use access::Tokens;

use super::*;

/// A stream without any known fact.
const PARTIAL: Partial<'static> =
    Partial { id: None, model: None, created: 0, tokens: (Tokens(0), Tokens(0)), block: None, sequence: 7 };

fn problem(refusal: Refusal) -> FormatProblem<'static> {
    FormatProblem::new(refusal, "say \"what\" to do", Reporter { domain: "tollgate", request_id: "0199-aa" })
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Each line of the table shows one refusal in all shapes.
#[test]
fn every_refusal_has_its_words_in_every_dialect() {
    let mut table = String::new();
    for refusal in Refusal::ALL {
        let problem = problem(*refusal);
        let body = |dialect| -> serde_json::Value { serde_json::from_slice(&body(dialect, &problem)).unwrap() };
        let [openai, anthropic, google] =
            [Dialect::OpenAi, Dialect::Anthropic, Dialect::Google].map(|dialect| body(Some(dialect)));
        let status = refusal.status();
        let code = refusal.code();
        assert_eq!(
            body(None),
            serde_json::json!({"error": {"code": code, "message": problem.message, "status": status}})
        );
        let retry = if headers(Some(Dialect::OpenAi), *refusal).is_empty() { "retry" } else { "no retry" };
        table.push_str(&format!(
            "{status} {code}: openai {} {} {}, anthropic {} {}, google {} {}, {retry}\n",
            openai["error"]["type"],
            openai["error"]["code"],
            openai["error"]["param"],
            anthropic["error"]["type"],
            anthropic["error"]["code"],
            google["error"]["code"],
            google["error"]["status"],
        ));
    }
    insta::assert_snapshot!("words", table);
}

#[test]
fn bodies_have_the_shape_of_their_dialect() {
    let problem = problem(Refusal::QuotaExceeded);
    let shapes: Vec<_> = [Some(Dialect::OpenAi), Some(Dialect::Anthropic), Some(Dialect::Google), None]
        .into_iter()
        .map(|dialect| text(body(dialect, &problem)))
        .collect();
    insta::assert_snapshot!("bodies", shapes.join("\n"));
}

/// gemini-cli ends at a 429 whose quota is one of a day.
#[test]
fn google_clients_are_told_which_quota_is_used_up() {
    let quota = |refusal| {
        let body: serde_json::Value = serde_json::from_slice(&body(Some(Dialect::Google), &problem(refusal))).unwrap();
        body["error"]["details"][1]["violations"][0]["quotaId"].as_str().map(str::to_owned)
    };
    for (refusal, expected) in [
        (Refusal::QuotaExceeded, Some("CreditsPerDay")),
        (Refusal::BudgetExceeded, Some("BudgetPerDay")),
        (Refusal::RateLimited, None),
    ] {
        assert_eq!(quota(refusal).as_deref(), expected);
    }
}

#[test]
fn a_cut_stream_ends_with_the_event_of_its_format() {
    let problem = problem(Refusal::Draining);
    let events: Vec<_> = Format::ALL.into_iter().map(|format| text(event(format, false, &problem, &PARTIAL))).collect();
    insta::assert_snapshot!("events", events.join("========\n"));
}

#[test]
fn clients_are_asked_not_to_retry_permanent_errors() {
    const NO: &[(&str, &str)] = &[("x-should-retry", "false")];
    for refusal in [Refusal::QuotaExceeded, Refusal::KeyUnknown, Refusal::KeyRevoked, Refusal::UserSuspended] {
        assert_eq!(headers(Some(Dialect::Anthropic), refusal), NO, "{}", refusal.code());
        assert!(headers(None, refusal).is_empty());
    }
    for refusal in [Refusal::RateLimited, Refusal::Draining, Refusal::UpstreamTimeout] {
        assert!(headers(Some(Dialect::OpenAi), refusal).is_empty(), "{}", refusal.code());
    }
}

/// Google's SDKs crash on comments, and its older ones on blank lines.
#[test]
fn googles_error_is_sent_as_an_event_and_then_bare() {
    let event = text(event(Format::GenerateContent, false, &problem(Refusal::Draining), &PARTIAL));
    let (data, bare) = event.split_once("\n\n").unwrap();
    assert!(bare.starts_with("{\"error\":{\"code\":503,") && !bare.contains('\n'), "{event}");
    assert_eq!(data, format!("data: {bare}"));
}

#[test]
fn a_cut_inside_an_event_does_not_swallow_the_error() {
    let problem = problem(Refusal::UpstreamReset);
    for format in Format::ALL {
        let stream = [b"data: {\"par".to_vec(), event(format, true, &problem, &PARTIAL)].concat();
        let lines: Vec<_> = std::str::from_utf8(&stream).unwrap().split("\n\n").collect();
        assert_eq!(lines[0], "data: {\"par");
        assert!(
            lines[1].starts_with("data: {\"error\"") || lines[1].starts_with("event: error\ndata: {"),
            "{format:?}"
        );
    }
}

/// Statuses that the configuration may choose for an exhausted quota, in each dialect.
#[test]
fn a_chosen_status_has_its_words_in_every_dialect() {
    let mut table = String::new();
    for status in [429, 402, 403] {
        let problem = FormatProblem { status, ..problem(Refusal::QuotaExceeded) };
        for dialect in [Some(Dialect::OpenAi), Some(Dialect::Anthropic), Some(Dialect::Google), None] {
            table.push_str(&format!("{status} {}\n", text(body(dialect, &problem))));
        }
        assert_eq!(headers(Some(Dialect::OpenAi), Refusal::QuotaExceeded), [("x-should-retry", "false")]);
    }
    insta::assert_snapshot!("chosen_status", table);
}

#[test]
fn a_rejected_key_is_named_in_openais_words_and_in_no_other_dialect() {
    let printed = |dialect, refusal| {
        let body: Value = serde_json::from_slice(&body(Some(dialect), &problem(refusal))).unwrap();
        body["error"]["message"].as_str().unwrap().to_owned()
    };
    for refusal in Refusal::ALL.iter().copied().filter(|refusal| refusal.status() == 401) {
        let has_words = printed(Dialect::OpenAi, refusal) == "Incorrect API key provided: say \"what\" to do";
        assert_eq!(has_words, refusal != Refusal::Unauthorized, "{}", refusal.code());
        for dialect in [Dialect::Anthropic, Dialect::Google] {
            assert_eq!(printed(dialect, refusal), "say \"what\" to do", "{}", refusal.code());
        }
    }
    assert_eq!(printed(Dialect::OpenAi, Refusal::Forbidden), "say \"what\" to do");
}

#[test]
fn the_field_at_fault_is_openais_param() {
    let problem = FormatProblem { param: Some("background"), ..problem(Refusal::BadRequest) };
    let body: Value = serde_json::from_slice(&body(Some(Dialect::OpenAi), &problem)).unwrap();
    assert_eq!(body["error"]["param"], "background");
}

#[test]
fn bedrocks_clients_find_the_message_at_the_top() {
    let body: Value = serde_json::from_slice(&bedrock_body(&problem(Refusal::RouteNotFound))).unwrap();
    assert_eq!(body, json!({"message": "say \"what\" to do", "code": "route_not_found", "request_id": "0199-aa"}));
}
