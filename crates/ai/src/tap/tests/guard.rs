//! Errors about the operator's account within successful responses.

use std::sync::LazyLock;

use access::{Clock, Ids, RequestId, Timestamp};
use bytes::Bytes;

use super::super::*;
use crate::failures::account_error::ProviderAccount;

const EVENTS: ResponseFraming = ResponseFraming::Events;
const SECRET: &str = "Rate limit reached in organization org-AbC123xyz on tokens per min (TPM): Limit 30000";

/// The id of the call, which is in the bodies of some formats' errors.
static REQUEST_ID: LazyLock<RequestId> = LazyLock::new(|| RequestId(Ids::new(Clock::manual(Timestamp(1))).next_uuid()));

fn guard() -> AccountGuard {
    AccountGuard::new(ProviderAccount::Shared, false, *REQUEST_ID, "tollgate")
}

fn passed(format: Format, framing: ResponseFraming, pieces: &[&[u8]]) -> (String, ResponseFacts) {
    let mut tap = Tap::new(format, framing, false).with_guard(guard());
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&tap.push(Bytes::copy_from_slice(piece)));
    }
    let (rest, facts) = tap.finish();
    out.extend_from_slice(&rest);
    (String::from_utf8(out).unwrap(), facts)
}

/// Checks that the output names no account, at every split, and has the events around the error.
fn check(format: Format, framing: ResponseFraming, stream: &str, kept: &[&str], code: &str) {
    let bytes = stream.as_bytes();
    let (whole, facts) = passed(format, framing, &[bytes]);
    assert!(!whole.contains("org-") && !whole.contains("30000"), "{whole}");
    assert!(whole.contains(code) && kept.iter().all(|part| whole.contains(part)), "{whole}");
    assert!(facts.hidden.is_some(), "{format:?}");
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(passed(format, framing, &[first, second]).0, whole, "{format:?} at {at}");
    }
    let each: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(passed(format, framing, &each).0, whole, "{format:?} byte by byte");
}

#[test]
fn error_events_of_all_formats_name_no_account() {
    let openai = format!(r#"{{"error":{{"message":"{SECRET}","type":"tokens","code":"rate_limit_exceeded"}}}}"#);
    let chunk = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    check(
        Format::Chat,
        EVENTS,
        &format!("{chunk}data: {openai}\n\ndata: [DONE]\n\n"),
        &[chunk, "[DONE]"],
        "rate_limit_exceeded",
    );
    check(Format::Chat, EVENTS, &format!("{chunk}data: {openai}\r\n\r\n"), &[chunk], "rate_limit_exceeded");
    check(Format::Chat, EVENTS, &format!("{chunk}data: {openai}\r\r{chunk}"), &[chunk], "rate_limit_exceeded");
    check(Format::Chat, EVENTS, &format!("{chunk}: c\ndata: {openai}"), &[chunk], "rate_limit_exceeded");
    let beside = format!(
        r#"{{"id":"c","choices":[{{"delta":{{}},"finish_reason":"error"}}],"error":{{"code":502,"message":"{SECRET}"}}}}"#
    );
    check(Format::Chat, EVENTS, &format!("{chunk}data: {beside}\n\n"), &[chunk], "rate_limit_exceeded");
    let anthropic = format!(r#"{{"type":"error","error":{{"type":"rate_limit_error","message":"{SECRET}"}}}}"#);
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n";
    check(
        Format::Messages,
        EVENTS,
        &format!("{start}event: error\ndata: {anthropic}\n\n"),
        &[start, "event: error"],
        "rate_limited",
    );
    check(Format::Messages, EVENTS, &format!("{start}data: {anthropic}\n\n"), &[start], "rate_limited");
    let event = format!(r#"{{"type":"error","code":"rate_limit_exceeded","message":"{SECRET}"}}"#);
    let failed = format!(
        r#"{{"type":"response.failed","response":{{"id":"r","error":{{"code":"rate_limit_exceeded","message":"{SECRET}"}}}}}}"#
    );
    let created = "event: response.created\ndata: {\"response\":{\"id\":\"r\",\"model\":\"m\"}}\n\n";
    let stream = format!("{created}event: error\ndata: {event}\n\nevent: response.failed\ndata: {failed}\n\n");
    check(
        Format::Responses,
        EVENTS,
        &stream,
        &[created, "\"sequence_number\":1", "\"sequence_number\":2"],
        "rate_limit_exceeded",
    );
    check(
        Format::Responses,
        EVENTS,
        &format!("{created}data: {failed}\n\n"),
        &[created, "response.failed"],
        "takes no more calls",
    );
    let google = format!(r#"{{"error":{{"code":429,"status":"RESOURCE_EXHAUSTED","message":"{SECRET}"}}}}"#);
    let part = "data: {\"candidates\":[{\"content\":{}}]}\r\n\r\n";
    check(Format::GenerateContent, EVENTS, &format!("{part}data: {google}\r\n\r\n"), &[part], "RESOURCE_EXHAUSTED");
    check(
        Format::GenerateContent,
        ResponseFraming::Array,
        &format!("[{{\"candidates\":[]}}\n,\r\n{google}\n]"),
        &["[{\"candidates\":[]}\n,\r\n", "\n]"],
        "RESOURCE_EXHAUSTED",
    );
    check(
        Format::Images,
        EVENTS,
        &format!("event: error\ndata: {event}\n\n"),
        &["event: error"],
        "rate_limit_exceeded",
    );
}

#[test]
fn errors_about_the_call_pass_as_they_are() {
    for (format, stream) in [
        (Format::Chat, "data: {\"error\":{\"message\":\"bad\",\"code\":\"invalid_request_error\"}}\n\n"),
        (
            Format::Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
        ),
        (Format::Chat, "data: {\"error\":null,\"choices\":[{\"delta\":{\"content\":\"your organization\"}}]}\n\n"),
    ] {
        for size in 1..=stream.len() {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let (out, facts) = passed(format, EVENTS, &pieces);
            assert_eq!((out.as_str(), facts.hidden), (stream, None), "{size}");
        }
    }
}

#[test]
fn an_error_that_is_too_long_to_be_read_is_hidden() {
    let long = "x".repeat(70_000);
    let array = ResponseFraming::Array;
    for (format, framing, stream) in [
        (Format::Chat, EVENTS, format!("data: {{\"error\":{{\"message\":\"{long}{SECRET}\"}}}}\n\ndata: [DONE]\n\n")),
        (Format::Messages, EVENTS, format!("event: error\ndata: {{\"error\":{{\"message\":\"{long}{SECRET}\"}}}}\n\n")),
        (Format::Messages, EVENTS, format!("event: error\ndata: {{\"message\":\"{long}{SECRET}\"}}\n\n")),
        (Format::GenerateContent, array, format!("[{{\"error\":{{\"message\":\"{long}{SECRET}\"}}}}\n]")),
    ] {
        for size in [1_000, 60_000, 65_536, 70_000, stream.len()] {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let (out, facts) = passed(format, framing, &pieces);
            assert!(
                out.len() < 1_000 && out.contains("gateway's account") && facts.hidden.is_some(),
                "{size}: {}",
                out.len()
            );
        }
    }
}

#[test]
fn an_error_in_a_whole_body_is_replaced_in_its_length() {
    let with_code =
        |message: &str, code: u16| format!("{{\n  \"error\": {{\"message\":\"{message}\",\"code\":{code}}}}}");
    let body = |message: &str| with_code(message, 429);
    let long = format!("{}{SECRET}", "x".repeat(70_000));
    for message in [SECRET, &long, "your quota", &format!("{SECRET}{}", "x".repeat(400))] {
        let body = body(message);
        for size in [1, 7, 1_000, body.len()] {
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            let (out, facts) = passed(Format::Chat, ResponseFraming::Json, &pieces);
            assert_eq!((out.len(), facts.hidden.is_some()), (body.len(), true), "{size}");
            assert!(!out.contains("org-") && serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
        }
    }
    for body in
        ["", "{", "{\"error\":null,\"choices\":[]}", "{\"type\":\"message\"}", "[]", &with_code("bad value", 400)]
    {
        for size in 1..=body.len().max(1) {
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            assert_eq!(passed(Format::Chat, ResponseFraming::Json, &pieces).0, body, "{size}");
        }
    }
}

#[test]
fn a_single_error_in_place_of_an_array_names_no_account() {
    let array = ResponseFraming::Array;
    let error =
        format!("{{\n  \"error\": {{\"code\": 429, \"message\": \"{SECRET}\", \"status\": \"RESOURCE_EXHAUSTED\"}}}}");
    let text = format!("{{\"error\":\"{SECRET}\"}}");
    let late = format!("{{\"responseId\":\"a\",\"error\":{{\"code\":429,\"message\":\"{SECRET}\"}}}}");
    for (stream, kept) in [
        (error.clone(), ""),
        (format!("\n{error}\r\n"), "\r\n"),
        (text, ""),
        (late, ""),
        (format!("{{\"candidates\":[]}}\n{error}"), "{\"candidates\":[]}\n"),
        // Its end is missing.
        (error[..error.len() - 2].to_owned(), ""),
    ] {
        check(Format::GenerateContent, array, &stream, &[kept], "RESOURCE_EXHAUSTED");
    }
    let long = format!("{{\"error\":{{\"message\":\"{}{SECRET}\"}}}}", "x".repeat(70_000));
    for size in [1_000, 65_536, 70_000, long.len()] {
        let pieces: Vec<&[u8]> = long.as_bytes().chunks(size).collect();
        let (out, facts) = passed(Format::GenerateContent, array, &pieces);
        assert!(out.len() < 1_000 && out.contains("gateway's account") && facts.hidden.is_some(), "{size}");
    }
    for stream in [
        "{\"error\":{\"code\":400,\"message\":\"bad value\"}}",
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\\\"error\\\":{} your organization\"}]}}]}\n",
        "{\"candidates\":[]} {}",
    ] {
        for size in 1..=stream.len() {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            assert_eq!(passed(Format::GenerateContent, array, &pieces).0, stream, "{size}");
        }
    }
}

#[test]
fn a_single_error_that_is_cut_is_replaced_by_that_of_the_gateway() {
    let problem = FormatProblem::new(
        access::Refusal::UpstreamReset,
        "the provider broke off",
        error::Reporter { domain: "tollgate", request_id: "0199-aa" },
    );
    let begun = format!("{{\"error\":{{\"message\":\"{SECRET}");
    for is_cut in [true, false] {
        let mut tap = Tap::new(Format::GenerateContent, ResponseFraming::Array, false).with_guard(guard());
        let passed = tap.push(Bytes::from(begun.clone()));
        let (last, _) = if is_cut { tap.cut(&problem) } else { tap.close(&problem) };
        let json: serde_json::Value = serde_json::from_slice(&last).unwrap();
        assert_eq!((passed.len(), &json["error"]["message"]), (0, &"the provider broke off".into()), "{is_cut}");
    }
}
