use access::Tokens;

use super::*;

const WHOLE: &str = include_str!("../../../tests/fixtures/generate-array.json");

fn array(pieces: &[&str]) -> (Vec<String>, ResponseFacts) {
    let mut tap = Tap::new(Format::GenerateContent, ResponseFraming::Array, true);
    let mut out: Vec<_> = pieces
        .iter()
        .map(|piece| String::from_utf8(tap.push(Bytes::from(piece.to_string())).into()).unwrap())
        .collect();
    let (rest, seen) = tap.finish();
    out.push(String::from_utf8(rest.into()).unwrap());
    (out, seen)
}

#[test]
fn an_element_is_buffered_until_it_is_complete_and_separators_are_not() {
    let (out, _) = array(&["[", "{\"a\":", "[{\"b\":\"}\\\"", "]\"}]", "}", "\n", ",\r\n", "{", "}", "]", "\n"]);
    assert_eq!(out, ["[", "", "", "", "{\"a\":[{\"b\":\"}\\\"]\"}]}", "\n", ",\r\n", "", "{}", "", "", "]\n"]);
}

#[test]
fn without_buffered_bytes_an_array_is_forwarded_without_a_copy() {
    let mut tap = Tap::new(Format::GenerateContent, ResponseFraming::Array, false);
    for (piece, whole) in [("[{\"a\":1},{\"b", 9), ("\":2}", 7), (",{}", 3)] {
        let bytes = Bytes::from(piece);
        let out = tap.push(bytes.clone());
        assert_eq!(out.len(), whole, "{piece}");
        assert!(piece.starts_with('"') || out.as_ptr() == bytes.as_ptr(), "{piece}");
    }
}

#[test]
fn an_array_has_ended_at_its_bracket_after_a_finish_reason_and_the_last_usage_counts() {
    let finished = "\"candidates\":[{\"finishReason\":\"STOP\"}]";
    let element = |tokens: u32| format!("{{{finished},\"usageMetadata\":{{\"promptTokenCount\":{tokens}}}}}");
    let two = format!("[{},{}", element(9), element(3));
    let one = format!("[{}", element(9));
    let two_of = |first: &str, last: &str| format!("[{first},{last}]");
    for (stream, ended, input) in [
        (two.clone() + "]", true, Some(3)),
        (two.clone() + ",{}]\n", true, Some(3)),
        (two.clone(), false, Some(3)),
        (two.clone() + ",]", false, Some(3)),
        (two + "},", false, Some(3)),
        (one.clone() + "]]", true, Some(9)),
        (one.clone() + " 7]", false, Some(9)),
        (one + ",[{}]]", false, Some(9)),
        (two_of("{}", "{}"), false, None),
        (two_of("{}", "{\"candidates\":[{\"finishReason\":null}]}"), false, None),
        (two_of("{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", "{}"), true, None),
        (two_of("{}", "{\"error\":{\"code\":503}}"), false, None),
        ("[]".to_owned(), false, None),
        ("[[]]".to_owned(), false, None),
        ("[null]".to_owned(), false, None),
        ("\n".to_owned(), false, None),
        ("<html>[{}]</html>".to_owned(), false, None),
        // An error is a single object.
        (element(4), true, Some(4)),
        (element(4).replace("}}", "}"), false, None),
    ] {
        let (out, seen) = array(&[&stream]);
        assert_eq!((seen.ended, seen.usage.and_then(|usage| usage.input)), (ended, input.map(Tokens)), "{stream}");
        assert_eq!(out.concat(), stream);
    }
}

#[test]
fn an_element_over_the_maximum_is_forwarded_as_it_arrives() {
    let mut tap = Tap::new(Format::GenerateContent, ResponseFraming::Array, false);
    let part = "x".repeat(40 * 1024);
    assert_eq!(tap.push(format!("[{{\"a\":\"{part}").into()), "[");
    assert_eq!(tap.push(part.clone().into()).len(), "{\"a\":\"".len() + 2 * part.len());
    assert_eq!(tap.push("x".into()), "x");
    assert_eq!(tap.push("\"},{".into()), "\"},");
    assert_eq!(tap.push("}]".into()), "{}");
    let (rest, seen) = tap.finish();
    assert!(rest == "]" && !seen.ended);
}

#[test]
fn every_cut_of_an_array_holds_whole_elements_alone() {
    for cut in 0..WHOLE.len() {
        let mut tap = Tap::new(Format::GenerateContent, ResponseFraming::Array, false);
        let out = tap.push(Bytes::copy_from_slice(&WHOLE.as_bytes()[..cut]));
        let text = std::str::from_utf8(&out).unwrap().trim_end_matches([',', ']', '\r', '\n']);
        assert!(text.is_empty() || text == "[" || text.ends_with("\n}"), "{cut}: {text}");
    }
}

#[test]
fn an_array_without_a_finish_reason_ends_with_the_error() {
    let problem = FormatProblem::new(
        access::Refusal::UpstreamReset,
        "the provider broke off",
        error::Reporter { domain: "tollgate", request_id: "0199-aa" },
    );
    for (stream, elements) in [("[]", 0), ("[ ]\n", 0), ("[{}]", 1), ("[{\"candidates\":[]},{}\n]\r\n", 2)] {
        for size in 1..=stream.len() {
            let mut tap = Tap::new(Format::GenerateContent, ResponseFraming::Array, false);
            let passed: Vec<u8> =
                stream.as_bytes().chunks(size).flat_map(|piece| tap.push(Bytes::copy_from_slice(piece))).collect();
            let (last, seen) = tap.close(&problem);
            assert!(!seen.ended);
            let value: Vec<serde_json::Value> = serde_json::from_slice(&[&passed[..], &last].concat()).unwrap();
            assert_eq!(value.len(), elements + 1, "{stream}");
            assert_eq!(value[elements]["error"]["message"], problem.message, "{stream}");
        }
    }
    let reported = "[{},{\"error\":{\"code\":503}}]";
    let mut tap = Tap::new(Format::GenerateContent, ResponseFraming::Array, false);
    assert_eq!(tap.push(reported.into()), reported);
    let (last, seen) = tap.close(&problem);
    assert!(last.is_empty() && !seen.ended, "the provider has reported an error itself");
}
