use access::{Refusal, Tokens};

use super::*;
use crate::error::{FormatProblem, Reporter};
use crate::streams::partial::Partial;

/// Errors of providers in their formats: status and body.
const BODIES: &[(Format, u16, &str)] = &[
    (
        Format::Chat,
        400,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
    ),
    (
        Format::Chat,
        429,
        r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
    ),
    (
        Format::Chat,
        429,
        r#"{"error":{"message":"Rate limit reached.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
    ),
    (
        Format::Chat,
        401,
        r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
    ),
    (
        Format::Chat,
        503,
        r#"{"error":{"message":"The server is overloaded.","type":"server_error","param":null,"code":null}}"#,
    ),
    (Format::Chat, 422, r#"{"detail":"Not valid"}"#),
    (Format::Chat, 502, "<html>nginx</html>"),
    (
        Format::Messages,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"},"request_id":"req_1"}"#,
    ),
    (
        Format::Messages,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits."},"request_id":"req_1"}"#,
    ),
    (
        Format::Messages,
        404,
        r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"},"request_id":"req_1"}"#,
    ),
    (
        Format::Messages,
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."},"request_id":"req_1"}"#,
    ),
    (
        Format::Messages,
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
    ),
    (
        Format::Messages,
        500,
        r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"},"request_id":"req_1"}"#,
    ),
    (Format::Messages, 504, ""),
    (
        Format::GenerateContent,
        400,
        r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
    ),
    (
        Format::GenerateContent,
        400,
        r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
    ),
    (
        Format::GenerateContent,
        404,
        r#"{"error":{"code":404,"message":"models/x is not found for API version v1beta","status":"NOT_FOUND"}}"#,
    ),
    (
        Format::GenerateContent,
        429,
        r#"[{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}]"#,
    ),
    (
        Format::GenerateContent,
        503,
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
    ),
];

#[test]
fn errors_have_the_words_of_the_clients_format() {
    let mut table = String::new();
    for (provider, status, bytes) in BODIES {
        table.push_str(&format!("{} {status}\n", provider.name()));
        for client in FORMATS.into_iter().filter(|client| client != provider) {
            for framing in [ResponseFraming::Json, ResponseFraming::Events, ResponseFraming::Opaque] {
                let streamed = ResponseTranslator::new(context(client, *provider, true), IDS, framing, *status);
                assert_eq!(streamed.content_type(), "application/json");
                let error = body(client, *provider, framing, *status, bytes);
                assert_eq!(in_pieces(streamed, bytes.as_bytes(), 7), error_text(client, *provider, *status, bytes));
                assert!(error["error"]["message"].is_string());
            }
            let error = error_text(client, *provider, *status, bytes);
            let (own, _, _) = failure_of(client, *provider, *status, bytes).unwrap();
            table.push_str(&format!("  {} {own} {error}\n", client.name()));
        }
    }
    insta::assert_snapshot!(table);
}

fn error_text(client: Format, provider: Format, status: u16, bytes: &str) -> String {
    let translator = ResponseTranslator::new(context(client, provider, false), IDS, ResponseFraming::Json, status);
    in_pieces(translator, bytes.as_bytes(), 1_000)
}

#[test]
fn an_overloaded_provider_has_the_status_of_the_clients_format() {
    for (client, status, expected) in [
        (Format::Messages, 503, 529),
        (Format::Messages, 529, 529),
        (Format::Chat, 529, 503),
        (Format::Responses, 529, 503),
        (Format::Responses, 429, 429),
        (Format::Chat, 200, 200),
    ] {
        assert_eq!(client_status(client, status), expected);
    }
}

#[test]
fn errors_within_streams_end_the_stream_once() {
    for (provider, stream) in STREAMS {
        let error = if provider == Format::Messages {
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy."}}"#
        } else if provider == Format::Responses {
            r#"{"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"rate_limit_exceeded","message":"Busy."}}}"#
        } else {
            r#"{"error":{"message":"Busy.","code":"rate_limit_exceeded"}}"#
        };
        let events: Vec<_> = stream.split_inclusive("\n\n").collect();
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            for count in 0..events.len() - 3 {
                let stream = format!("{}data: {error}\n\n{}", events[..count].concat(), events[count..].concat());
                let out = streamed(client, provider, &stream);
                assert!(!check_stream(client, &out) && out.contains("Busy."), "{out}");
            }
        }
    }
}

/// Tollgate's own last events, which the translation reads as it reads the provider's.
#[test]
fn tollgates_errors_keep_their_code() {
    let partial =
        Partial { id: None, model: None, created: 0, tokens: (Tokens(0), Tokens(0)), block: None, sequence: 7 };
    let reporter = Reporter { domain: "tollgate", request_id: "0199-aa" };
    let problem = FormatProblem::new(Refusal::UpstreamTimeout, "Try again.", reporter);
    for (provider, stream) in STREAMS {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            for open in [false, true] {
                // An event that is too long to be held may be incomplete.
                let begun = if open { "data: {\"choices\":[" } else { "" };
                let (before, _) = stream.split_at(stream.find("\n\n").unwrap() + 2);
                let error = String::from_utf8(crate::error::event(provider, open, &problem, &partial)).unwrap();
                let out = streamed(client, provider, &format!("{before}{begun}{error}"));
                assert!(!check_stream(client, &out));
                assert!(open || out.contains("Try again.") && out.contains("upstream_timeout"), "{out}");
            }
        }
    }
}

#[test]
fn codex_recognizes_the_errors_after_which_it_does_not_repeat_the_call() {
    for (error, code) in [
        (r#"{"message":"m","code":"insufficient_quota"}"#, "insufficient_quota"),
        (r#"{"message":"m","code":"rate_limit_exceeded"}"#, "rate_limit_exceeded"),
        (r#"{"message":"m","code":503}"#, "server_is_overloaded"),
        (r#"{"message":"m","type":"invalid_request_error"}"#, "invalid_prompt"),
        (r#"{"message":"maximum context length is 8","code":400}"#, "context_length_exceeded"),
        (r#"{"message":"m"}"#, "server_error"),
    ] {
        let out = streamed(Format::Responses, Format::Chat, &format!("data: {{\"error\":{error}}}\n\n"));
        let events = events(&out);
        let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["response.created", "response.in_progress", "error", "response.failed"]);
        assert_eq!((&events[2].1["code"], &events[3].1["response"]["error"]["code"]), (&code.into(), &code.into()));
    }
}

#[test]
fn a_success_that_contains_an_error_is_an_error() {
    for (client, provider, bytes) in [
        (Format::Messages, Format::Chat, r#"{"error":{"message":"Busy.","code":503}}"#),
        (Format::Chat, Format::Messages, r#"{"type":"error","error":{"type":"api_error","message":"Busy."}}"#),
        (Format::Chat, Format::Responses, r#"{"status":"failed","error":{"code":"server_error","message":"Busy."}}"#),
    ] {
        let error = body(client, provider, ResponseFraming::Json, 200, bytes);
        assert_eq!(error["error"]["message"], "Busy.");
    }
}

/// Returns the status of a whole response that has failed, whether it fails for long, and the refusal.
fn failure_of(client: Format, provider: Format, status: u16, bytes: &str) -> Option<(u16, bool, Option<Refusal>)> {
    let mut translator = ResponseTranslator::new(context(client, provider, false), IDS, ResponseFraming::Json, status);
    assert!(translator.push(bytes.as_bytes()).is_empty() && translator.waits_for_end());
    translator.end();
    translator.failure().map(|ResponseFailure { status, is_lasting, refusal, .. }| (status, is_lasting, refusal))
}

#[test]
fn the_end_of_a_whole_body_decides_its_status() {
    let protocol = Some((502, false, Some(Refusal::UpstreamProtocol)));
    let cut = Some((502, false, Some(Refusal::UpstreamReset)));
    let unpaid = r#"{"error":{"message":"m","code":"insufficient_quota"}}"#;
    let ended = |reason: &str| format!(r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"{reason}"}}]}}"#);
    for (client, bytes, expected) in [
        (Format::Messages, "<html></html>", protocol),
        (Format::Messages, r#"{"choices":[{"mess"#, cut),
        (Format::Messages, "", cut),
        (Format::Messages, "{}", cut),
        (Format::Messages, &ended("error"), Some((502, false, None))),
        (Format::Messages, &ended("stop"), None),
        (Format::Messages, r#"{"error":{"message":"Busy.","code":503}}"#, Some((529, false, None))),
        (Format::Messages, unpaid, Some((400, true, None))),
        (Format::Responses, unpaid, Some((429, true, None))),
    ] {
        assert_eq!(failure_of(client, Format::Chat, 200, bytes), expected, "{bytes}");
    }
    assert_eq!(failure_of(Format::Messages, Format::Chat, 429, unpaid), Some((400, true, None)));
    let spent = r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits."}}"#;
    assert_eq!(failure_of(Format::Chat, Format::Messages, 400, spent), Some((429, true, None)));
}

/// Returns what a client gets of an error after a successful head, and the status that is hidden.
fn of_account(account: ProviderAccount, error: &str) -> (String, Option<u16>) {
    let context = context(Format::Messages, Format::Responses, true);
    let mut translator = ResponseTranslator::new(context, IDS, ResponseFraming::Events, 200).with_account(account);
    let failed = format!(r#"{{"type":"response.failed","response":{{"error":{error}}}}}"#);
    let out = translator.push(format!("data: {{\"type\":\"response.created\"}}\n\ndata: {failed}\n\n").as_bytes());
    let failure = translator.failure().unwrap();
    assert!(failure.is_of_provider() && !translator.is_complete());
    let is_hidden = failure.hidden_status.is_some();
    assert!(failure.refusal.is_some() == is_hidden && !(is_hidden && failure.is_lasting));
    (String::from_utf8(out.to_vec()).unwrap(), failure.hidden_status)
}

#[test]
fn errors_about_the_operators_account_are_not_shown_after_a_success_either() {
    use ProviderAccount::{Nobody, Own, Shared};
    let quota = r#"{"code":"insufficient_quota","message":"org-1 has no money"}"#;
    let credential = r#"{"code":"invalid_api_key","message":"Incorrect API key of org-1"}"#;
    let rate = r#"{"code":"rate_limit_exceeded","message":"Rate limit of org-1"}"#;
    let other = r#"{"code":"server_error","message":"org-1"}"#;
    for (account, error, shown, status) in [
        (Shared, quota, "refuses the gateway's account", Some(429)),
        (Shared, credential, "refuses the gateway's credential", Some(401)),
        (Nobody, credential, "refuses the gateway's credential", Some(401)),
        (Shared, rate, "takes no more calls at the moment", None),
        (Shared, other, "org-1", None),
        (Nobody, quota, "org-1", None),
        (Own, quota, "org-1", None),
        (Own, credential, "org-1", None),
        (Own, rate, "org-1", None),
    ] {
        let (out, hidden) = of_account(account, error);
        assert!(out.contains(shown) && (shown == "org-1" || !out.contains("org-1")), "{account:?} {out}");
        assert_eq!(hidden, status, "{account:?} {error}");
    }
}

#[test]
fn a_stream_fails_with_a_status_if_its_provider_sends_no_stream() {
    let long = "x".repeat((1 << 20) + 1);
    let call = format!(
        r#"{{"choices":[{{"message":{{"content":"x","tool_calls":[{{"id":"c","function":{{"name":"f","arguments":"{long}"}}}}]}}}}]}}"#
    );
    for (bytes, status) in [
        ("<html></html>", 502),
        (r#"{"error":{"message":"Busy.","code":503}}"#, 529),
        ("", 502),
        // It begins with text.
        (&call, 502),
    ] {
        let context = context(Format::Messages, Format::Chat, true);
        let mut translator = ResponseTranslator::new(context, IDS, ResponseFraming::Json, 200);
        assert!(translator.push(bytes.as_bytes()).is_empty() && translator.waits_for_end());
        let error: Value = serde_json::from_slice(&translator.end()).unwrap();
        assert!(error["error"]["message"].is_string() && translator.waits_for_end(), "{error}");
        assert_eq!((translator.failure().unwrap().status, translator.content_type()), (status, "application/json"));
    }
    let translator =
        ResponseTranslator::new(context(Format::Messages, Format::Chat, true), IDS, ResponseFraming::Events, 200);
    assert!(!translator.waits_for_end());
}

#[test]
fn a_body_of_another_format_is_no_response() {
    const CHAT: &str =
        r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}"#;
    const MESSAGES: &str = r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#;
    const RESPONSES: &str = r#"{"status":"completed","output":[]}"#;
    let own = [(Format::Chat, CHAT), (Format::Messages, MESSAGES), (Format::Responses, RESPONSES)];
    for (provider, _) in own {
        for (format, bytes) in own {
            assert_eq!(is_response(provider, bytes.as_bytes()), provider == format, "{provider:?} {bytes}");
            let client = if provider == Format::Chat { Format::Messages } else { Format::Chat };
            assert_eq!(failure_of(client, provider, 200, bytes).is_none(), provider == format);
        }
        for bytes in ["{}", "[]", "<p>", "", r#"{"detail":"Not Found"}"#, r#"{"status":"new","output":[]}"#] {
            assert!(!is_response(provider, bytes.as_bytes()), "{provider:?} {bytes}");
        }
        assert!(is_response(provider, br#"{"error":{"message":"m"}}"#));
    }
    for (provider, bytes) in [
        (Format::Chat, CHAT.replace("\"stop\"", "\"insufficient_system_resource\"")),
        (Format::Responses, RESPONSES.replace("completed", "failed")),
    ] {
        assert!(!is_response(provider, bytes.as_bytes()), "it could not be finished: {bytes}");
    }
}

#[test]
fn a_message_that_stops_without_a_reason_is_cut() {
    let stream = "data: {\"type\":\"message_start\",\"message\":{}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    let out = streamed(Format::Chat, Format::Messages, stream);
    assert!(!check_stream(Format::Chat, &out) && out.contains("it is incomplete"), "{out}");
}

#[test]
fn the_gateway_can_end_a_response_in_the_clients_format() {
    for (provider, stream) in STREAMS {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            for streamed in [false, true] {
                let context = context(client, provider, streamed);
                let mut translator = ResponseTranslator::new(context, IDS, ResponseFraming::Events, 200);
                let (before, _) = stream.split_at(stream.find("\n\n").unwrap() + 2);
                let mut out = translator.push(before.as_bytes()).to_vec();
                out.extend_from_slice(&translator.fail(Refusal::Overloaded, "Try again."));
                assert!(translator.fail(Refusal::Overloaded, "Try again.").is_empty());
                let out = String::from_utf8(out).unwrap();
                assert!(out.contains("Try again.") && translator.failure().unwrap().refusal.is_some(), "{out}");
                assert!(!streamed || !check_stream(client, &out));
            }
        }
    }
}

#[test]
fn other_media_than_images_are_an_error_that_names_them_and_no_empty_response() {
    let sound = r#"{"candidates":[{"finishReason":"STOP","content":{"role":"model","parts":[{"inlineData":{"mimeType":"audio/L16","data":"AAAA"}}]}}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1290}}"#;
    for client in [Format::Chat, Format::Responses, Format::Messages] {
        let translated = body(client, Format::GenerateContent, ResponseFraming::Json, 200, sound).to_string();
        assert!(
            translated.contains("audio/L16") && translated.contains("upstream_protocol"),
            "{client:?} {translated}"
        );
    }
}

#[test]
fn an_error_about_the_length_of_a_passed_call_has_the_words_of_its_format() {
    let said = |format, status, message: &str| {
        let body = format!(r#"{{"error":{{"message":"{message}","code":400}}}}"#);
        let own = crate::translate::context_error(format, status, body.as_bytes(), "r")?;
        Some(serde_json::from_slice::<Value>(&own).unwrap()["error"].clone())
    };
    let vllm = "The prompt (length 40000) is longer than the maximum model length of 32768.";
    assert_eq!(said(Format::Chat, 400, vllm).unwrap()["code"], "context_length_exceeded");
    assert_eq!(
        said(Format::Messages, 413, vllm).unwrap()["message"],
        "prompt is too long: 40000 tokens > 32768 maximum"
    );
    for (format, status, message) in [
        (Format::Messages, 400, "prompt is too long: 9 tokens > 8 maximum"),
        (Format::Chat, 400, "temperature must be at most 2"),
        (Format::GenerateContent, 400, vllm),
    ] {
        assert_eq!(said(format, status, message), None, "{message}");
    }
    let own = br#"{"error":{"message":"maximum context length is 8","code":"context_length_exceeded"}}"#;
    assert_eq!(crate::translate::context_error(Format::Responses, 400, own, "r"), None);
}
