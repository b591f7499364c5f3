//! A response that is translated into the client's format on its way: the last step before the client, behind the tap.

use std::sync::Arc;

use access::{Refusal, RequestId};
use ai::translate::conversation::Conversation;
use ai::translate::{ResponseFailure, ResponseTranslator};
use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::capacity::{MemoryExceeded, MemoryPermit};
use crate::worker::Shared;
use crate::worker::conversations::{ConversationName, ConversationOwner};

/// The translation of a response, with the status that the client gets.
pub(crate) struct TranslatedResponse {
    translator: ResponseTranslator,
    pub(crate) status: u16,
    request_id: RequestId,
    /// Counts the bytes that the translation holds for its client, like the bodies of requests.
    held: MemoryPermit,
    /// The number of bytes that `held` counts: the most that were held so far.
    held_bytes: usize,
    /// The call that later ones may continue, until its response is complete.
    remembered: Option<Box<RememberedCall>>,
}

/// A call whose conversation is remembered at the end of its response.
pub(crate) struct RememberedCall {
    /// The items of its input.
    pub(crate) input: Box<str>,
    pub(crate) owner: ConversationOwner,
    pub(crate) shared: Arc<Shared>,
}

impl TranslatedResponse {
    /// Returns the translation by `translator`, of which `held` counts the bytes.
    pub(crate) const fn new(
        translator: ResponseTranslator,
        status: u16,
        request_id: RequestId,
        held: MemoryPermit,
    ) -> Self {
        Self { translator, status, request_id, held, held_bytes: 0, remembered: None }
    }

    /// Sets the call that later ones may continue. One for which its client has no memory is not remembered.
    pub(crate) fn with_remembered(mut self, call: Option<Box<RememberedCall>>) -> Self {
        self.remembered = call.filter(|call| self.held.grow(call.input.len()).is_ok());
        self
    }

    /// Whether the status for the client is known at the end of the response.
    pub(crate) const fn waits_for_end(&self) -> bool {
        self.translator.waits_for_end()
    }

    /// Returns the failure with which the response has ended, if any.
    pub(crate) const fn failure(&self) -> Option<ResponseFailure> {
        self.translator.failure()
    }

    /// Whether the response for the client is complete, though the provider's body may not have ended.
    pub(crate) const fn is_complete(&self) -> bool {
        self.translator.is_complete()
    }

    /// Whether the response has the time of its end, which [`Self::set_time`] sets.
    pub(crate) const fn has_end_time(&self) -> bool {
        self.translator.has_end_time()
    }

    /// Sets the time, in seconds since 1970, before a piece or the end.
    pub(crate) fn set_time(&mut self, unix_seconds: u64) {
        self.translator.set_time(unix_seconds);
    }

    /// Translates a further piece of the response.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Bytes {
        let translated = self.translator.push(piece);
        self.remember();
        translated
    }

    /// Remembers the conversation once the response is complete.
    fn remember(&mut self) {
        let Some(items) = self.translator.made_items() else { return };
        let Some(call) = self.remembered.take() else { return };
        let RememberedCall { input, owner, shared } = *call;
        let output = items.iter().map(|item| item.as_str().into()).collect();
        let name = ConversationName { owner, response: self.request_id.0.as_u128() };
        let conversation = Conversation::new(input, output);
        shared.conversations.remember(name, conversation, shared.responses.shared(), Instant::now());
    }

    /// Counts the bytes that are held now.
    ///
    /// # Errors
    /// The client's share of the memory has no room for them.
    pub(crate) fn count(&mut self) -> Result<(), MemoryExceeded> {
        let held_bytes = self.translator.held_bytes();
        if held_bytes > self.held_bytes {
            self.held.grow(held_bytes - self.held_bytes)?;
            self.held_bytes = held_bytes;
        }
        Ok(())
    }

    /// Returns bytes that the client passes over, for a stream whose provider is silent; empty for any other response.
    pub(crate) fn keep_alive(&mut self) -> Bytes {
        self.translator.keep_alive()
    }

    /// Returns the end of a response that the gateway aborts; empty if it has ended already.
    pub(crate) fn fail(&mut self, refusal: Refusal, message: &str) -> Bytes {
        self.translator.fail(refusal, message)
    }

    /// Returns the end of a response that the gateway ends with the event `last`, which does not continue the open one.
    pub(crate) fn end_with(&mut self, last: &[u8]) -> Bytes {
        self.translator.drop_half_event();
        self.end(last)
    }

    /// Returns the end of the response, after its last bytes `rest`.
    pub(crate) fn end(&mut self, rest: &[u8]) -> Bytes {
        let before = if rest.is_empty() { Bytes::new() } else { self.translator.push(rest) };
        let last = self.translator.end();
        self.remember();
        if let Some(reason) = self.translator.unknown_stop() {
            let request_id = &self.request_id;
            tracing::warn!(%request_id, reason, "a provider ended a response for a reason that the translation does not know");
        }
        joined(before, last)
    }
}

/// Returns both pieces as one.
pub(crate) fn joined(before: Bytes, last: Bytes) -> Bytes {
    if before.is_empty() {
        return last;
    }
    if last.is_empty() {
        return before;
    }
    let mut both = BytesMut::with_capacity(before.len() + last.len());
    both.extend_from_slice(&before);
    both.extend_from_slice(&last);
    both.freeze()
}

#[cfg(test)]
mod tests {
    use access::{KeyNo, PlanId, Subject, UserNo};
    use ai::translate::{DroppedFields, GooglePath, JsonObject, ResponseIds, TranslationOptions, request};
    use ai::{Format, ProviderKind, ResponseFraming};
    use meter::Caller;

    use super::*;
    use crate::capacity::Capacity;
    use crate::capacity::tests::CONNECTIONS;

    #[test]
    fn a_response_without_room_keeps_what_was_translated_and_ends_with_an_error() {
        let options = TranslationOptions {
            google: GooglePath::default(),
            model: "m",
            known_model: "m",
            kind: ProviderKind::Mock,
            host: "host",
            surface: ai::ClaudeSurface::Anthropic,
            owner: "p",
            output_tokens_max: None,
            json_object: JsonObject::default(),
            dropped: DroppedFields::default(),
            prompt_cache: false,
        };
        let call = br#"{"model":"m","input":"x","stream":true}"#;
        let context = request(Format::Responses, Format::Chat, call, &options, &mut |_| true).unwrap().context;
        let ids = ResponseIds { request_id: "r", unix_seconds: 1 };
        let translator = ResponseTranslator::new(context, ids, ResponseFraming::Events, 200);
        let capacity = Capacity::new(CONNECTIONS, 10_000, 1);
        let key = Subject::Key(Caller { user: UserNo(1), key: KeyNo(1), plan: PlanId::NIL });
        let mut translated = TranslatedResponse::new(translator, 200, RequestId::NIL, capacity.hold(&key));
        let begun = translated.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n");
        assert!(translated.count().is_err() && !translated.waits_for_end());
        let last = translated.fail(Refusal::Overloaded, "no room");
        let stream = String::from_utf8([&*begun, &*last].concat()).unwrap();
        let numbers = stream.split("\"sequence_number\":").skip(1);
        let numbers: Vec<usize> =
            numbers.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()).collect();
        assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "{stream}");
        assert!(
            stream.contains("Hello") && stream.contains("no room") && stream.contains("response.failed"),
            "{stream}"
        );
        assert_eq!(translated.failure().unwrap().refusal, Some(Refusal::Overloaded));
    }
}
