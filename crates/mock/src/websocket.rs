//! WebSockets (RFC 6455): each frame comes back unchanged, except that frames of a server are not masked.

use base64ct::{Base64, Encoding as _};
use http::HeaderMap;
use sha1_smol::Sha1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest content of a frame.
const FRAME_BYTES_MAX: usize = 1 << 20;
const READ_BYTES: usize = 16 << 10;
/// The text that is hashed together with the key (RFC 6455, 1.3).
const ACCEPT_TEXT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// A connection that becomes a WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocketEcho {
    accept: String,
}

/// The head of a frame of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ClientFrame {
    /// The octet with the opcode and the mark of the last frame of a message.
    first: u8,
    mask: [u8; 4],
    head_bytes: usize,
    payload_bytes: usize,
}

impl WebSocketEcho {
    /// Returns the WebSocket that a request asks for; `None` if it asks for none.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let upgrade = headers.get(http::header::UPGRADE)?.to_str().ok()?;
        if !upgrade.eq_ignore_ascii_case("websocket") {
            return None;
        }
        let key = headers.get(http::header::SEC_WEBSOCKET_KEY)?;
        let mut hash = Sha1::new();
        hash.update(key.as_bytes());
        hash.update(ACCEPT_TEXT);
        Some(Self { accept: Base64::encode_string(&hash.digest().bytes()) })
    }

    /// Accepts the WebSocket, and returns frames until the client closes it. An error means that the client disconnected.
    pub(crate) async fn play(self, mut stream: TcpStream) -> std::io::Result<()> {
        let accept = self.accept;
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut received = Vec::with_capacity(READ_BYTES);
        let mut echoed = Vec::new();
        loop {
            received.reserve(READ_BYTES);
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            let is_open = echo(&mut received, &mut echoed);
            stream.write_all(&echoed).await?;
            echoed.clear();
            if !is_open {
                return stream.shutdown().await;
            }
        }
    }
}

/// Moves the whole frames of `received` to `echoed`. Returns whether the WebSocket remains open.
fn echo(received: &mut Vec<u8>, echoed: &mut Vec<u8>) -> bool {
    let mut read = 0;
    let mut is_open = true;
    while is_open {
        let rest = received.get(read..).unwrap_or_default();
        let Some(frame) = ClientFrame::parse(rest) else { break };
        if frame.payload_bytes > FRAME_BYTES_MAX {
            return false;
        }
        let frame_bytes = frame.head_bytes + frame.payload_bytes;
        let Some(payload) = rest.get(frame.head_bytes..frame_bytes) else { break };
        frame.write(payload, echoed);
        read += frame_bytes;
        is_open = frame.opcode() != CLOSE;
    }
    received.drain(..read);
    is_open
}

impl ClientFrame {
    /// Returns the head at the beginning of these bytes (RFC 6455, 5.2); `None` if it is not whole.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (payload_bytes, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            length => (u64::from(length), rest),
        };
        let (mask, rest) = rest.split_first_chunk()?;
        let payload_bytes = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
        Some(Self { first: *first, mask: *mask, head_bytes: bytes.len() - rest.len(), payload_bytes })
    }

    const fn opcode(self) -> u8 {
        self.first & 0xf
    }

    /// Appends the frame of the server. The response to a ping is a pong.
    fn write(self, payload: &[u8], echoed: &mut Vec<u8>) {
        let first = if self.opcode() == PING { (self.first & 0xf0) | PONG } else { self.first };
        echoed.push(first);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(length @ 0..=125), _) => echoed.push(length),
            (_, Ok(length)) => {
                echoed.push(126);
                echoed.extend(length.to_be_bytes());
            }
            (_, Err(_)) => {
                echoed.push(127);
                echoed.extend(u64::try_from(payload.len()).unwrap_or(u64::MAX).to_be_bytes());
            }
        }
        echoed.extend(payload.iter().zip(self.mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let unmasked = ClientFrame { first, mask: [0; 4], head_bytes: 0, payload_bytes: 0 };
        let mut frame = Vec::new();
        unmasked.write(payload, &mut frame);
        let head_bytes = frame.len() - payload.len();
        frame[1] |= 0x80;
        frame.truncate(head_bytes);
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
        frame
    }

    #[test]
    fn frames_come_back_unmasked_at_every_split() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let sent = [masked(0x82, &payload), masked(0x89, b"ping"), masked(0x01, b"part")].concat();
            let mut expected = Vec::new();
            echo(&mut sent.clone(), &mut expected);
            assert!(expected.ends_with(b"\x8a\x04ping\x01\x04part") && expected[0] == 0x82);
            assert!(expected.windows(payload.len().max(1)).any(|part| part == payload) || payload.is_empty());
            for cut in (0..sent.len()).filter(|cut| *cut < 40 || cut % 977 == 0) {
                let mut received = sent[..cut].to_vec();
                let mut echoed = Vec::new();
                assert!(echo(&mut received, &mut echoed));
                received.extend_from_slice(&sent[cut..]);
                assert!(echo(&mut received, &mut echoed) && received.is_empty());
                assert!(echoed == expected, "{length} {cut}");
            }
        }
    }

    #[test]
    fn a_close_frame_and_a_frame_that_is_too_long_end_the_connection() {
        let mut echoed = Vec::new();
        assert!(!echo(&mut [masked(0x88, &[3, 232]), masked(0x82, b"x")].concat(), &mut echoed));
        assert_eq!(echoed, [0x88, 2, 3, 232]);
        assert!(!echo(&mut vec![0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0], &mut echoed));
    }
}
