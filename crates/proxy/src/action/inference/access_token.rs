//! The access token of a service account, with which a call is sent.

use std::sync::Arc;
use std::time::Duration;

use access::credentials::issuer::{IssuerUrl, UrlScheme};
use access::credentials::jwt::TokenDigest;
use access::credentials::service_account::{FORM, GrantedToken, error_code, grant_body};
use access::{Refusal, Secret, ServiceAccount, Timestamp};
use bytes::Bytes;
use config::snapshot::{Origin, Provider, Scheme};
use http1::InvalidPart;
use tokio::time::timeout_at;

use crate::account::RequestAccount;
use crate::account::request::RequestContext;
use crate::action::credential::AccountKey;
use crate::client::head::Head;
use crate::refusal::problem::Problem;
use crate::upstream::pool::PoolBounds;
use crate::upstream::short_call::{BODY_BYTES_MAX, ShortCall, ShortCallError};
use crate::worker::access_tokens::TokenError;

/// The time for a connection to an endpoint for tokens.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The status of a refused token.
const UNAUTHORIZED: u16 = 401;

/// The access token of a call.
pub(super) struct SentToken {
    pub(super) text: Arc<Secret>,
    digest: TokenDigest,
}

impl SentToken {
    /// Returns the token of a service account, which may wait for an exchange.
    ///
    /// # Errors
    /// The account gets no token. An account of the operator without one is an unreachable provider; a user's own one must be
    /// corrected by its user.
    pub(super) async fn for_key(
        account: &RequestAccount,
        provider: &Provider,
        key: AccountKey<'_>,
    ) -> Result<Self, Problem> {
        let (digest, is_own) = match key {
            AccountKey::Configured(account) => (account.digest(), false),
            AccountKey::Stored { json, is_own } => (TokenDigest::from_token(json.expose().as_bytes()), is_own),
        };
        let request = &account.request;
        let tokens = &request.worker().shared.access_tokens;
        let found = timeout_at(account.total_at(), tokens.get(digest, || exchanged(request, provider, key))).await;
        request.read_clock();
        match found.unwrap_or_else(|_| Err(Arc::new(TokenError::Late))) {
            Ok(text) => Ok(Self { text, digest }),
            Err(error) => Err(problem(&error, is_own)),
        }
    }

    /// Notes the status of the provider, which may refuse the token.
    pub(super) fn answered(&self, account: &RequestAccount, status: u16) {
        if status != UNAUTHORIZED {
            return;
        }
        let request = &account.request;
        request.worker().shared.access_tokens.refused(self.digest, &self.text, request.read_at());
    }
}

fn problem(error: &TokenError, is_own: bool) -> Problem {
    if is_own && error.is_of_account() {
        let message = format!("your service account gets no access token: {error}: then store its key again");
        return Problem::new(Refusal::Forbidden, message);
    }
    let message =
        "the provider of this model cannot be called, because there is no access token for it: tell the operator";
    Problem::new(Refusal::UpstreamConnect, message).because(error)
}

/// Exchanges an assertion of a service account for an access token. A failure is logged, as the call may have another target.
async fn exchanged(
    request: &RequestContext,
    provider: &Provider,
    key: AccountKey<'_>,
) -> Result<GrantedToken, TokenError> {
    let result = exchange(request, provider, key).await;
    if let Err(error) = &result {
        let source = std::error::Error::source(error).map(ToString::to_string);
        let request_id = request.id;
        let provider = &*provider.name;
        if matches!(key, AccountKey::Stored { is_own: true, .. }) {
            tracing::info!(%request_id, provider, %error, source, "a user's service account gets no access token");
        } else {
            tracing::warn!(%request_id, provider, %error, source, "a service account gets no access token");
        }
    }
    result
}

async fn exchange(
    request: &RequestContext,
    provider: &Provider,
    key: AccountKey<'_>,
) -> Result<GrantedToken, TokenError> {
    let now = request.worker().shared.clock.now();
    let signing = match key {
        AccountKey::Configured(account) => Signing::Configured(Arc::clone(account)),
        AccountKey::Stored { json, .. } => {
            Signing::Stored { json: json.clone(), allowed: provider.token_uris().map(str::to_owned).collect() }
        }
    };
    // An RSA signature takes a millisecond or more.
    let signed = tokio::task::spawn_blocking(move || signing.assertion(now)).await;
    let (assertion, url) = signed.map_err(TokenError::Unsigned)??;
    let origin = origin(&url);
    let worker = request.worker();
    let pool = worker.pools.pool_for(&origin, None, &PoolBounds::UNLIMITED);
    let head = head(&url).ok_or(TokenError::Call(ShortCallError::Request(InvalidPart::Value)))?;
    let body = Bytes::from(grant_body(&assertion));
    let call = ShortCall { head, body, connect_within: CONNECT_WITHIN, body_bytes_max: BODY_BYTES_MAX };
    let response = call.send(&worker.connector, &pool).await.map_err(TokenError::Call)?;
    if !response.head.is_success() {
        let code = error_code(&response.body).unwrap_or_else(|| "without a code".into());
        return Err(TokenError::Refused { status: response.head.status(), code });
    }
    GrantedToken::parse(&response.body).ok_or(TokenError::Response)
}

/// The key of a service account on the thread that signs.
enum Signing {
    Configured(Arc<ServiceAccount>),
    /// `allowed` are the endpoints to which the assertions of an account of the vault may be sent.
    Stored {
        json: Secret,
        allowed: Vec<String>,
    },
}

impl Signing {
    /// Returns an assertion, and the endpoint for which it is.
    fn assertion(self, now: Timestamp) -> Result<(Secret, IssuerUrl), TokenError> {
        let account = match self {
            Self::Configured(account) => account,
            Self::Stored { json, allowed } => {
                let account = ServiceAccount::parse(json.expose()).map_err(TokenError::Account)?;
                let uri = account.token_uri().as_str();
                if !allowed.iter().any(|known| known == uri) {
                    return Err(TokenError::Endpoint);
                }
                Arc::new(account)
            }
        };
        let assertion = account.assertion(now).map_err(TokenError::Account)?;
        Ok((assertion, account.token_uri().clone()))
    }
}

/// Returns the server of an endpoint. Its address must not be link-local.
fn origin(url: &IssuerUrl) -> Origin {
    let scheme = match url.scheme() {
        UrlScheme::Http => Scheme::Http,
        UrlScheme::Https => Scheme::Https,
    };
    let host = url.host().to_owned();
    let authority = url.authority();
    let path = String::new();
    Origin { scheme, host, port: url.port(), authority, path, allow_link_local: false }
}

fn head(url: &IssuerUrl) -> Option<Head> {
    let target = url.target();
    let host = url.authority();
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {FORM}\r\naccept: application/json\r\nuser-agent: tollgate\r\n\r\n"
    );
    Head::written(head.into_bytes())
}
