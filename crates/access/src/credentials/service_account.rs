//! Service accounts of Google Cloud: the JSON files of their keys, and the assertions that such a key signs to get an access
//! token (RFC 7523).
//!
//! The key never leaves this process: an assertion contains its signature only.

mod granted;

use std::fmt;
use std::time::Duration;

use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::credentials::issuer::IssuerUrl;
use crate::credentials::jwt::TokenDigest;
use crate::credentials::secret::Secret;
use crate::time::clock::Timestamp;
pub use granted::{FORM, GrantedToken, error_code, grant_body};

/// Longest JSON of a key in bytes; one with an RSA key of 4,096 bits has about 4,000.
pub const JSON_BYTES_MAX: usize = 16 * 1024;
/// The endpoint for tokens of Google.
pub const GOOGLE_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// The permission of the access token: what the roles of the service account permit.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The time for which an assertion is valid, the maximum of Google.
const ASSERTION_VALID: Duration = Duration::from_secs(3_600);
/// The type of these JSON files.
const TYPE: &str = "service_account";

/// A service account with the key that signs its assertions.
#[derive(Clone)]
pub struct ServiceAccount {
    json: Secret,
    digest: TokenDigest,
    email: Box<str>,
    key_id: Option<String>,
    key: EncodingKey,
    token_uri: IssuerUrl,
}

/// Why a text is not the key of a service account. The texts describe a valid file, and repeat nothing of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ServiceAccountError {
    /// The text is too long, or not a JSON object with fields of these types.
    #[error("the JSON file of a service account's key, of at most 16 KiB")]
    Json,
    /// The file is that of another credential of Google.
    #[error("a file with `\"type\": \"service_account\"`, as Google Cloud creates it for a key")]
    Type,
    /// A field is missing.
    #[error("a file of a service account's key with `{0}`")]
    Missing(&'static str),
    /// The key cannot sign.
    #[error("a file whose `private_key` is an RSA key of at least 2,048 bits in PEM")]
    Key,
    /// The endpoint for tokens has another form.
    #[error("a file whose `token_uri` is an `https` URL, or an `http` URL of this machine")]
    TokenUri,
}

/// The fields of the file that are read.
#[derive(Deserialize)]
struct KeyFile {
    r#type: Option<String>,
    client_email: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<Secret>,
    token_uri: Option<String>,
}

/// The claims of an assertion (RFC 7523, 3), with times in seconds.
#[derive(Serialize)]
struct AssertionClaims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

impl ServiceAccount {
    /// Reads the JSON file of a key. Signs once, so that a key that cannot sign is refused here.
    ///
    /// # Errors
    /// [`ServiceAccountError`], whose text describes a valid file.
    pub fn parse(json: &str) -> Result<Self, ServiceAccountError> {
        if json.len() > JSON_BYTES_MAX {
            return Err(ServiceAccountError::Json);
        }
        let file: KeyFile = serde_json::from_str(json).map_err(|_| ServiceAccountError::Json)?;
        if file.r#type.as_deref() != Some(TYPE) {
            return Err(ServiceAccountError::Type);
        }
        let email = file.client_email.filter(|email| !email.is_empty());
        let email = email.ok_or(ServiceAccountError::Missing("client_email"))?;
        let key = file.private_key.ok_or(ServiceAccountError::Missing("private_key"))?;
        let token_uri = file.token_uri.ok_or(ServiceAccountError::Missing("token_uri"))?;
        let token_uri = IssuerUrl::parse(&token_uri).map_err(|_| ServiceAccountError::TokenUri)?;
        if token_uri.is_link_local() {
            return Err(ServiceAccountError::TokenUri);
        }
        let account = Self {
            json: Secret::new(json.to_owned()),
            digest: TokenDigest::from_token(json.as_bytes()),
            email: email.into(),
            key_id: file.private_key_id,
            key: EncodingKey::from_rsa_pem(key.expose().as_bytes()).map_err(|_| ServiceAccountError::Key)?,
            token_uri,
        };
        account.assertion(Timestamp(0))?;
        Ok(account)
    }

    /// Returns an assertion that is valid for one hour from `now`, for the account's endpoint for tokens.
    ///
    /// # Errors
    /// [`ServiceAccountError::Key`] if the key cannot sign.
    pub fn assertion(&self, now: Timestamp) -> Result<Secret, ServiceAccountError> {
        // An error means that the provider is installed already; the build has only one.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let claims = AssertionClaims {
            iss: &self.email,
            scope: SCOPE,
            aud: self.token_uri.as_str(),
            iat: now.unix_seconds(),
            exp: now.after(ASSERTION_VALID).unix_seconds(),
        };
        let header = Header { kid: self.key_id.clone(), ..Header::new(Algorithm::RS256) };
        let signed = jsonwebtoken::encode(&header, &claims, &self.key);
        signed.map(Secret::new).map_err(|_| ServiceAccountError::Key)
    }

    /// Returns the hash of the file, by which a cache finds the access token of the account.
    #[must_use]
    pub const fn digest(&self) -> TokenDigest {
        self.digest
    }

    /// Returns the whole file.
    #[must_use]
    pub const fn json(&self) -> &Secret {
        &self.json
    }

    /// Returns the endpoint that gives access tokens for assertions.
    #[must_use]
    pub const fn token_uri(&self) -> &IssuerUrl {
        &self.token_uri
    }
}

impl PartialEq for ServiceAccount {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for ServiceAccount {}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceAccount(…)")
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};
    use jsonwebtoken::{DecodingKey, Validation};
    use rcgen::PublicKeyData as _;
    use serde_json::{Value, json};

    use super::*;

    fn pem(pair: &rcgen::KeyPair) -> String {
        let base64 = Base64::encode_string(&pair.serialize_der());
        format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
    }

    /// Returns the fields of a file, and the public key.
    fn file() -> (Value, DecodingKey) {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let file = json!({
            "type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": pem(&pair),
            "client_email": "gateway@p.iam.gserviceaccount.com", "token_uri": GOOGLE_TOKEN_URI,
        });
        (file, DecodingKey::from_rsa_der(pair.der_bytes()))
    }

    #[test]
    fn an_assertion_is_signed_by_the_key_for_the_endpoint_and_one_hour() {
        let (file, public) = file();
        let account = ServiceAccount::parse(&file.to_string()).unwrap();
        let assertion = account.assertion(Timestamp(1_795_176_000_000_000)).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.set_audience(&[GOOGLE_TOKEN_URI]);
        let read = jsonwebtoken::decode::<Value>(assertion.expose(), &public, &validation).unwrap();
        assert_eq!(read.header.kid.as_deref(), Some("k1"));
        let expected = json!({
            "iss": "gateway@p.iam.gserviceaccount.com", "scope": SCOPE, "aud": GOOGLE_TOKEN_URI,
            "iat": 1_795_176_000, "exp": 1_795_179_600,
        });
        assert_eq!(read.claims, expected);
    }

    #[test]
    fn a_file_that_gets_no_token_is_refused_with_the_description_of_a_valid_one() {
        use ServiceAccountError::{Json, Key, Missing, TokenUri, Type};
        let (file, _) = file();
        for (field, value, expected) in [
            ("type", json!("authorized_user"), Type),
            ("type", Value::Null, Type),
            ("client_email", Value::Null, Missing("client_email")),
            ("client_email", json!(""), Missing("client_email")),
            ("private_key", Value::Null, Missing("private_key")),
            ("private_key", json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), Key),
            ("private_key", json!(7), Json),
            ("token_uri", Value::Null, Missing("token_uri")),
            ("token_uri", json!("http://oauth2.googleapis.com/token"), TokenUri),
            ("token_uri", json!("https://user:p@oauth2.googleapis.com/token"), TokenUri),
            ("token_uri", json!("https://169.254.169.254/token"), TokenUri),
        ] {
            let mut changed = file.clone();
            changed[field] = value;
            assert_eq!(ServiceAccount::parse(&changed.to_string()), Err(expected), "{field} {expected:?}");
        }
        for text in ["", "{", "[]", &" ".repeat(JSON_BYTES_MAX + 1)] {
            assert_eq!(ServiceAccount::parse(text), Err(Json));
        }
        let mut local = file;
        local["token_uri"] = json!("http://127.0.0.1:8080/token");
        assert!(ServiceAccount::parse(&local.to_string()).is_ok());
    }

    #[test]
    fn a_service_account_does_not_print_and_equals_that_of_the_same_file() {
        let (mut file, _) = file();
        let account = ServiceAccount::parse(&file.to_string()).unwrap();
        assert_eq!(account, ServiceAccount::parse(&file.to_string()).unwrap());
        file["private_key_id"] = json!("k2");
        assert_ne!(account, ServiceAccount::parse(&file.to_string()).unwrap());
        assert_eq!(format!("{account:?} {:?}", account.json()), "ServiceAccount(…) ***");
    }
}
