//! The usage event of a request: its format, tokens in disjoint classes or another unit, and its cost.

use std::rc::Rc;

use e2e::{Answer, Call, Gateway, Setup, Upstream};
use serde_json::{Value, json};

use super::asks::{ALL, Ask, Dialect, EndpointServer, each, sound};
use crate::store;

/// The price of the mock for one token of each class, in pico-USD, from the price table.
const RATES: [(&str, i64); 10] = [
    ("input", 1_000_000),
    ("cached_input", 100_000),
    ("cache_write_short", 1_250_000),
    ("cache_write_long", 2_000_000),
    ("output", 5_000_000),
    ("reasoning", 5_000_000),
    ("audio_input", 3_000_000),
    ("image_input", 1_500_000),
    ("audio_output", 12_000_000),
    ("image_output", 30_000_000),
];
/// The price of an image, of a millisecond of audio input and of a character of speech, in pico-USD.
const UNIT_RATES: [(&str, i64); 3] = [("image", 40_000_000_000), ("millisecond", 100_000), ("character", 15_000_000)];

fn tokens(row: &Value, class: &str) -> i64 {
    row[class].as_i64().unwrap_or(0)
}

/// Returns the cost of the row's tokens, else of its unit, in nano-USD; `None` if it has neither.
fn cost(row: &Value) -> Option<i64> {
    let is_told = RATES.iter().any(|(class, _)| !row[class].is_null());
    if is_told {
        return Some(RATES.iter().map(|(class, rate)| tokens(row, class) * rate).sum::<i64>() / 1_000);
    }
    let (_, rate) = UNIT_RATES.iter().find(|(unit, _)| row["billed_unit"] == **unit)?;
    Some(row["billed_quantity"].as_i64().unwrap() * rate / 1_000)
}

/// Returns the total input and output tokens that the response reports.
fn reported(answer: &Answer) -> Option<(i64, i64)> {
    let whole = serde_json::from_slice::<Value>(&answer.body).ok();
    let values = match whole {
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
        None => answer.events().iter().map(|event| event.json()).collect(),
    };
    let usage = |value: &Value| {
        let own = [&value["usage"], &value["response"]["usage"], &value["usageMetadata"]];
        own.into_iter().find(|usage| usage.is_object()).cloned()
    };
    let usage = values.iter().rev().find_map(usage)?;
    let number = |names: &[&str]| names.iter().map(|name| usage[name].as_i64().unwrap_or(0)).sum::<i64>();
    let input = number(&[
        "prompt_tokens",
        "input_tokens",
        "promptTokenCount",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    ]);
    let output = number(&["completion_tokens", "output_tokens", "candidatesTokenCount", "thoughtsTokenCount"]);
    (input > 0).then_some((input, output))
}

#[tokio::test]
async fn each_response_has_one_event_with_its_usage_and_cost() {
    let line = Rc::new(EndpointServer::new().await);
    let key = line.gateway.key().await;
    let asks = ALL.into_iter().filter(|ask| !ask.free);
    let costs = each(asks, |ask| {
        let line = Rc::clone(&line);
        let key = key.clone();
        Box::pin(async move { check_row(&ask, &line, &key).await })
    });
    let costs = costs.await;
    let usage = line.gateway.counted(&key, costs.len() as u64).await;
    let sum: i64 = costs.iter().flatten().sum();
    let unpriced = costs.iter().filter(|cost| cost.is_none()).count();
    assert_eq!((&usage["credits"], &usage["cost"]["amount_nano"]), (&json!(costs.len()), &json!(sum)), "{usage}");
    assert_eq!((&usage["unpriced_requests"], line.gateway.used(&key).await), (&json!(unpriced), costs.len() as u64));
    assert_eq!(unpriced, 1, "only moderations have no price: {usage}");
}

/// Sends the request and checks its row; returns the row's cost.
async fn check_row(ask: &Ask, line: &EndpointServer, key: &str) -> Option<i64> {
    let answer = line.send(ask, ask.name, key).await.expect(200);
    let row = store::row(line.gateway.folder(), &answer).await;
    let name = ask.name;
    let of = |column: &str| row[column].clone();
    assert_eq!(of("format"), ask.format, "{name} {row}");
    assert_eq!((of("model"), of("provider_model")), (json!(format!("up/{name}")), json!(name)), "{row}");
    assert_eq!((of("provider"), of("status"), of("outcome")), (json!("up"), json!(200), json!("completed")), "{name}");
    assert_eq!((of("credits"), of("attempts"), of("upstream_status")), (json!(1), json!(1), json!(200)), "{name}");
    assert_eq!(of("streamed"), i64::from(is_streamed(&answer)), "{name} {row}");
    assert_eq!(of("response_bytes"), answer.body.len(), "{name} {row}");
    if let Some((input, output)) = reported(&answer) {
        let all = |classes: &[&str]| classes.iter().map(|class| tokens(&row, class)).sum::<i64>();
        let classes = ["input", "cached_input", "cache_write_short", "cache_write_long", "audio_input", "image_input"];
        assert_eq!(all(&classes), input, "{name} {row}");
        assert_eq!(all(&["output", "reasoning", "audio_output", "image_output"]), output, "{name} {row}");
        assert_eq!(of("usage_source"), "reported", "{name} {row}");
    }
    assert_eq!(of("cost_nano").as_i64(), cost(&row), "{name} {row}");
    cost(&row)
}

fn is_streamed(answer: &Answer) -> bool {
    let kind = answer.header("content-type").unwrap_or_default();
    kind.starts_with("text/event-stream") || answer.body.starts_with(b"[")
}

/// Sends the request and returns its row.
async fn row(line: &EndpointServer, ask: &Ask, model: &str, key: &str) -> Value {
    let answer = line.send(ask, model, key).await.expect(200);
    store::row(line.gateway.folder(), &answer).await
}

#[tokio::test]
async fn sound_and_pictures_are_classes_of_their_own() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    let seconds = i64::try_from(sound().len()).unwrap().div_euclid(32_000) + 1;
    // The mock counts 10 tokens per second of audio and 258 per input image, and generates 1,056 per output image.
    let heard = row(&line, &Ask::named("transcriptions"), "t", &key).await;
    assert_eq!(heard["audio_input"], seconds * 10, "{heard}");
    assert!(heard["input"].as_i64().is_some_and(|text| text > 0) && heard["output"].as_i64() > Some(0), "{heard}");
    let created = row(&line, &Ask::named("images"), "i", &key).await;
    assert_eq!((&created["image_output"], &created["output"]), (&json!(2 * 1_056), &json!(0)), "{created}");
    let edited = row(&line, &Ask::named("edits"), "e", &key).await;
    assert_eq!((&edited["image_input"], &edited["image_output"]), (&json!(258), &json!(1_056)), "{edited}");
    let spoken = row(&line, &Ask::named("speech-events"), "s", &key).await;
    assert!(spoken["audio_output"].as_i64() > Some(0) && spoken["output"] == 0, "{spoken}");
    let body = json!({"contents": [{"parts": [
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}]}],
        "generationConfig": {"responseModalities": ["AUDIO"]}});
    let call = Call::json("/v1beta/models/up/g:generateContent", &body).header("x-goog-api-key", &key);
    let answer = line.gateway.call(call).await.expect(200);
    let talked = store::row(line.gateway.folder(), &answer).await;
    assert_eq!((&talked["audio_input"], &talked["image_input"]), (&json!(64), &json!(258)), "{talked}");
    assert!(talked["audio_output"].as_i64() > Some(0) && talked["reasoning"] == 8, "{talked}");
    // The API has five classes: tokens of audio and images are part of input and output.
    let usage = line.gateway.counted(&key, 5).await;
    let rows = [&heard, &created, &edited, &spoken, &talked];
    let all =
        |classes: &[&str]| rows.iter().flat_map(|row| classes.iter().map(|class| tokens(row, class))).sum::<i64>();
    assert_eq!(usage["tokens"]["input"], all(&["input", "audio_input", "image_input"]), "{usage}");
    assert_eq!(usage["tokens"]["output"], all(&["output", "audio_output", "image_output"]), "{usage}");
}

#[tokio::test]
async fn usage_without_tokens_is_billed_per_unit() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    let mut sum = 0;
    for (name, unit, quantity, nano) in [
        ("dall-e-3", "image", 3, 3 * 40_000_000),
        ("whisper-1", "millisecond", 2_000, 200_000),
        // `soünd` has five characters.
        ("speech", "character", 5, 75_000),
    ] {
        let row = row(&line, &Ask::named(name), name, &key).await;
        assert_eq!((&row["billed_unit"], &row["billed_quantity"]), (&json!(unit), &json!(quantity)), "{name} {row}");
        assert_eq!((&row["cost_nano"], &row["input"], &row["output"]), (&json!(nano), &json!(null), &json!(null)));
        sum += nano;
    }
    let usage = line.gateway.counted(&key, 3).await;
    assert_eq!((&usage["cost"]["amount_nano"], &usage["unpriced_requests"]), (&json!(sum), &json!(0)), "{usage}");
}

#[tokio::test]
async fn transcription_as_text_reports_no_usage_and_its_cost_is_unknown() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    for (count, form) in ["text", "srt", "vtt"].into_iter().enumerate() {
        let body = format!(
            "--b\r\ncontent-disposition: form-data; name=\"response_format\"\r\n\r\n{form}\r\n\
             --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nRIFF\r\n\
             --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nup/t\r\n--b--\r\n"
        );
        let call =
            Call::new("POST", "/v1/audio/transcriptions").header("content-type", "multipart/form-data; boundary=b");
        let answer = line.gateway.call(call.body(body).key(&key)).await.expect(200);
        assert!(answer.header("content-type").unwrap().starts_with("text/"), "{form}");
        let row = store::row(line.gateway.folder(), &answer).await;
        assert_eq!((&row["cost_nano"], &row["credits"]), (&json!(null), &json!(1)), "{form} {row}");
        let usage = line.gateway.counted(&key, count as u64 + 1).await;
        assert_eq!(usage["unpriced_requests"], count + 1, "{form} {usage}");
    }
}

#[tokio::test]
async fn unit_that_is_priced_is_paid_and_one_that_is_not_has_an_unknown_cost() {
    let upstream = Upstream::json(&json!({"created": 1, "data": [{"url": "a"}, {"url": "b"}]})).await;
    let prices = "[{model: up/priced, per_image: \"0.05\"}]";
    let gateway = Gateway::start(Setup::provider("openai", upstream.address()).section("prices", prices)).await;
    let key = gateway.key().await;
    for (model, nano) in [("priced", json!(100_000_000)), ("nobodys", json!(null))] {
        let body = json!({"model": format!("up/{model}"), "prompt": "two dogs", "n": 2});
        let answer = gateway.call(Call::json("/v1/images/generations", &body).key(&key)).await.expect(200);
        let row = store::row(gateway.folder(), &answer).await;
        let billed = (&row["billed_unit"], &row["billed_quantity"], &row["cost_nano"]);
        assert_eq!(billed, (&json!("image"), &json!(2), &nano), "{row}");
    }
}

#[tokio::test]
async fn answers_without_figures_are_counted_and_unpriced_in_every_dialect() {
    let line = EndpointServer::new().await;
    for name in ["embeddings", "transcriptions", "gemini", "gemini-events", "gemini-array", "embed", "azure-chat"] {
        let key = line.gateway.key().await;
        let ask = Ask::named(name);
        let row = row(&line, &ask, "no-usage", &key).await;
        assert_eq!((&row["cost_nano"], &row["credits"]), (&json!(null), &json!(1)), "{name} {row}");
        assert_ne!(ask.dialect, Dialect::Anthropic);
        assert_eq!(line.gateway.counted(&key, 1).await["unpriced_requests"], 1, "{name}");
    }
}

#[tokio::test]
async fn a_page_in_place_of_speech_is_not_billed_by_characters() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    for name in ["speech", "speech-events"] {
        let row = row(&line, &Ask::named(name), "html", &key).await;
        assert_eq!((&row["billed_unit"], &row["cost_nano"]), (&json!(null), &json!(null)), "{name} {row}");
    }
}
