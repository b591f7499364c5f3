//! Pictures, as OpenAI answers `POST /v1/images/generations` and `/v1/images/edits`: a pixel each. Older models (`dall-e-…`)
//! say nothing of tokens.

use ai::Endpoint;
use hyper::body::Bytes;

use super::named;
use crate::answer::{Answer, CREATED};
use crate::json::{Json, object};
use crate::media::PIXEL;

const SIZE: &str = "1024x1024";
/// Where a picture is said to be, for who asks for an address.
const URL: &str = "https://mock.invalid/pixel.png";

pub(super) fn whole(answer: &Answer) -> Json {
    let picture = if is_old(answer) && answer.made.form.as_deref() != Some("b64_json") {
        object! { "url": URL }
    } else {
        object! { "b64_json": PIXEL }
    };
    let pictures = vec![picture; usize::try_from(answer.made.pictures).unwrap_or(1)];
    if is_old(answer) {
        return object! { "created": CREATED, "data": pictures };
    }
    object! {
        "created": CREATED, "background": "opaque", "data": pictures, "output_format": "png", "quality": "low",
        "size": SIZE; "usage": usage(answer)
    }
}

/// As many unfinished pictures as were asked for.
pub(super) fn opening(answer: &Answer) -> Vec<Bytes> {
    let kind = format!("{}.partial_image", kind(answer));
    let event = |index: u32| {
        object! {
            "type": kind, "partial_image_index": index, "b64_json": PIXEL, "created_at": CREATED, "size": SIZE,
            "quality": "low", "background": "opaque", "output_format": "png"
        }
    };
    (0..answer.made.partial_pictures).map(|index| Bytes::from(named(&kind, &event(index)))).collect()
}

/// The picture and the usage.
pub(super) fn closing(answer: &Answer) -> Vec<Bytes> {
    let kind = format!("{}.completed", kind(answer));
    let event = object! {
        "type": kind, "b64_json": PIXEL, "created_at": CREATED, "size": SIZE, "quality": "low",
        "background": "opaque", "output_format": "png"; "usage": usage(answer)
    };
    vec![Bytes::from(named(&kind, &event))]
}

fn kind(answer: &Answer) -> &'static str {
    if answer.endpoint == Endpoint::ImagesEdits { "image_edit" } else { "image_generation" }
}

fn is_old(answer: &Answer) -> bool {
    answer.model.trim_start_matches("mock/").starts_with("dall-e")
}

fn usage(answer: &Answer) -> Option<Json> {
    answer.figures.as_ref().map(|figures| {
        object! {
            "total_tokens": figures.total(), "input_tokens": figures.input_total(), "output_tokens": figures.output,
            "input_tokens_details": object! {
                "text_tokens": figures.input_total() - figures.pictures, "image_tokens": figures.pictures
            },
            "output_tokens_details": object! { "text_tokens": 0, "image_tokens": figures.output }
        }
    })
}
