use super::*;

#[test]
fn every_pair_of_formats_gives_the_events_that_its_client_needs() {
    for (provider, stream) in STREAMS {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            let translated = streamed(client, provider, stream);
            assert!(check_stream(client, &translated));
            insta::assert_snapshot!(format!("{}_to_{}", provider.name(), client.name()), translated);
        }
    }
}

#[test]
fn every_event_is_written_as_soon_as_its_source_has_arrived() {
    for (provider, stream) in STREAMS {
        for client in FORMATS.into_iter().filter(|client| *client != provider) {
            let mut translator =
                ResponseTranslator::new(context(client, provider, true), IDS, ResponseFraming::Events, 200);
            let (before, after) = stream.split_once("\u{1f600}").unwrap();
            let start = translator.push(before.as_bytes());
            let text = translator.push(format!("\u{1f600}{}", after.split_once("\n\n").unwrap().0).as_bytes());
            assert!(!start.is_empty() && text.is_empty(), "{provider:?} {client:?}");
            let text = translator.push(b"\n\n");
            assert!(String::from_utf8_lossy(&text).contains("Let me l\u{f6}ok \u{1f600}"), "{provider:?} {client:?}");
        }
    }
}

#[test]
fn parallel_calls_that_interleave_follow_one_another() {
    let call = |index: u64, id: &str, arguments: &str| {
        let begin = if id.is_empty() { String::new() } else { format!(r#""id":"{id}","type":"function","#) };
        let name = if id.is_empty() { "" } else { r#""name":"f","# };
        format!(
            r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":{index},{begin}"function":{{{name}"arguments":{arguments:?}}}}}]}}}}]}}"#
        )
    };
    let stream = [
        call(0, "call_0", "{\"a\":"),
        call(1, "call_1", "{\"b\":"),
        call(2, "call_2", ""),
        call(1, "", "[1,"),
        call(0, "", "0}"),
        call(2, "", "{}"),
        call(1, "", "2]}"),
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned(),
        "[DONE]".to_owned(),
    ];
    let stream = chunks(&stream.iter().map(String::as_str).collect::<Vec<_>>());
    let items = events(&streamed(Format::Responses, Format::Chat, &stream));
    let output = &items.last().unwrap().1["response"]["output"];
    let calls: Vec<_> = output.as_array().unwrap().iter().map(|item| (&item["call_id"], &item["arguments"])).collect();
    let expected = [("call_0", "{\"a\":0}"), ("call_1", "{\"b\":[1,2]}"), ("call_2", "{}")];
    assert_eq!(calls.len(), 3);
    for ((id, arguments), (expected_id, expected_arguments)) in calls.into_iter().zip(expected) {
        assert_eq!((id.as_str(), arguments.as_str()), (Some(expected_id), Some(expected_arguments)));
    }
    streamed(Format::Messages, Format::Chat, &stream);
}

#[test]
fn a_complete_call_is_given_to_the_client_when_the_next_one_begins() {
    let stream = STREAMS[0].1;
    let (before, _) =
        stream.split_once(r#"data: {"id":"chatcmpl-9","choices":[{"index":0,"delta":{"content":""}"#).unwrap();
    let mut translator =
        ResponseTranslator::new(context(Format::Messages, Format::Chat, true), IDS, ResponseFraming::Events, 200);
    let out = translator.push(before.as_bytes());
    let out = std::str::from_utf8(&out).unwrap();
    let stops = events(out).iter().filter(|(name, _)| name == "content_block_stop").count();
    assert_eq!(stops, 4, "{out}");
    assert_eq!(translator.held_bytes(), 0);
}
