//! Control's own calls: one small question to a configured provider. Bounded in time, bytes and number; no redirect is
//! followed, no body is read, and nothing but the status comes back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{Refusal, Secret, UserId};
use bytes::Bytes;
use config::snapshot::{Origin, Provider, Scheme};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{error::Elapsed, timeout};
use tokio_rustls::TlsConnector;

use crate::problem::Problem;
use crate::seats::Seats;

/// The whole question, from the name's look-up to the head of the answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Questions at once, of everybody.
const AT_ONCE: usize = 16;
/// Of these, one user's: a few users that ask providers which do not answer leave turns for others.
const AT_ONCE_EACH: usize = 2;
/// The head of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const FIELDS_MAX: usize = 256;
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Who asks providers.
#[derive(Debug)]
pub(crate) struct Outbound {
    tls: Arc<ClientConfig>,
    turns: Semaphore,
    each: Seats<UserId>,
}

/// Why there was no answer.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("it did not answer within 10 s")]
    Late(#[from] Elapsed),
    #[error("it cannot be reached")]
    Connect(#[source] io::Error),
    #[error("its TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("its answer is no HTTP/1.1")]
    Http(#[from] hyper::Error),
    #[error("it is configured as h2c, which is not spoken here")]
    H2c,
    #[error("its name or the credential cannot stand in a request")]
    Request,
}

impl Default for Outbound {
    fn default() -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self { tls: Arc::new(tls), turns: Semaphore::new(AT_ONCE), each: Seats::new(AT_ONCE_EACH) }
    }
}

impl Outbound {
    /// Asks `provider` for its models with this credential, for `user`; answers the status.
    ///
    /// # Errors
    /// `overloaded` where too many are asked at once, by all or for this user; [`NoAnswer`] is an answer too.
    pub(crate) async fn ask(
        &self,
        user: UserId,
        provider: &Provider,
        credential: &Secret,
    ) -> Result<Result<StatusCode, NoAnswer>, Problem> {
        let own = self.each.take(user);
        let _own = own.ok_or_else(|| {
            Problem::new(Refusal::Overloaded, "two providers are being asked for you already; wait for their answers")
        })?;
        let turn = self.turns.try_acquire();
        let _turn =
            turn.map_err(|_| Problem::new(Refusal::Overloaded, "too many providers are being asked; try again"))?;
        Ok(timeout(WITHIN, self.status(provider, credential)).await.unwrap_or_else(|late| Err(late.into())))
    }

    async fn status(&self, provider: &Provider, credential: &Secret) -> Result<StatusCode, NoAnswer> {
        let request = question(provider, credential).ok_or(NoAnswer::Request)?;
        let origin = &provider.origin;
        let stream = match origin.scheme {
            Scheme::H2c => return Err(NoAnswer::H2c),
            Scheme::Http | Scheme::Https => tcp(origin).await.map_err(NoAnswer::Connect)?,
        };
        if origin.scheme == Scheme::Http {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| NoAnswer::Request)?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await.map_err(NoAnswer::Tls)?;
        exchange(stream, request).await
    }
}

/// `GET` of the list of models.
fn question(provider: &Provider, credential: &Secret) -> Option<Request<Empty<Bytes>>> {
    let (path, extra) = provider.kind.models();
    let (name, scheme) = provider.kind.credential_header(provider.kind.dialect());
    let mut text = String::with_capacity(scheme.len() + credential.expose().len());
    text.push_str(scheme);
    text.push_str(credential.expose());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from(text)).ok()?;
    value.set_sensitive(true);
    let mut request = Request::get(format!("{}{path}", provider.origin.path)).body(Empty::new()).ok()?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(&provider.origin.authority).ok()?);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("tollgate"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in extra {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(HeaderName::from_static(name), value);
    Some(request)
}

async fn tcp(origin: &Origin) -> io::Result<TcpStream> {
    if let Ok(address) = origin.host.parse() {
        return TcpStream::connect(SocketAddr::new(address, origin.port)).await;
    }
    let addresses = tokio::net::lookup_host((origin.host.as_str(), origin.port)).await?.take(ADDRESSES_MAX);
    let mut last = io::ErrorKind::NotFound.into();
    for address in addresses {
        // The whole time is bounded: an address that is silent must not take all of it.
        match timeout(WITHIN / 4, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(last)
}

/// Sends the request on a connection of its own, which ends with the head of the answer.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Empty<Bytes>>,
) -> Result<StatusCode, NoAnswer> {
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(FIELDS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let asking = sender.send_request(request);
    tokio::pin!(asking, connection);
    let answer = tokio::select! {
        biased;
        answer = &mut asking => answer,
        // The answer that came with its end is there by now.
        _ = &mut connection => asking.await,
    };
    Ok(answer?.status())
}
