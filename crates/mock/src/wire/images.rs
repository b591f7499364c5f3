//! OpenAI's images: `POST /v1/images/generations` and `/v1/images/edits`, one pixel each. The models `dall-e-…` report
//! no tokens.

use ai::Endpoint;
use hyper::body::Bytes;

use super::event::named;
use crate::content::media::PIXEL;
use crate::json::{Json, object};
use crate::response::{CREATED, MockResponse};

const SIZE: &str = "1024x1024";
/// The address of a picture, for requests that want an address. The host does not exist.
const URL: &str = "https://mock.invalid/pixel.png";

pub(super) fn whole(response: &MockResponse) -> Json {
    let picture = if is_old(response) && response.parameters.form.as_deref() != Some("b64_json") {
        object! { "url": URL }
    } else {
        object! { "b64_json": PIXEL }
    };
    let pictures = vec![picture; usize::try_from(response.parameters.pictures).unwrap_or(1)];
    if is_old(response) {
        return object! { "created": CREATED, "data": pictures };
    }
    object! {
        "created": CREATED, "background": "opaque", "data": pictures, "output_format": "png", "quality": "low",
        "size": SIZE; "usage": usage(response)
    }
}

/// The partial pictures that the request wants.
pub(super) fn opening(response: &MockResponse) -> Vec<Bytes> {
    let kind = format!("{}.partial_image", kind(response));
    let event = |index: u32| {
        object! {
            "type": kind, "partial_image_index": index, "b64_json": PIXEL, "created_at": CREATED, "size": SIZE,
            "quality": "low", "background": "opaque", "output_format": "png"
        }
    };
    (0..response.parameters.partial_pictures).map(|index| Bytes::from(named(&kind, &event(index)))).collect()
}

/// The final picture and the usage.
pub(super) fn closing(response: &MockResponse) -> Vec<Bytes> {
    let kind = format!("{}.completed", kind(response));
    let event = object! {
        "type": kind, "b64_json": PIXEL, "created_at": CREATED, "size": SIZE, "quality": "low",
        "background": "opaque", "output_format": "png"; "usage": usage(response)
    };
    vec![Bytes::from(named(&kind, &event))]
}

fn kind(response: &MockResponse) -> &'static str {
    if response.endpoint == Endpoint::ImagesEdits { "image_edit" } else { "image_generation" }
}

fn is_old(response: &MockResponse) -> bool {
    response.model.trim_start_matches("mock/").starts_with("dall-e")
}

fn usage(response: &MockResponse) -> Option<Json> {
    response.tokens.as_ref().map(|tokens| {
        object! {
            "total_tokens": tokens.total(), "input_tokens": tokens.input_total(), "output_tokens": tokens.output,
            "input_tokens_details": object! {
                "text_tokens": tokens.input_total() - tokens.pictures, "image_tokens": tokens.pictures
            },
            "output_tokens_details": object! { "text_tokens": 0, "image_tokens": tokens.output }
        }
    })
}
