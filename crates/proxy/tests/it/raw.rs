//! An upstream that does with bytes whatever a test says.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use socket2::SockRef;
use tls::AsyncListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::gateway::{Caller, Gateway};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running upstream; dropped, it ends.
pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<(usize, String)>>>,
    _tasks: JoinSet<()>,
}

/// A connection that the upstream accepted.
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    /// The number of the connection, from 1, in the order of acceptance.
    pub(crate) number: usize,
    heads: Arc<Mutex<Vec<(usize, String)>>>,
}

/// A received response: the status, the code of a refusal, the received part of the body, and whether the body is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientResponse {
    pub(crate) status: StatusCode,
    pub(crate) code: Option<String>,
    pub(crate) body: String,
    pub(crate) whole: bool,
}

impl Raw {
    pub(crate) async fn start<F>(serve: impl Fn(Conn) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::accept_from(AsyncListener::Tcp(listener), address, serve)
    }

    /// As [`Self::start`], at a Unix socket, whose address is not that of a port.
    pub(crate) fn at_socket<F>(path: &Path, serve: impl Fn(Conn) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = AsyncListener::Unix(UnixListener::bind(path).unwrap());
        Self::accept_from(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), serve)
    }

    fn accept_from<F>(listener: AsyncListener, address: SocketAddr, serve: impl Fn(Conn) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let noting = Arc::clone(&heads);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                number += 1;
                // It fails on Unix sockets.
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(Conn { stream, number, heads: Arc::clone(&noting) }));
            }
        });
        Self { address, heads, _tasks: tasks }
    }

    /// Requests that came: on which connection, and the line they began with.
    pub(crate) fn asked(&self) -> Vec<(usize, String)> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn http1(&self) -> Gateway {
        Gateway::start(&format!("http://{}", self.address), proxy::tls_config())
    }

    pub(crate) fn http2(&self) -> Gateway {
        Gateway::start(&format!("h2c://{}", self.address), proxy::tls_config())
    }
}

impl Conn {
    /// Reads a request without a body, or one whose `content-length` is short; `None` at the connection's end.
    pub(crate) async fn head(&mut self) -> Option<()> {
        self.body().await.map(drop)
    }

    /// As [`Self::head`], and returns the body; `None` at the connection's end.
    pub(crate) async fn body(&mut self) -> Option<String> {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(read).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).await.ok()?;
        self.note(head.lines().next().unwrap());
        Some(String::from_utf8_lossy(&body).into_owned())
    }

    /// Reads a request without a body, and returns its head in lowercase, which is also noted.
    pub(crate) async fn whole_head(&mut self) -> Option<String> {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(read).unwrap().to_ascii_lowercase();
        self.note(&head);
        Some(head)
    }

    /// Returns the target of the last request that any connection has read, in lowercase.
    pub(crate) fn last_target(&self) -> String {
        let heads = self.heads.lock().unwrap();
        heads.last().and_then(|(_, line)| line.split(' ').nth(1)).unwrap_or_default().to_owned()
    }

    pub(crate) fn note(&self, what: &str) {
        self.heads.lock().unwrap().push((self.number, what.to_owned()));
    }

    /// Writes; an error is a gateway that had enough.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Waits until the gateway has read all written bytes, so that later bytes arrive separately. If the gateway no longer
    /// reads, the wait ends after 2 s.
    pub(crate) async fn is_read(&self) {
        let Ok(ours) = self.stream.local_addr() else { return };
        let Ok(theirs) = self.stream.peer_addr() else { return };
        for _ in 0..200 {
            if unread(theirs, ours).is_none_or(|bytes| bytes == 0) {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        // The gateway also needs time to process the bytes.
        sleep(Duration::from_millis(100)).await;
    }

    /// Ends the connection with a TCP reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Ends the connection when the gateway has.
    pub(crate) async fn linger(&mut self) {
        let mut scratch = [0; 4096];
        while self.stream.read(&mut scratch).await.is_ok_and(|read| read > 0) {}
    }
}

/// Calls, and reads the answer to its end.
pub(crate) async fn call(caller: &Caller, method: Method) -> ClientResponse {
    timeout(PATIENCE, async { got(caller.send(method, "/api/x", "").await).await }).await.expect("an answer in time")
}

/// Reads an answer to its end.
pub(crate) async fn got(answer: Response<Incoming>) -> ClientResponse {
    let status = answer.status();
    let mut incoming = answer.into_body();
    let mut body = Vec::new();
    let mut whole = true;
    while let Some(frame) = timeout(PATIENCE, incoming.frame()).await.expect("the answer goes on") {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    let body = String::from_utf8(body).unwrap();
    let code = body.split_once(r#""code":""#).and_then(|(_, rest)| rest.split('"').next()).map(str::to_owned);
    ClientResponse { status, code, body, whole }
}

/// Bytes that came to `at` from `from` and that nobody has read yet; `None` where there is no such connection.
pub(crate) fn unread(at: SocketAddr, from: SocketAddr) -> Option<u64> {
    // `sl: LOCAL REMOTE STATE TX:RX`, in hex, addresses in the byte order of the machine.
    let spelled = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port()),
        SocketAddr::V6(v6) => panic!("no IPv4: {v6}"),
    };
    let at = spelled(at);
    let from = spelled(from);
    let told = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut lines = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words.get(1) == Some(&at.as_str()) && words.get(2) == Some(&from.as_str()))?;
    u64::from_str_radix(line.get(4)?.split_once(':')?.1, 16).ok()
}

impl ClientResponse {
    /// Asserts that this is a refusal with `code`.
    #[track_caller]
    pub(crate) fn is_refusal(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code.as_deref()), (status, Some(code)), "{self:?}");
    }

    /// Asserts that this is a response with `body`, complete or cut.
    #[track_caller]
    pub(crate) fn is_answer(&self, body: &str, whole: bool) {
        assert_eq!((self.status.as_u16(), self.body.as_str(), self.whole), (200, body, whole));
    }
}
