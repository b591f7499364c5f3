use access::Refusal;

use super::*;
use crate::format::Dialect;

const PROBLEM: Problem<'static> = Problem {
    refusal: Refusal::UpstreamReset,
    message: "the provider broke off",
    request_id: "0199-aa",
    domain: "tollgate",
};

/// What goes on of `stream`, and what the cut adds.
fn cut(format: Format, framing: Framing, stream: &[u8]) -> (String, String, Seen) {
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
            let (passed, last, _) = cut(format, Framing::Events, &stream[..at]);
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
        let (passed, last, _) = cut(Format::GenerateContent, Framing::Events, stream.as_bytes());
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
        let (passed, last, seen) = cut(Format::GenerateContent, Framing::Array, &whole.as_bytes()[..at]);
        let value: Vec<serde_json::Value> = serde_json::from_str(&(passed + &last)).unwrap();
        assert_eq!((last.is_empty(), seen.ended), (at >= end, at >= end), "{at}");
        let told = value.len() - usize::from(!last.is_empty());
        assert_eq!(value[..told], elements[..told], "{at}");
        if let Some(error) = value.get(told) {
            assert_eq!((&error["error"]["code"], &error["error"]["message"]), (&502.into(), &PROBLEM.message.into()));
        }
    }
}

#[test]
fn behind_half_an_element_and_in_bodies_nothing_is_told() {
    let half = format!("[{{\"a\":\"{}", "x".repeat(70_000));
    for (format, framing, stream) in [
        (Format::GenerateContent, Framing::Array, half.as_str()),
        (Format::GenerateContent, Framing::Array, "{\"error\":"),
        (Format::GenerateContent, Framing::Array, "<html>"),
        (Format::Chat, Framing::Json, "{\"choices\":"),
        (Format::Speech, Framing::Opaque, "ID3"),
        (Format::Transcription, Framing::Opaque, "1\n00:00:00,000 --> "),
    ] {
        let (passed, last, seen) = cut(format, framing, stream.as_bytes());
        assert_eq!((passed.as_str(), last.as_str(), seen), (stream, "", Seen::default()), "{format:?}");
    }
}

#[test]
fn what_is_not_read_has_ended_unless_it_was_cut() {
    let audio = Bytes::from_static(b"{\"usage\":{\"input_tokens\":3}} [DONE]\n\ndata: \xff\xfb");
    let mut tap = Tap::new(Format::Speech, Framing::Opaque, false);
    let out = tap.push(audio.clone());
    assert_eq!((out.as_ptr(), out.len()), (audio.as_ptr(), audio.len()));
    assert_eq!(tap.finish(), (Bytes::new(), Seen { ended: true, ..Seen::default() }));
}

#[test]
fn what_was_told_before_a_cut_is_seen() {
    let stream = include_bytes!("../../../tests/fixtures/generate.sse");
    let (_, _, seen) = cut(Format::GenerateContent, Framing::Events, &stream[..stream.len() - 30]);
    assert_eq!((seen.usage.and_then(|usage| usage.output), seen.ended), (Some(9), false));
}
