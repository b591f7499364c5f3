//! HTTP/2 frames, written and read by hand (RFC 9113, 4 and 6).

use tokio::io::AsyncReadExt;

use crate::raw::Conn;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const REFUSED_STREAM: u32 = 7;

/// `:status: 200`, from HPACK's static table.
pub(crate) const STATUS_200: &[u8] = &[0x88];

pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

pub(crate) fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, reason.to_be_bytes())
}

pub(crate) fn goaway(last_stream: u32, reason: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, [last_stream.to_be_bytes(), reason.to_be_bytes()].concat())
}

/// An answer's head with these fields, which are not indexed.
pub(crate) fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, block(fields))
}

/// Returns the frames of a whole response.
pub(crate) fn answer(stream: u32, body: &str) -> Vec<u8> {
    [head(stream, 0, &[(":status", "200")]), frame(DATA, END_STREAM, stream, body)].concat()
}

/// A header block, each field a literal without indexing (RFC 7541, 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            number(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A number with a prefix of seven bits (RFC 7541, 5.1).
fn number(block: &mut Vec<u8>, number: usize) {
    if number < 127 {
        block.push(u8::try_from(number).unwrap());
        return;
    }
    block.push(127);
    let mut rest = number - 127;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

impl Conn {
    /// Reads the client's preface and sends these settings; `None` if the connection ends first.
    pub(crate) async fn greet(&mut self, settings: &[(u16, u32)]) -> Option<()> {
        let mut preface = [0; 24];
        self.stream.read_exact(&mut preface).await.ok()?;
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let settings: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        self.say(frame(SETTINGS, 0, 0, settings)).await.then_some(())
    }

    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap();
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next request's stream; settings and pings are acknowledged on the way.
    pub(crate) async fn asked(&mut self) -> Option<u32> {
        loop {
            let frame = self.next().await?;
            if frame.kind == HEADERS {
                self.note(&format!("stream {}", frame.stream));
                return Some(frame.stream);
            }
        }
    }

    /// The next frame; settings and pings are acknowledged.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let frame = self.frame().await?;
        if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
            let payload = if frame.kind == PING { frame.payload.clone() } else { Vec::new() };
            self.say(self::frame(frame.kind, ACK, 0, payload)).await;
        }
        Some(frame)
    }
}
