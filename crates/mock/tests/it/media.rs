//! Embeddings, images, sound and moderations.

use serde_json::{Value, json};

use crate::wire::{CHAT, COMPLETIONS, RunningMock, ask, quick, start};

const EMBEDDINGS: &str = "/v1/embeddings";
const IMAGES: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";
const SPEECH: &str = "/v1/audio/speech";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const TRANSLATIONS: &str = "/v1/audio/translations";
const MODERATIONS: &str = "/v1/moderations";
/// A little more than two seconds of 16 kHz.
static SOUND: [u8; 64_044] = [7; 64_044];

async fn json(mock: &RunningMock, path: &str, body: &str) -> Value {
    let reply = mock.post(path, body).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{path} {body}");
    reply.json()
}

fn unpacked(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let known: Vec<u32> = group
            .iter()
            .filter_map(|byte| digits.iter().position(|digit| digit == byte))
            .map(|at| u32::try_from(at).unwrap())
            .collect();
        let bits = known.iter().fold(0, |bits, sextet| bits << 6 | sextet) << (6 * (4 - known.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..known.len()]);
    }
    bytes
}

#[tokio::test]
async fn base64_vectors_are_the_floats() {
    let mock = start(quick()).await;
    let floats = json(&mock, EMBEDDINGS, r#"{"model":"mock","input":["one","two"],"dimensions":32}"#).await;
    let packed =
        json(&mock, EMBEDDINGS, r#"{"model":"mock","input":["one","two"],"dimensions":32,"encoding_format":"base64"}"#)
            .await;
    for index in 0..2 {
        let expected: Vec<f32> = serde_json::from_value(floats["data"][index]["embedding"].clone()).unwrap();
        let bytes = unpacked(packed["data"][index]["embedding"].as_str().unwrap());
        let found: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!((expected.len(), &found), (32, &expected));
    }
    assert_eq!(floats["usage"]["total_tokens"], floats["usage"]["prompt_tokens"]);
    assert!(json(&mock, EMBEDDINGS, r#"{"model":"no-usage","input":"one"}"#).await.get("usage").is_none());
}

#[tokio::test]
async fn pictures_of_current_models_are_counted_in_tokens() {
    let mock = start(quick()).await;
    let new = json(&mock, IMAGES, r#"{"model":"mock/gpt-image-1","prompt":"a tree","n":3}"#).await;
    assert_eq!(new["data"].as_array().unwrap().len(), 3);
    let png = unpacked(new["data"][0]["b64_json"].as_str().unwrap());
    assert_eq!((&png[..8], &png[png.len() - 8..png.len() - 4]), (b"\x89PNG\r\n\x1a\n".as_slice(), b"IEND".as_slice()));
    assert_eq!(new["usage"]["output_tokens_details"], json!({ "text_tokens": 0, "image_tokens": 3 * 1_056 }));
    assert_eq!(new["usage"]["input_tokens_details"]["image_tokens"], 0);

    let old = json(&mock, IMAGES, r#"{"model":"mock/dall-e-3","prompt":"a tree","n":2}"#).await;
    assert!(old.get("usage").is_none() && old["data"][1]["url"].is_string());
    let old = json(&mock, IMAGES, r#"{"model":"dall-e-2","prompt":"a","response_format":"b64_json"}"#).await;
    assert!(old["data"][0]["b64_json"].is_string());

    let edited = mock.form(EDITS, b"png", &[("model", "mock"), ("prompt", "a tree")]).await.json();
    assert_eq!(edited["usage"]["input_tokens_details"]["image_tokens"], 258);
}

#[tokio::test]
async fn pictures_stream_partial_and_final() {
    let mock = start(quick()).await;
    let body = r#"{"model":"mock","prompt":"a","stream":true,"partial_images":2}"#;
    let events = mock.post(IMAGES, body).await.events();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let partial = "image_generation.partial_image";
    assert_eq!(kinds, [partial, partial, "image_generation.completed"]);
    assert!(events[2]["usage"]["total_tokens"].as_u64() > Some(1_056));
    let events = mock.form(EDITS, b"png", &[("model", "mock"), ("stream", "true")]).await.events();
    assert_eq!(events[0]["type"], "image_edit.completed");
}

#[tokio::test]
async fn speech_has_the_requested_format() {
    let mock = start(quick()).await;
    let ask = |more: &str| format!(r#"{{"model":"mock","voice":"alloy","input":"hi"{more}}}"#);
    for (format, kind, opening) in [
        ("mp3", "audio/mpeg", b"\xff\xfb".as_slice()),
        ("opus", "audio/opus", b"OggS"),
        ("aac", "audio/aac", b"\xff\xf1"),
        ("flac", "audio/flac", b"fLaC"),
        ("wav", "audio/wav", b"RIFF"),
        ("pcm", "audio/pcm", b"\0\0"),
    ] {
        let reply = mock.post(SPEECH, &ask(&format!(r#","response_format":"{format}""#))).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)));
        let bytes = reply.bytes();
        assert!(bytes.starts_with(opening) && bytes.len() > 1_000 && reply.chunks.len() > 1, "{format}");
        if format == "wav" {
            let length = u32::from_le_bytes(bytes[40..44].try_into().unwrap());
            assert_eq!(length as usize, bytes.len() - 44);
        }
    }
    assert_eq!(mock.post(SPEECH, &ask("")).await.header("content-type"), Some("audio/mpeg"));
}

#[tokio::test]
async fn speech_in_events_is_the_same_sound() {
    let mock = start(quick()).await;
    let body = r#"{"model":"mock","input":"hi","response_format":"wav""#;
    let whole = mock.post(SPEECH, &format!("{body}}}")).await.bytes();
    let events = mock.post(SPEECH, &format!(r#"{body},"stream_format":"sse"}}"#)).await.events();
    let (done, deltas) = events.split_last().unwrap();
    let sound: Vec<u8> = deltas.iter().flat_map(|event| unpacked(event["audio"].as_str().unwrap())).collect();
    assert_eq!(sound, whole);
    assert_eq!(done["type"], "speech.audio.done");
    assert!(done["usage"]["output_tokens"].as_u64() > Some(0));
}

#[tokio::test]
async fn transcriptions_are_billed_by_tokens_or_by_the_second() {
    let mock = start(quick()).await;
    let tokens = mock.form(TRANSCRIPTIONS, &SOUND, &[("model", "mock")]).await.json();
    assert_eq!(tokens["usage"]["type"], "tokens");
    assert_eq!(tokens["usage"]["input_token_details"]["audio_tokens"], 30);
    let seconds = mock.form(TRANSCRIPTIONS, &SOUND, &[("model", "mock/whisper-1"), ("stream", "true")]).await.json();
    assert_eq!(seconds["usage"], json!({ "type": "duration", "seconds": 3 }));
    let translated = mock.form(TRANSLATIONS, &SOUND, &[("model", "whisper-1")]).await.json();
    assert!(translated["text"].as_str().unwrap().starts_with("Hello"));
    let none = mock.form(TRANSCRIPTIONS, &SOUND, &[("model", "no-usage")]).await.json();
    assert!(none.get("usage").is_none());
}

#[tokio::test]
async fn transcriptions_have_each_response_format() {
    let mock = start(quick()).await;
    let check = async |form: &str, kind: &str, opening: &str| {
        let fields = [("model", "whisper-1"), ("response_format", form)];
        let reply = mock.form(TRANSCRIPTIONS, &SOUND, &fields).await;
        assert_eq!(reply.header("content-type"), Some(kind));
        assert!(reply.body().starts_with(opening), "{form}: {}", reply.body());
        reply
    };
    check("text", "text/plain; charset=utf-8", "Hello from the mock").await;
    check("srt", "text/plain; charset=utf-8", "1\n00:00:00,000 --> 00:00:03,000\nHello").await;
    check("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n00:00:00.000 --> 00:00:03.000\nHello").await;
    let verbose = check("verbose_json", "application/json", "{\"task\":\"transcribe\"").await.json();
    assert_eq!((&verbose["duration"], &verbose["segments"][0]["end"]), (&json!(3.0), &json!(3.0)));
}

#[tokio::test]
async fn transcriptions_stream_and_end_with_the_usage() {
    let mock = start(quick()).await;
    let events = mock.form(TRANSCRIPTIONS, &SOUND, &[("model", "mock"), ("stream", "true")]).await.events();
    let (done, deltas) = events.split_last().unwrap();
    let text: String = deltas.iter().map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!((&done["type"], &done["text"]), (&json!("transcript.text.done"), &json!(text)));
    assert_eq!(done["usage"]["output_tokens"], deltas.len());
}

#[tokio::test]
async fn every_text_is_moderated() {
    let mock = start(quick()).await;
    let judged = json(&mock, MODERATIONS, r#"{"input":["a","b","c"]}"#).await;
    assert_eq!((judged["results"].as_array().unwrap().len(), &judged["model"]), (3, &json!("omni-moderation-latest")));
    assert_eq!(judged["results"][2]["flagged"], false);
}

#[tokio::test]
async fn completions_have_usage_on_request() {
    let mock = start(quick()).await;
    let whole = json(&mock, COMPLETIONS, r#"{"model":"echo","prompt":"once upon"}"#).await;
    assert_eq!((&whole["object"], &whole["choices"][0]["text"]), (&json!("text_completion"), &json!("once upon")));
    assert_eq!(whole["usage"]["completion_tokens"], 2);
    let body = r#"{"model":"echo","prompt":"once upon","stream":true"#;
    let plain = mock.post(COMPLETIONS, &format!("{body}}}")).await.events();
    assert!(plain.iter().all(|chunk| chunk.get("usage").is_none()));
    let requested =
        mock.post(COMPLETIONS, &format!(r#"{body},"stream_options":{{"include_usage":true}}}}"#)).await.events();
    assert_eq!(requested[requested.len() - 2]["usage"]["completion_tokens"], 2);
    assert_eq!((&requested[requested.len() - 2]["choices"], requested.last().unwrap()), (&json!([]), &json!("[DONE]")));
}

#[tokio::test]
async fn pictures_and_sounds_of_a_chat_are_counted_separately() {
    let mock = start(quick()).await;
    let turn = r#"[{"role":"user","content":[{"type":"input_audio"},{"type":"image_url"}]}]"#;
    let response = json(&mock, CHAT, &format!(r#"{{"model":"mock","messages":{turn}}}"#)).await;
    let details = &response["usage"]["prompt_tokens_details"];
    assert_eq!((&details["audio_tokens"], &details["image_tokens"]), (&json!(64), &json!(258)));
    let spoken = json(&mock, CHAT, &ask("mock", r#","modalities":["text","audio"]"#)).await;
    assert!(spoken["choices"][0]["message"]["audio"]["transcript"].as_str().unwrap().starts_with("Hello"));
    assert_eq!(spoken["usage"]["completion_tokens_details"]["audio_tokens"], 18);
    let plain = json(&mock, CHAT, &ask("mock", "")).await;
    assert_eq!(plain["usage"]["prompt_tokens_details"]["audio_tokens"], 0);
}
