//! Texts that most records repeat: names of routes, formats, models and providers, and versions of prices.

use std::cell::Cell;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

/// Number of texts that are remembered.
const SLOTS: usize = 256;
/// Distributes texts: 2^64 divided by the golden ratio.
const TEXT_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// Maximum size of a remembered text. Clients choose the names of models, and a record has room for 64 KiB.
const TEXT_BYTES_MAX: usize = 256;

/// The texts that a reader returned last. Equal texts share their memory: an allocation per text and record costs more
/// than a comparison.
pub(crate) struct SharedTexts(Box<[Cell<Option<Arc<str>>>]>);

impl Default for SharedTexts {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| Cell::new(None)).collect())
    }
}

impl Debug for SharedTexts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTexts").finish_non_exhaustive()
    }
}

impl SharedTexts {
    /// Returns the text, with the memory of the same text in an earlier record if that is remembered.
    pub(super) fn get(&self, text: &str) -> Arc<str> {
        self.known(text.as_bytes()).unwrap_or_else(|| {
            let shared: Arc<str> = Arc::from(text);
            if let Some(slot) = self.slot(text.as_bytes()) {
                slot.set(Some(Arc::clone(&shared)));
            }
            shared
        })
    }

    /// Returns the text with these bytes, if it is remembered. Its bytes were checked when it was remembered.
    pub(super) fn known(&self, bytes: &[u8]) -> Option<Arc<str>> {
        let slot = self.slot(bytes)?;
        let remembered = slot.take();
        let known = remembered.as_ref().filter(|known| known.as_bytes() == bytes).map(Arc::clone);
        slot.set(remembered);
        known
    }

    /// Returns the place of a text; long texts have none.
    fn slot(&self, bytes: &[u8]) -> Option<&Cell<Option<Arc<str>>>> {
        if bytes.len() > TEXT_BYTES_MAX {
            return None;
        }
        self.0.get(place(bytes) % SLOTS)
    }
}

/// Returns a number that depends on the length, the first byte and the last bytes of a text.
fn place(bytes: &[u8]) -> usize {
    let first = bytes.first().copied().map_or(0, u64::from);
    let last = match bytes.last_chunk() {
        Some(last) => u64::from_le_bytes(*last),
        None => bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
    };
    let all = last.wrapping_add(first << 8).wrapping_add(bytes.len() as u64);
    (all.wrapping_mul(TEXT_FACTOR) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_short_texts_share_their_memory_and_others_do_not_change() {
        let texts = SharedTexts::default();
        let long = "n".repeat(TEXT_BYTES_MAX + 1);
        for _ in 0..2 {
            for text in ["", "chat", "chit", "gpt-5", "ä", &long] {
                assert_eq!(&*texts.get(text), text);
            }
        }
        assert!(Arc::ptr_eq(&texts.get("gpt-5"), &texts.get("gpt-5")));
        // Both have the same place.
        let one = texts.get("chat-12345678");
        let other = texts.get("chit-12345678");
        assert!(!Arc::ptr_eq(&one, &texts.get("chat-12345678")) && *other == *"chit-12345678");
        assert!(!Arc::ptr_eq(&texts.get(&long), &texts.get(&long)));
    }
}
