use bytes::Bytes;
use memchr::memmem;
use proptest::prelude::*;

use super::*;

const TYPE: &str = "multipart/form-data; boundary=b0";
const PATH: &str = "/v1/audio/transcriptions";

fn read_as(path: &str, content_type: &str, body: &[u8]) -> Result<RequestFields, CallError> {
    crate::request::read(&EndpointCall::from_path(path).unwrap(), Some(content_type), body)
}

/// Builds a form with one part per head and content.
fn form(parts: &[(&str, &str)]) -> String {
    let parts: String = parts.iter().map(|(head, content)| format!("--b0\r\n{head}\r\n\r\n{content}\r\n")).collect();
    format!("{parts}--b0--\r\n")
}

fn named(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"")
}

const FILE: (&str, &str) = (
    "Content-Disposition: form-data; name=\"file\"; filename=\"a b;c.mp3\"\r\nContent-Type: audio/mpeg",
    "ID3\r\n--b\r\n-b0--\0\u{1}",
);

fn refused(body: &str) -> String {
    read_as(PATH, TYPE, body.as_bytes()).unwrap_err().to_string()
}

#[test]
fn the_models_part_alone_is_rewritten() {
    let body = |model: &str| form(&[FILE, (&named("model"), model), (&named("stream"), "true"), (&named("x"), "")]);
    let before = Bytes::from(body("whisper-1"));
    let requested = read_as(PATH, TYPE, &before).unwrap();
    assert_eq!((requested.model.as_str(), requested.stream, requested.billable), ("whisper-1", true, None));
    assert_eq!(requested.rewrite(&before, "gpt-4o-transcribe", true).body(), body("gpt-4o-transcribe"));
    assert_eq!(requested.rewrite(&before, "whisper-1", true).body().as_ptr(), before.as_ptr());
}

#[test]
fn forms_of_edits_and_translations_are_read_too_and_edits_may_be_json() {
    let body = form(&[(&named("model"), "m"), FILE]);
    for path in ["/v1/audio/translations", "/v1/images/edits"] {
        assert_eq!(read_as(path, TYPE, body.as_bytes()).unwrap().model, "m", "{path}");
    }
    let edit = read_as("/v1/images/edits", "application/json", br#"{"model":"m","stream":true}"#).unwrap();
    assert_eq!((edit.model.as_str(), edit.stream), ("m", true));
}

#[test]
fn forms_of_common_clients_are_parsed() {
    for (content_type, head) in [
        ("multipart/form-data; boundary=\"b0\"", named("model")),
        ("Multipart/Form-Data;charset=utf-8;Boundary=b0", named("model")),
        (TYPE, "content-disposition:form-data;name=model".to_owned()),
        (TYPE, "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: Form-Data; NAME=\"model\";".to_owned()),
        (TYPE, named("model") + "\r\nContent-Transfer-Encoding: 8bit"),
    ] {
        let body = form(&[(&head, "m")]);
        assert_eq!(read_as(PATH, content_type, body.as_bytes()).unwrap().model, "m", "{head}");
    }
    // Whitespace after a delimiter, a line end before the first delimiter, and no line end after the last.
    let body = "\r\n--b0 \t\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b0--";
    assert_eq!(read_as(PATH, TYPE, body.as_bytes()).unwrap().model, "m");
    for (stream, is_stream) in [("true", true), ("True", true), ("false", false), ("", false), ("1", false)] {
        let body = form(&[(&named("model"), "m"), (&named("stream"), stream)]);
        assert_eq!(read_as(PATH, TYPE, body.as_bytes()).unwrap().stream, is_stream, "{stream}");
    }
}

#[test]
fn a_deployment_wins_over_the_part_and_is_put_in() {
    let path = "/openai/deployments/d/audio/transcriptions";
    for (parts, upstream, rewritten) in [
        (vec![(named("model"), "x")], "gpt", vec![(named("model"), "gpt")]),
        (vec![(named("model"), "\u{7f}")], "gpt", vec![(named("model"), "gpt")]),
        (vec![(named("x"), "y")], "d", vec![(named("model"), "d"), (named("x"), "y")]),
        (vec![], "d", vec![(named("model"), "d")]),
    ] {
        let form = |parts: &[(String, &str)]| {
            form(&parts.iter().map(|(head, content)| (head.as_str(), *content)).collect::<Vec<_>>())
        };
        let body = Bytes::from(form(&parts));
        let requested = read_as(path, TYPE, &body).unwrap();
        assert_eq!(requested.model, "d");
        assert_eq!(requested.rewrite(&body, upstream, false).body(), form(&rewritten));
    }
    // This name would end the part that contains it.
    let injected = "/openai/deployments/d%0d%0a--b0--/audio/transcriptions";
    let error = read_as(injected, TYPE, form(&[]).as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "`model` at byte 0 must be text of 1 to 256 bytes without control characters");
}

#[test]
fn a_form_needs_exactly_one_boundary() {
    let body = form(&[(&named("model"), "m")]);
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=b0; boundary=b1",
        "multipart/form-data; boundary=b0; boundary*=utf-8''b1",
        "multipart/form-data; boundary=b0; Boundary*0=b1",
        "multipart/form-data; boundary=b0; boundary=b0",
        "multipart/form-data; boundary=b 0",
        "multipart/form-data; boundary=\"b\\0\"",
        "multipart/form-data; boundary=\u{fc}",
        "multipart/mixed; boundary=b0",
        "application/json",
        "",
    ] {
        assert_eq!(read_as(PATH, content_type, body.as_bytes()), Err(CallError::NoBoundary), "{content_type}");
    }
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    assert_eq!(read_as(PATH, &long, body.as_bytes()), Err(CallError::NoBoundary));
    assert_eq!(crate::request::read(&EndpointCall::from_path(PATH).unwrap(), None, b"{}"), Err(CallError::NoBoundary));
}

#[test]
fn a_form_that_two_readers_could_read_apart_is_refused() {
    let model = named("model");
    let of = |head: &str| form(&[(head, "m")]);
    let no_field = "a `content-disposition` does not name one field";
    for (body, reason) in [
        (String::new(), "it does not begin with its boundary"),
        (format!("preamble\r\n{}", form(&[])), "it does not begin with its boundary"),
        ("--b1--\r\n".to_owned(), "it does not begin with its boundary"),
        (form(&[]) + "epilogue", "data follows its end"),
        ("--b0".to_owned(), "a line begins like its boundary but is not one"),
        ("--b0\n\n--b0--".to_owned(), "a line begins like its boundary but is not one"),
        (of(&model).replace("\r\n--b0--", "\r\n--b0x\r\n--b0--"), "a line begins like its boundary but is not one"),
        (format!("--b0\r\n{model}\r\n\r\n--b0--\r\n"), "a part has no content, not even an empty one"),
        (format!("--b0\r\n{model}\r\n\r\nm"), "it does not end"),
        (format!("--b0\r\n{model}\r\n\r\nm\n--b0--"), "it does not end"),
        (format!("--b0\r\n{model}"), "the head of a part does not end, or is too long"),
        (of(&model.replace(": ", " : ")), "a line of a part's head is not a header"),
        (of(&model.replace("; ", ";\r\n ")), no_field),
        (of(&format!("X: y\r\n z\r\n{model}")), "a line of a part's head is not a header"),
        (of(&model.replace("; ", ";\n")), "a line of a part's head is not a header"),
        (of("x"), "a line of a part's head is not a header"),
        (of("Content-Type: text/plain"), "a part has no `content-disposition`"),
        (of(&format!("{model}\r\n{model}")), "a part has two `content-disposition` headers"),
        (
            of(&format!("{model}\r\nContent-Transfer-Encoding: base64")),
            "a part has an unsupported `content-transfer-encoding`",
        ),
        (of(&model.replace("form-data", "attachment")), no_field),
        (of(&model.replace("model", "mod\\el")), no_field),
        (of("Content-Disposition: form-data"), no_field),
        (of("Content-Disposition: form-data; name=\"a\"; name=\"model\""), no_field),
        (of("Content-Disposition: form-data; name*=utf-8''model"), no_field),
        (of("Content-Disposition: form-data; name=\"x\"; NAME*0=mo; name*1=del"), no_field),
        (of("Content-Disposition: form-data; name=\"model"), no_field),
        (of("Content-Disposition: form-data; filename=\"a\\\"; name=\"model\""), no_field),
        (of("Content-Disposition: form-data; name=\"model\"x"), no_field),
        // Fuzzing found these: two readers see two names or two boundaries.
        (of(&format!("{model}\r\n--b0: x")), "a line begins like its boundary but is not one"),
        (of(&format!("--b0x: y\r\n{model}")), "a line begins like its boundary but is not one"),
        (of("Content-Disposition: form-data; name=x;;name=model"), no_field),
        (of("Content-Disposition: form-data; name=x; \"; name=\"=model"), no_field),
        (of("Content-Disposition: form-data; name=x, name=model"), no_field),
    ] {
        let message = refused(&body);
        assert!(message.ends_with(reason), "{body:?}: {message}");
    }
}

#[test]
fn a_duplicate_missing_or_invalid_model_is_refused() {
    let model = named("model");
    let twice = form(&[(&model, "a"), FILE, (&model, "a")]);
    assert!(refused(&twice).starts_with("`model` occurs twice, again at byte "));
    let streams = form(&[(&model, "a"), (&named("stream"), "true"), (&named("stream"), "false")]);
    assert!(refused(&streams).starts_with("`stream` occurs twice, again at byte "));
    assert_eq!(refused(&form(&[FILE, (&named("Model"), "a")])), "the body has no `model`");
    for name in ["", "a\r\nb", "a\tb", "\0", &"m".repeat(257)] {
        let message = refused(&form(&[(&model, name)]));
        assert!(message.ends_with("must be text of 1 to 256 bytes without control characters"), "{name:?}: {message}");
    }
    let not_utf8 = [b"--b0\r\n", model.as_bytes(), b"\r\n\r\n\xff\r\n--b0--"].concat();
    assert!(matches!(read_as(PATH, TYPE, &not_utf8), Err(CallError::Invalid { field: "model", .. })));
}

#[test]
fn parts_and_their_heads_are_bounded() {
    let other = named("x");
    let many = |parts: usize| {
        let mut parts = vec![(other.as_str(), ""); parts];
        parts.push(("Content-Disposition: form-data; name=\"model\"", "m"));
        form(&parts)
    };
    assert!(read_as(PATH, TYPE, many(1_023).as_bytes()).is_ok());
    for parts in [1_024, 100_000] {
        assert!(refused(&many(parts)).ends_with("it has more than 1024 parts"), "{parts}");
    }
    for (padding, is_refused) in [(8_000, false), (8_192, true), (1_000_000, true)] {
        let head = format!("X: {}\r\n{}", "x".repeat(padding), named("model"));
        assert_eq!(read_as(PATH, TYPE, form(&[(&head, "m")]).as_bytes()).is_err(), is_refused, "{padding}");
    }
}

const SHREDS: &[&str] = &[
    "--b0",
    "--b0--",
    "\r\n",
    "\r",
    "\n",
    "--",
    " ",
    "Content-Disposition: form-data; name=\"model\"",
    "Content-Disposition: form-data; name=\"x\"; filename=\"y\"",
    "Content-Type: a/b",
    ": ",
    ";",
    "\"",
    "\\",
    "m",
    "\u{0}",
];

proptest! {
    #[test]
    fn shreds_of_a_form_are_read_or_refused_within_their_length(
        shreds in prop::collection::vec(prop::sample::select(SHREDS), 0..30),
    ) {
        let body = Bytes::from(format!("--b0\r\n{}", shreds.concat()));
        match read_as(PATH, TYPE, &body) {
            Ok(requested) => {
                let out = requested.rewrite(&body, "another", true).body();
                let again = read_as(PATH, TYPE, &out).unwrap();
                prop_assert_eq!(again.model.as_str(), "another");
                prop_assert_eq!(again.rewrite(&out, &requested.model, true).body(), body);
            }
            Err(
                CallError::Multipart { offset, .. }
                | CallError::Invalid { offset, .. }
                | CallError::Duplicate { offset, .. },
            ) => prop_assert!(offset <= body.len()),
            Err(error) => prop_assert_eq!(error, CallError::Missing { field: "model" }),
        }
    }

    #[test]
    fn any_content_stays_as_it_is(content in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assume!(memmem::find(&content, b"--b0").is_none());
        let model = named("model");
        let head = [b"--b0\r\n", FILE.0.as_bytes(), b"\r\n\r\n", &content, b"\r\n--b0\r\n", model.as_bytes()].concat();
        let body = |name: &str| Bytes::from([&head[..], b"\r\n\r\n", name.as_bytes(), b"\r\n--b0--\r\n"].concat());
        let requested = read_as(PATH, TYPE, &body("whisper")).unwrap();
        prop_assert_eq!(requested.rewrite(&body("whisper"), "x", true).body(), body("x"));
    }
}
