//! Frames of `application/vnd.amazon.eventstream`: a prelude (the lengths of frame and headers, and a checksum of both),
//! headers, a payload, and a checksum of all.

use thiserror::Error;

use super::crc32::crc32;

/// Maximum size of a frame, in bytes. A frame contains one event of a stream, whose bytes are encoded in Base64.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The length of the prelude, in bytes.
const PRELUDE_BYTES: usize = 12;
/// The length of a checksum, in bytes.
const CHECKSUM_BYTES: usize = 4;
/// The length of an empty frame, in bytes.
const FRAME_BYTES_MIN: usize = PRELUDE_BYTES + CHECKSUM_BYTES;

/// Why a stream cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A frame is longer than [`FRAME_BYTES_MAX`], or its lengths contradict each other.
    #[error("a frame of the stream has an invalid length, or is longer than 1 MiB")]
    Length,
    /// The bytes differ from those that the checksum covers.
    #[error("the checksum of a frame is wrong")]
    Checksum,
    /// The headers of a frame are not in their form.
    #[error("a frame has invalid headers")]
    Headers,
    /// The payload of a frame does not contain an event.
    #[error("a frame contains no event")]
    Payload,
    /// The stream has ended within a frame.
    #[error("the stream ended within a frame")]
    Cut,
}

/// A whole frame. The texts of headers that it lacks are empty.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// `event`, `exception` or `error`.
    pub(super) message_type: &'a str,
    /// The name of the event, of the exception or of the error.
    pub(super) name: &'a str,
    /// The text of an error.
    pub(super) error_message: &'a str,
    pub(super) payload: &'a [u8],
    /// The number of bytes of the frame.
    pub(super) len: usize,
}

/// Returns the frame at the start of `bytes`; `None` if it has not arrived completely.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    let Some(([len, headers_len, checksum], covered)) = prelude(bytes) else { return Ok(None) };
    if crc32(covered) != checksum {
        return Err(FrameError::Checksum);
    }
    let size = |bytes: u32| usize::try_from(bytes).map_err(|_| FrameError::Length);
    let len = size(len)?;
    let headers_len = size(headers_len)?;
    if !(FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&len) || headers_len > len - FRAME_BYTES_MIN {
        return Err(FrameError::Length);
    }
    let Some(frame) = bytes.get(..len) else { return Ok(None) };
    let (covered, checksum) = frame.split_last_chunk::<CHECKSUM_BYTES>().ok_or(FrameError::Length)?;
    if crc32(covered) != u32::from_be_bytes(*checksum) {
        return Err(FrameError::Checksum);
    }
    let rest = covered.get(PRELUDE_BYTES..).and_then(|rest| rest.split_at_checked(headers_len));
    let (headers, payload) = rest.ok_or(FrameError::Length)?;
    Ok(Some(with_headers(headers, Frame { payload, len, ..Frame::default() })?))
}

/// Returns the words of the prelude, and the bytes that its checksum covers; `None` if it has not arrived completely.
fn prelude(bytes: &[u8]) -> Option<([u32; 3], &[u8])> {
    let word = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    Some(([word(0)?, word(4)?, word(8)?], bytes.get(..PRELUDE_BYTES - CHECKSUM_BYTES)?))
}

/// Reads the headers. Those that no reader needs are skipped.
fn with_headers<'a>(mut rest: &'a [u8], mut frame: Frame<'a>) -> Result<Frame<'a>, FrameError> {
    while let Some((name_len, after)) = rest.split_first() {
        let (header, after) = header(usize::from(*name_len), after).ok_or(FrameError::Headers)?;
        rest = after;
        let Header { name, text: Some(value) } = header else { continue };
        let value = std::str::from_utf8(value).map_err(|_| FrameError::Headers)?;
        match name {
            b":message-type" => frame.message_type = value,
            b":event-type" | b":exception-type" | b":error-code" => frame.name = value,
            b":error-message" => frame.error_message = value,
            _ => {}
        }
    }
    Ok(frame)
}

/// One header; the value of another type than text is not read.
struct Header<'a> {
    name: &'a [u8],
    text: Option<&'a [u8]>,
}

/// Returns the header whose name has this length, and the bytes behind it; `None` if it is not whole.
fn header(name_len: usize, bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    const TEXT: u8 = 7;
    let (name, rest) = bytes.split_at_checked(name_len)?;
    let (kind, rest) = rest.split_first()?;
    let (value_len, rest) = match *kind {
        // True and false.
        0 | 1 => (0, rest),
        // Integers of 1, 2, 4 and 8 bytes, and a time.
        2 => (1, rest),
        3 => (2, rest),
        4 => (4, rest),
        5 | 8 => (8, rest),
        // Bytes and a text, with their length.
        6 | TEXT => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        // A UUID.
        9 => (16, rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(value_len)?;
    Some((Header { name, text: (*kind == TEXT).then_some(value) }, rest))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a frame with these headers, which are texts.
    pub(in crate::hosts::bedrock) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut written = Vec::new();
        for (name, value) in headers {
            written.push(u8::try_from(name.len()).unwrap());
            written.extend_from_slice(name.as_bytes());
            written.push(7);
            written.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            written.extend_from_slice(value.as_bytes());
        }
        with_raw_headers(&written, payload)
    }

    fn with_raw_headers(headers: &[u8], payload: &[u8]) -> Vec<u8> {
        let word = |len: usize| u32::try_from(len).unwrap().to_be_bytes();
        let mut frame = [word(FRAME_BYTES_MIN + headers.len() + payload.len()), word(headers.len())].concat();
        frame.extend(crc32(&frame).to_be_bytes());
        frame.extend_from_slice(headers);
        frame.extend_from_slice(payload);
        frame.extend(crc32(&frame).to_be_bytes());
        frame
    }

    /// The frames `empty_message` and `payload_one_str_header` of Amazon's test vectors (aws-c-event-stream).
    #[test]
    fn frames_of_amazons_test_vectors_are_read() {
        let empty = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(read(&empty), Ok(Some(Frame { len: 16, ..Frame::default() })));
        let mut typed = vec![0, 0, 0, 0x3d, 0, 0, 0, 0x20, 0x07, 0xfd, 0x83, 0x96];
        typed.extend(b"\x0ccontent-type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1");
        let read = read(&typed).unwrap().unwrap();
        assert_eq!((read.payload, read.len), (&b"{'foo':'bar'}"[..], 61));
    }

    #[test]
    fn names_are_those_of_events_exceptions_and_errors() {
        for (kind, header) in [("event", ":event-type"), ("exception", ":exception-type"), ("error", ":error-code")] {
            let headers = [(":message-type", kind), (header, "chunk"), (":error-message", "m"), ("other", "x")];
            let bytes = frame(&headers, b"p");
            let expected =
                Frame { message_type: kind, name: "chunk", error_message: "m", payload: b"p", len: bytes.len() };
            assert_eq!(read(&bytes), Ok(Some(expected)));
        }
        let others: Vec<u8> =
            [&b"\x01a\x00\x01b\x01\x01c\x02x\x01d\x03xx\x01e\x04xxxx\x01f\x05xxxxxxxx"[..], b"\x01g\x06\x00\x01x"]
                .into_iter()
                .chain([&b"\x01h\x08xxxxxxxx\x01i\x09xxxxxxxxxxxxxxxx"[..]])
                .flatten()
                .copied()
                .collect();
        assert_eq!(read(&with_raw_headers(&others, b"p")).unwrap().unwrap().payload, b"p");
    }

    #[test]
    fn damaged_frames_are_refused_and_parts_of_frames_wait() {
        let bytes = frame(&[(":message-type", "event")], b"payload");
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Ok(None), "{end}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(read(&damaged), Err(FrameError::Checksum), "{at}");
        }
        for headers in [&b"\x02a"[..], b"\x01a", b"\x01a\x0a", b"\x01a\x07\x00", b"\x01a\x07\x00\x02x", b"\x00\x05x"] {
            assert_eq!(read(&with_raw_headers(headers, b"")), Err(FrameError::Headers), "{headers:?}");
        }
        let latin = with_raw_headers(b"\x0d:message-type\x07\x00\x01\xe9", b"");
        assert_eq!(read(&latin), Err(FrameError::Headers));
    }

    #[test]
    fn a_length_is_refused_before_its_bytes_arrive() {
        let max = u32::try_from(FRAME_BYTES_MAX).unwrap();
        for (len, headers, expected) in [
            (15, 0, Err(FrameError::Length)),
            (16, 1, Err(FrameError::Length)),
            (max, max - 16, Ok(None)),
            (max, max - 15, Err(FrameError::Length)),
            (max + 1, 0, Err(FrameError::Length)),
            (u32::MAX, u32::MAX, Err(FrameError::Length)),
        ] {
            let mut prelude = [len.to_be_bytes(), headers.to_be_bytes()].concat();
            prelude.extend(crc32(&prelude).to_be_bytes());
            assert_eq!(read(&prelude), expected, "{len} {headers}");
        }
    }
}
