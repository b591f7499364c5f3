use bytes::Bytes;
use meter::Unit;

use super::*;
use crate::endpoint::{Endpoint, EndpointCall};
use crate::format::{Dialect, Format};

/// Reads `body` at the first endpoint of the format.
fn read(format: Format, body: &[u8]) -> Result<RequestFields, CallError> {
    let endpoint = Endpoint::ALL.into_iter().find(|endpoint| endpoint.format() == Some(format)).unwrap();
    read_at(&endpoint.path().replace("{model}", "m"), body)
}

fn read_at(path: &str, body: &[u8]) -> Result<RequestFields, CallError> {
    super::read(&EndpointCall::from_path(path).unwrap(), None, body)
}

/// Reads and rewrites a body, and compares the result.
fn check_at(path: &str, body: &str, model: &str, upstream: &str, rewritten: &str) {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let requested = read_at(path, &body).unwrap();
    let out = requested.rewrite(&body, upstream, false);
    assert_eq!((requested.model.as_str(), std::str::from_utf8(&out.body()).unwrap()), (model, rewritten), "{path}");
}

fn refused_at(path: &str, body: &str) -> String {
    read_at(path, body.as_bytes()).unwrap_err().to_string()
}

fn refused(format: Format, body: &str) -> String {
    read(format, body.as_bytes()).unwrap_err().to_string()
}

/// Rewrites a body to the same model with usage, and compares the result.
fn check_usage(body: &str, rewritten: &str) {
    let requested = read(Format::Chat, body.as_bytes()).unwrap();
    let out = requested.rewrite(&Bytes::copy_from_slice(body.as_bytes()), &requested.model, true);
    assert_eq!(std::str::from_utf8(&out.body()).unwrap(), rewritten);
    assert_eq!(out.usage_injected, body != rewritten);
    assert_eq!(requested.include_usage, !out.usage_injected);
    // A rewritten body requests usage, and a second rewrite changes nothing.
    let again = read(Format::Chat, &out.body()).unwrap();
    assert!(again.include_usage && !again.rewrite(&out.body(), &again.model, true).usage_injected);
    let value: serde_json::Value = serde_json::from_slice(&out.body()).unwrap();
    assert_eq!(value["stream_options"]["include_usage"], true);
}

fn check_model(body: &str, model: &str, rewritten: &str) {
    let requested = read(Format::Messages, body.as_bytes()).unwrap();
    let out = requested.rewrite(&Bytes::copy_from_slice(body.as_bytes()), model, true);
    assert_eq!((std::str::from_utf8(&out.body()).unwrap(), out.usage_injected), (rewritten, false));
}

/// The session and the tools are read for statistics only: whatever they are, the request is accepted.
#[test]
fn bodies_name_their_session_and_their_tools() {
    for (format, fields, session, tools) in [
        (Format::Chat, r#""prompt_cache_key":"a""#, Some("a"), false),
        (Format::Chat, r#""prompt_cache_key":"a","prompt_cache_key":"b""#, Some("a"), false),
        (Format::Responses, r#""prompt_cache_key":"a","metadata":{"user_id":"u"},"tools":[{}]"#, Some("a"), true),
        (Format::Messages, r#""metadata":{"x":{"user_id":"no"}, "user_id":"u"},"tools":[ ]"#, Some("u"), false),
        (Format::Messages, r#""prompt_cache_key":"","metadata":{"user_id":1}"#, None, false),
        (Format::Messages, r#""prompt_cache_key":1,"metadata":[],"tools":{}"#, None, false),
        (Format::Chat, r#""messages":[{"prompt_cache_key":"a","tools":[1]}]"#, None, false),
        (Format::Completions, r#""tools":null"#, None, false),
    ] {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        let read = read(format, body.as_bytes()).unwrap();
        let named = read.session.map(|at| body[at].trim_matches('"').to_owned());
        assert_eq!((named.as_deref(), read.offers_tools), (session, tools), "{body}");
    }
    let google =
        read_at("/v1beta/models/m:generateContent", br#"{"contents":[],"tools":[{"functionDeclarations":[]}]}"#);
    assert!(google.unwrap().offers_tools);
    let long = format!(r#"{{"model":"m","metadata":{{"x":"{}","user_id":"u"}}}}"#, "x".repeat(5_000));
    assert_eq!(read(Format::Messages, long.as_bytes()).unwrap().session, None);
}

/// Clients fetch background responses later, but Tollgate does not serve stored responses.
#[test]
fn responses_in_the_background_are_refused() {
    let read = |path: &str, body: &str| {
        super::read(&EndpointCall::from_path(path).unwrap(), Some("application/json"), body.as_bytes())
    };
    for path in ["/v1/responses", "/openai/v1/responses"] {
        let error = read(path, r#"{"model":"m","background": true,"input":"x"}"#).unwrap_err();
        assert_eq!(
            (error.field(), matches!(error, CallError::Unsupported { offset: 27, .. })),
            (Some("background"), true)
        );
        assert!(error.to_string().contains("stored responses are not served"), "{error}");
        for body in [r#"{"model":"m","background":false}"#, r#"{"model":"m","background":null}"#] {
            assert!(read(path, body).is_ok(), "{body}");
        }
        assert_eq!(read(path, r#"{"model":"m","background":"yes"}"#).unwrap_err().field(), Some("background"));
        let twice = read(path, r#"{"model":"m","background":false,"b\u0061ckground":true}"#).unwrap_err();
        assert!(matches!(twice, CallError::Duplicate { field: "background", .. }), "{twice}");
    }
    assert!(read("/v1/chat/completions", r#"{"model":"m","background":true}"#).is_ok());
}

#[test]
fn usage_is_requested_and_every_other_byte_is_unchanged() {
    check_usage(
        r#"{"model":"m","stream":true}"#,
        r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
    );
    check_usage(
        "\r\n {\t\"stream\" : true ,\n \"x\":123456789012345678901234567890.5, \"y\":\"\\u00e9\",\"model\":\"m\" } \n",
        "\r\n {\"stream_options\":{\"include_usage\":true},\t\"stream\" : true ,\n \"x\":123456789012345678901234567890.5, \"y\":\"\\u00e9\",\"model\":\"m\" } \n",
    );
    check_usage(
        r#"{"stream_options" : null,"model":"m","stream":true}"#,
        r#"{"stream_options" : {"include_usage":true},"model":"m","stream":true}"#,
    );
    check_usage(
        r#"{"model":"m","stream_options":{ },"stream":true}"#,
        r#"{"model":"m","stream_options":{"include_usage":true },"stream":true}"#,
    );
    check_usage(
        r#"{"model":"m","stream_options":{"x":1},"stream":true}"#,
        r#"{"model":"m","stream_options":{"include_usage":true,"x":1},"stream":true}"#,
    );
    for off in ["false", "null"] {
        check_usage(
            &format!(
                r#"{{"model":"m","stream_options":{{"x":{{"include_usage":7}}, "include_usage": {off} }},"stream":true}}"#
            ),
            r#"{"model":"m","stream_options":{"x":{"include_usage":7}, "include_usage": true },"stream":true}"#,
        );
    }
    let requested = r#"{"model":"m","stream_options":{"include\u005fusage":true},"stream":true}"#;
    check_usage(requested, requested);
}

#[test]
fn usage_is_requested_only_in_streams_of_chat_and_completions() {
    for (format, body) in [
        (Format::Chat, r#"{"model":"m"}"#),
        (Format::Chat, r#"{"model":"m","stream":false}"#),
        (Format::Chat, r#"{"model":"m","stream":null,"stream_options":null}"#),
        (Format::Responses, r#"{"model":"m","stream":true}"#),
        (Format::Responses, r#"{"model":"m","stream":true,"stream_options":7}"#),
        (Format::Messages, r#"{"model":"m","stream":true}"#),
    ] {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let out = read(format, &body).unwrap().rewrite(&body, "m", true);
        assert_eq!((out.body().as_ptr(), out.body().len(), out.usage_injected), (body.as_ptr(), body.len(), false));
    }
    let body = Bytes::from_static(br#"{"model":"m","stream":true}"#);
    assert_eq!(read(Format::Chat, &body).unwrap().rewrite(&body, "m", false).body().as_ptr(), body.as_ptr());
}

#[test]
fn the_model_is_rewritten_only_where_it_is_another() {
    check_model(r#"{ "model" :  "fast" , "n":1.0}"#, "gpt-5", r#"{ "model" :  "gpt-5" , "n":1.0}"#);
    check_model(r#"{"model":"f\u0061st"}"#, "fast", r#"{"model":"f\u0061st"}"#);
    check_model(r#"{"x":{"model":"a"},"model":"a"}"#, "q\"\\é", r#"{"x":{"model":"a"},"model":"q\"\\é"}"#);
    check_model(
        r#"{"m\u006fdel":"a","z":18446744073709551616}"#,
        "b",
        r#"{"m\u006fdel":"b","z":18446744073709551616}"#,
    );
}

#[test]
fn an_edited_body_is_not_copied() {
    let body = Bytes::from_static(br#"{"model":"a","messages":[],"stream":true}"#);
    let out = read(Format::Chat, &body).unwrap().rewrite(&body, "bb", true);
    let within = body.as_ptr_range();
    let (remaining, edits): (Vec<&Bytes>, Vec<&Bytes>) =
        out.segments.iter().partition(|segment| within.contains(&segment.as_ptr()));
    assert_eq!(remaining.iter().map(|segment| segment.len()).sum::<usize>(), body.len() - r#""a""#.len());
    assert_eq!(edits, [r#""stream_options":{"include_usage":true},"#, r#""bb""#]);
    assert!(out.segments.iter().all(|segment| !segment.is_empty()));
}

#[test]
fn model_and_usage_are_rewritten_in_either_order() {
    for (body, rewritten) in [
        (
            r#"{"model":"a","stream":true,"stream_options":{}}"#,
            r#"{"model":"bb","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":null,"stream":true,"model":"a"}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"bb"}"#,
        ),
    ] {
        let body = Bytes::from_static(body.as_bytes());
        let out = read(Format::Chat, &body).unwrap().rewrite(&body, "bb", true);
        assert_eq!((out.body(), out.usage_injected), (Bytes::from_static(rewritten.as_bytes()), true));
    }
}

#[test]
fn an_unreadable_body_is_reported_with_reason_and_position() {
    for (body, message) in [
        ("", "the body is not valid JSON at byte 0: EOF while parsing a value"),
        ("  ", "the body is not valid JSON at byte 2: EOF while parsing a value"),
        ("{\"model\":\"m\"", "the body is not valid JSON at byte 12: EOF while parsing an object"),
        ("{\"model\":\"m\"}x", "the body is not valid JSON at byte 13: trailing characters"),
        ("{\"model\":\"m\"}{}", "the body is not valid JSON at byte 13: trailing characters"),
        ("{\"model\":\"m\",}", "the body is not valid JSON at byte 13: trailing comma"),
        ("{\"model\":\"m\",\n\"a\":01}", "the body is not valid JSON at byte 19: invalid number"),
        ("{'model':1}", "the body is not valid JSON at byte 1: key must be a string"),
        ("\n[1]", "the body must be a JSON object, but the value at byte 1 is of another type"),
        ("\"model\"", "the body must be a JSON object, but the value at byte 0 is of another type"),
        ("{}", "the body has no `model`"),
        ("{\"x\":{\"model\":\"m\"}}", "the body has no `model`"),
        ("{\"model\":7}", "`model` at byte 9 must be a string of 1 to 256 bytes"),
        ("{\"model\":null}", "`model` at byte 9 must be a string of 1 to 256 bytes"),
        ("{\"model\": \"\"}", "`model` at byte 10 must be a string of 1 to 256 bytes"),
        ("{\"model\":\"\\ud800\"}", "`model` at byte 9 must be a string of 1 to 256 bytes"),
        ("{\"model\":\"m\",\"stream\":\"true\"}", "`stream` at byte 22 must be true, false or null"),
        ("{\"model\":\"m\",\"stream\":1}", "`stream` at byte 22 must be true, false or null"),
        ("{\"model\":\"m\",\"stream_options\":[]}", "`stream_options` at byte 30 must be an object or null"),
        (
            "{\"model\":\"m\",\"stream_options\":{\"include_usage\":\"yes\"}}",
            "`include_usage` at byte 47 must be true, false or null",
        ),
    ] {
        assert_eq!(refused(Format::Chat, body), message, "{body}");
    }
    let long = format!("{{\"model\":\"{}\"}}", "m".repeat(MODEL_BYTES_MAX + 1));
    assert_eq!(refused(Format::Chat, &long), "`model` at byte 9 must be a string of 1 to 256 bytes");
    let not_utf8 = read(Format::Chat, b"{\"model\":\"m\",\"x\":\"\xff\"}").unwrap_err();
    assert_eq!(not_utf8, CallError::NotUtf8 { offset: 18 });
}

#[test]
fn a_field_that_tollgate_reads_may_not_occur_twice() {
    for (body, message) in [
        (r#"{"model":"a","model":"a"}"#, "`model` occurs twice, again at byte 21"),
        (r#"{"model":"a","mod\u0065l":"b"}"#, "`model` occurs twice, again at byte 26"),
        (r#"{"model":"a","model":"b","model":"c"}"#, "`model` occurs twice, again at byte 21"),
        (r#"{"stream":true,"model":"a","stream":false}"#, "`stream` occurs twice, again at byte 36"),
        (
            r#"{"model":"a","stream_options":{},"stream_options":null}"#,
            "`stream_options` occurs twice, again at byte 50",
        ),
        (
            r#"{"model":"a","stream_options":{"include_usage":true,"include_usage":false}}"#,
            "`include_usage` occurs twice, again at byte 68",
        ),
    ] {
        assert_eq!(refused(Format::Chat, body), message);
    }
    let others = r#"{"model":"a","x":1,"x":2,"Model":"b","stream_options":1,"stream_options":2}"#;
    assert!(read(Format::Messages, others.as_bytes()).is_ok());
}

#[test]
fn deep_nesting_is_passed_over() {
    let deep = format!(r#"{{"x":{}{},"model":"m"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for format in Format::ALL.into_iter().filter(|format| *format != Format::Transcription) {
        let body =
            if format.dialect() == Dialect::Google { deep.replace("\"m\"", "\"models/m\"") } else { deep.clone() };
        assert_eq!(read(format, body.as_bytes()).unwrap().model, "m", "{format:?}");
    }
}

#[test]
fn legacy_completions_report_usage_like_chat_completions() {
    let body = Bytes::from_static(br#"{"model":"m","prompt":"x","stream":true}"#);
    let out = read(Format::Completions, &body).unwrap().rewrite(&body, "m", true);
    let rewritten = r#"{"stream_options":{"include_usage":true},"model":"m","prompt":"x","stream":true}"#;
    assert_eq!((out.body(), out.usage_injected), (Bytes::from_static(rewritten.as_bytes()), true));
}

#[test]
fn speech_is_billed_by_the_characters_of_its_input() {
    for (body, characters, stream) in [
        (r#"{"model":"tts-1","input":"h\u00e9llo \ud83d\ude00","voice":"v"}"#, Some(7), false),
        (r#"{"model":"tts-1","input":"","stream_format":"audio"}"#, Some(0), false),
        (r#"{"model":"tts-1","input":"€","stream_format":"sse"}"#, Some(1), true),
        (r#"{"model":"tts-1","input":7,"stream_format":7}"#, None, false),
        (r#"{"model":"tts-1","input":"\ud800"}"#, None, false),
        (r#"{"model":"tts-1","stream":true}"#, None, false),
    ] {
        let requested = read(Format::Speech, body.as_bytes()).unwrap();
        let billable = characters.map(|quantity| BilledQuantity { unit: Unit::Character, quantity });
        assert_eq!((requested.billable, requested.stream), (billable, stream), "{body}");
    }
}

#[test]
fn images_may_stream_and_embeddings_and_moderations_do_not() {
    let body = br#"{"model":"m","stream":true}"#;
    for (format, stream) in [(Format::Images, true), (Format::Embeddings, false), (Format::Moderations, false)] {
        assert_eq!(read(format, body).unwrap().stream, stream, "{format:?}");
    }
    assert!(read(Format::Embeddings, br#"{"model":"m","stream":"what?"}"#).is_ok());
}

#[test]
fn a_moderation_needs_no_model() {
    let path = "/v1/moderations";
    let latest = "omni-moderation-latest";
    check_at(path, r#"{"input":"x"}"#, latest, latest, r#"{"input":"x"}"#);
    check_at(path, r#"{"input":"x"}"#, latest, "other", r#"{"model":"other","input":"x"}"#);
    check_at(path, " { } ", latest, "other", " {\"model\":\"other\" } ");
    check_at(path, r#"{"model":"a","input":"x"}"#, "a", "b", r#"{"model":"b","input":"x"}"#);
    assert_eq!(refused_at(path, r#"{"model":null}"#), "`model` at byte 9 must be a string of 1 to 256 bytes");
    for format in [Format::Embeddings, Format::Images, Format::Speech, Format::Completions] {
        assert_eq!(read(format, b"{}").unwrap_err(), CallError::Missing { field: "model" }, "{format:?}");
    }
}

#[test]
fn an_azure_deployment_overrides_the_model_of_the_body() {
    let path = "/openai/deployments/d%201/chat/completions";
    check_at(path, r#"{"messages":[]}"#, "d 1", "gpt", r#"{"model":"gpt","messages":[]}"#);
    check_at(path, r#"{"messages":[]}"#, "d 1", "d 1", r#"{"model":"d 1","messages":[]}"#);
    check_at(path, r#"{"model":"other"}"#, "d 1", "gpt", r#"{"model":"gpt"}"#);
    check_at(path, r#"{"model":"gpt"}"#, "d 1", "gpt", r#"{"model":"gpt"}"#);
    check_at(path, r#"{"model":"d 1"}"#, "d 1", "d 1", r#"{"model":"d 1"}"#);
    check_at(path, r#"{"model":[1]}"#, "d 1", "gpt", r#"{"model":"gpt"}"#);
    check_at(path, "{}", "d 1", "gpt", r#"{"model":"gpt"}"#);
    assert_eq!(refused_at(path, r#"{"model":"a","model":"b"}"#), "`model` occurs twice, again at byte 21");
    let body = Bytes::from_static(br#"{"stream":true}"#);
    let out = read_at(path, &body).unwrap().rewrite(&body, "gpt", true).body();
    let rewritten = r#"{"model":"gpt","stream_options":{"include_usage":true},"stream":true}"#;
    assert_eq!(std::str::from_utf8(&out).unwrap(), rewritten);
}

#[test]
fn gemini_names_the_model_in_the_path_and_may_repeat_it() {
    let path = "/v1beta/models/fast:generateContent";
    let untouched = r#"{ "contents": [{"parts":[{"text":"models/x"}]}] }"#;
    check_at(path, untouched, "fast", "gemini-3", untouched);
    check_at(path, r#"{"model":null}"#, "fast", "gemini-3", r#"{"model":null}"#);
    check_at(path, r#"{"model":"models/fast"}"#, "fast", "gemini-3", r#"{"model":"models/gemini-3"}"#);
    check_at(path, r#"{"model":"fast"}"#, "fast", "gemini-3", r#"{"model":"models/gemini-3"}"#);
    check_at(path, r#"{"model":"fast"}"#, "fast", "fast", r#"{"model":"fast"}"#);
    let count = "/v1/models/fast:countTokens";
    for key in ["generateContentRequest", "generate_content_request"] {
        let body = |model: &str| format!(r#"{{"{key}":{{"model":"models/{model}","contents":[]}}}}"#);
        check_at(count, &body("fast"), "fast", "gemini-3", &body("gemini-3"));
    }
    check_at(count, r#"{"generateContentRequest":7}"#, "fast", "gemini-3", r#"{"generateContentRequest":7}"#);
    for (path, body, message) in [
        (path, r#"{"model":"models/other"}"#, "`model` at byte 9 must be the path's model, or absent"),
        (path, r#"{"model":7}"#, "`model` at byte 9 must be a string of 1 to 256 bytes"),
        (path, r#"{"model":"fast","model":"fast"}"#, "`model` occurs twice, again at byte 24"),
        (path, "[]", "the body must be a JSON object, but the value at byte 0 is of another type"),
        (
            count,
            r#"{"generateContentRequest":{"model":"models/other"}}"#,
            "`model` at byte 35 must be the path's model, or absent",
        ),
    ] {
        assert_eq!(refused_at(path, body), message, "{body}");
    }
}

#[test]
fn the_path_decides_whether_gemini_streams() {
    for (verb, stream) in [("generateContent", false), ("streamGenerateContent", true), ("embedContent", false)] {
        let requested = read_at(&format!("/v1beta/models/m:{verb}"), br#"{"stream":7}"#).unwrap();
        assert_eq!((requested.model.as_str(), requested.stream), ("m", stream), "{verb}");
    }
}

#[test]
fn each_request_of_a_gemini_batch_names_the_paths_model() {
    let path = "/v1beta/models/fast:batchEmbedContents";
    check_at(
        path,
        r#"{"requests":[{"model":"models/fast","content":{}},{"content":{}}, {"model" : "models/fast"}]}"#,
        "fast",
        "gemini-embedding-001",
        r#"{"requests":[{"model":"models/gemini-embedding-001","content":{}},{"content":{}}, {"model" : "models/gemini-embedding-001"}]}"#,
    );
    check_at(path, r#"{"requests":[]}"#, "fast", "x", r#"{"requests":[]}"#);
    check_at(path, "{}", "fast", "x", "{}");
    let list = "`requests` at byte 12 must be a list of at most 4096 objects";
    for (body, message) in [
        (r#"{"requests":[{"model":"models/other"}]}"#, "`model` at byte 22 must be the path's model, or absent"),
        (r#"{"requests":[{"model":"models/fast","model":"models/other"}]}"#, "`model` occurs twice, again at byte 44"),
        (r#"{"requests":[{}],"requests":[{}]}"#, "`requests` occurs twice, again at byte 28"),
        (r#"{"requests":{"model":"models/fast"}}"#, list),
        (r#"{"requests":[{},7]}"#, list),
        (r#"{"requests":null}"#, list),
    ] {
        assert_eq!(refused_at(path, body), message, "{body}");
    }
    for (requests, is_refused) in [(4_096, false), (4_097, true)] {
        let body = format!(r#"{{"requests":[{}]}}"#, vec!["{}"; requests].join(","));
        assert_eq!(read_at(path, body.as_bytes()).is_err(), is_refused, "{requests}");
    }
}

#[test]
fn a_model_in_a_path_is_as_long_as_one_in_a_body() {
    let path = |len| format!("/v1beta/models/{}:generateContent", "m".repeat(len));
    assert!(read_at(&path(256), b"{}").is_ok());
    assert_eq!(refused_at(&path(257), "{}"), "the model in the path has 257 bytes; at most 256 are allowed");
}

mod property_tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,6}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::hash_map("[a-z]{0,4}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_rewritten_body_differs_in_the_two_fields_alone(
            rest in prop::collection::hash_map("[a-z]{0,4}", json(), 0..5),
            model in ".{1,20}",
            upstream in ".{1,20}",
            options in prop::option::of(prop::collection::hash_map("[a-z]{0,3}", json(), 0..3)),
            pretty in any::<bool>(),
        ) {
            let mut value = serde_json::Value::Object(rest.into_iter().collect());
            value["model"] = model.into();
            value["stream"] = true.into();
            if let Some(options) = options {
                value["stream_options"] = serde_json::Value::Object(options.into_iter().collect());
            }
            let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
            let body = Bytes::from(body.unwrap());
            let out = read(Format::Chat, &body).unwrap().rewrite(&body, &upstream, true);
            value["model"] = upstream.into();
            value["stream_options"]["include_usage"] = true.into();
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&out.body()).unwrap(), value);
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            for endpoint in Endpoint::ALL {
                let path = endpoint.path().replace("{model}", "m");
                for content_type in [None, Some("multipart/form-data; boundary=b")] {
                    // The call must not panic, whatever it returns.
                    let _ = crate::request::read(&EndpointCall::from_path(&path).unwrap(), content_type, &body);
                }
            }
        }

        #[test]
        fn a_damaged_body_is_read_or_refused_within_its_length(at in 0_usize..62, byte in any::<u8>()) {
            let mut body = br#"{"model":"m","stream":true,"stream_options":{"x":[1,"\u00e9"]}}"#.to_vec();
            if let Some(old) = body.get_mut(at) {
                *old = byte;
            }
            match read(Format::Chat, &body) {
                Ok(requested) => {
                    let body = Bytes::from(body);
                    let out = requested.rewrite(&body, "other", true);
                    prop_assert!(serde_json::from_slice::<serde_json::Value>(&out.body()).is_ok());
                }
                Err(
                    CallError::NotUtf8 { offset }
                    | CallError::Syntax { offset, .. }
                    | CallError::NotAnObject { offset }
                    | CallError::Invalid { offset, .. }
                    | CallError::Duplicate { offset, .. },
                ) => prop_assert!(offset <= body.len()),
                Err(error) => prop_assert_eq!(error, CallError::Missing { field: "model" }),
            }
        }
    }
}
