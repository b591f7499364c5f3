use access::Tokens;

use super::*;

fn check(path: &str, inside: &str, reference: Option<Reference>) {
    let text = if path == GEMINI { format!("{{{inside}}}") } else { body(inside) };
    let bound = bound(path, &text);
    assert_eq!(bound.unbounded, reference, "{path} {inside}");
    let window = Tokens(100_000).saturating_add(bound.output_tokens_max.unwrap());
    match reference {
        None => assert!(bound.tokens.unwrap() < window, "{path} {inside}: {bound:?}"),
        Some(_) => assert!(bound.tokens.unwrap() >= window, "{path} {inside}: {bound:?}"),
    }
    let nowhere = extent(path, &text).bound(Some(&flat()), None);
    if reference.is_some() {
        assert_eq!((nowhere.tokens, nowhere.unknown()), (None, Some(MissingFact::Limits)), "{path} {inside}");
    }
}

#[test]
fn responses_references_are_reported() {
    use Reference::*;
    for (inside, reference) in [
        (r#""previous_response_id":"resp_1""#, Some(PreviousResponse)),
        (r#""previous_response_id":null"#, None),
        (r#""previous\u005fresponse_id":"resp_1""#, Some(PreviousResponse)),
        (r#""conversation":"conv_1""#, Some(Conversation)),
        (r#""conversation":{"id":"conv_1"}"#, Some(Conversation)),
        (r#""prompt":{"id":"pmpt_1"}"#, Some(Prompt)),
        (r#""prompt":null"#, None),
        (r#""input":[{"type":"item_reference","id":"msg_1"}]"#, Some(Item)),
        (r#""input":[{"id":"msg_1"}]"#, Some(Item)),
        (r#""input":[{"id":"msg_1","role":"user","content":"x"}]"#, None),
        (r#""input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}]"#, None),
        (r#""input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]"#, Some(File)),
        (r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x"}]}]"#, Some(Url)),
        (r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,A"}]}]"#, None),
        (r#""input":[{"role":"user","content":[{"type":"input_file","file_url":"https://x"}]}]"#, Some(Url)),
        (r#""input":[{"role":"user","content":[{"type":"input_file","file_data":"data:x"}]}]"#, Some(Document)),
        (r#""input":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"x"}}]}]"#, Some(Audio)),
        (r#""input":[{"role":"user","content":[{"type":"input_later"}]}]"#, Some(Part)),
        (r#""input":[{"type":"function_call_output","output":[{"type":"input_image","file_id":"f"}]}]"#, Some(File)),
        (r#""input":[{"type":"function_call","arguments":"{\"file_id\":\"f\"}"}]"#, None),
        (r#""input":"previous_response_id \"file_id\":\"x\"""#, None),
        (r#""tools":[{"type":"function","name":"f","parameters":{"properties":{"file_id":{"type":"x"}}}}]"#, None),
        (r#""tools":[{"type":"custom"},{"type":"namespace","tools":[{"type":"function"}]}]"#, None),
        (r#""tools":[{"type":"web_search"}]"#, Some(ServerTool)),
        (r#""tools":[{"type":"namespace","tools":[{"type":"code_interpreter"}]}]"#, Some(ServerTool)),
        (r#""tools":[{"type":"mcp","server_url":"https://x"}]"#, Some(ServerTool)),
        (r#""input":[{"type":"additional_tools","tools":[{"type":"web_search"}]}]"#, Some(ServerTool)),
        (r#""input":[{"type":"additional_tools","tools":[{"type":"function","parameters":{"image_url":"x"}}]}]"#, None),
        (r#""context_management":[{"type":"compaction"}]"#, Some(Compaction)),
    ] {
        check(RESPONSES, inside, reference);
    }
}

#[test]
fn chat_references_are_reported() {
    use Reference::*;
    let part = |part: &str| format!(r#""messages":[{{"role":"user","content":[{part}]}}]"#);
    for (inside, reference) in [
        (part(r#"{"type":"text","text":"\"image_url\":\"https://x\""}"#), None),
        (part(r#"{"type":"image_url","image_url":{"url":"https://x"}}"#), Some(Url)),
        (part(r#"{"type":"image_url","image_url":"https://x"}"#), Some(Url)),
        (part(r#"{"type":"image_url","im\u0061ge_url":{"url":"https://x"}}"#), Some(Url)),
        (part(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,A"}}"#), None),
        (part(r#"{"type":"image_url","image_url":{"url":"data:image\/png;base64,A"}}"#), None),
        (part(r#"{"type":"image_url","image_url":{"url":"data:application/pdf;base64,A"}}"#), Some(Document)),
        (part(r#"{"type":"file","file":{"file_id":"f"}}"#), Some(File)),
        (part(r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,A"}}"#), Some(Document)),
        (part(r#"{"type":"input_audio","input_audio":{"data":"A","format":"wav"}}"#), Some(Audio)),
        (part(r#"{"type":"video_url","video_url":{"url":"https://x"}}"#), Some(Part)),
        (r#""messages":[{"role":"assistant","audio":{"id":"audio_1"}}]"#.to_owned(), Some(Audio)),
        (r#""plugins":[{"id":"web"}]"#.to_owned(), Some(ServerTool)),
        (r#""plugins":[{"max_results":1,"id":"later"}]"#.to_owned(), Some(ServerTool)),
        (r#""plugins":[{"id":"response-healing"},{"id":"context-compression"}]"#.to_owned(), None),
        (r#""enable_search":true"#.to_owned(), Some(ServerTool)),
        (r#""enable_search":null"#.to_owned(), None),
        (r#""messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}}]}]"#.to_owned(), None),
        (r#""web_search_options":{}"#.to_owned(), Some(ServerTool)),
        (r#""tools":[{"type":"function","function":{"name":"web_search"}}]"#.to_owned(), None),
        (r#""tools":[{"type":"web_search"}]"#.to_owned(), Some(ServerTool)),
    ] {
        check(CHAT, &inside, reference);
    }
}

#[test]
fn messages_references_are_reported() {
    use Reference::*;
    let part = |part: &str| format!(r#""max_tokens":7,"messages":[{{"role":"user","content":[{part}]}}]"#);
    let image = |source: &str| part(&format!(r#"{{"type":"image","source":{source}}}"#));
    for (inside, reference) in [
        (image(r#"{"type":"url","url":"https://x"}"#), Some(Url)),
        (image(r#"{"type":"file","file_id":"f"}"#), Some(File)),
        (image(r#"{"type":"base64","media_type":"image/png","data":"A"}"#), None),
        (image(r#"{"data":"A","media_type":"image/png","type":"base64"}"#), None),
        (image(r#"{"type":"base64","media_type":"application/pdf","data":"A"}"#), Some(Document)),
        (image(r#"{"type":"text","media_type":"text/plain","data":"A"}"#), None),
        (
            image(r#"{"type":"content","content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}"#),
            Some(Url),
        ),
        (image(r#"{"type":"later"}"#), Some(Part)),
        (part(r#"{"type":"container_upload","file_id":"f"}"#), Some(File)),
        (part(r#"{"type":"tool_use","name":"f","input":{"source":{"type":"url"},"file_id":"f"}}"#), None),
        (part(r#"{"type":"tool_result","content":[{"type":"image","source":{"type":"url","url":"x"}}]}"#), Some(Url)),
        (
            r#""max_tokens":7,"tools":[{"name":"f","input_schema":{"type":"object","properties":{"max_uses":{}}}}]"#
                .to_owned(),
            None,
        ),
        (r#""max_tokens":7,"tools":[{"type":"bash_20250124","name":"bash"},{"type":"custom"}]"#.to_owned(), None),
        (r#""max_tokens":7,"tools":[{"type":"web_search_20250305","name":"web_search"}]"#.to_owned(), Some(ServerTool)),
        (r#""max_tokens":7,"tools":[{"type":"code_execution_20250825"}]"#.to_owned(), Some(ServerTool)),
        (r#""max_tokens":7,"mcp_servers":[{"type":"url","url":"https://x"}]"#.to_owned(), Some(ServerTool)),
        (r#""max_tokens":7,"mcp_servers":[]"#.to_owned(), None),
        (r#""max_tokens":7,"container":"c""#.to_owned(), Some(Container)),
        (r#""max_tokens":7,"context_management":{"edits":[{"type":"compact_20260112"}]}"#.to_owned(), Some(Compaction)),
        (r#""max_tokens":7,"context_management":{"edits":[{"type":"clear_thinking_20251015"}]}"#.to_owned(), None),
    ] {
        check(MESSAGES, &inside, reference);
    }
}

#[test]
fn gemini_references_are_reported() {
    use Reference::*;
    let part = |part: &str| format!(r#""contents":[{{"parts":[{part}]}}]"#);
    for (inside, reference) in [
        (part(r#"{"fileData":{"fileUri":"https://x"}}"#), Some(Url)),
        (part(r#"{"file_data":{"file_uri":"https://x"}}"#), Some(Url)),
        (part(r#"{"inlineData":{"mimeType":"image/png","data":"A"}}"#), None),
        (part(r#"{"inline_data":{"data":"A","mime_type":"image/png"}}"#), None),
        (part(r#"{"inlineData":{"mimeType":"text/plain","data":"A"}}"#), None),
        (part(r#"{"inlineData":{"mimeType":"audio/wav","data":"A"}}"#), Some(Document)),
        (part(r#"{"inlineData":{"data":"A"}}"#), Some(Document)),
        (part(r#"{"functionCall":{"name":"f","args":{"fileData":{"fileUri":"x"}}}}"#), None),
        (part(r#"{"functionResponse":{"name":"f","response":{"inlineData":{"data":"x"}}}}"#), None),
        (part(r#"{"functionResponse":{"parts":[{"fileData":{"fileUri":"x"}}]}}"#), Some(Url)),
        (r#""cachedContent":"cachedContents/x""#.to_owned(), Some(CachedContent)),
        (r#""cached_content":"cachedContents/x""#.to_owned(), Some(CachedContent)),
        (r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT"}}]}]"#.to_owned(), None),
        (r#""tools":[{"googleSearch":{}}]"#.to_owned(), Some(ServerTool)),
        (r#""tools":[{"functionDeclarations":[]},{"code_execution":{}}]"#.to_owned(), Some(ServerTool)),
        (r#""tools":{"urlContext":{}}"#.to_owned(), Some(ServerTool)),
    ] {
        check(GEMINI, &inside, reference);
    }
}

/// A file of three windows' bytes, in each form in which a body may hold it.
#[test]
fn files_are_bounded_by_the_window_and_not_by_their_bytes() {
    let data = "A".repeat(300_000);
    let of_chat = |part: &str| format!(r#""max_tokens":7,"messages":[{{"role":"user","content":[{part}]}}]"#);
    let of_responses = |part: &str| format!(r#""max_output_tokens":7,"input":[{{"role":"user","content":[{part}]}}]"#);
    let pdf = format!("data:application/pdf;base64,{data}");
    for (path, inside) in [
        (CHAT, of_chat(&format!(r#"{{"type":"file","file":{{"file_data":"{pdf}"}}}}"#))),
        (CHAT, of_chat(&format!(r#"{{"type":"image_url","image_url":{{"url":"{pdf}"}}}}"#))),
        (CHAT, of_chat(&format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}","format":"mp3"}}}}"#))),
        (RESPONSES, of_responses(&format!(r#"{{"type":"input_file","file_data":"{pdf}"}}"#))),
        (RESPONSES, of_responses(&format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}"}}}}"#))),
        (
            MESSAGES,
            of_chat(&format!(
                r#"{{"type":"document","source":{{"type":"base64","media_type":"application/pdf","data":"{data}"}}}}"#
            )),
        ),
        (GEMINI, format!(r#""contents":[{{"parts":[{{"inlineData":{{"mimeType":"audio/wav","data":"{data}"}}}}]}}]"#)),
        ("/v1/images/edits", format!(r#""images":[{{"image_url":"data:image/png;base64,{data}"}}],"prompt":"x""#)),
    ] {
        let text = if path == GEMINI { format!("{{{inside}}}") } else { body(&inside) };
        let bound = bound(path, &text);
        let window = Tokens(100_000).saturating_add(bound.output_tokens_max.unwrap());
        assert_eq!(bound.tokens, Some(window), "{path} {}", text.replace(&data, "…"));
    }
    let (_, transcription) = called("/v1/audio/transcriptions");
    let form = Extent::read(&transcription, &RequestFields::default(), data.as_bytes());
    assert_eq!(form.bound(Some(&flat()), LIMITS).tokens, Some(Tokens(101_000)));
}

#[test]
fn text_beside_a_file_is_bounded_by_its_bytes_beyond_the_window() {
    let data = "A".repeat(300_000);
    let text = "x".repeat(150_000);
    let bound = |text: &str| {
        let file = format!(r#"{{"type":"file","file":{{"file_data":"{data}"}}}}"#);
        let inside = format!(r#"{{"type":"text","text":"{text}"}},{file}"#);
        bound(CHAT, &body(&format!(r#""max_tokens":7,"messages":[{{"content":[{inside}]}}]"#))).tokens.unwrap().0
    };
    assert_eq!(bound("x"), 100_007);
    assert!((150_000..151_000).contains(&bound(&text)), "{}", bound(&text));
}

#[test]
fn a_compaction_is_one_more_round_at_any_place() {
    for (path, fields) in [
        (RESPONSES, [r#""context_management":[{"type":"compaction"}]"#, r#""previous_response_id":"r""#]),
        (MESSAGES, [r#""context_management":{"edits":[{"type":"compact_20260112"}]}"#, r#""container":"c""#]),
    ] {
        for [first, second] in [fields, [fields[1], fields[0]]] {
            let limit = if path == RESPONSES { "max_output_tokens" } else { "max_tokens" };
            let bound = bound(path, &body(&format!(r#"{first},{second},"{limit}":7"#)));
            assert_eq!(bound.tokens, Some(Tokens(2 * 100_007)), "{first} {second}");
        }
    }
}

#[test]
fn audio_without_a_rate_has_no_bound_in_money_at_any_place() {
    let file = r#"{"type":"file","file":{"file_id":"f"}}"#;
    let audio = r#"{"type":"input_audio","input_audio":{"data":"A","format":"wav"}}"#;
    let price = Price::configured(Rates { audio_input: None, ..flat().rates }, UnitRates::default());
    for [first, second] in [[file, audio], [audio, file]] {
        let text = body(&format!(r#""max_tokens":7,"messages":[{{"content":[{first},{second}]}}]"#));
        assert_eq!(extent(CHAT, &text).bound(Some(&price), LIMITS).money, None, "{first} {second}");
    }
}

#[test]
fn of_forms_and_places_elsewhere_the_window_counts() {
    let (_, transcription) = called("/v1/audio/transcriptions");
    let form = Extent::read(&transcription, &RequestFields::default(), b"--x\r\n");
    assert_eq!(form.bound(Some(&flat()), LIMITS).unbounded, Some(Reference::Upload));
    check("/v1/images/edits", r#""images":[{"image_url":"https://x"}],"prompt":"x""#, Some(Reference::Url));
}

#[test]
fn requested_audio_needs_its_rate_as_heard_audio_does() {
    let flat = |audio_output| Rates { audio_output, ..Rates::flat(1_000) };
    let priced = |audio_output| Price::configured(flat(audio_output), UnitRates::default());
    let with = priced(Some(9_000));
    let without = priced(None);
    let limits = Some(TokenLimits { input_tokens_max: 1_000, output_tokens_max: 100 });
    for (path, text, makes_audio) in [
        (CHAT, body(r#""messages":[],"max_tokens":9,"modalities":["text","audio"],"audio":{"voice":"alloy"}"#), true),
        (CHAT, body(r#""messages":[],"max_tokens":9,"audio":{"voice":"alloy"}"#), true),
        (CHAT, body(r#""messages":[],"max_tokens":9,"modalities":["text"]"#), false),
        (GEMINI, r#"{"contents":[],"generationConfig":{"responseModalities":["AUDIO"]}}"#.to_owned(), true),
        (GEMINI, r#"{"contents":[],"generation_config":{"response_modalities":["TEXT"]}}"#.to_owned(), false),
        (GEMINI, r#"{"contents":[],"generationConfig":{"speechConfig":{"languageCode":"en"}}}"#.to_owned(), true),
    ] {
        assert!(extent(path, &text).bound(Some(&with), limits).money.is_some(), "{text}");
        assert_eq!(extent(path, &text).bound(Some(&without), limits).money.is_none(), makes_audio, "{text}");
    }
}
