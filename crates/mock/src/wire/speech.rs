//! OpenAI's speech: `POST /v1/audio/speech`, one frame of silence per word. Only a stream reports tokens.

use hyper::body::Bytes;

use super::WholeBody;
use super::event::data;
use crate::content::media::{SoundFormat, base64};
use crate::json::{Json, object};
use crate::response::MockResponse;

pub(super) fn whole(response: &MockResponse) -> WholeBody {
    let sound = sound(response);
    let frames = response.content.text().pieces();
    let mut bytes = sound.opening(frames);
    let frame = sound.frame();
    for _ in 0..frames {
        bytes.extend_from_slice(&frame);
    }
    WholeBody { kind: sound.content_type(), bytes: Bytes::from(bytes) }
}

/// The bytes before the frames, if the container has any.
pub(super) fn opening(response: &MockResponse) -> Vec<Bytes> {
    let opening = sound(response).opening(response.content.text().pieces());
    if opening.is_empty() { Vec::new() } else { vec![Bytes::from(data(&delta(&opening)))] }
}

/// The event of one frame, which is the same for every word.
pub(super) fn piece(response: &MockResponse) -> String {
    data(&delta(&sound(response).frame()))
}

/// The last event, with the usage.
pub(super) fn closing(response: &MockResponse) -> Vec<Bytes> {
    let usage = response.tokens.as_ref().map(|tokens| {
        object! {
            "input_tokens": tokens.input_total(), "output_tokens": tokens.output, "total_tokens": tokens.total()
        }
    });
    vec![Bytes::from(data(&object! { "type": "speech.audio.done"; "usage": usage }))]
}

fn delta(bytes: &[u8]) -> Json {
    object! { "type": "speech.audio.delta", "audio": base64(bytes) }
}

fn sound(response: &MockResponse) -> SoundFormat {
    SoundFormat::from_response_format(response.parameters.form.as_deref())
}
