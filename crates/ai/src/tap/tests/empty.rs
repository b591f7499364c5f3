//! Chat streams that end without content.

use super::*;

const DONE: &str = "data: [DONE]\n\n";
const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\n\n";

/// Returns the bytes that the client gets and whether the stream is complete, with any split.
fn closed(stream: &str) -> (String, bool) {
    let problem = FormatProblem::new(
        access::Refusal::UpstreamProtocol,
        "empty",
        crate::Reporter { domain: "tollgate", request_id: "r" },
    );
    let with = |size: usize| {
        let mut tap = Tap::new(Format::Chat, ResponseFraming::Events, true).refusing_empty();
        let mut out = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            out.extend_from_slice(&tap.push(Bytes::copy_from_slice(piece)));
        }
        let (rest, facts) = tap.close(&problem);
        out.extend_from_slice(&rest);
        (String::from_utf8(out).unwrap(), facts.ended)
    };
    let whole = with(stream.len());
    for size in 1..stream.len() {
        assert_eq!(with(size), whole, "{stream} {size}");
    }
    whole
}

#[test]
fn a_stream_without_content_ends_with_an_error_in_place_of_its_end() {
    for before in
        ["", "data: {\"foo\": 1}\n\n", ROLE, "data: {\"object\":\"error\",\"message\":\"boom\",\"code\":500}\n\n"]
    {
        let (out, is_complete) = closed(&format!("{before}{DONE}"));
        assert!(out.starts_with(before) && !out.contains("[DONE]") && !is_complete, "{out}");
        assert!(out.contains("\"error\":{") && out.contains("upstream_protocol"), "{out}");
    }
}

#[test]
fn a_stream_with_content_or_an_error_of_its_own_passes_unchanged() {
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let stop = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"boom\"}}\n\n";
    for before in [format!("{ROLE}{text}"), format!("{ROLE}{stop}"), error.to_owned()] {
        let stream = format!("{before}{DONE}");
        assert_eq!(closed(&stream), (stream.clone(), true), "{stream}");
    }
}
