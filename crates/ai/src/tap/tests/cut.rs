use access::{Refusal, Tokens};

use super::*;
use crate::error::Reporter;
use crate::format::Dialect;

const REPORTER: Reporter<'static> = Reporter { domain: "tollgate", request_id: "0199-aa" };
const PROBLEM: FormatProblem<'static> = FormatProblem::new(Refusal::UpstreamReset, "the provider broke off", REPORTER);

/// Returns the forwarded part of `stream`, and the bytes that the abort adds.
fn cut(format: Format, framing: ResponseFraming, stream: &[u8]) -> (String, String, ResponseFacts) {
    let mut tap = Tap::new(format, framing, true);
    let passed: Vec<u8> = stream.chunks(7).flat_map(|piece| tap.push(Bytes::copy_from_slice(piece))).collect();
    let (last, seen) = tap.cut(&PROBLEM);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&passed), text(&last), seen)
}

#[test]
fn a_cut_stream_of_events_is_whole_events_and_the_formats_error() {
    for (format, stream) in streams() {
        for at in (0..stream.len()).step_by(11) {
            let (passed, last, _) = cut(format, ResponseFraming::Events, &stream[..at]);
            assert!(stream.starts_with(passed.as_bytes()), "{format:?} at {at}");
            let data = last.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["error"]["message"], PROBLEM.message, "{format:?}");
            let end = if format.dialect() == Dialect::Google { "}" } else { "\n\n" };
            assert!(last.ends_with(end) && !last.contains("\n:"), "{format:?}");
        }
    }
}

#[test]
fn googles_error_event_closes_an_event_only_where_one_is_open() {
    for (stream, opens) in [
        ("data: {}\n\n".to_owned(), false),
        ("data: {}\n\ndata: {\"a".to_owned(), false),
        (format!("data: {{\"a\":\"{}", "x".repeat(70_000)), true),
    ] {
        let (passed, last, _) = cut(Format::GenerateContent, ResponseFraming::Events, stream.as_bytes());
        assert_eq!((last.starts_with("\n\ndata: {\"error\""), last.starts_with("data: {\"error\"")), (opens, !opens));
        assert_eq!(passed.len() > 10, opens);
    }
}

#[test]
fn a_cut_array_stays_valid_json_with_the_error_at_its_end() {
    let whole = include_str!("../../../tests/fixtures/generate-array.json");
    let elements: Vec<serde_json::Value> = serde_json::from_str(whole).unwrap();
    let end = whole.trim_end().len();
    for at in 0..whole.len() {
        let (passed, last, seen) = cut(Format::GenerateContent, ResponseFraming::Array, &whole.as_bytes()[..at]);
        let value: Vec<serde_json::Value> = serde_json::from_str(&(passed + &last)).unwrap();
        assert_eq!((last.is_empty(), seen.ended), (at >= end, at >= end), "{at}");
        let complete_len = value.len() - usize::from(!last.is_empty());
        assert_eq!(value[..complete_len], elements[..complete_len], "{at}");
        if let Some(error) = value.get(complete_len) {
            assert_eq!((&error["error"]["code"], &error["error"]["message"]), (&502.into(), &PROBLEM.message.into()));
        }
    }
}

#[test]
fn no_error_follows_half_an_element_or_a_body() {
    let half = format!("[{{\"a\":\"{}", "x".repeat(70_000));
    for (format, framing, stream) in [
        (Format::GenerateContent, ResponseFraming::Array, half.as_str()),
        (Format::GenerateContent, ResponseFraming::Array, "{\"error\":"),
        (Format::GenerateContent, ResponseFraming::Array, "<html>"),
        (Format::Chat, ResponseFraming::Json, "{\"choices\":"),
        (Format::Speech, ResponseFraming::Opaque, "ID3"),
        (Format::Transcription, ResponseFraming::Opaque, "1\n00:00:00,000 --> "),
    ] {
        let (passed, last, seen) = cut(format, framing, stream.as_bytes());
        assert_eq!((passed.as_str(), last.as_str(), seen), (stream, "", ResponseFacts::default()), "{format:?}");
    }
}

#[test]
fn an_unread_response_has_ended_unless_it_was_cut() {
    let audio = Bytes::from_static(b"{\"usage\":{\"input_tokens\":3}} [DONE]\n\ndata: \xff\xfb");
    let mut tap = Tap::new(Format::Speech, ResponseFraming::Opaque, false);
    let out = tap.push(audio.clone());
    assert_eq!((out.as_ptr(), out.len()), (audio.as_ptr(), audio.len()));
    assert_eq!(tap.finish(), (Bytes::new(), ResponseFacts { ended: true, ..ResponseFacts::default() }));
}

#[test]
fn usage_reported_before_a_cut_is_read() {
    let stream = include_bytes!("../../../tests/fixtures/generate.sse");
    let (_, _, seen) = cut(Format::GenerateContent, ResponseFraming::Events, &stream[..stream.len() - 30]);
    assert_eq!((seen.usage.and_then(|usage| usage.output), seen.ended), (Some(Tokens(9)), false));
}

/// Returns the forwarded part of `stream` in pieces of `size`, and the bytes that its end adds.
fn closed(format: Format, framing: ResponseFraming, stream: &[u8], size: usize) -> (Vec<u8>, Vec<u8>, ResponseFacts) {
    let mut tap = Tap::new(format, framing, false);
    let passed = stream.chunks(size).flat_map(|piece| tap.push(Bytes::copy_from_slice(piece))).collect();
    let (last, seen) = tap.close(&PROBLEM);
    (passed, last.to_vec(), seen)
}

#[test]
fn a_stream_that_ends_before_its_last_event_ends_with_its_formats_error_at_every_byte() {
    let arrays = [(
        Format::GenerateContent,
        ResponseFraming::Array,
        include_bytes!("../../../tests/fixtures/generate-array.json").to_vec(),
    )];
    let events = streams().map(|(format, stream)| (format, ResponseFraming::Events, stream));
    for (format, framing, stream) in events.chain(arrays) {
        let mut errors = 0;
        for at in 0..=stream.len() {
            let (passed, last, seen) = closed(format, framing, &stream[..at], 7);
            let (whole, finished) = tapped(Tap::new(format, framing, false), [&stream[..at]]);
            if finished.ended {
                assert_eq!([&passed[..], &last].concat(), whole, "{format:?} at {at}");
                assert_eq!(seen, finished, "{format:?} at {at}");
            } else {
                errors += 1;
                assert!(stream.starts_with(&passed), "{format:?} at {at}");
                let mut tap = Tap::new(format, framing, false);
                let before = tap.push(Bytes::copy_from_slice(&stream[..at]));
                let (cut, cut_seen) = tap.cut(&PROBLEM);
                assert_eq!((&passed[..], &last[..]), (&before[..], &cut[..]), "{format:?} at {at}");
                assert_eq!(seen, cut_seen, "{format:?} at {at}");
                assert!(String::from_utf8_lossy(&last).contains(PROBLEM.message), "{format:?} at {at}");
            }
        }
        assert!(errors > stream.len() / 3, "{format:?}");
        let (_, last, seen) = closed(format, framing, &stream, 7);
        assert_eq!(last.is_empty(), seen.ended, "{format:?}: a whole stream has nothing added");
    }
}

#[test]
fn nothing_is_added_where_the_provider_reported_an_error_itself() {
    const CHAT: &str =
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"\\\"error\\\"\"}}]}\n\n";
    for (format, before, error) in [
        (Format::Chat, CHAT, "data: {\"error\":{\"message\":\"m\"}}\n\n"),
        (Format::Chat, CHAT, "data: {\"error\": \"m\"}\n\n"),
        (Format::Chat, "", "data: {\"error\":{\"message\":\"m\"}}"),
        (Format::Completions, "", "data: {\"error\":{\"message\":\"m\"}}\n\n"),
        (Format::Responses, "", "event: error\ndata: {\"type\":\"error\",\"message\":\"m\"}\n\n"),
        (Format::Responses, "", "data: {\"type\":\"error\",\"message\":\"m\"}\n\n"),
        (Format::Messages, "", "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n"),
        (Format::Images, "", "event: error\ndata: {\"type\":\"error\"}\n\n"),
        (Format::GenerateContent, "data: {\"candidates\":[]}\n\n", "data: {\"error\":{\"code\":503}}\n\n"),
    ] {
        for size in [1, 7, 1_000] {
            let stream = format!("{before}{error}");
            let (passed, last, seen) = closed(format, ResponseFraming::Events, stream.as_bytes(), size);
            assert_eq!(String::from_utf8([passed, last].concat()).unwrap(), stream, "{format:?}");
            assert!(!seen.ended);
            // Data that only resembles an error is not an error.
            if !before.is_empty() {
                let (_, last, _) = closed(format, ResponseFraming::Events, before.as_bytes(), size);
                assert!(String::from_utf8_lossy(&last).contains(PROBLEM.message), "{format:?}");
            }
        }
    }
}

#[test]
fn bodies_and_media_have_nothing_added_at_their_end() {
    for (format, framing, body) in [
        (Format::Chat, ResponseFraming::Json, "{\"choices\":"),
        (Format::Speech, ResponseFraming::Opaque, "ID3"),
        (Format::GenerateContent, ResponseFraming::Array, "<html>"),
        (Format::GenerateContent, ResponseFraming::Array, "{\"error\":{}}"),
    ] {
        let (passed, last, _) = closed(format, framing, body.as_bytes(), 3);
        assert_eq!([passed, last].concat(), body.as_bytes(), "{format:?}");
    }
}

/// Responses numbers its events: Tollgate's events continue the provider's numbers, and keep its id and time.
#[test]
fn the_error_of_responses_continues_the_stream() {
    const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\
        \"created_at\":1763700000,\"model\":\"gpt\"},\"sequence_number\":0}\n\n";
    const DELTA: &str =
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n";
    let half = &DELTA[..DELTA.len() / 2];
    for size in [1, 13, 10_000] {
        let stream = format!("{CREATED}{DELTA}{DELTA}{half}");
        let (_, last, _) = closed(Format::Responses, ResponseFraming::Events, stream.as_bytes(), size);
        let last = String::from_utf8(last).unwrap();
        let events: Vec<serde_json::Value> = last
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64()).collect();
        assert_eq!(numbers, [Some(3), Some(4)], "{last}");
        let response = &events[1]["response"];
        assert_eq!(
            (&response["id"], &response["created_at"], &response["model"], &response["status"]),
            (&"resp_1".into(), &1_763_700_000_u64.into(), &"gpt".into(), &"failed".into())
        );
    }
}
