//! The responses of a route in Redis, which other nodes use too.

use access::exchange::shared_responses::{
    ResponseGeneration, ResponseScope, SharedResponseName, SharedResponseResult, SharedResponses, VALUE_BYTES_MAX,
};
use bytes::Bytes;

use super::memory::CacheKey;
use super::purge_log::PurgeId;
use super::stored::{StoredResponse, values_of};
use super::value::{ValueReader, ValueWriter};
use crate::client::head::Head;

/// The kinds of values, which their first number is. A node of another version uses other numbers.
const RESPONSE: u64 = 1;
const NAMES: u64 = 2;

/// The place of a key's response in Redis while a request fills the key.
#[derive(Debug)]
pub(crate) struct SharedSlot {
    responses: SharedResponses,
    name: SharedResponseName,
    generation: ResponseGeneration,
    /// The last purge before the fill began.
    purge: PurgeId,
    key: CacheKey,
}

/// A key whose response is looked up.
pub(crate) struct SharedKey<'a> {
    pub(crate) scope: &'a ResponseScope,
    pub(crate) key: &'a CacheKey,
    /// The last purge that this node has applied.
    pub(crate) purge: PurgeId,
}

/// A response that another node has stored, or this node before its restart.
#[derive(Debug)]
pub(crate) struct SharedResponse {
    pub(crate) response: StoredResponse,
    /// The last purge that the node had applied when it requested the response.
    pub(crate) purge: PurgeId,
}

/// A value in Redis.
enum SharedValue {
    Response(Box<SharedResponse>),
    /// The names of the fields in `Vary`: the values of these fields name the response.
    Names(Vec<Bytes>),
}

impl SharedSlot {
    /// Looks up the response to `request`. Returns the place where another response is stored; `None` if Redis is unavailable.
    pub(crate) async fn find(
        responses: &SharedResponses,
        SharedKey { scope, key, purge }: SharedKey<'_>,
        request: &Head,
    ) -> Option<(Box<Self>, Option<Box<SharedResponse>>)> {
        let name = name_of(scope, key);
        let lookup = responses.find(name).await?;
        let generation = lookup.generation;
        let slot = Box::new(Self { responses: responses.clone(), name, generation, purge, key: key.clone() });
        let found = match lookup.value.and_then(|value| slot.decode(value)) {
            Some(SharedValue::Names(names)) => {
                let values = names.iter().map(|name| (&**name, values_of(request, name)));
                let lookup = responses.find(name.variant(&variant_of(values))).await?;
                lookup.value.and_then(|value| slot.decode(value))
            }
            found => found,
        };
        match found {
            Some(SharedValue::Response(found)) if found.response.matches(request) => Some((slot, Some(found))),
            Some(SharedValue::Response(_) | SharedValue::Names(_)) | None => Some((slot, None)),
        }
    }

    /// Stores a response for as long as any request may use it. It is not awaited.
    pub(super) fn store(&self, response: &StoredResponse) {
        let Some(kept) = response.freshness().usable_for() else { return };
        let bytes = usize::try_from(response.bytes()).unwrap_or(usize::MAX);
        if bytes > VALUE_BYTES_MAX {
            self.responses.count(SharedResponseResult::Unwritten);
            return;
        }
        let mut name = self.name;
        if response.varying().next().is_some() {
            let mut names = self.begin(NAMES, 256);
            names.texts(response.varying().map(|(name, _)| name).collect::<Vec<_>>().into_iter());
            self.responses.store(name, self.generation, names.into_bytes(), kept);
            name = name.variant(&variant_of(response.varying()));
        }
        let mut value = self.begin(RESPONSE, bytes);
        response.encode(&mut value);
        self.responses.store(name, self.generation, value.into_bytes(), kept);
    }

    fn begin(&self, kind: u64, bytes: usize) -> ValueWriter {
        let mut value = ValueWriter::beginning(&self.generation.id, self.key.len() + bytes + 256);
        value.number(kind);
        value.text(&self.purge);
        value.text(&self.key);
        value
    }

    /// Reads a value; `None` if it is invalid. Digests of keys may be equal by intent, so the whole key is compared.
    fn decode(&self, value: Vec<u8>) -> Option<SharedValue> {
        let mut value = ValueReader::new(value.into());
        let kind = value.number()?;
        let purge = value.text()?.as_ref().try_into().ok()?;
        if *value.text()? != *self.key {
            return None;
        }
        match kind {
            RESPONSE => {
                let response = StoredResponse::decode(&mut value)?;
                Some(SharedValue::Response(Box::new(SharedResponse { response, purge })))
            }
            NAMES => value.texts().map(SharedValue::Names),
            _ => None,
        }
    }
}

/// Returns the name of the responses of a key, which begins with the URL and an octet 0.
pub(crate) fn name_of(scope: &ResponseScope, key: &[u8]) -> SharedResponseName {
    let url = key.split(|octet| *octet == 0).next().unwrap_or_default();
    SharedResponseName::new(scope, url, key)
}

/// Returns the values of fields as one text. Names and values have no octet 0.
fn variant_of<'a, V: AsRef<[u8]>>(fields: impl Iterator<Item = (&'a [u8], V)>) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, values) in fields {
        for part in [name, values.as_ref()] {
            text.extend_from_slice(part);
            text.push(0);
        }
    }
    text
}

#[cfg(test)]
mod tests;
