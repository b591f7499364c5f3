//! Amazon Bedrock's `runtime` endpoint: its streams and errors as those of the API that a call uses.
//!
//! Streams are frames of `application/vnd.amazon.eventstream`, which become server-sent events. Errors have the body of
//! Messages. The call itself is changed by [`crate::request`].

mod crc32;
mod error;
mod frame;
mod stream;

pub use error::RuntimeError;
pub use frame::{FRAME_BYTES_MAX, FrameError};
pub use stream::{EventsOfFrames, MEDIA_TYPE};

/// Parts of ARNs that do not name their model. Their operator knows it.
const UNNAMED: [&str; 2] = [":application-inference-profile/", ":provisioned-model/"];

/// Whether the endpoint serves a model in the format of Messages: Claude, whose name may have the prefix of a region
/// (`eu.anthropic.claude-haiku-4-5-20251001-v1:0`) or be a part of an ARN, and models that only an ARN without a name identifies.
#[must_use]
pub fn has_messages(model: &str) -> bool {
    model.contains("claude") || UNNAMED.iter().any(|part| model.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_is_known_by_its_name_and_profiles_have_any_model() {
        for (model, expected) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", true),
            ("global.anthropic.claude-opus-4-6-v1", true),
            ("claude-haiku-4-5", true),
            ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0", true),
            ("arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc", true),
            ("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-pro-v1:0", false),
            ("eu.amazon.nova-pro-v1:0", false),
            ("meta.llama3-1-8b-instruct-v1:0", false),
        ] {
            assert_eq!(has_messages(model), expected, "{model}");
        }
    }
}
