//! OpenAI's transcriptions and translations: `POST /v1/audio/transcriptions` and `/v1/audio/translations`. Models named
//! `whisper-…` are billed by the second, the others by tokens.

use hyper::body::Bytes;

use super::event::{bytes, data};
use super::{HOLE, JSON, WholeBody};
use crate::json::{Json, NULL, object};
use crate::response::MockResponse;

const TEXT: &str = "text/plain; charset=utf-8";

pub(super) fn whole(response: &MockResponse) -> WholeBody {
    let text = response.content.text().whole();
    let end = format!(
        "{:02}:{:02}:{:02}",
        response.parameters.seconds / 3_600,
        response.parameters.seconds / 60 % 60,
        response.parameters.seconds % 60
    );
    let (kind, body) = match response.parameters.form.as_deref() {
        Some("text") => (TEXT, format!("{text}\n")),
        Some("srt") => (TEXT, format!("1\n00:00:00,000 --> {end},000\n{text}\n\n")),
        Some("vtt") => ("text/vtt; charset=utf-8", format!("WEBVTT\n\n00:00:00.000 --> {end}.000\n{text}\n\n")),
        Some("verbose_json") => return json(&verbose(response, &text)),
        _ => return json(&object! { "text": text; "usage": usage(response) }),
    };
    WholeBody { kind, bytes: Bytes::from(body) }
}

/// The event with one piece of the text.
pub(super) fn piece() -> String {
    data(&object! { "type": "transcript.text.delta", "delta": HOLE })
}

/// The last event, with the whole text and the usage.
pub(super) fn closing(response: &MockResponse) -> Vec<Bytes> {
    let text = response.content.text().whole();
    vec![Bytes::from(data(&object! { "type": "transcript.text.done", "text": text; "usage": usage(response) }))]
}

/// Whether the model is billed by the second: such models do not stream.
pub(crate) fn is_by_the_second(model: &str) -> bool {
    model.trim_start_matches("mock/").starts_with("whisper")
}

fn json(body: &Json) -> WholeBody {
    WholeBody { kind: JSON, bytes: bytes(body) }
}

fn verbose(response: &MockResponse, text: &str) -> Json {
    let seconds = response.parameters.seconds;
    let segment = object! {
        "id": 0, "seek": 0, "start": 0.0, "end": as_float(seconds), "text": text, "tokens": [NULL; 0],
        "temperature": 0.0, "avg_logprob": -0.25, "compression_ratio": 1.25, "no_speech_prob": 0.01
    };
    object! {
        "task": "transcribe", "language": "english", "duration": as_float(seconds), "text": text,
        "segments": [segment]; "usage": usage(response)
    }
}

/// The seconds as a float, because OpenAI writes durations with a decimal point.
fn as_float(seconds: u64) -> f64 {
    u32::try_from(seconds).map_or(f64::from(u32::MAX), f64::from)
}

fn usage(response: &MockResponse) -> Option<Json> {
    let tokens = response.tokens.as_ref()?;
    if is_by_the_second(&response.model) {
        return Some(object! { "type": "duration", "seconds": response.parameters.seconds });
    }
    Some(object! {
        "type": "tokens", "total_tokens": tokens.total(), "input_tokens": tokens.input_total(),
        "input_token_details": object! {
            "text_tokens": tokens.input_total() - tokens.sound, "audio_tokens": tokens.sound
        },
        "output_tokens": tokens.output
    })
}
