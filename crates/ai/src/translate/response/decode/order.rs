//! Puts blocks of which the parts interleave into an order with one open block at a time.
//!
//! Messages has such an order, Chat and Responses do not. Parts of other blocks are held until the open one is complete.

use std::collections::VecDeque;

use serde_json::value::RawValue;

use crate::translate::event::{Block, NeutralEvent, ProviderFailure};
use crate::translate::response::failure;

/// Maximum of held bytes of one response.
const HELD_BYTES_MAX: usize = 1024 * 1024;
/// What a waiting block takes beside its text.
const BLOCK_BYTES: usize = 128;

/// The waiting blocks exceed the maximum size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyHeld;

impl From<TooManyHeld> for ProviderFailure {
    fn from(_: TooManyHeld) -> Self {
        failure::unreadable("more than 1 MiB of parallel blocks interleaves")
    }
}

/// The blocks that are not complete, by a key of the decoder's choice. A key is used for one block only.
#[derive(Debug)]
pub(super) struct BlockOrder<K> {
    open: Option<K>,
    waiting: VecDeque<Waiting<K>>,
    held_bytes: usize,
}

/// A block that began while another one was open.
#[derive(Debug)]
struct Waiting<K> {
    key: K,
    block: Block,
    text: String,
    /// The state of the block, once it is complete.
    closed: Option<Option<Box<RawValue>>>,
}

impl<K> Default for BlockOrder<K> {
    fn default() -> Self {
        Self { open: None, waiting: VecDeque::new(), held_bytes: 0 }
    }
}

impl<K: Copy + PartialEq> BlockOrder<K> {
    /// Begins a block, or lets it wait.
    pub(super) fn open(&mut self, key: K, block: Block, out: &mut Vec<NeutralEvent>) -> Result<(), TooManyHeld> {
        if self.open.is_none() {
            self.open = Some(key);
            out.push(NeutralEvent::Open(block));
            return Ok(());
        }
        self.waiting.push_back(Waiting { key, block, text: String::new(), closed: None });
        self.hold(BLOCK_BYTES)
    }

    /// Adds text to a block that has begun; text of any other block is ignored.
    pub(super) fn add(&mut self, key: K, text: String, out: &mut Vec<NeutralEvent>) -> Result<(), TooManyHeld> {
        if text.is_empty() {
            return Ok(());
        }
        if self.open == Some(key) {
            out.push(NeutralEvent::Delta(text));
            return Ok(());
        }
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.key == key && waiting.closed.is_none())
        else {
            return Ok(());
        };
        waiting.text.push_str(&text);
        self.hold(text.len())
    }

    /// Ends a block. Blocks that waited for it follow.
    pub(super) fn close(&mut self, key: K, state: Option<Box<RawValue>>, out: &mut Vec<NeutralEvent>) {
        if self.open != Some(key) {
            if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.key == key) {
                waiting.closed.get_or_insert(state);
            }
            return;
        }
        out.push(NeutralEvent::Close(state));
        self.open = None;
        while let Some(Waiting { key, block, text, closed }) = self.waiting.pop_front() {
            self.held_bytes = self.held_bytes.saturating_sub(text.len().saturating_add(BLOCK_BYTES));
            out.push(NeutralEvent::Open(block));
            if !text.is_empty() {
                out.push(NeutralEvent::Delta(text));
            }
            let Some(state) = closed else {
                self.open = Some(key);
                return;
            };
            out.push(NeutralEvent::Close(state));
        }
    }

    /// Ends every block that has begun.
    pub(super) fn close_all(&mut self, out: &mut Vec<NeutralEvent>) {
        while let Some(key) = self.open {
            self.close(key, None, out);
        }
    }

    /// Returns how many bytes are held.
    pub(super) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn hold(&mut self, bytes: usize) -> Result<(), TooManyHeld> {
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        if self.held_bytes > HELD_BYTES_MAX { Err(TooManyHeld) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> Block {
        Block::Call { id: id.to_owned(), name: "f".to_owned() }
    }

    fn printed(events: &[NeutralEvent]) -> Vec<String> {
        let print = |event: &NeutralEvent| match event {
            NeutralEvent::Open(Block::Call { id, .. }) => format!("open {id}"),
            NeutralEvent::Delta(text) => text.clone(),
            NeutralEvent::Close(state) => format!("close{}", if state.is_some() { " with state" } else { "" }),
            NeutralEvent::Start
            | NeutralEvent::Alive
            | NeutralEvent::Open(_)
            | NeutralEvent::Image(_)
            | NeutralEvent::End(_)
            | NeutralEvent::Failure(_) => {
                format!("{event:?}")
            }
        };
        events.iter().map(print).collect()
    }

    #[test]
    fn parts_of_other_blocks_wait_for_the_end_of_the_open_one() {
        let mut order = BlockOrder::default();
        let mut out = Vec::new();
        for key in 0..3 {
            order.open(key, call(&key.to_string()), &mut out).unwrap();
        }
        for (key, text) in [(1, "b"), (0, "a"), (2, "c"), (1, "B"), (0, "A"), (9, "x")] {
            order.add(key, text.to_owned(), &mut out).unwrap();
        }
        order.close(2, RawValue::from_string("1".to_owned()).ok(), &mut out);
        order.close(9, None, &mut out);
        assert_eq!(printed(&out), ["open 0", "a", "A"]);
        order.close(0, None, &mut out);
        order.add(1, "!".to_owned(), &mut out).unwrap();
        assert_eq!(order.open, Some(1));
        order.close_all(&mut out);
        let after = ["close", "open 1", "bB", "!", "close", "open 2", "c", "close with state"];
        assert_eq!(printed(&out)[3..], after);
        assert_eq!((order.open, order.held_bytes), (None, 0));
    }

    #[test]
    fn held_text_and_held_blocks_are_limited() {
        let mut order = BlockOrder::default();
        let mut out = Vec::new();
        order.open(0, call("0"), &mut out).unwrap();
        order.open(1, call("1"), &mut out).unwrap();
        order.add(0, "x".repeat(2 * HELD_BYTES_MAX), &mut out).unwrap();
        order.add(1, "x".repeat(HELD_BYTES_MAX - BLOCK_BYTES), &mut out).unwrap();
        assert_eq!(order.add(1, "x".to_owned(), &mut out), Err(TooManyHeld));
        let mut order = BlockOrder::default();
        let blocks = (0..HELD_BYTES_MAX).map(|key| order.open(key, Block::Text, &mut out)).take_while(Result::is_ok);
        assert_eq!(blocks.count(), HELD_BYTES_MAX / BLOCK_BYTES + 1);
    }
}
