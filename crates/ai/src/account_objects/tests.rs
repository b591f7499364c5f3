use std::sync::Arc;

use access::{Clock, Ids, ObjectKeys, Timestamp, UserId};

use super::*;
use crate::EndpointCall;

fn owners() -> [ObjectOwner; 2] {
    let mut ids = Ids::new(Clock::manual(Timestamp(1)));
    let keys = Arc::new(ObjectKeys::of_bytes([7; 32]));
    [(); 2].map(|()| ObjectOwner::new(keys.clone(), UserId(ids.next_uuid())))
}

fn endpoint(format: Format) -> EndpointCall<'static> {
    const PATHS: [(Format, &str); 5] = [
        (Format::Chat, "/v1/chat/completions"),
        (Format::Responses, "/v1/responses"),
        (Format::Messages, "/v1/messages"),
        (Format::Speech, "/v1/audio/speech"),
        (Format::GenerateContent, "/v1beta/models/m:generateContent"),
    ];
    let path = PATHS.iter().find(|(known, _)| *known == format).unwrap().1;
    EndpointCall::from_path(path).unwrap()
}

/// Returns the body as the provider gets it, or the field of the foreign object.
fn sent(format: Format, body: &str, owner: &ObjectOwner) -> Result<String, &'static str> {
    let fields = crate::request::read(&endpoint(format), Some("application/json"), body.as_bytes()).unwrap();
    let mut owned = owned(format, body.as_bytes(), &fields, owner).map_err(|foreign| foreign.param)?;
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    let rewritten = fields.with_owned(&mut owned).rewrite(&body, "m", false).body();
    Ok(String::from_utf8(rewritten.to_vec()).unwrap())
}

/// Bodies with a reference, written `<id>`, and the field that names it.
const OWNED: [(Format, &str, &str); 14] = [
    (Format::Responses, r#"{"model":"m","input":"a","previous_response_id":"<resp_1>"}"#, "previous_response_id"),
    (Format::Responses, r#"{"model":"m","input":"a","conversation":"<conv_1>"}"#, "conversation"),
    (Format::Responses, r#"{"model":"m","input":"a","conversation":{"id":"<conv_1>"}}"#, "conversation"),
    (Format::Responses, r#"{"model":"m","input":[{"type":"item_reference","id":"<msg_1>"}]}"#, "input"),
    (Format::Responses, r#"{"model":"m","input":[{"id":"<msg_1>"}]}"#, "input"),
    (Format::Responses, r#"{"model":"m","input":[{"type":"reasoning","id":"<rs_1>","summary":[]}]}"#, "input"),
    (Format::Responses, r#"{"model":"m","input":[{"type":"image_generation_call","id":"<ig_1>"}]}"#, "input"),
    (
        Format::Responses,
        r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"<file-1>"}]}]}"#,
        "file_id",
    ),
    (
        Format::Responses,
        r#"{"model":"m","input":"a","tools":[{"type":"code_interpreter","container":"<cntr_1>"}]}"#,
        "container",
    ),
    (
        Format::Responses,
        r#"{"model":"m","input":"a","tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["<file-1>"]}}]}"#,
        "file_id",
    ),
    (
        Format::Chat,
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"f\u0069le_id":"<file-1>"}}]}]}"#,
        "file_id",
    ),
    (Format::Chat, r#"{"model":"m","messages":[{"role":"assistant","audio":{"id":"<audio_1>"}}]}"#, "audio"),
    (
        Format::Messages,
        r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"<file_1>"}}]}]}"#,
        "file_id",
    ),
    (Format::Messages, r#"{"model":"m","max_tokens":1,"messages":[],"container":{"id":"<container_1>"}}"#, "container"),
];

#[test]
fn ids_of_the_user_are_those_of_the_provider_and_all_others_are_refused() {
    let [owner, other] = owners();
    for (format, body, param) in OWNED {
        let (start, rest) = body.split_once('<').unwrap();
        let (id, end) = rest.split_once('>').unwrap();
        let with = |id: &str| format!("{start}{id}{end}");
        let bound = owner.bind(id);
        assert_eq!(sent(format, &with(&bound), &owner), Ok(with(id)), "{body}");
        let cut = &bound[..bound.len() - 1];
        let suffix = &bound[id.len()..];
        for foreign in [id, &other.bind(id), cut, &format!("{bound}{suffix}"), &format!("x{bound}")] {
            assert_eq!(sent(format, &with(foreign), &owner), Err(param), "{foreign} {body}");
        }
    }
}

#[test]
fn objects_that_no_call_makes_are_refused() {
    let [owner, _] = owners();
    for (format, field, param) in [
        (Format::Responses, r#""tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]"#, "vector_store_ids"),
        (Format::Responses, r#""tools":[{"type":"mcp","connector_id":"connector_gmail"}]"#, "connector_id"),
        (
            Format::Responses,
            r#""tools":[{"type":"shell","environment":{"skills":[{"skill_id":"skill_1"}]}}]"#,
            "skill_id",
        ),
        (Format::Responses, r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (Format::Responses, r#""pro\u006dpt":{"variables":{},"id":"pmpt_1"}"#, "prompt"),
        (Format::Messages, r#""container":{"skills":[{"type":"custom","skill_id":"skill_1"}]}"#, "skill_id"),
        (Format::Chat, r#""data_sources":[{"type":"azure_search"}]"#, "data_sources"),
        (Format::Chat, r#""audio":{"voice":{"id":"voice_1"}}"#, "voice"),
        (Format::Chat, r#""extra_body":{"google":{"cached_content":"c"}}"#, "cachedContent"),
        (Format::GenerateContent, r#""cachedContent":"cachedContents/1""#, "cachedContent"),
        (Format::GenerateContent, r#""tools":[{"retrieval":{"vertexAiSearch":{}}}]"#, "tools"),
        (
            Format::GenerateContent,
            r#""tools":[{"fileSearch":{"fileSearchStoreNames":["fileSearchStores/1"]}}]"#,
            "fileSearchStoreNames",
        ),
        (Format::GenerateContent, r#""contents":[{"parts":[{"fileData":{"fileUri":"gs://b/x"}}]}]"#, "uri"),
        (
            Format::GenerateContent,
            r#""contents":[{"parts":[{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/1"}}]}]"#,
            "fileUri",
        ),
        (Format::Messages, r#""guardrailIdentifier":"arn:aws:bedrock:eu-west-1:1:guardrail/1""#, "guardrailIdentifier"),
        (Format::Messages, r#""source":{"s3Location":{"uri":"s3://b/x"}}"#, "uri"),
    ] {
        let body = format!(r#"{{"model":"m","messages":[],"max_tokens":1,{field}}}"#);
        assert_eq!(sent(format, &body, &owner), Err(param), "{body}");
    }
}

#[test]
fn calls_without_references_pass_as_they_are() {
    let [owner, _] = owners();
    for (format, body) in [
        // Codex: `store: false`, and reasoning with its encrypted state.
        (
            Format::Responses,
            r#"{"model":"m","store":false,"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"\"file_id\" gs://b"}]},{"type":"reasoning","summary":[],"encrypted_content":"gAAA"},{"type":"function_call","name":"f","arguments":"{\"file_id\":\"x\"}","call_id":"call_1"},{"type":"function_call_output","call_id":"call_1","output":"gs://b"}],"tools":[{"type":"function","name":"f","parameters":{"properties":{"id":{},"file_id":{"type":"string"}}}}]}"#,
        ),
        // The AI SDK with `store: false`.
        (
            Format::Responses,
            r#"{"model":"m","store":false,"input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"a"}]},{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"}]}"#,
        ),
        (
            Format::Responses,
            r#"{"model":"m","input":[{"role":"assistant","id":"x","content":"a"},{"type":"reasoning","id":"rs_1","content":[{"type":"reasoning_text","text":"a"}],"summary":[]}],"previous_response_id":null,"conversation":null}"#,
        ),
        (
            Format::Messages,
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"file_id":"x","url":"gs://b"}}]}],"container":{"skills":[{"type":"anthropic","skill_id":"pptx"}]}}"#,
        ),
        (
            Format::Chat,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://h/files/x"}}]},{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}],"audio":{"voice":"alloy"}}"#,
        ),
        (Format::GenerateContent, r#"{"contents":[{"parts":[{"functionCall":{"args":{"fileUri":"gs://b"}}}]}]}"#),
        (Format::Speech, r#"{"model":"m","input":"gs://b","voice":"alloy"}"#),
    ] {
        assert_eq!(sent(format, body, &owner).as_deref(), Ok(body));
    }
}

#[test]
fn keys_of_the_account_get_the_prefix_of_their_user() {
    let [owner, other] = owners();
    let long = "x".repeat(64);
    let body = format!(
        r#"{{"model":"m","input":"a","user":"u","safety_identifier":"{long}","prompt_cache_key":"k\u00e9","metadata":{{"a":"v","b":""}}}}"#
    );
    let value = |text: &str, most| owner.value(text, most);
    let expected = format!(
        r#"{{"model":"m","input":"a","user":"{}","safety_identifier":"{}","prompt_cache_key":"{}","metadata":{{"a":"{}","b":""}}}}"#,
        value("u", 64),
        value(&long, 64),
        value("k\u{e9}", 64),
        value("v", 512),
    );
    assert_eq!(sent(Format::Responses, &body, &owner).as_deref(), Ok(expected.as_str()));
    assert_ne!(sent(Format::Responses, &body, &other).as_deref(), Ok(expected.as_str()));
    // The usual calls of agents have only the key of their session, and are not read token by token.
    let messages = |id: &str| {
        format!(
            r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":"a"}}],"metadata":{{"user_id":"{id}"}}}}"#
        )
    };
    assert_eq!(sent(Format::Messages, &messages("s"), &owner), Ok(messages(&value("s", 256))));
    let codex = |key: &str| format!(r#"{{"model":"m","input":[],"store":false,"prompt_cache_key":"{key}"}}"#);
    assert_eq!(sent(Format::Responses, &codex("s"), &owner), Ok(codex(&value("s", 64))));
    let fields = crate::request::read(&endpoint(Format::Responses), None, codex("s").as_bytes()).unwrap();
    let restored = owned(Format::Responses, codex("s").as_bytes(), &fields, &owner).unwrap().restored;
    assert_eq!((restored.len(), restored[0].original.as_str()), (1, "\"s\""));
}

/// Returns a form with these fields behind its model, and a file.
fn form(fields: &[(&str, &str)]) -> String {
    let parts = [&[("model", "m")], fields].concat();
    let parts = parts
        .iter()
        .map(|(name, content)| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n"));
    let file =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{\"file_id\":\u{1}\r\n--b--\r\n";
    parts.collect::<String>() + file
}

fn sent_form(fields: &[(&str, &str)], owner: &ObjectOwner) -> Result<String, &'static str> {
    let body = form(fields);
    let called = EndpointCall::from_path("/v1/images/edits").unwrap();
    let read = crate::request::read(&called, Some("multipart/form-data; boundary=b"), body.as_bytes()).unwrap();
    let owned = owned(Format::Images, body.as_bytes(), &read, owner);
    let mut owned = owned.map_err(|foreign| foreign.param)?;
    let rewritten = read.with_owned(&mut owned).rewrite(&body.into(), "m", false).body();
    Ok(String::from_utf8(rewritten.to_vec()).unwrap())
}

#[test]
fn fields_of_forms_get_the_prefix_of_their_user() {
    let [owner, other] = owners();
    let long = "x".repeat(64);
    let value = |text: &str, most| owner.value(text, most);
    let fields = [
        ("prompt", "{\"user\":\"u\"}"),
        ("user", "u\u{e9}"),
        ("safety_identifier", &long),
        ("prompt_cache_key", "k"),
        ("metadata[a]", "v"),
        ("metadata", r#"{"b":"w","c":""}"#),
        ("size", "1x1"),
        ("user[]", "text"),
        ("empty", ""),
    ];
    let json = format!(r#"{{"b":"{}","c":""}}"#, value("w", 512));
    let expected = [
        fields[0],
        ("user", &value("u\u{e9}", 64)),
        ("safety_identifier", &value(&long, 64)),
        ("prompt_cache_key", &value("k", 64)),
        ("metadata[a]", &value("v", 512)),
        ("metadata", &json),
        fields[6],
        ("user[]", &value("text", 64)),
        fields[8],
    ];
    assert_eq!(sent_form(&fields, &owner), Ok(form(&expected)));
    assert_ne!(sent_form(&fields, &other), Ok(form(&expected)));
    assert_eq!(sent_form(&[("user", "")], &owner), Ok(form(&[("user", "")])));
}

#[test]
fn forms_name_only_objects_of_their_user() {
    let [owner, other] = owners();
    for (name, content) in [
        ("file_id", "<file-1>"),
        ("file_id[]", "<file-1>"),
        ("images[0][file_id]", "<file-1>"),
        ("container[id]", "<cntr_1>"),
        ("file_ids", r#"["<file-1>"]"#),
        ("extra_body", r#"{"image":{"file_id":"<file-1>"}}"#),
    ] {
        let (start, rest) = content.split_once('<').unwrap();
        let (id, end) = rest.split_once('>').unwrap();
        let with = |id: &str| format!("{start}{id}{end}");
        let bound = owner.bind(id);
        assert_eq!(sent_form(&[(name, &with(&bound))], &owner), Ok(form(&[(name, &with(id))])), "{name}");
        let suffix = &bound[id.len()..];
        for foreign in
            [id, &other.bind(id), &bound[..bound.len() - 1], &format!("{bound}{suffix}"), &format!(" {bound}")]
        {
            assert!(sent_form(&[(name, &with(foreign))], &owner).is_err(), "{name} {foreign}");
        }
    }
    for (name, content) in [
        ("vector_store_id", "vs_1"),
        ("skill_id", "skill_1"),
        ("voice[id]", "voice_1"),
        ("image_url", "gs://b/x"),
        ("fileUri", "files/1"),
        ("data_sources[0][type]", "azure_search"),
        ("cached_content", "c"),
    ] {
        assert!(sent_form(&[(name, content)], &owner).is_err(), "{name}");
    }
    for (name, content) in [("image_url", "https://h/x"), ("chunking_strategy", r#"{"type":"server_vad"}"#), ("x", "[")]
    {
        assert_eq!(sent_form(&[(name, content)], &owner), Ok(form(&[(name, content)])), "{name}");
    }
}

#[test]
fn bodies_say_whether_they_may_make_objects() {
    for (format, body, expected) in [
        (Format::Responses, r#"{"input":"a"}"#, true),
        (Format::Responses, r#"{"store" : false}"#, false),
        (Format::Responses, r#"{"store":true}"#, true),
        (Format::Responses, r#"{"store":false,"tools":[{"type":"code_interpreter"}]}"#, true),
        (Format::Messages, r#"{"messages":[]}"#, false),
        (Format::Messages, r#"{"tools":[{"type":"code_execution_20250825"}]}"#, true),
        (Format::Chat, r#"{"messages":[]}"#, false),
        (Format::Chat, r#"{"modalities":["text","audio"]}"#, true),
    ] {
        assert_eq!(may_make_objects(format, body.as_bytes()), expected, "{body}");
    }
}
