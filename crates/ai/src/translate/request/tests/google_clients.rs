//! Calls of Google's clients, whose path has the model and the stream.

use super::*;
use crate::translate::signature;

const GOOGLE: &str = include_str!("google.json");

fn google(body: &str, to: Format, model: &str) -> TranslatedRequest {
    let path = GooglePath { model: "fast", is_streamed: true, is_array: true };
    let options = TranslationOptions { google: path, ..options(model) };
    translate(Format::GenerateContent, to, body.as_bytes(), &options).unwrap()
}

fn value_of(body: &str, to: Format, model: &str) -> serde_json::Value {
    serde_json::from_slice(&google(body, to, model).body).unwrap()
}

#[test]
fn a_call_of_google_is_translated_whole() {
    let without_stop = GOOGLE.replace(r#""stopSequences":["END"],"#, "");
    for (name, to, body, model) in [
        ("google_to_chat", Format::Chat, GOOGLE, "qwen3"),
        ("google_to_responses", Format::Responses, &without_stop, "gpt-5.2"),
        ("google_to_messages", Format::Messages, GOOGLE, "claude-opus-4-8"),
    ] {
        let out = google(body, to, model);
        let context = &out.context;
        assert_eq!((context.model.as_str(), context.streamed, context.is_array), ("fast", true, true));
        assert!(crate::request::read(&EndpointCall::of_format(to, true, model).unwrap(), None, &out.body).is_ok());
        insta::assert_snapshot!(name, format!("{}\n\ndropped: {}", lines(&out.body), out.dropped.join(", ")));
    }
}

#[test]
fn state_comes_back_before_the_text_of_its_call_and_names_calls_without_ids() {
    let thinking = r#"{"type":"thinking","thinking":"Hm.","signature":"EqQ="}"#;
    let body = |state: &str| {
        let state = signature::of_capsule(state);
        format!(
            r#"{{"contents":[{{"parts":[{{"text":"a"}}]}},{{"role":"model","parts":[{{"text":"Hm.","thought":true}},{{"text":"b"}},
            {{"functionCall":{{"name":"f"}},"thoughtSignature":"{state}"}},{{"functionCall":{{"name":"f"}}}}]}},
            {{"parts":[{{"functionResponse":{{"name":"f"}}}},{{"functionResponse":{{"name":"f"}}}}]}}]}}"#
        )
    };
    let own = capsule("claude-opus-4-8", Format::Messages, &[thinking]);
    let out = value_of(&body(&own), Format::Messages, "claude-opus-4-8");
    let blocks = out["messages"][1]["content"].as_array().unwrap();
    let kinds: Vec<_> = blocks.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"]);
    assert_eq!((&blocks[0]["signature"], out["messages"][2]["content"].as_array().unwrap().len()), (&"EqQ=".into(), 2));
    let other = google(&body(&own), Format::Messages, "claude-opus-5");
    assert!(!String::from_utf8_lossy(&other.body).contains("EqQ=") && other.dropped.is_empty());

    let items = [r#"{"call_id":"call_7","extra_content":{"google":{"thought_signature":"s"}}}"#];
    let out = value_of(&body(&capsule("deepseek-v4", Format::Chat, &items)), Format::Chat, "deepseek-v4");
    let message = &out["messages"][1];
    assert_eq!((&message["reasoning_content"], &message["content"]), (&"Hm.".into(), &"b".into()));
    assert_eq!(
        (&message["tool_calls"][0]["id"], &out["messages"][2]["tool_call_id"]),
        (&"call_7".into(), &"call_7".into())
    );
    assert_eq!(message["tool_calls"][0]["extra_content"]["google"]["thought_signature"], "s");
}

#[test]
fn modes_of_calls_become_choices() {
    let choice = |config: &str, to: Format, model: &str| {
        let body = format!(
            r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}],"tools":{{"function_declarations":[{{"name":"f"}},{{"name":"g"}}]}},"toolConfig":{{"functionCallingConfig":{config}}}}}"#
        );
        let out = value_of(&body, to, model);
        format!("{} {}", out["tool_choice"], out["tools"].as_array().unwrap().len())
    };
    for (config, chat, messages) in [
        (r#"{}"#, "null 2", "null 2"),
        (r#"{"mode":"auto"}"#, r#""auto" 2"#, r#"{"type":"auto"} 2"#),
        (r#"{"mode":"NONE"}"#, r#""none" 2"#, r#"{"type":"none"} 2"#),
        (r#"{"mode":"ANY"}"#, r#""required" 2"#, r#"{"type":"any"} 2"#),
        (r#"{"mode":"VALIDATED"}"#, r#""auto" 2"#, r#"{"type":"auto"} 2"#),
        (r#"{"mode":"VALIDATED","allowedFunctionNames":["g"]}"#, r#""auto" 1"#, r#"{"type":"auto"} 1"#),
    ] {
        assert_eq!(choice(config, Format::Chat, "qwen3"), chat, "{config}");
        assert_eq!(choice(config, Format::Messages, "claude-opus-4-8"), messages, "{config}");
    }
    let one = choice(r#"{"mode":"ANY","allowed_function_names":["g"]}"#, Format::Messages, "claude-opus-4-8");
    assert_eq!(one, r#"{"name":"g","type":"tool"} 2"#);
}

#[test]
fn thinking_becomes_effort() {
    let effort = |config: &str| {
        let body = format!(r#"{{"contents":[],"generationConfig":{{"thinkingConfig":{config}}}}}"#);
        value_of(&body, Format::Chat, "gpt-6-sol")["reasoning_effort"].as_str().map(str::to_owned)
    };
    for (config, expected) in [
        (r#"{"thinkingLevel":"high"}"#, Some("high")),
        (r#"{"thinkingBudget":0}"#, Some("none")),
        (r#"{"thinkingBudget":-1}"#, None),
        (r#"{"thinking_budget":5000}"#, Some("high")),
        (r#"{"thinkingLevel":"THINKING_LEVEL_UNSPECIFIED"}"#, None),
    ] {
        assert_eq!(effort(config).as_deref(), expected, "{config}");
    }
}

#[test]
fn sound_is_sent_where_the_format_has_it() {
    let body = |kind: &str| {
        format!(r#"{{"contents":{{"parts":{{"inlineData":{{"mimeType":"audio/{kind}","data":"AA=="}}}}}}}}"#)
    };
    let out = value_of(&body("mpeg"), Format::Chat, "gpt-audio");
    let part = serde_json::json!({"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}});
    assert_eq!(out["messages"][0]["content"][0], part);
    let refused = |kind: &str, to: Format, model: &str| {
        translate(Format::GenerateContent, to, body(kind).as_bytes(), &options(model)).unwrap_err().param
    };
    let path = "contents.parts.inlineData";
    assert_eq!(refused("ogg", Format::Chat, "gpt-audio"), path);
    assert_eq!(refused("wav", Format::Responses, "gpt-5.2"), path);
    assert_eq!(refused("wav", Format::Messages, "claude-opus-5"), path);
}

#[test]
fn what_no_other_provider_has_is_refused_by_its_own_name() {
    let part = |part: &str| format!(r#""contents":[{{"parts":[{part}]}}]"#);
    let config = |config: &str| format!(r#""contents":[],"generationConfig":{{{config}}}"#);
    for (body, param) in [
        (r#""contents":[],"cachedContent":"cachedContents/1""#.to_owned(), "cachedContent"),
        ("\"tools\":[]".to_owned(), "contents"),
        (r#""contents":[{"role":"system","parts":[]}]"#.to_owned(), "contents[0].role"),
        (
            part(r#"{"fileData":{"fileUri":"gs://b/a.png","mimeType":"image/png"}}"#),
            "contents[0].parts[0].fileData.fileUri",
        ),
        (
            part(
                r#"{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/a","mimeType":"image/png"}}"#,
            ),
            "contents[0].parts[0].fileData.fileUri",
        ),
        (part(r#"{"fileData":{"fileUri":"https://youtu.be/a"}}"#), "contents[0].parts[0].fileData.mimeType"),
        (part(r#"{"inlineData":{"mimeType":"video/mp4","data":""}}"#), "contents[0].parts[0].inlineData"),
        (part(r#"{"new":1}"#), "contents[0].parts[0]"),
        (part(r#"{"functionResponse":{"name":"f"}}"#), "contents[0].parts[0].functionResponse"),
        (r#""contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}}]}]"#.to_owned(), "contents[0]"),
        (config(r#""candidateCount":2"#), "generationConfig.candidateCount"),
        (config(r#""responseLogprobs":true"#), "generationConfig.responseLogprobs"),
        (config(r#""responseModalities":["TEXT","IMAGE"]"#), "generationConfig.responseModalities"),
        (config(r#""responseMimeType":"text/x.enum""#), "generationConfig.responseMimeType"),
        (config(r#""thinkingConfig":{"thinkingLevel":"FAST"}"#), "generationConfig.thinkingConfig.thinkingLevel"),
        (config(r#""topK":"x""#), "generationConfig.topK"),
        (config(r#""stopSequences":["a"]"#), "generationConfig.stopSequences"),
        (
            r#""contents":[],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}"#
                .to_owned(),
            "toolConfig.functionCallingConfig.allowedFunctionNames",
        ),
    ] {
        let body = format!("{{{body}}}");
        let result = translate(Format::GenerateContent, Format::Responses, body.as_bytes(), &options("gpt-5.2"));
        let error = result.unwrap_err();
        assert_eq!(error.param, param, "{body} {}", error.message);
        assert!(error.message.contains(&format!("`{param}`")), "{}", error.message);
    }
    let accepted = config(r#""candidateCount":1,"responseLogprobs":false,"responseModalities":["TEXT"]"#);
    assert!(
        translate(Format::GenerateContent, Format::Chat, format!("{{{accepted}}}").as_bytes(), &options("m")).is_ok()
    );
}
