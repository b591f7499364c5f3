//! A request's body in memory. Its bytes are counted until the last slice of it is dropped.

use access::Refusal;
use bytes::Bytes;

use crate::capacity::{MemoryExceeded, MemoryPermit};
use crate::refusal::problem::Problem;

/// Larger bodies are moved to a memory mapping of their own, because each thread's heap keeps freed memory. After 80
/// large bodies at once, 55 MiB remained with a bound of 1 MiB, and 33 MiB with this bound (2026-11-22).
const HEAP_BYTES_MAX: usize = 256 * 1024;
/// glibc maps every allocation of more than 32 MiB apart from the heap, whatever was freed before (mallopt(3),
/// `M_MMAP_THRESHOLD`; musl: of more than 128 KiB). A page of the mapping takes memory when it is first written, and
/// all pages return to the system when the body is dropped. The heap would keep them.
const MAPPED_BYTES_MIN: usize = 33 * 1024 * 1024;

/// A body that arrives in pieces.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    held: MemoryPermit,
}

/// Bytes and the permit that counts them.
struct CountedBytes<T> {
    bytes: T,
    _held: MemoryPermit,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for CountedBytes<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl Buffer {
    /// Returns an empty buffer, whose bytes `held` counts.
    pub(crate) fn new(held: MemoryPermit) -> Self {
        Self { bytes: Vec::new(), held }
    }

    /// Returns a buffer that begins with `first`, which `held` counts already. It has room for the announced length of a
    /// body that remains in the heap: growing by doubling would leave as much unused memory there.
    pub(crate) fn begin(first: &[u8], announced: Option<usize>, held: MemoryPermit) -> Result<Self, Problem> {
        let mut buffer = Self::new(held);
        if let Some(bytes) = announced.filter(|bytes| *bytes <= HEAP_BYTES_MAX) {
            buffer.reserve(bytes)?;
        }
        buffer.append(first)?;
        Ok(buffer)
    }

    /// Appends a piece if the client's share of the memory has room for it.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), Problem> {
        hold(&mut self.held, piece.len())?;
        self.append(piece)
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), Problem> {
        let bytes = self.bytes.len().saturating_add(piece.len());
        if bytes > self.bytes.capacity() {
            let twice = self.bytes.capacity().saturating_mul(2).max(bytes);
            self.reserve(if bytes > HEAP_BYTES_MAX { twice.max(MAPPED_BYTES_MIN) } else { twice })?;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn reserve(&mut self, capacity: usize) -> Result<(), Problem> {
        let reserved = self.bytes.try_reserve_exact(capacity.saturating_sub(self.bytes.len()));
        reserved.map_err(|error| {
            Problem::new(Refusal::Overloaded, "there is no memory for the request's body").because(&error)
        })
    }

    /// Returns the number of bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    /// Returns the complete body, still counted. The pages of a mapping that were not written take no memory.
    pub(crate) fn finish(mut self) -> Bytes {
        if self.bytes.capacity() <= HEAP_BYTES_MAX {
            self.bytes.shrink_to_fit();
        }
        counted(self.bytes, self.held)
    }
}

/// Returns `bytes`, which `held` counts until the last slice of them is dropped.
pub(crate) fn counted(bytes: impl AsRef<[u8]> + Send + 'static, held: MemoryPermit) -> Bytes {
    Bytes::from_owner(CountedBytes { bytes, _held: held })
}

/// Counts `bytes` more bytes that the client holds in memory.
pub(crate) fn hold(held: &mut MemoryPermit, bytes: usize) -> Result<(), Problem> {
    held.grow(bytes).map_err(|no_room| match no_room {
        MemoryExceeded::Ever { bytes_max } => {
            let message = format!(
                "the request's body, with its decompressed or translated form, takes more than the {bytes_max} bytes that \
                 one key may hold in memory: send less"
            );
            Problem::new(Refusal::PayloadTooLarge, message)
        }
        MemoryExceeded::Now { others_of_key: 0, may_hold } => {
            let message = format!(
                "this key may hold {may_hold} bytes of request bodies now, as bodies of other keys take the rest, and this \
                 body needs more: send it again soon"
            );
            Problem::new(Refusal::Overloaded, message)
        }
        MemoryExceeded::Now { others_of_key, may_hold } => {
            let message = format!(
                "this key may hold {may_hold} bytes of request bodies now, and its other calls hold {others_of_key} of \
                 them: send this one again when they have been sent"
            );
            Problem::new(Refusal::Overloaded, message)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use access::{KeyNo, PlanId, UserNo};
    use meter::Caller;

    use super::*;
    use crate::capacity::Capacity;
    use crate::capacity::tests::CONNECTIONS;

    fn capacity(buffered_bytes_max: u64) -> (Arc<Capacity>, Buffer) {
        let capacity = Capacity::new(CONNECTIONS, 10_000, buffered_bytes_max);
        let caller = access::Subject::Key(Caller { user: UserNo(1), key: KeyNo(1), plan: PlanId::NIL });
        let buffer = Buffer::new(capacity.hold(&caller));
        (capacity, buffer)
    }

    #[test]
    fn a_body_is_counted_until_its_last_slice_is_dropped() {
        let (capacity, mut buffer) = capacity(u64::MAX);
        for piece in [b"abc".as_slice(), b"", b"defg"] {
            buffer.push(piece).unwrap();
        }
        let body = buffer.finish();
        let whole = body.clone();
        let slice = body.slice(2..5);
        drop((body, whole));
        assert_eq!((&*slice, capacity.buffered_bytes()), (b"cde".as_slice(), 7));
        drop(slice);
        assert_eq!(capacity.buffered_bytes(), 0);
    }

    #[test]
    fn a_large_body_is_one_mapping_that_is_never_moved() {
        let (capacity, mut buffer) = capacity(u64::MAX);
        let piece = vec![7; 64 * 1024];
        for _ in 0..HEAP_BYTES_MAX / piece.len() {
            buffer.push(&piece).unwrap();
        }
        assert!(buffer.bytes.capacity() <= HEAP_BYTES_MAX);
        buffer.push(&piece).unwrap();
        let at = buffer.bytes.as_ptr();
        while buffer.bytes.len() + piece.len() <= MAPPED_BYTES_MIN {
            buffer.push(&piece).unwrap();
        }
        assert_eq!((buffer.bytes.as_ptr(), buffer.bytes.capacity()), (at, MAPPED_BYTES_MIN));
        buffer.push(&piece).unwrap();
        let bytes = buffer.bytes.len();
        let body = buffer.finish();
        assert_eq!(capacity.buffered_bytes(), u64::try_from(bytes).unwrap());
        assert!(body.len() == bytes && body.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn a_body_in_the_heap_has_no_unused_room() {
        let capacity = Capacity::new(CONNECTIONS, 10_000, u64::MAX);
        let held = || capacity.hold(&access::Subject::ANONYMOUS);
        let mut announced = Buffer::begin(&[1; 8_192], Some(100_000), held()).unwrap();
        let at = announced.bytes.as_ptr();
        for _ in 0..9 {
            announced.push(&[1; 10_000]).unwrap();
        }
        announced.push(&[1; 1_808]).unwrap();
        assert_eq!((announced.bytes.as_ptr(), announced.bytes.capacity()), (at, 100_000));
        let large = Buffer::begin(&[1; 8_192], Some(HEAP_BYTES_MAX + 1), held()).unwrap();
        assert_eq!(large.bytes.capacity(), 8_192, "it will be moved to a mapping");
        let mut unannounced = Buffer::begin(&[1; 8_192], None, held()).unwrap();
        unannounced.push(&[1; 1]).unwrap();
        assert!(unannounced.bytes.capacity() > 8_193);
        let body = unannounced.finish();
        assert_eq!(body.len(), 8_193);
    }

    #[test]
    fn a_refusal_names_the_share_of_the_key_and_who_uses_it() {
        let (capacity, mut buffer) = capacity(400);
        let refused =
            |result: Result<(), Problem>| result.map_err(|problem| (problem.refusal, problem.message)).unwrap_err();
        buffer.push(&[0; 60]).unwrap();
        let (refusal, message) = refused(buffer.push(&[0; 41]));
        assert_eq!(refusal, Refusal::PayloadTooLarge, "101 bytes are more than a quarter of 400");
        assert!(message.contains("more than the 100 bytes that one key may hold"), "{message}");

        let of = |user, key| {
            Buffer::new(capacity.hold(&access::Subject::Key(Caller {
                user: UserNo(user),
                key: KeyNo(key),
                plan: PlanId::NIL,
            })))
        };
        let mut beside = of(1, 1);
        let (refusal, message) = refused(beside.push(&[0; 41]));
        assert_eq!(refusal, Refusal::Overloaded);
        assert!(message.starts_with("this key may hold 100 bytes of request bodies now, and its other calls hold 60 "));

        let mut greedy = of(2, 2);
        greedy.push(&[0; 80]).unwrap();
        let (refusal, message) = refused(buffer.push(&[0; 21]));
        assert_eq!(refusal, Refusal::Overloaded);
        assert!(message.starts_with("this key may hold 80 bytes of request bodies now, as bodies of other keys "));
        drop(greedy);
        buffer.push(&[0; 40]).unwrap();
    }
}
