//! A stored response as a value in Redis has it.

use bytes::Bytes;

use super::{StoredResponse, VaryingField};
use crate::upstream::response_head::UpstreamHead;
use crate::worker::response_cache::freshness::Freshness;
use crate::worker::response_cache::value::{ValueReader, ValueWriter};

impl StoredResponse {
    /// Appends the response to a value.
    pub(in crate::worker::response_cache) fn encode(&self, value: &mut ValueWriter) {
        self.freshness.parts().into_iter().for_each(|number| value.number(number));
        value.text(self.head.as_bytes());
        let varies = self.varies.iter().flat_map(|field| [&*field.name, &*field.values]);
        value.texts(varies.collect::<Vec<_>>().into_iter());
        value.texts(self.tags.iter().map(|tag| &**tag));
        value.text(&self.content);
    }

    /// Reads the response at the end of a value; `None` if it is invalid.
    pub(in crate::worker::response_cache) fn decode(value: &mut ValueReader) -> Option<Self> {
        let mut numbers = [0; Freshness::PARTS];
        for number in &mut numbers {
            *number = value.number()?;
        }
        let head = UpstreamHead::parsed(value.text()?.to_vec())?;
        let varies = value.texts()?;
        let (varies, []) = varies.as_chunks::<2>() else { return None };
        let field =
            |[name, values]: &[Bytes; 2]| VaryingField { name: Box::from(&**name), values: Box::from(&**values) };
        let varies = varies.iter().map(field).collect();
        let tags = value.texts()?.iter().map(|tag| Box::from(&**tag)).collect();
        let content = value.text()?;
        let is_whole = value.is_at_end();
        is_whole.then(|| Self::of_parts(head, content, Freshness::of_parts(numbers), varies, tags))
    }
}
