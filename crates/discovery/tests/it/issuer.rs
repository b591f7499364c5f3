//! An issuer whose responses a test sets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A running issuer; dropping it closes its port.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    /// Whole responses by path.
    responses: Vec<(String, Vec<u8>)>,
    /// The paths of all requests.
    requested: Vec<String>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        Self::accepting("http", |stream| async move { Some(stream) }).await
    }

    /// Starts an issuer with TLS.
    pub(crate) async fn start_tls(config: ServerConfig) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::accepting("https", move |stream| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(stream).await.ok() }
        })
        .await
    }

    /// Serves each connection as the stream that `open` returns; without one, it is closed.
    async fn accepting<S, F>(scheme: &'static str, open: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        let shared = state.clone();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Some(mut stream) = open(stream).await else { continue };
                let mut head = Vec::new();
                let mut part = [0; 4_096];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut part).await {
                        Ok(read) if read > 0 => head.extend_from_slice(&part[..read]),
                        Ok(_) | Err(_) => break,
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let response = {
                    let mut state = shared.lock().unwrap();
                    state.requested.push(path.clone());
                    state.responses.iter().find(|(of, _)| *of == path).map(|(_, response)| response.clone())
                };
                // Without a response, the connection closes.
                let _ = stream.write_all(&response.unwrap_or_default()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, scheme, state, _tasks: tasks }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Sets the whole response of a path.
    pub(crate) fn respond(&self, path: &str, response: impl AsRef<[u8]>) {
        let mut state = self.state.lock().unwrap();
        state.responses.retain(|(of, _)| of != path);
        state.responses.push((path.to_owned(), response.as_ref().to_vec()));
    }

    /// Sets a response with the status 200, further fields and a body.
    pub(crate) fn serve(&self, path: &str, fields: &str, body: &str) {
        self.respond(path, format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{fields}\r\n{body}", body.len()));
    }

    /// Returns the paths that were requested since the last call.
    pub(crate) fn requested(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requested)
    }
}
