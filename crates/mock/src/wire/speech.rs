//! Speech, as OpenAI answers `POST /v1/audio/speech`: silence, a frame for each word. Only events tell of tokens.

use hyper::body::Bytes;

use super::{Whole, data};
use crate::answer::Answer;
use crate::json::{Json, object};
use crate::media::{Sound, base64};

pub(super) fn whole(answer: &Answer) -> Whole {
    let (sound, frames) = (sound(answer), answer.content.text().pieces());
    let mut bytes = sound.opening(frames);
    let frame = sound.frame();
    for _ in 0..frames {
        bytes.extend_from_slice(&frame);
    }
    Whole { kind: sound.content_type(), bytes: Bytes::from(bytes) }
}

/// What stands before the frames, where something does.
pub(super) fn opening(answer: &Answer) -> Vec<Bytes> {
    let opening = sound(answer).opening(answer.content.text().pieces());
    if opening.is_empty() { Vec::new() } else { vec![Bytes::from(data(&delta(&opening)))] }
}

/// The event of one frame: it is always the same, whatever the word.
pub(super) fn piece(answer: &Answer) -> String {
    data(&delta(&sound(answer).frame()))
}

/// The end, with the usage.
pub(super) fn closing(answer: &Answer) -> Vec<Bytes> {
    let usage = answer.figures.as_ref().map(|figures| {
        object! {
            "input_tokens": figures.input_total(), "output_tokens": figures.output, "total_tokens": figures.total()
        }
    });
    vec![Bytes::from(data(&object! { "type": "speech.audio.done"; "usage": usage }))]
}

fn delta(bytes: &[u8]) -> Json {
    object! { "type": "speech.audio.delta", "audio": base64(bytes) }
}

fn sound(answer: &Answer) -> Sound {
    Sound::of(answer.made.form.as_deref())
}
