//! Bodies of requests that came compressed, inflated within bounds where they must be read.

use std::io::{self, Read};

use access::Refusal;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, header};

use crate::admit;
use crate::answer::Problem;
use crate::body;
use crate::gate::Held;

/// Inflated at a time; between two pieces the bounds are looked at.
const PIECE_BYTES: usize = 64 * 1024;
/// The largest window of `zstd` on the web: 8 MiB (RFC 9659, 3).
const WINDOW_LOG_MAX: u32 = 23;

/// A content coding that is read here (RFC 9110, 8.4.1; zstd: RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Zstd,
}

/// How the body is coded; `None` is not at all.
pub(crate) fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Problem> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let (first, second) = (codings.next(), codings.next());
    let word = first.map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase());
    match (word.as_deref(), second) {
        (None | Some(b"identity"), None) => Ok(None),
        (Some(b"gzip" | b"x-gzip"), None) => Ok(Some(Coding::Gzip)),
        (Some(b"zstd"), None) => Ok(Some(Coding::Zstd)),
        _ => {
            let message = "the body must be read here: send it as it is, or with gzip or zstd alone";
            Err(Problem::new(Refusal::UnsupportedMediaType, message)
                .header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd")))
        }
    }
}

/// The whole body, at most `bytes_max` of it; each piece is counted in `held` before the next is inflated.
pub(crate) fn inflate(coding: Coding, body: &[u8], bytes_max: u64, held: &mut Held) -> Result<Bytes, Problem> {
    match coding {
        // What it looks back on is 32 KiB, which nobody counts.
        Coding::Gzip => drain(&mut MultiGzDecoder::new(body), bytes_max, held),
        Coding::Zstd => {
            let mut window = held.another();
            body::hold(&mut window, window_bytes(body))?;
            let mut decoder = zstd::Decoder::with_buffer(body).map_err(|error| broken(&error))?.single_frame();
            decoder.window_log_max(WINDOW_LOG_MAX).map_err(|error| broken(&error))?;
            let inflated = drain(&mut decoder, bytes_max, held)?;
            if decoder.finish().is_empty() {
                return Ok(inflated);
            }
            let message = "the body has bytes behind its zstd frame: send it as one frame";
            Err(Problem::new(Refusal::BadRequest, message))
        }
    }
}

fn drain(decoder: &mut impl Read, bytes_max: u64, held: &mut Held) -> Result<Bytes, Problem> {
    let mut inflated = Vec::new();
    loop {
        let mut piece = Read::take(&mut *decoder, PIECE_BYTES as u64);
        let bytes = piece.read_to_end(&mut inflated).map_err(|error| broken(&error))?;
        if bytes == 0 {
            return Ok(inflated.into());
        }
        if u64::try_from(inflated.len()).unwrap_or(u64::MAX) > bytes_max {
            return Err(admit::too_large(bytes_max));
        }
        body::hold(held, bytes)?;
    }
}

/// What a zstd decoder of `frame` looks back on, by its header (RFC 8878, 3.1.1.1); the most that is allowed where a header
/// says nothing else.
fn window_bytes(frame: &[u8]) -> usize {
    const SINGLE_SEGMENT: u8 = 0x20;
    let most = 1 << WINDOW_LOG_MAX;
    match (frame.get(4), frame.get(5)) {
        (Some(descriptor), Some(window)) if descriptor & SINGLE_SEGMENT == 0 => {
            let base = 1_usize << (10 + u32::from(window >> 3));
            (base + base / 8 * usize::from(window & 7)).min(most)
        }
        _ => most,
    }
}

fn broken(error: &io::Error) -> Problem {
    let message = "the body is not what its content-encoding says, or is not whole";
    Problem::new(Refusal::BadRequest, message).because(error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use config::snapshot::Connections;

    use super::*;
    use crate::gate::Gate;

    const BOUND: u64 = 1024 * 1024;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn check(coding: Coding, body: &[u8], buffered_max: u64) -> (Result<Bytes, Refusal>, u64) {
        let gate = Gate::new(Connections { max: 1, per_address: 1 }, buffered_max);
        let mut held = gate.hold();
        let inflated = inflate(coding, body, BOUND, &mut held).map_err(|problem| problem.refusal);
        (inflated, gate.buffered_bytes())
    }

    #[test]
    fn both_codings_give_the_body_back_and_count_it() {
        let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for (coding, packed) in [(Coding::Gzip, gzip(&body)), (Coding::Zstd, zstd::encode_all(&*body, 3).unwrap())] {
            assert_eq!(check(coding, &packed, u64::MAX), (Ok(body.clone().into()), 800_000));
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
            let (refused, counted) = check(coding, &bomb, u64::MAX);
            assert_eq!(refused, Err(Refusal::PayloadTooLarge));
            assert!(counted <= BOUND, "{counted}");
            assert_eq!(check(coding, &bomb, 100_000).0, Err(Refusal::Overloaded));
        }
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
        assert_eq!(window_bytes(&[]), 8 << 20);
        assert_eq!(window_bytes(&[0xff; 20]), 8 << 20);
    }

    #[test]
    fn codings_are_read_by_their_names() {
        let of = |values: &[&'static str]| {
            let headers: HeaderMap = values
                .iter()
                .map(|value| (header::CONTENT_ENCODING, HeaderValue::from_static(value)))
                .fold(HeaderMap::new(), |mut headers, (name, value)| {
                    headers.append(name, value);
                    headers
                });
            coding(&headers).map_err(|problem| problem.refusal)
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
