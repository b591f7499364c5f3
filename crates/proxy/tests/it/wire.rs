//! A client and an upstream that write bytes as they are given and read them as they come.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A complete response of an upstream.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A connection of a client.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Bytes that were read and belong to a later response.
    read: Vec<u8>,
}

/// A response as a strict client reads it. Names of fields are in lowercase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
    /// The trailers as `name: value`.
    pub(crate) trailers: Vec<String>,
    pub(crate) framing: Framing,
}

/// The way in which a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body, by method or status.
    Nothing,
    Length,
    Chunked,
    UntilClose,
    /// The connection ended within the body.
    Cut,
}

/// A request as an upstream reads it. Names of fields are in lowercase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
    /// The body without its framing.
    pub(crate) body: String,
    /// The trailers as `name: value`.
    pub(crate) trailers: Vec<String>,
}

/// The end of a connection: the bytes after the last response, and whether the end was a reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) rest: String,
    pub(crate) by_reset: bool,
}

/// Routes to the backend at `address`: `/api` without authentication, `/keyed` with a key; `more` is further YAML.
pub(crate) fn yaml(address: SocketAddr, more: &str) -> String {
    format!(
        "ai: {{enabled: false}}\n\
         upstreams: [{{name: backend, backends: [{{url: \"http://{address}\"}}]}}]\n\
         routes: [{{name: open, path: {{prefix: /api}}, upstreams: backend, auth: {{type: none}}}}, \
         {{name: keyed, path: {{prefix: /keyed}}, upstreams: backend}}]\n{more}"
    )
}

/// A gateway before `raw` with the routes of [`yaml`].
pub(crate) fn before(raw: &Raw) -> Gateway {
    Gateway::plain(&yaml(raw.address, "timeouts: {connect: 1s}\n"))
}

/// The same with other YAML beside its routes.
pub(crate) fn configured(raw: &Raw, more: &str) -> Gateway {
    Gateway::plain(&yaml(raw.address, more))
}

/// An upstream that reads whole requests, notes each as `LINE | BODY`, and answers each with what `says` returns: bytes,
/// and whether the connection ends after them.
pub(crate) async fn upstream(says: impl Fn(&Sent) -> (String, bool) + Clone + Send + 'static) -> Raw {
    Raw::start(move |mut conn: Conn| {
        let says = says.clone();
        async move {
            while let Some(sent) = conn.request().await {
                conn.note(&sent.summary());
                let (bytes, ends) = says(&sent);
                if !conn.say(bytes).await || ends {
                    return;
                }
            }
        }
    })
    .await
}

/// An upstream that answers each request with its summary.
pub(crate) async fn echo() -> Raw {
    upstream(|sent| (answer(&sent.summary()), false)).await
}

/// An upstream that answers each request with the same bytes.
pub(crate) async fn always(bytes: impl Into<String>, ends: bool) -> Raw {
    let bytes = bytes.into();
    upstream(move |_| (bytes.clone(), ends)).await
}

/// A response of 200 with `body`.
pub(crate) fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Lines that an upstream noted.
pub(crate) fn noted(raw: &Raw) -> Vec<String> {
    raw.asked().into_iter().map(|(_, line)| line).collect()
}

impl Sent {
    /// `METHOD TARGET`, followed by ` | BODY` if there is a body.
    pub(crate) fn summary(&self) -> String {
        let line = self.line.strip_suffix(" HTTP/1.1").expect("requests are sent as HTTP/1.1");
        if self.body.is_empty() { line.to_owned() } else { format!("{line} | {}", self.body) }
    }
}

impl Received {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// Returns the value of a field that occurs at most once.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} occurs {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> Option<&str> {
        self.body.split_once(r#""code":""#).and_then(|(_, rest)| rest.split('"').next())
    }

    /// Asserts that this is a complete refusal with `code`.
    #[track_caller]
    pub(crate) fn is_refusal(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code(), self.framing), (status, Some(code), Framing::Length), "{self:?}");
    }

    /// Asserts that this is a complete response with `body`.
    #[track_caller]
    pub(crate) fn is_answer(&self, body: &str) {
        assert_eq!((self.status, self.body.as_str()), (200, body), "{self:?}");
        assert_ne!(self.framing, Framing::Cut, "{self:?}");
    }

    /// Options of `Connection`, in lowercase.
    pub(crate) fn options(&self) -> Vec<String> {
        let all = self.all("connection").join(",").to_ascii_lowercase();
        all.split(',').map(|option| option.trim().to_owned()).filter(|option| !option.is_empty()).collect()
    }

    pub(crate) fn closes(&self) -> bool {
        self.options().iter().any(|option| option == "close")
    }
}

pub(crate) fn values<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the tests send text")
}

/// The first line and the fields of a head.
#[track_caller]
fn head(bytes: &str) -> (String, Vec<(String, String)>) {
    let mut lines = bytes.split("\r\n");
    let first = lines.next().unwrap().to_owned();
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?} in {bytes:?}"));
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
        (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
    });
    (first, fields.collect())
}

impl Client {
    pub(crate) async fn connect(gateway: &Gateway) -> Self {
        let stream = gateway.caller().connect().await;
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// A connection on which `bytes` were sent.
    pub(crate) async fn sending(gateway: &Gateway, bytes: impl AsRef<[u8]>) -> Self {
        let mut client = Self::connect(gateway).await;
        client.send(bytes).await;
        client
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let writing = self.stream.write_all(bytes.as_ref());
        timeout(PATIENCE, writing).await.expect("the gateway reads").expect("the gateway takes it");
    }

    /// Writes as much as the gateway takes; answers whether that was all.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.expect("the gateway reads").is_ok()
    }

    /// One more piece; `false` at the end of the connection.
    async fn fill(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        let read = read.unwrap_or_else(|_| panic!("nothing came after {:?}", String::from_utf8_lossy(&self.read)));
        read.is_ok_and(|read| read > 0)
    }

    /// Bytes up to and including `end`.
    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|some| some == end) {
                return Some(self.read.drain(..at + end.len()).collect());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.read.len() < bytes {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.read.drain(..bytes).collect())
    }

    /// The next response to a request with `method`, interim ones included.
    pub(crate) async fn interim_or_final(&mut self, method: &str) -> Option<Received> {
        let bytes = text(self.until(b"\r\n\r\n").await?);
        let (line, fields) = head(bytes.strip_suffix("\r\n\r\n").unwrap());
        let mut words = line.splitn(3, ' ');
        let version = words.next().unwrap().to_owned();
        let status = words.next().unwrap().parse().unwrap();
        let reason = words.next().expect("a space follows the status").to_owned();
        let length = values(&fields, "content-length");
        let codings = values(&fields, "transfer-encoding");
        assert!(length.len() + codings.len() < 2, "the response is framed twice: {bytes:?}");
        let mut trailers = Vec::new();
        let (body, framing) = if method == "HEAD" || matches!(status, 100..200 | 204 | 304) {
            (Some(Vec::new()), Framing::Nothing)
        } else if let Some(length) = length.first() {
            (self.exactly(length.parse().unwrap()).await, Framing::Length)
        } else if let Some(coding) = codings.first() {
            assert_eq!((*coding, version.as_str()), ("chunked", "HTTP/1.1"), "{bytes:?}");
            (self.chunks(&mut trailers).await, Framing::Chunked)
        } else {
            while self.fill().await {}
            (Some(std::mem::take(&mut self.read)), Framing::UntilClose)
        };
        let framing = if body.is_some() { framing } else { Framing::Cut };
        let body = text(body.unwrap_or_else(|| std::mem::take(&mut self.read)));
        Some(Received { version, status, reason, fields, body, trailers, framing })
    }

    /// A chunked body; extensions are errors, because none is forwarded.
    async fn chunks(&mut self, trailers: &mut Vec<String>) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = text(self.until(b"\r\n").await?);
            let size = usize::from_str_radix(line.trim_end_matches("\r\n"), 16);
            let size = size.unwrap_or_else(|_| panic!("no size of a chunk: {line:?}"));
            if size == 0 {
                loop {
                    match text(self.until(b"\r\n").await?).strip_suffix("\r\n") {
                        Some("") | None => return Some(body),
                        Some(trailer) => trailers.push(trailer.to_owned()),
                    }
                }
            }
            let data = self.exactly(size + 2).await?;
            body.extend_from_slice(data.strip_suffix(b"\r\n").expect("a chunk ends"));
        }
    }

    /// The next response to a request with `method` that is not interim.
    pub(crate) async fn response(&mut self, method: &str) -> Received {
        loop {
            let received = self.interim_or_final(method).await.expect("a response comes");
            if received.status >= 200 {
                return received;
            }
        }
    }

    /// Reads up to the end of this text.
    pub(crate) async fn until_text(&mut self, end: &str) -> String {
        self.until(end.as_bytes()).await.map(text).expect("the text comes")
    }

    /// Sends bytes and reads the response to a GET or POST.
    pub(crate) async fn call(&mut self, bytes: impl AsRef<[u8]>) -> Received {
        self.send(bytes).await;
        self.response("GET").await
    }

    /// Reads until the connection ends.
    pub(crate) async fn end(&mut self) -> End {
        let by_reset = loop {
            match timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await.expect("the connection ends") {
                Ok(0) => break false,
                Ok(_) => {}
                Err(_) => break true,
            }
        };
        End { rest: text(std::mem::take(&mut self.read)), by_reset }
    }

    /// Asserts that the connection ends in good order, and that no byte comes before.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let end = self.end().await;
            assert_eq!(end, End { rest: String::new(), by_reset: false }, "{at}");
        }
    }

    /// Asserts that these bytes come next.
    #[track_caller]
    pub(crate) fn reads(&mut self, expected: &str) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let read = self.exactly(expected.len()).await.map(text);
            assert_eq!(read.as_deref(), Some(expected), "{at}");
        }
    }

    /// Asserts that no byte comes within `moment`.
    pub(crate) async fn hears_nothing_for(&mut self, moment: Duration) {
        let nothing = timeout(moment, self.stream.read_buf(&mut self.read)).await.is_err();
        assert!(nothing && self.read.is_empty(), "{:?}", String::from_utf8_lossy(&self.read));
    }

    /// Asserts that the connection serves another request, whose answer is that of [`echo`].
    pub(crate) async fn goes_on(&mut self) {
        self.call("GET /api/next HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("GET /api/next");
    }

    /// Sends the end of the client's side.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Small buffers of the kernel, so that little waits in them.
    pub(crate) fn narrow(&self) {
        let socket = SockRef::from(&self.stream);
        socket.set_recv_buffer_size(4096).unwrap();
        socket.set_send_buffer_size(4096).unwrap();
    }
}

impl Conn {
    /// Reads a whole request; `None` at the end of the connection.
    pub(crate) async fn request(&mut self) -> Option<Sent> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(self.stream.read_u8().await.ok()?);
        }
        let bytes = text(bytes);
        let (line, fields) = head(bytes.strip_suffix("\r\n\r\n").unwrap());
        let mut body = Vec::new();
        let mut trailers = Vec::new();
        if let Some(length) = values(&fields, "content-length").first() {
            body.resize(length.parse().unwrap(), 0);
            self.stream.read_exact(&mut body).await.ok()?;
        } else if !values(&fields, "transfer-encoding").is_empty() {
            body = self.chunks(&mut trailers).await?;
        }
        Some(Sent { line, fields, body: text(body), trailers })
    }

    async fn chunks(&mut self, trailers: &mut Vec<String>) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).expect("the size of a chunk");
            if size == 0 {
                loop {
                    match self.line().await? {
                        trailer if trailer.is_empty() => return Some(body),
                        trailer => trailers.push(trailer),
                    }
                }
            }
            let mut data = vec![0; size + 2];
            self.stream.read_exact(&mut data).await.ok()?;
            body.extend_from_slice(data.strip_suffix(b"\r\n").expect("a chunk ends"));
        }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.stream.read_u8().await.ok()?);
        }
        Some(text(line).trim_end_matches("\r\n").to_owned())
    }
}
