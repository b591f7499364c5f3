//! Compressed bodies of the requests that the gateway reads; they are inflated within bounds.

mod effort;

use std::io::{self, Read};
use std::time::Duration;

use access::Refusal;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::{HeaderValue, header};
use http1::KnownName;

pub(crate) use self::effort::InflationDemand;
use self::effort::{CompressedBody, Effort, EffortExceeded, InflationGuard, TIME_MAX};
use crate::body::admit;
use crate::body::buffer;
use crate::body::buffer::Buffer;
use crate::capacity::MemoryPermit;
use crate::client::head::Head;
use crate::refusal::problem::Problem;

/// The number of bytes that are inflated at a time. The bounds are checked after each piece.
const PIECE_BYTES: usize = 64 * 1024;
/// A compressed body may inflate to at most this many times its size. Prose and code reach 10 times their size, and
/// repetitive logs 50 times.
const RATIO_MAX: u64 = 100;
/// A body that inflates to at most this many bytes may have any ratio.
const RATIO_FREE_BYTES: u64 = 1024 * 1024;
/// Maximum number of compressed bytes without content.
const SILENT_BYTES_MAX: usize = 64 * 1024;
/// A decoder of zstd returns content at the end of a block, which has up to 128 KiB (RFC 8878, 3.1.1.2.4).
const ZSTD_BLOCK_BYTES_MAX: usize = 128 * 1024;
/// The base-2 logarithm of the largest `zstd` window on the web, which has 8 MiB (RFC 9659, 3).
const WINDOW_LOG_MAX: u32 = 23;

/// A content coding that the gateway reads (RFC 9110, 8.4.1; zstd: RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Zstd,
}

/// Returns the body's content coding; `None` if it has none.
pub(crate) fn coding(head: &Head) -> Result<Option<Coding>, Problem> {
    let is_repeated = head.fields().is_repeated(KnownName::ContentEncoding);
    let coding = head.get(KnownName::ContentEncoding).map(<[u8]>::to_ascii_lowercase);
    match coding.as_deref() {
        None => Ok(None),
        Some(b"identity") if !is_repeated => Ok(None),
        Some(b"gzip" | b"x-gzip") if !is_repeated => Ok(Some(Coding::Gzip)),
        Some(b"zstd") if !is_repeated => Ok(Some(Coding::Zstd)),
        Some(_) => {
            let message = "the body must be read here: send it as it is, or with gzip or zstd alone";
            Err(Problem::new(Refusal::UnsupportedMediaType, message)
                .header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd")))
        }
    }
}

/// A compressed body whose client waits for its content.
pub(crate) struct CompressedContent {
    pub(crate) coding: Coding,
    pub(crate) body: Bytes,
    /// Ends the work when the client has disconnected.
    pub(crate) demand: InflationDemand,
}

/// Runs `work` outside the worker's thread: a small body can become a large one. Dropping the future ends the demand that
/// `work` gets.
pub(crate) async fn while_wanted<T: Send + 'static>(
    work: impl FnOnce(InflationDemand) -> T + Send + 'static,
) -> Result<T, Problem> {
    let guard = InflationGuard::default();
    let demand = guard.demand();
    let done = tokio::task::spawn_blocking(move || work(demand)).await;
    done.map_err(|error| Problem::new(Refusal::Internal, "the body could not be inflated").because(&error))
}

/// Returns the whole inflated body, which has at most `bytes_max` bytes. `inflated` counts each piece before the next
/// one is inflated.
pub(crate) fn inflate(content: CompressedContent, bytes_max: u64, inflated: MemoryPermit) -> Result<Bytes, Problem> {
    inflate_in(TIME_MAX, content, bytes_max, inflated)
}

/// Does the work of [`inflate`] with another bound of the processor time.
fn inflate_in(
    time_max: Duration,
    content: CompressedContent,
    bytes_max: u64,
    inflated: MemoryPermit,
) -> Result<Bytes, Problem> {
    let CompressedContent { coding, body, demand } = content;
    let silent_bytes_max = match coding {
        Coding::Gzip => SILENT_BYTES_MAX,
        Coding::Zstd => SILENT_BYTES_MAX + ZSTD_BLOCK_BYTES_MAX,
    };
    let effort = Effort::new(demand, silent_bytes_max, time_max);
    let bounds = InflateBounds { bytes_max, ratio_bytes_max: ratio_bytes_max(body.len()), effort: &effort };
    let source = CompressedBody::new(&body, &effort);
    match coding {
        // The window of gzip has 32 KiB, which are not counted.
        Coding::Gzip => drain(&mut MultiGzDecoder::new(source), &bounds, inflated),
        Coding::Zstd => {
            let mut window = inflated.another();
            buffer::hold(&mut window, window_bytes(&body))?;
            let mut decoder = zstd::Decoder::with_buffer(source).map_err(|error| broken(&error))?.single_frame();
            decoder.window_log_max(WINDOW_LOG_MAX).map_err(|error| broken(&error))?;
            let inflated = drain(&mut decoder, &bounds, inflated)?;
            if decoder.finish().is_at_end() {
                return Ok(inflated);
            }
            let message = "the body has bytes behind its zstd frame: send it as one frame";
            Err(Problem::new(Refusal::BadRequest, message))
        }
    }
}

/// The bounds of an inflated body.
struct InflateBounds<'a> {
    bytes_max: u64,
    ratio_bytes_max: u64,
    effort: &'a Effort,
}

/// Returns the number of bytes to which a body of `compressed` bytes may inflate.
fn ratio_bytes_max(compressed: usize) -> u64 {
    u64::try_from(compressed).unwrap_or(u64::MAX).saturating_mul(RATIO_MAX).max(RATIO_FREE_BYTES)
}

fn drain(decoder: &mut impl Read, bounds: &InflateBounds<'_>, inflated: MemoryPermit) -> Result<Bytes, Problem> {
    let mut inflated = Buffer::new(inflated);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let bytes = decoder
            .read(&mut piece)
            .map_err(|error| bounds.effort.exceeded().map_or_else(|| broken(&error), too_much_work))?;
        if bytes == 0 {
            return Ok(inflated.finish());
        }
        bounds.effort.inflated(bytes);
        bounds.effort.check().map_err(too_much_work)?;
        inflated.push(piece.get(..bytes).unwrap_or_default())?;
        if inflated.bytes() > bounds.bytes_max {
            return Err(admit::too_large(bounds.bytes_max));
        }
        if inflated.bytes() > bounds.ratio_bytes_max {
            let message =
                format!("the body inflates to more than {RATIO_MAX} times its size: send it without compression");
            return Err(Problem::new(Refusal::PayloadTooLarge, message));
        }
    }
}

/// Returns the size in bytes of the window of a zstd decoder of `frame`, read from its header (RFC 8878, 3.1.1.1). The
/// window of a single segment is the whole content. The maximum window is returned if the header is incomplete.
fn window_bytes(frame: &[u8]) -> usize {
    const SINGLE_SEGMENT: u8 = 0x20;
    let most = 1 << WINDOW_LOG_MAX;
    match (frame.get(4), frame.get(5)) {
        (Some(descriptor), Some(window)) if descriptor & SINGLE_SEGMENT == 0 => {
            let base = 1_usize << (10 + u32::from(window >> 3));
            (base + base / 8 * usize::from(window & 7)).min(most)
        }
        (Some(descriptor), _) => content_bytes(*descriptor, frame).map_or(most, |bytes| bytes.min(most)),
        (None, _) => most,
    }
}

/// Returns the size in bytes of the content. In the header of a single segment, it follows the id of the dictionary
/// (RFC 8878, 3.1.1.1.4).
fn content_bytes(descriptor: u8, frame: &[u8]) -> Option<usize> {
    let dictionary = match descriptor & 3 {
        3 => 4,
        bytes => usize::from(bytes),
    };
    let (bytes, least) = match descriptor >> 6 {
        0 => (1, 0),
        1 => (2, 256),
        2 => (4, 0),
        _ => (8, 0),
    };
    let begins = 5 + dictionary;
    let field = frame.get(begins..begins + bytes)?;
    let size = field.iter().rev().fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
    usize::try_from(size.saturating_add(least)).ok()
}

fn too_much_work(exceeded: EffortExceeded) -> Problem {
    let message = match exceeded {
        EffortExceeded::Silent => "the body has too many compressed bytes without content: send it without compression",
        EffortExceeded::Time => "the body takes too long to inflate: send it without compression",
        EffortExceeded::Unwanted => "the client has disconnected",
    };
    Problem::new(Refusal::PayloadTooLarge, message)
}

fn broken(error: &io::Error) -> Problem {
    let message = "the body is not what its content-encoding says, or is not whole";
    Problem::new(Refusal::BadRequest, message).because(error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use access::{KeyNo, PlanId, UserNo};
    use meter::Caller;

    use super::*;
    use crate::capacity::Capacity;
    use crate::capacity::tests::CONNECTIONS;
    use crate::client::head::tests::get;

    const BOUND: u64 = 1024 * 1024;
    /// More processor time than any body needs in an unoptimized build, for tests of the other bounds.
    const AMPLE: Duration = Duration::from_secs(60);

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn check(coding: Coding, body: &[u8], buffered_max: u64) -> (Result<Bytes, Refusal>, u64) {
        check_within(coding, body, BOUND, buffered_max)
    }

    fn check_within(coding: Coding, body: &[u8], bytes_max: u64, buffered_max: u64) -> (Result<Bytes, Refusal>, u64) {
        let capacity = Capacity::new(CONNECTIONS, 10_000, buffered_max);
        let caller = access::Subject::Key(Caller { user: UserNo(1), key: KeyNo(1), plan: PlanId::NIL });
        let guard = InflationGuard::default();
        let content = CompressedContent { coding, body: Bytes::copy_from_slice(body), demand: guard.demand() };
        let inflated = inflate_in(AMPLE, content, bytes_max, capacity.hold(&caller)).map_err(|problem| problem.refusal);
        let counted = capacity.buffered_bytes();
        (inflated, counted)
    }

    #[test]
    fn both_codings_give_the_body_back_and_count_it() {
        let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for (coding, packed) in [(Coding::Gzip, gzip(&body)), (Coding::Zstd, zstd::encode_all(&*body, 3).unwrap())] {
            let (inflated, counted) = check(coding, &packed, u64::MAX);
            assert!(inflated == Ok(body.clone().into()) && counted == 800_000, "{coding:?} {counted}");
        }
        let two = [gzip(b"ab"), gzip(b"cd")].concat();
        assert_eq!(check(Coding::Gzip, &two, BOUND).0, Ok(Bytes::from_static(b"abcd")));
        let frame = zstd::encode_all(&b"ab"[..], 1).unwrap();
        assert_eq!(check(Coding::Zstd, &[frame.clone(), frame].concat(), u64::MAX).0, Err(Refusal::BadRequest));
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_large() {
        let zeros = vec![0; 64 * 1024 * 1024];
        for (coding, bomb) in [(Coding::Gzip, gzip(&zeros)), (Coding::Zstd, zstd::encode_all(&*zeros, 19).unwrap())] {
            assert_eq!(check(coding, &bomb, u64::MAX), (Err(Refusal::PayloadTooLarge), 0));
            assert_eq!(check(coding, &bomb, 100_000).0, Err(Refusal::PayloadTooLarge), "no key may hold so much");
        }
    }

    /// Returns a gzip member whose blocks are repeated.
    fn gzip_of_blocks(blocks: &[u8], times: usize) -> Vec<u8> {
        let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        body.extend(blocks.repeat(times));
        body.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        body
    }

    /// Four blocks of deflate with fixed codes, which have no content (RFC 1951, 3.2.6): 10 bits each.
    const EMPTY_BLOCKS: [u8; 5] = [0x02, 0x08, 0x20, 0x80, 0];
    /// A stored block of one byte.
    const ONE_BYTE: [u8; 6] = [0, 1, 0, 0xfe, 0xff, b' '];

    fn refusal_of(body: Vec<u8>, demand: InflationDemand, time_max: Duration) -> String {
        let capacity = Capacity::new(CONNECTIONS, 10_000, u64::MAX);
        let content = CompressedContent { coding: Coding::Gzip, body: body.into(), demand };
        let problem = inflate_in(time_max, content, BOUND, capacity.hold(&access::Subject::ANONYMOUS)).unwrap_err();
        assert_eq!((problem.refusal, capacity.buffered_bytes()), (Refusal::PayloadTooLarge, 0));
        problem.message.into_owned()
    }

    #[test]
    fn compressed_bytes_without_content_are_bounded() {
        let guard = InflationGuard::default();
        let few = gzip_of_blocks(&EMPTY_BLOCKS, 60_000 / EMPTY_BLOCKS.len());
        assert_eq!(check(Coding::Gzip, &few, u64::MAX).0, Ok(Bytes::new()));
        let message = refusal_of(gzip_of_blocks(&EMPTY_BLOCKS, 200_000), guard.demand(), AMPLE);
        assert!(message.contains("too many compressed bytes without content"), "{message}");
        let members = gzip(b"").repeat(10_000);
        assert!(refusal_of(members, guard.demand(), AMPLE).contains("without content"));
    }

    #[test]
    fn the_processor_time_of_a_body_is_bounded() {
        let guard = InflationGuard::default();
        let mut blocks = EMPTY_BLOCKS.repeat(100);
        blocks.extend(ONE_BYTE);
        let began = effort::thread_time();
        let message = refusal_of(gzip_of_blocks(&blocks, 20_000), guard.demand(), TIME_MAX);
        assert!(message.contains("takes too long"), "{message}");
        let took = effort::thread_time() - began;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }

    #[test]
    fn a_body_whose_client_has_left_is_not_inflated() {
        let guard = InflationGuard::default();
        let demand = guard.demand();
        drop(guard);
        assert!(refusal_of(gzip_of_blocks(&EMPTY_BLOCKS, 200_000), demand, AMPLE).contains("disconnected"));
    }

    #[tokio::test]
    async fn dropping_the_future_ends_an_inflation_that_has_begun() {
        let capacity = Capacity::new(CONNECTIONS, 10_000, u64::MAX);
        let held = capacity.hold(&access::Subject::ANONYMOUS);
        let (ended, end) = tokio::sync::oneshot::channel();
        let work = while_wanted(move |demand| {
            // The whole body takes more than ten seconds of an unoptimized decoder.
            let mut blocks = EMPTY_BLOCKS.repeat(100);
            blocks.extend(ONE_BYTE);
            let body = gzip_of_blocks(&blocks, 20_000).into();
            let inflated = inflate_in(AMPLE, CompressedContent { coding: Coding::Gzip, body, demand }, BOUND, held);
            ended.send(inflated.map_err(|problem| problem.message)).unwrap();
        });
        let begun = async {
            while capacity.buffered_bytes() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = work => panic!("the whole body was inflated"),
            () = begun => {}
        }
        assert_eq!(end.await.unwrap(), Err("the client has disconnected".into()));
        assert_eq!(capacity.buffered_bytes(), 0);
    }

    #[test]
    fn a_body_inflates_to_a_hundred_times_its_size_and_no_more() {
        let zeros = vec![0; 4 * 1024 * 1024];
        for (coding, bomb) in [(Coding::Gzip, gzip(&zeros)), (Coding::Zstd, zstd::encode_all(&*zeros, 1).unwrap())] {
            assert!(bomb.len() * 900 < zeros.len(), "{}", bomb.len());
            let (refused, counted) = check_within(coding, &bomb, u64::MAX, u64::MAX);
            assert_eq!((refused, counted), (Err(Refusal::PayloadTooLarge), 0));
        }
        // One of 64 bytes is random, so the ratio is below 100.
        let mut seed = 1_u32;
        let dense: Vec<u8> = (0..4 * 1024 * 1024_u32)
            .map(|at| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if at % 64 == 0 { u8::try_from(seed >> 24).unwrap() } else { b' ' }
            })
            .collect();
        for (coding, packed) in [(Coding::Gzip, gzip(&dense)), (Coding::Zstd, zstd::encode_all(&*dense, 3).unwrap())] {
            assert!((10..100).contains(&(dense.len() / packed.len())), "{}", packed.len());
            assert_eq!(check_within(coding, &packed, u64::MAX, u64::MAX).0, Ok(dense.clone().into()));
        }
        // A small body may have any ratio.
        let small = gzip(&vec![0; 1024 * 1024]);
        assert!(check_within(Coding::Gzip, &small, u64::MAX, u64::MAX).0.is_ok_and(|body| body.len() == 1024 * 1024));
        assert_eq!(ratio_bytes_max(20_000), 2_000_000);
    }

    #[test]
    fn what_is_not_whole_or_not_coded_so_is_refused() {
        let whole = gzip(b"{}");
        let half = whole.get(..whole.len() - 4).unwrap();
        for (coding, body) in [
            (Coding::Gzip, half),
            (Coding::Gzip, b"{}".as_slice()),
            (Coding::Zstd, b"{}".as_slice()),
            (Coding::Zstd, whole.as_slice()),
        ] {
            assert_eq!(check(coding, body, u64::MAX).0, Err(Refusal::BadRequest));
        }
    }

    #[test]
    fn zstd_windows_are_bounded() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&[7; 1000]).unwrap();
        let wide = encoder.finish().unwrap();
        assert_eq!(check(Coding::Zstd, &wide, u64::MAX).0, Err(Refusal::BadRequest));
    }

    #[test]
    fn a_small_zstd_body_holds_a_small_window() {
        for log in [10, 17, 20] {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.write_all(&[7; 1000]).unwrap();
            assert_eq!(window_bytes(&encoder.finish().unwrap()), 1 << log);
        }
        // Bulk compression writes a single segment.
        for bytes in [1, 200, 255, 256, 300, 65_791, 65_792, 1 << 20, 8 << 20, 9 << 20] {
            let frame = zstd::bulk::compress(&vec![7; bytes], 1).unwrap();
            let window = window_bytes(&frame);
            assert!(
                window >= bytes.min(1 << 19) && window <= bytes.next_power_of_two().clamp(1024, 8 << 20),
                "{bytes} {window}"
            );
        }
        assert_eq!(content_bytes(0x61, &[0, 0, 0, 0, 0x61, 9, 0x2c, 0x01]), Some(300 + 256));
        assert_eq!(content_bytes(0xe0, &[0, 0, 0, 0, 0xe0, 1, 2]), None);
        assert_eq!(window_bytes(&[]), 8 << 20);
        assert_eq!(window_bytes(&[0xff; 20]), 8 << 20);
    }

    #[test]
    fn codings_are_read_by_their_names() {
        let of = |values: &[&'static str]| {
            let fields: Vec<_> = values.iter().map(|value| ("Content-Encoding", *value)).collect();
            coding(&get(&fields)).map_err(|problem| problem.refusal)
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["identity"]), Ok(None));
        assert_eq!(of(&["GZip "]), Ok(Some(Coding::Gzip)));
        assert_eq!(of(&["x-gzip"]), Ok(Some(Coding::Gzip)));
        assert_eq!(of(&["zstd"]), Ok(Some(Coding::Zstd)));
        for other in [&["br"][..], &["gzip, gzip"], &["gzip", "zstd"], &["identity", "identity"], &[""]] {
            assert_eq!(of(other), Err(Refusal::UnsupportedMediaType), "{other:?}");
        }
    }
}
