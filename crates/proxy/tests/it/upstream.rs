//! An upstream that speaks TLS and notes its connections and requests, and the authority that signs its certificate.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The parts of the answer to `/api/stream`; the second one waits for [`Upstream::go_on`].
pub(crate) const PARTS: [&str; 2] = ["first\n", "second\n"];

/// An authority that nobody but the test's own configuration trusts.
pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A running upstream; dropped, it ends.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    notes: Arc<Mutex<Notes>>,
    go_on: Arc<Semaphore>,
    hang_up: Arc<Notify>,
    _tasks: JoinSet<()>,
}

/// The connections and requests that an upstream has noted.
#[derive(Debug, Default, Clone)]
pub(crate) struct Notes {
    /// TCP connections that were accepted.
    pub(crate) accepted: usize,
    /// Handshakes that came about, in order.
    pub(crate) handshakes: Vec<Handshake>,
    /// Requests that arrived whole: who was asked (`Host` or `:authority`) and their body.
    pub(crate) requests: Vec<(String, Bytes)>,
}

/// The protocol of a server after the handshake.
const HTTP2: &str = "h2";
const HTTP1: &str = "http/1.1";

/// The server name that a client sent in its handshake, and the protocol that was selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub(crate) server_name: Option<String>,
    pub(crate) protocol: Option<String>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("an authority of a test")
    }

    /// Returns an authority with this name. Others may have the same one.
    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// Returns the TLS configuration of the gateway, but with this authority as the only trusted one.
    pub(crate) fn trusted(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config = ClientConfig::clone(&proxy::tls_config());
        let verifier = WebPkiServerVerifier::builder(Arc::new(roots)).build().unwrap();
        config.dangerous().set_certificate_verifier(verifier);
        Arc::new(config)
    }

    /// Returns a certificate for `names` and its key, in PEM. It is valid until the end of `until`.
    pub(crate) fn certify(&self, names: &[&str], until: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(until + 1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
    }

    /// Returns the certificate of the authority in PEM.
    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// Returns a signed certificate with these properties, and its key.
    pub(crate) fn issue(&self, params: &CertificateParams) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    /// A server with a certificate for `name` (a host or an address), good now; it speaks HTTP/1.1 and HTTP/2.
    pub(crate) fn server(&self, name: &str) -> ServerConfig {
        self.sign(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// The same, which offers `protocol` alone.
    pub(crate) fn server_of(&self, name: &str, protocol: &str) -> ServerConfig {
        let mut config = self.server(name);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config
    }

    /// A server whose certificate for `name` was good until the end of 2020.
    pub(crate) fn expired_server(&self, name: &str) -> ServerConfig {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> ServerConfig {
        let (certificate, key) = self.issue(params);
        let mut config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        // Large providers offer both. The selected protocol shows which ones the gateway offered.
        config.alpn_protocols = vec![HTTP2.as_bytes().to_vec(), HTTP1.as_bytes().to_vec()];
        config
    }
}

/// Returns the text of a file in PEM (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(der))
}

impl Upstream {
    /// Serves with TLS on 127.0.0.1: `/api/stream` as [`PARTS`], all else echoes the request's body.
    pub(crate) async fn start(config: ServerConfig) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::accepting(move |stream, notes, go_on| tls(acceptor.clone(), stream, notes, go_on)).await
    }

    /// Starts like [`Upstream::start`]; the first connection uses the configuration `first`, all others `then`.
    pub(crate) async fn start_changing(first: ServerConfig, then: ServerConfig) -> Self {
        let acceptors = [first, then].map(|config| TlsAcceptor::from(Arc::new(config)));
        Self::accepting(move |stream, notes, go_on| {
            let later = notes.lock().unwrap().accepted > 1;
            tls(acceptors[usize::from(later)].clone(), stream, notes, go_on)
        })
        .await
    }

    /// Closes every connection, and waits until the gateway can have seen it.
    pub(crate) async fn hang_up(&self) {
        self.hang_up.notify_one();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// Serves HTTP without TLS.
    pub(crate) async fn start_plain() -> Self {
        Self::accepting(|stream, notes, go_on| async move { http(stream, HTTP1, &notes, &go_on).await }).await
    }

    /// Accepts connections, and neither reads nor writes.
    pub(crate) async fn start_silent() -> Self {
        Self::accepting(|stream, _, _| async move {
            let _open = stream;
            std::future::pending::<()>().await;
        })
        .await
    }

    async fn accepting<F>(serve: impl Fn(TcpStream, Arc<Mutex<Notes>>, Arc<Semaphore>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let notes = Arc::new(Mutex::new(Notes::default()));
        let go_on = Arc::new(Semaphore::new(0));
        let mut tasks = JoinSet::new();
        let noting = Arc::clone(&notes);
        let waiting = Arc::clone(&go_on);
        let hang_up = Arc::new(Notify::new());
        let told = Arc::clone(&hang_up);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        noting.lock().unwrap().accepted += 1;
                        connections.spawn(serve(accepted.unwrap().0, Arc::clone(&noting), Arc::clone(&waiting)));
                    }
                    () = told.notified() => connections.abort_all(),
                }
            }
        });
        Self { address, notes, go_on, hang_up, _tasks: tasks }
    }

    /// Returns the notes so far.
    pub(crate) fn notes(&self) -> Notes {
        self.notes.lock().unwrap().clone()
    }

    /// Lets one stream write its second part.
    pub(crate) fn go_on(&self) {
        self.go_on.add_permits(1);
    }
}

async fn tls(acceptor: TlsAcceptor, stream: TcpStream, notes: Arc<Mutex<Notes>>, go_on: Arc<Semaphore>) {
    // A client that does not like the certificate ends the handshake.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let session = stream.get_ref().1;
    let protocol = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let spoken = if protocol.as_deref() == Some(HTTP2) { HTTP2 } else { HTTP1 };
    let handshake = Handshake { server_name: session.server_name().map(str::to_owned), protocol };
    notes.lock().unwrap().handshakes.push(handshake);
    http(stream, spoken, &notes, &go_on).await;
}

async fn http(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    protocol: &str,
    notes: &Arc<Mutex<Notes>>,
    go_on: &Arc<Semaphore>,
) {
    let notes = Arc::clone(notes);
    let go_on = Arc::clone(go_on);
    let service = service_fn(move |request| respond(request, Arc::clone(&notes), Arc::clone(&go_on)));
    // An error is the peer's: it is gone, or spoke no HTTP.
    if protocol == HTTP2 {
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}

async fn respond(
    request: Request<Incoming>,
    notes: Arc<Mutex<Notes>>,
    go_on: Arc<Semaphore>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let streams = request.uri().path() == "/api/stream";
    let authority = request.uri().authority().map(ToString::to_string);
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap().to_owned()).or(authority);
    let body = request.into_body().collect().await?.to_bytes();
    notes.lock().unwrap().requests.push((host.unwrap_or_default(), body.clone()));
    if !streams {
        return Ok(Response::new(BoxBody::new(Full::new(body))));
    }
    let parts = stream::unfold(PARTS.iter().enumerate(), move |mut parts| {
        let go_on = Arc::clone(&go_on);
        async move {
            let (number, part) = parts.next()?;
            if number > 0 {
                go_on.acquire().await.unwrap().forget();
            }
            Some((Ok(Frame::data(Bytes::from_static(part.as_bytes()))), parts))
        }
    });
    let answer = Response::builder().header(header::CONTENT_TYPE, "text/event-stream");
    Ok(answer.body(BoxBody::new(StreamBody::new(Box::pin(parts)))).unwrap())
}
