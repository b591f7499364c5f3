//! Content that one task writes, and that several readers get as it arrives, also on the threads of other workers.
//!
//! All pieces are kept until the writer releases them. From then on, a piece is dropped once every reader has it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rustc_hash::FxHashMap;
use thiserror::Error;

use super::content::length;

/// Content that one task writes.
#[derive(Debug)]
pub(crate) struct SharedContent {
    /// The length that the head announces, if it does.
    announced: Option<u64>,
    state: Mutex<ContentState>,
}

/// How the content has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentEnd {
    Complete,
    Aborted,
}

/// The content ended before it was complete, or its reader was too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the shared content was aborted")]
pub(crate) struct SharedContentAborted;

#[derive(Debug, Default)]
struct ContentState {
    pieces: VecDeque<Bytes>,
    /// The number of pieces that were dropped.
    dropped: usize,
    /// Whether pieces are dropped once every reader has them.
    is_released: bool,
    end: Option<ContentEnd>,
    readers: FxHashMap<u64, ReaderPosition>,
    readers_begun: u64,
    writer: Option<Waker>,
}

#[derive(Debug, Default)]
struct ReaderPosition {
    /// The number of the next piece.
    next: usize,
    waker: Option<Waker>,
    is_cut: bool,
}

/// Reads shared content from its beginning.
#[derive(Debug)]
pub(crate) struct SharedContentReader {
    content: Arc<SharedContent>,
    number: u64,
    bytes_read: u64,
    /// Whether nothing is left to read.
    is_over: bool,
}

impl SharedContent {
    /// Returns content without a piece.
    pub(crate) fn new(announced: Option<u64>) -> Arc<Self> {
        Arc::new(Self { announced, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, ContentState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a reader; `None` if the beginning of the content was dropped, or the content was aborted.
    pub(crate) fn reader(self: &Arc<Self>) -> Option<SharedContentReader> {
        let mut state = self.lock();
        if state.dropped > 0 || state.is_released || state.end == Some(ContentEnd::Aborted) {
            return None;
        }
        let number = state.readers_begun;
        state.readers_begun += 1;
        state.readers.insert(number, ReaderPosition::default());
        Some(SharedContentReader { content: self.clone(), number, bytes_read: 0, is_over: self.announced == Some(0) })
    }

    /// Appends a piece, which is not empty.
    pub(crate) fn push(&self, piece: Bytes) {
        let wakers = {
            let mut state = self.lock();
            state.pieces.push_back(piece);
            state.take_wakers()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends the content. Only the first end counts.
    pub(crate) fn end(&self, end: ContentEnd) {
        let wakers = {
            let mut state = self.lock();
            state.end.get_or_insert(end);
            state.take_wakers()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns all pieces as one. The writer has not released them.
    pub(crate) fn whole(&self) -> Bytes {
        let state = self.lock();
        let mut whole = Vec::with_capacity(state.pieces.iter().map(Bytes::len).sum());
        state.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.into()
    }

    /// Drops pieces from now on once every reader has them. No reader can begin any more.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        state.is_released = true;
        state.drop_read();
    }

    /// Waits until at most `bytes_max` bytes of released content wait for readers. Returns false if no reader is left.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>, bytes_max: u64) -> Poll<bool> {
        let mut state = self.lock();
        if state.has_no_reader() {
            return Poll::Ready(false);
        }
        if state.pieces.iter().map(length).sum::<u64>() <= bytes_max {
            return Poll::Ready(true);
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits until no reader is left. The same task waits for room.
    pub(crate) fn poll_unread(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.has_no_reader() {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends the readers that are behind all others, if some reader has everything that was written.
    pub(crate) fn cut_slowest(&self) {
        let wakers = {
            let mut state = self.lock();
            let written = state.dropped + state.pieces.len();
            let active = || state.readers.values().filter(|reader| !reader.is_cut).map(|reader| reader.next);
            let Some(least) = active().min() else { return };
            let Some(most) = active().max() else { return };
            if most < written || least == most {
                return;
            }
            let mut wakers = Vec::new();
            for reader in state.readers.values_mut().filter(|reader| reader.next == least) {
                reader.is_cut = true;
                wakers.extend(reader.waker.take());
            }
            state.drop_read();
            wakers
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl ContentState {
    fn has_no_reader(&self) -> bool {
        self.readers.values().all(|reader| reader.is_cut)
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.readers.values_mut().filter_map(|reader| reader.waker.take()).collect()
    }

    /// Drops the released pieces that every reader has, and wakes the writer.
    fn drop_read(&mut self) {
        if !self.is_released {
            return;
        }
        let readers = self.readers.values().filter(|reader| !reader.is_cut);
        let needed = readers.map(|reader| reader.next).min().unwrap_or(usize::MAX);
        while self.dropped < needed && self.pieces.pop_front().is_some() {
            self.dropped += 1;
        }
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

impl SharedContentReader {
    /// Returns the next piece; `None` at the end of complete content.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SharedContentAborted>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let mut state = self.content.lock();
        let dropped = state.dropped;
        let end = state.end;
        let Some(position) = state.readers.get(&self.number) else { return Poll::Ready(None) };
        if position.is_cut {
            return Poll::Ready(Some(Err(SharedContentAborted)));
        }
        let piece = position.next.checked_sub(dropped).and_then(|at| state.pieces.get(at)).cloned();
        let Some(position) = state.readers.get_mut(&self.number) else { return Poll::Ready(None) };
        match (piece, end) {
            (Some(piece), _) => {
                position.next += 1;
                state.drop_read();
                drop(state);
                self.bytes_read = self.bytes_read.saturating_add(length(&piece));
                self.is_over = self.content.announced.is_some_and(|bytes| bytes <= self.bytes_read);
                Poll::Ready(Some(Ok(piece)))
            }
            (None, Some(ContentEnd::Complete)) => {
                drop(state);
                self.is_over = true;
                Poll::Ready(None)
            }
            (None, Some(ContentEnd::Aborted)) => Poll::Ready(Some(Err(SharedContentAborted))),
            (None, None) => {
                position.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether nothing is left to read.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns the number of bytes that follow, if the head announced the length.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        if self.is_over {
            return Some(0);
        }
        self.content.announced.map(|bytes| bytes.saturating_sub(self.bytes_read))
    }
}

impl Drop for SharedContentReader {
    fn drop(&mut self) {
        let mut state = self.content.lock();
        state.readers.remove(&self.number);
        state.drop_read();
        if state.readers.is_empty()
            && let Some(writer) = state.writer.take()
        {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(reader: &mut SharedContentReader) -> Poll<Option<Result<Bytes, SharedContentAborted>>> {
        reader.poll_piece(&mut Context::from_waker(Waker::noop()))
    }

    fn piece(text: &'static str) -> Poll<Option<Result<Bytes, SharedContentAborted>>> {
        Poll::Ready(Some(Ok(Bytes::from_static(text.as_bytes()))))
    }

    #[test]
    fn each_reader_gets_all_pieces() {
        let content = SharedContent::new(None);
        let mut first = content.reader().unwrap();
        assert_eq!(poll(&mut first), Poll::Pending);
        content.push(Bytes::from_static(b"a"));
        let mut second = content.reader().unwrap();
        content.push(Bytes::from_static(b"b"));
        content.end(ContentEnd::Complete);
        content.end(ContentEnd::Aborted);
        for reader in [&mut first, &mut second] {
            assert_eq!([poll(reader), poll(reader), poll(reader)], [piece("a"), piece("b"), Poll::Ready(None)]);
            assert!(reader.is_over());
        }
        assert_eq!(content.whole(), "ab");
    }

    #[test]
    fn a_reader_of_announced_content_is_over_after_its_last_byte() {
        let content = SharedContent::new(Some(2));
        let mut reader = content.reader().unwrap();
        assert_eq!(reader.bytes_left(), Some(2));
        content.push(Bytes::from_static(b"ab"));
        assert_eq!(poll(&mut reader), piece("ab"));
        assert_eq!((reader.is_over(), reader.bytes_left()), (true, Some(0)));
        assert!(SharedContent::new(Some(0)).reader().unwrap().is_over());
    }

    #[test]
    fn aborted_content_fails_after_its_pieces() {
        let content = SharedContent::new(Some(5));
        let mut reader = content.reader().unwrap();
        content.push(Bytes::from_static(b"a"));
        content.end(ContentEnd::Aborted);
        assert_eq!([poll(&mut reader), poll(&mut reader)], [piece("a"), Poll::Ready(Some(Err(SharedContentAborted)))]);
    }

    #[test]
    fn aborted_content_gets_no_further_reader() {
        for end in [ContentEnd::Aborted, ContentEnd::Complete] {
            let content = SharedContent::new(None);
            content.push(Bytes::from_static(b"a"));
            content.end(end);
            assert_eq!(content.reader().is_none(), end == ContentEnd::Aborted);
        }
    }

    #[test]
    fn content_is_unread_after_its_last_reader() {
        let content = SharedContent::new(None);
        let cx = &mut Context::from_waker(Waker::noop());
        let first = content.reader().unwrap();
        let second = content.reader().unwrap();
        drop(first);
        assert_eq!(content.poll_unread(cx), Poll::Pending);
        assert!(content.lock().writer.is_some());
        drop(second);
        assert!(content.lock().writer.is_none(), "the writer is woken");
        assert_eq!(content.poll_unread(cx), Poll::Ready(()));
    }

    #[test]
    fn released_content_waits_for_its_readers_and_slow_ones_are_cut() {
        let content = SharedContent::new(None);
        let cx = &mut Context::from_waker(Waker::noop());
        let mut fast = content.reader().unwrap();
        let mut slow = content.reader().unwrap();
        content.push(Bytes::from_static(b"aaaa"));
        content.release();
        assert!(content.reader().is_none());
        assert_eq!(content.poll_room(cx, 4), Poll::Ready(true));
        assert_eq!(content.poll_room(cx, 3), Poll::Pending);
        // No reader waits, so none is cut.
        content.cut_slowest();
        assert_eq!(poll(&mut fast), piece("aaaa"));
        assert_eq!(content.poll_room(cx, 3), Poll::Pending);
        content.cut_slowest();
        assert_eq!(content.poll_room(cx, 3), Poll::Ready(true));
        assert_eq!(poll(&mut slow), Poll::Ready(Some(Err(SharedContentAborted))));
        drop((fast, slow));
        assert_eq!(content.poll_room(cx, 3), Poll::Ready(false));
        assert!(content.lock().pieces.is_empty());
    }
}
