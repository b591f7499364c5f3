//! The frames of a stream as server-sent events of the API that the call uses.

use std::borrow::Cow;

use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use memchr::memchr2;
use serde::Deserialize;

use super::error::RuntimeError;
use super::frame;
use super::frame::{Frame, FrameError};

/// The media type of a stream of frames.
pub const MEDIA_TYPE: &str = "application/vnd.amazon.eventstream";

/// Writes the events of a stream of frames as server-sent events. Any split of the frames gives the same events.
///
/// An exception becomes the event `error` of Messages, and ends the stream.
#[derive(Debug, Default)]
pub struct EventsOfFrames {
    /// The beginning of a frame that has not arrived completely; shorter than [`frame::FRAME_BYTES_MAX`].
    held: Vec<u8>,
    failure: Option<FrameError>,
    /// Whether an exception has ended the stream.
    has_ended: bool,
}

/// The payload of an event of `invoke-with-response-stream`.
#[derive(Deserialize)]
struct Chunk<'a> {
    /// An event of Messages in Base64.
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

/// An event of Messages.
#[derive(Deserialize)]
struct EventType<'a> {
    #[serde(rename = "type", borrow)]
    name: Cow<'a, str>,
}

impl EventsOfFrames {
    /// Reads a further piece of the stream, and returns the events of all frames that have arrived completely. After a failure
    /// or an exception, nothing is read.
    pub fn push(&mut self, piece: &[u8]) -> Bytes {
        let mut out = Vec::new();
        if self.failure.is_some() || self.has_ended {
            return Bytes::new();
        }
        if self.held.is_empty() {
            let read = self.read(piece, &mut out);
            self.held.extend_from_slice(piece.get(read..).unwrap_or_default());
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(piece);
            let read = self.read(&held, &mut out);
            held.drain(..read);
            self.held = held;
        }
        if self.failure.is_some() || self.has_ended {
            self.held = Vec::new();
        }
        out.into()
    }

    /// Whether the stream may end here: no frame is incomplete, and none was damaged.
    #[must_use]
    pub const fn may_end(&self) -> bool {
        self.held.is_empty() && self.failure.is_none()
    }

    /// Whether an exception has ended the stream.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns why the rest of the stream cannot be read, if a frame was damaged.
    #[must_use]
    pub const fn failure(&self) -> Option<FrameError> {
        self.failure
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// A frame was damaged or is incomplete.
    pub fn end(&self) -> Result<(), FrameError> {
        match self.failure {
            Some(failure) => Err(failure),
            None if self.held.is_empty() => Ok(()),
            None => Err(FrameError::Cut),
        }
    }

    /// Reads the whole frames of `bytes`, and returns how many bytes they have.
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut read = 0;
        while !self.has_ended {
            let frame = frame::read(bytes.get(read..).unwrap_or_default())
                .and_then(|frame| frame.map(|frame| self.write(frame, out).map(|()| frame.len)).transpose());
            match frame {
                Ok(Some(len)) => read += len,
                Ok(None) => break,
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        read
    }

    /// Writes the event of a frame.
    fn write(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match (frame.message_type, frame.name) {
            ("event", "chunk") => write_chunk(frame.payload, out),
            // An event that a later version of the API may have.
            ("event", _) => Ok(()),
            ("exception" | "error", _) => {
                let error = RuntimeError::of_exception(frame.name, frame.error_message, frame.payload);
                write_event("error", &error.body, out);
                self.has_ended = true;
                Ok(())
            }
            _ => Err(FrameError::Payload),
        }
    }
}

/// Writes the event within a chunk.
fn write_chunk(payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
    let chunk: Chunk<'_> = serde_json::from_slice(payload).map_err(|_| FrameError::Payload)?;
    let event = Base64::decode_vec(&chunk.bytes).map_err(|_| FrameError::Payload)?;
    let EventType { name } = serde_json::from_slice(&event).map_err(|_| FrameError::Payload)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    write_event(if name.bytes().all(is_plain) { &name } else { "" }, &event, out);
    Ok(())
}

/// Writes an event, whose data is JSON. Without a name, its readers know it by its `type`.
fn write_event(name: &str, json: &[u8], out: &mut Vec<u8>) {
    if !name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    let mut rest = json;
    // Within JSON, line ends are only between values, where a space is as good.
    while let Some((line, after)) = memchr2(b'\n', b'\r', rest).and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(line);
        out.push(b' ');
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::tests::frame;
    use super::*;

    fn chunk(event: &str) -> Vec<u8> {
        let payload = format!("{{\"bytes\":\"{}\",\"p\":\"abcd\"}}", Base64::encode_string(event.as_bytes()));
        let headers = [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
        frame(&headers, payload.as_bytes())
    }

    fn exception(name: &str, payload: &str) -> Vec<u8> {
        frame(&[(":exception-type", name), (":message-type", "exception")], payload.as_bytes())
    }

    /// Reads the stream in pieces of this size.
    fn read(stream: &[u8], size: usize) -> (String, Result<(), FrameError>) {
        let mut events = EventsOfFrames::default();
        let out: Vec<u8> = stream.chunks(size).flat_map(|piece| events.push(piece)).collect();
        (String::from_utf8(out).unwrap(), events.end())
    }

    /// Checks the events and the end of a stream at every size of its pieces.
    fn check(stream: &[u8], expected: &str, end: Result<(), FrameError>) {
        for size in 1..=stream.len() {
            assert_eq!(read(stream, size), (expected.to_owned(), end), "pieces of {size}");
        }
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_gives_the_same_events(
            damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
            rest in any::<Vec<u8>>(),
            size in 1_usize..200,
        ) {
            let events = [r#"{"type":"message_start"}"#, r#"{"type":"ping"}"#, r#"{"type":"message_stop"}"#];
            let mut stream: Vec<u8> = events.iter().flat_map(|event| chunk(event)).chain(rest).collect();
            if let Some((at, byte)) = damage {
                let at = at.index(stream.len());
                stream[at] ^= byte;
            }
            prop_assert_eq!(read(&stream, size), read(&stream, stream.len()));
        }
    }

    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n";

    #[test]
    fn chunks_become_events_at_every_split() {
        let stream = [
            chunk(r#"{"type":"message_start"}"#),
            frame(&[(":message-type", "event"), (":event-type", "later")], b"{}"),
            chunk("{\r\n\"type\":\n\"ping\"}"),
            chunk(r#"{"type":"a\nb"}"#),
        ];
        let expected =
            format!("{START}event: ping\ndata: {{  \"type\": \"ping\"}}\n\ndata: {{\"type\":\"a\\nb\"}}\n\n");
        check(&stream.concat(), &expected, Ok(()));
    }

    #[test]
    fn an_exception_is_an_error_event_after_which_nothing_is_read() {
        let slow = exception("throttlingException", r#"{"message":"Too many tokens"}"#);
        let stream = [chunk(r#"{"type":"message_start"}"#), slow, b"no frame".to_vec()].concat();
        let error = r#"{"type":"error","error":{"type":"rate_limit_error","message":"Too many tokens"}}"#;
        check(&stream, &format!("{START}event: error\ndata: {error}\n\n"), Ok(()));
        let headers = [(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "a\n\"b\"")];
        let error = r#"{"type":"error","error":{"type":"api_error","message":"a\n\"b\""}}"#;
        check(&frame(&headers, b""), &format!("event: error\ndata: {error}\n\n"), Ok(()));
    }

    #[test]
    fn events_before_a_damaged_or_cut_frame_are_kept() {
        let first = chunk(r#"{"type":"message_start"}"#);
        let second = chunk(r#"{"type":"message_stop"}"#);
        let mut damaged = [first.clone(), second.clone()].concat();
        *damaged.last_mut().unwrap() ^= 1;
        check(&damaged, START, Err(FrameError::Checksum));
        check(&[&*first, &second[..second.len() - 1]].concat(), START, Err(FrameError::Cut));
        for payload in ["", "{}", r#"{"bytes":"="}"#, r#"{"bytes":"e30="}"#, r#"{"bytes":"W10="}"#] {
            let headers = [(":message-type", "event"), (":event-type", "chunk")];
            check(&[&*first, &frame(&headers, payload.as_bytes())].concat(), START, Err(FrameError::Payload));
        }
        check(&frame(&[], b"{}"), "", Err(FrameError::Payload));
        check(b"HTTP/1.1 200 OK", "", Err(FrameError::Checksum));
    }
}
