//! Control's own outgoing requests: one small request to a configured provider. Time, bytes and number are bounded.
//! Redirects are not followed, no body is read, and only the status is returned.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::credentials::issuer::{IssuerUrl, UrlScheme, is_link_local};
use access::credentials::service_account::{FORM, grant_body};
use access::{Refusal, Secret, ServiceAccount, Timestamp, UserId};
use bytes::Bytes;
use config::snapshot::{Origin, Provider, Scheme};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tls::UpstreamTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{error::Elapsed, timeout};
use tokio_rustls::TlsConnector;

use crate::message::problem::Problem;
use crate::process::holder_permits::HolderPermits;

/// The maximum duration of a request, from the name look-up to the head of the response.
const WITHIN: Duration = Duration::from_secs(10);
/// The maximum number of concurrent requests for all users.
const AT_ONCE: usize = 16;
/// The maximum number of concurrent requests per user, so that a few users with silent providers do not block others.
const AT_ONCE_EACH: usize = 2;
/// The maximum size of a response head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const FIELDS_MAX: usize = 256;
/// The maximum number of addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;

/// A credential of a provider, which is tested at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestedCredential<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) secret: &'a Secret,
    pub(crate) now: Timestamp,
}

/// A request that tests a credential.
struct Question<'a> {
    origin: Cow<'a, Origin>,
    tls: Option<&'a UpstreamTls>,
    request: Request<Full<Bytes>>,
}

/// The client for requests to providers.
#[derive(Debug)]
pub(crate) struct Outbound {
    tls: Arc<ClientConfig>,
    turns: Semaphore,
    each: HolderPermits<UserId>,
}

/// The reason why there is no response.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("it did not respond within 10 s")]
    Late(#[from] Elapsed),
    #[error("it cannot be reached")]
    Connect(#[source] io::Error),
    #[error("its TLS handshake failed; check its base_url and tls")]
    Tls(#[source] io::Error),
    #[error("its response is not HTTP/1.1")]
    Http(#[from] hyper::Error),
    #[error("its host has a link-local or metadata address, which only `allow_link_local: true` permits")]
    LinkLocal,
    #[error("it is configured as h2c, which is not supported here")]
    H2c,
    #[error("its host name or the credential is not valid in a request")]
    Request,
}

impl Default for Outbound {
    fn default() -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self { tls: Arc::new(tls), turns: Semaphore::new(AT_ONCE), each: HolderPermits::new(AT_ONCE_EACH) }
    }
}

impl Outbound {
    /// Requests the model list of a provider with a credential on behalf of `user`, or an access token for a service account.
    /// Returns the status.
    ///
    /// # Errors
    /// `overloaded` if too many requests are in progress, for all users or for this one. [`NoAnswer`] is a result, not
    /// an error.
    pub(crate) async fn ask(
        &self,
        user: UserId,
        tested: TestedCredential<'_>,
    ) -> Result<Result<StatusCode, NoAnswer>, Problem> {
        let own = self.each.take(user);
        let _own = own.ok_or_else(|| {
            Problem::new(Refusal::Overloaded, "two of your provider tests are in progress; wait for their results")
        })?;
        let turn = self.turns.try_acquire();
        let _turn =
            turn.map_err(|_| Problem::new(Refusal::Overloaded, "too many provider tests are in progress; try again"))?;
        Ok(timeout(WITHIN, self.status(tested)).await.unwrap_or_else(|late| Err(late.into())))
    }

    async fn status(&self, tested: TestedCredential<'_>) -> Result<StatusCode, NoAnswer> {
        let Question { origin, tls: own, request } = Question::from_credential(tested).ok_or(NoAnswer::Request)?;
        let stream = match origin.scheme {
            Scheme::H2c => return Err(NoAnswer::H2c),
            Scheme::Http | Scheme::Https => tcp(&origin).await?,
        };
        if origin.scheme == Scheme::Http {
            return exchange(stream, request).await;
        }
        let name = match own.and_then(UpstreamTls::server_name) {
            Some(name) => name.clone(),
            None => ServerName::try_from(origin.host.clone()).map_err(|_| NoAnswer::Request)?,
        };
        let tls = own.map_or_else(|| self.tls.clone(), http1_config);
        let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(NoAnswer::Tls)?;
        exchange(stream, request).await
    }
}

/// Returns the TLS of a provider for a connection that only speaks HTTP/1.1.
fn http1_config(tls: &UpstreamTls) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&tls.config());
    config.alpn_protocols.clear();
    Arc::new(config)
}

impl<'a> Question<'a> {
    fn from_credential(tested: TestedCredential<'a>) -> Option<Self> {
        let TestedCredential { provider, secret, .. } = tested;
        if provider.has_service_accounts() {
            return Self::for_token(tested);
        }
        let origin = Cow::Borrowed(&provider.origin);
        let tls = provider.tls.as_deref();
        Some(Self { origin, tls, request: models_request(provider, secret)? })
    }

    /// Returns the request that exchanges an assertion of a service account for an access token.
    fn for_token(tested: TestedCredential<'a>) -> Option<Self> {
        let account = ServiceAccount::parse(tested.secret.expose()).ok()?;
        let url = account.token_uri();
        if !tested.provider.token_uris().any(|known| known == url.as_str()) {
            return None;
        }
        let assertion = account.assertion(tested.now).ok()?;
        let origin = Origin::parse(&format!("{}://{}", scheme(url), url.authority())).ok()?;
        let mut request = Request::post(url.target()).body(Full::from(grant_body(&assertion))).ok()?;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FORM));
        common_headers(&mut request, &origin)?;
        Some(Self { origin: Cow::Owned(origin), tls: None, request })
    }
}

const fn scheme(url: &IssuerUrl) -> &'static str {
    match url.scheme() {
        UrlScheme::Http => "http",
        UrlScheme::Https => "https",
    }
}

/// Builds the `GET` request for the list of models.
fn models_request(provider: &Provider, credential: &Secret) -> Option<Request<Full<Bytes>>> {
    let described = provider.kind.descriptor();
    let (name, scheme) = provider.kind.credential_header(provider.kind.dialect());
    let mut text = String::with_capacity(scheme.len() + credential.expose().len());
    text.push_str(scheme);
    text.push_str(credential.expose());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from(text)).ok()?;
    value.set_sensitive(true);
    let models = provider.paths.models_target(provider.kind);
    let mut request = Request::get(format!("{}{}", provider.origin.path, models)).body(Full::default()).ok()?;
    common_headers(&mut request, &provider.origin)?;
    let headers = request.headers_mut();
    for (name, value) in described.models_headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(HeaderName::from_static(name), value);
    Some(request)
}

fn common_headers(request: &mut Request<Full<Bytes>>, origin: &Origin) -> Option<()> {
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(&origin.authority).ok()?);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("tollgate"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Some(())
}

async fn tcp(origin: &Origin) -> Result<TcpStream, NoAnswer> {
    let found: Vec<SocketAddr> = match origin.host.parse() {
        Ok(address) => vec![SocketAddr::new(address, origin.port)],
        Err(_) => {
            let found = tokio::net::lookup_host((origin.host.as_str(), origin.port)).await;
            found.map_err(NoAnswer::Connect)?.collect()
        }
    };
    if !origin.allow_link_local && found.iter().any(|address| is_link_local(address.ip())) {
        return Err(NoAnswer::LinkLocal);
    }
    let mut last = io::ErrorKind::NotFound.into();
    for address in found.into_iter().take(ADDRESSES_MAX) {
        // Each address gets a part of the whole time, so that a silent address does not use up all of it.
        match timeout(WITHIN / 4, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(NoAnswer::Connect(last))
}

/// Sends the request on a new connection, which ends after the head of the response.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
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
        // If the connection ended with the response, the response is available by now.
        _ = &mut connection => asking.await,
    };
    Ok(answer?.status())
}
