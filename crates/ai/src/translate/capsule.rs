//! The state of a provider, such as signed or encrypted reasoning, in a form that a client of another format stores and
//! sends back.
//!
//! Formats have a field for such state: `signature` or `data` of Messages, `encrypted_content` of Responses. Clients treat
//! its text as opaque. A provider accepts only its own state, so the text names the kind, format, model and account that
//! made it.
//! The text also marks what Tollgate wrote: a provider to which the client's call is passed through would refuse it.

use std::borrow::Cow;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::format::Format;
use crate::provider::ProviderKind;

/// Begins every capsule; the number is the version of its content.
pub(crate) const CAPSULE_PREFIX: &str = "tg1.";
/// Longest text of a capsule, in bytes. Longer state is not given to the client.
const CAPSULE_BYTES_MAX: usize = 256 * 1024;

/// State of a provider, and its origin.
#[derive(Debug, Clone)]
pub(crate) struct Capsule {
    /// The kind of the provider.
    pub(crate) kind: ProviderKind,
    /// The format of the items.
    pub(crate) format: Format,
    /// The provider's own name of the model.
    pub(crate) model: String,
    /// The account that made the state: see [`TranslationOptions::owner`](super::TranslationOptions::owner).
    pub(crate) owner: String,
    /// JSON values of the format. The list is empty if the provider has no state.
    ///
    /// - Messages: the blocks `thinking` and `redacted_thinking`, as the provider wrote them.
    /// - Responses: the items `reasoning`, as the provider wrote them.
    /// - Chat: `{"call_id", "extra_content"}` for each tool call with the field `extra_content` (Gemini's signatures).
    /// - Gemini: `{"call_id", "thoughtSignature"}` for each tool call with a signature.
    pub(crate) items: Vec<Box<RawValue>>,
}

/// The JSON within a capsule's text.
#[derive(Serialize, Deserialize)]
struct Content<'a> {
    #[serde(rename = "k")]
    kind: &'a str,
    #[serde(rename = "f")]
    format: &'a str,
    #[serde(rename = "m")]
    model: Cow<'a, str>,
    #[serde(rename = "o")]
    owner: Cow<'a, str>,
    #[serde(rename = "i", borrow)]
    items: Vec<&'a RawValue>,
}

impl Capsule {
    /// Returns the text for the client; `None` if it is too long.
    pub(crate) fn encode(&self) -> Option<String> {
        let Self { kind, format, model, owner, items } = self;
        let items = items.iter().map(AsRef::as_ref).collect();
        let model = model.as_str().into();
        let owner = owner.as_str().into();
        let content = Content { kind: kind.as_str(), format: format.name(), model, owner, items };
        let json = serde_json::to_string(&content).ok()?;
        // Base64 writes four letters for three bytes.
        let is_short = json.len() <= CAPSULE_BYTES_MAX / 4 * 3 - CAPSULE_PREFIX.len();
        is_short.then(|| format!("{CAPSULE_PREFIX}{}", Base64UrlUnpadded::encode_string(json.as_bytes())))
    }

    /// Reads the text of a client; `None` if it is not a capsule.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        if text.len() > CAPSULE_BYTES_MAX {
            return None;
        }
        let encoded = text.strip_prefix(CAPSULE_PREFIX)?;
        let json = Base64UrlUnpadded::decode_vec(encoded).ok()?;
        let Content { kind, format, model, owner, items } = serde_json::from_slice(&json).ok()?;
        Some(Self {
            kind: ProviderKind::parse(kind)?,
            format: Format::ALL.into_iter().find(|known| known.name() == format)?,
            model: model.into_owned(),
            owner: owner.into_owned(),
            items: items.into_iter().map(ToOwned::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn capsule(items: &str) -> Capsule {
        Capsule {
            kind: ProviderKind::Anthropic,
            format: Format::Messages,
            model: "claude \"opus\"".to_owned(),
            owner: "anthropic".to_owned(),
            items: vec![RawValue::from_string(items.to_owned()).unwrap()],
        }
    }

    #[test]
    fn items_come_back_byte_for_byte() {
        let items = r#"{"z":1,"a":12345678901234567890123,"type":"thinking","signature":"\u00e9="}"#;
        let text = capsule(items).encode().unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{text}");
        let read = Capsule::decode(&text).unwrap();
        assert_eq!((read.kind, read.format), (ProviderKind::Anthropic, Format::Messages));
        assert_eq!((read.model.as_str(), read.owner.as_str()), ("claude \"opus\"", "anthropic"));
        assert_eq!(read.items[0].get(), items);
    }

    #[test]
    fn other_texts_are_no_capsules() {
        let array = Base64UrlUnpadded::encode_string(br#"{"k":"openai","f":"chat","m":"","o":"","i":{}}"#);
        let kind = Base64UrlUnpadded::encode_string(br#"{"k":"x","f":"chat","m":"","o":"","i":[]}"#);
        for text in ["", "tg1.", "tg1.!", "tg2.e30", "EqQBCgIYAhIM", &format!("tg1.{array}"), &format!("tg1.{kind}")] {
            assert!(Capsule::decode(text).is_none(), "{text}");
        }
    }

    #[test]
    fn long_state_is_not_given_to_the_client() {
        let items = |length: usize| format!("[\"{}\"]", "x".repeat(length));
        let text = capsule(&items(190_000)).encode().unwrap();
        assert!(text.len() <= CAPSULE_BYTES_MAX && Capsule::decode(&text).is_some());
        assert!(capsule(&items(CAPSULE_BYTES_MAX / 4 * 3)).encode().is_none());
        assert!(Capsule::decode(&format!("{CAPSULE_PREFIX}{}", "A".repeat(CAPSULE_BYTES_MAX))).is_none());
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in "(tg1\\.)?[A-Za-z0-9_=.-]{0,64}") {
            let _ = Capsule::decode(&text);
        }
    }
}
