//! A client that writes frames by hand.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, block, frame,
};
use crate::gateway::Gateway;
use crate::wire::PATIENCE;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const CANCEL: u32 = 8;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

pub(super) struct FrameClient {
    pub(super) stream: TcpStream,
}

/// The way in which a stream or the connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The status of a complete response.
    Answered(String),
    Reset(u32),
    /// The connection ended with GOAWAY and this error.
    GoneAway(u32),
    Closed,
}

/// The pseudo-fields of a GET request.
pub(super) fn pseudo(path: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "x")]
}

/// The HEADERS frame of a GET request, which ends its stream.
pub(super) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, block(&pseudo(path)))
}

/// The HEADERS frame of a POST request, whose content follows.
pub(super) fn post(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")];
    frame(HEADERS, END_HEADERS, stream, block(&fields))
}

/// Returns a SETTINGS frame with these values.
pub(super) fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, payload)
}

impl FrameClient {
    /// Connects without sending anything.
    pub(super) async fn connecting(gateway: &Gateway) -> Self {
        let stream = gateway.caller().connect().await;
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Connects, and sends the preface with these settings.
    pub(super) async fn connect(gateway: &Gateway, values: &[(u16, u32)]) -> Self {
        let mut client = Self::connecting(gateway).await;
        client.send([PREFACE, &settings(values)].concat()).await;
        client
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let writing = self.stream.write_all(bytes.as_ref());
        timeout(PATIENCE, writing).await.expect("the gateway reads").expect("the gateway takes it");
    }

    /// Writes as much as the gateway takes.
    pub(super) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.expect("the gateway reads").is_ok()
    }

    pub(super) async fn get(&mut self, stream: u32, path: &str) {
        self.send(get(stream, path)).await;
    }

    /// Sends a GET request with a credential.
    pub(super) async fn get_keyed(&mut self, stream: u32, path: &str, authorization: &str) {
        let fields = [&pseudo(path)[..], &[("authorization", authorization)]].concat();
        self.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, block(&fields))).await;
    }

    /// The next frame; settings and pings are acknowledged. `None` at the end of the connection.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let frame = timeout(PATIENCE, self.read()).await.expect("a frame, or the end")?;
        if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
            let payload = if frame.kind == PING { frame.payload.clone() } else { Vec::new() };
            self.try_send(self::frame(frame.kind, ACK, 0, payload)).await;
        }
        Some(frame)
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap();
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind.
    pub(super) async fn find(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Status and body of the response on a stream.
    pub(super) async fn answer(&mut self, stream: u32) -> (String, String) {
        let mut status = String::new();
        let mut body = Vec::new();
        loop {
            let frame = self.next().await.expect("the connection continues");
            assert_ne!(frame.kind, GOAWAY, "{:?}", frame.payload);
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                HEADERS => status = status_of(&frame.payload),
                DATA => body.extend_from_slice(&frame.payload),
                RST_STREAM => panic!("the stream was reset: {:?}", frame.payload),
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return (status, String::from_utf8(body).unwrap());
            }
        }
    }

    /// Reads until the stream or the connection has ended. Returns also whether a head with status 200 arrived, and the
    /// content.
    pub(super) async fn until_end(&mut self, stream: u32) -> (bool, String, End) {
        let mut has_head = false;
        let mut content = Vec::new();
        while let Some(frame) = self.next().await {
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                HEADERS => has_head = status_of(&frame.payload) == "200",
                DATA => content.extend_from_slice(&frame.payload),
                RST_STREAM => {
                    let reason = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                    return (has_head, String::from_utf8(content).unwrap(), End::Reset(reason));
                }
                _ => {}
            }
        }
        (has_head, String::from_utf8(content).unwrap(), End::Closed)
    }

    /// Reads until the stream or the connection has ended. A stream is complete also if it is reset afterwards.
    pub(super) async fn end(&mut self, stream: u32) -> End {
        let mut status = String::new();
        while let Some(frame) = self.next().await {
            match frame.kind {
                GOAWAY => {
                    let reason = u32::from_be_bytes(frame.payload[4..8].try_into().unwrap());
                    if reason != 0 {
                        return End::GoneAway(reason);
                    }
                }
                RST_STREAM if frame.stream == stream => {
                    return End::Reset(u32::from_be_bytes(frame.payload[..4].try_into().unwrap()));
                }
                HEADERS | DATA if frame.stream == stream => {
                    if frame.kind == HEADERS {
                        status = status_of(&frame.payload);
                    }
                    if frame.flags & END_STREAM != 0 {
                        return End::Answered(status);
                    }
                }
                _ => {}
            }
        }
        End::Closed
    }
}

/// The status at the beginning of a header block: an entry of HPACK's static table, or a literal of three digits.
fn status_of(block: &[u8]) -> String {
    let indexed =
        [(0x88, "200"), (0x89, "204"), (0x8a, "206"), (0x8b, "304"), (0x8c, "400"), (0x8d, "404"), (0x8e, "500")];
    let first = block.first().copied().unwrap_or_default();
    if let Some((_, status)) = indexed.iter().find(|(index, _)| *index == first) {
        return (*status).to_owned();
    }
    // A literal, by name 8 of the static table; its value is compressed with Huffman's code or not.
    format!("literal {:02x?}", &block[..block.len().min(5)])
}
