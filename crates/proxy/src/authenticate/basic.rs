//! The identification of clients by user name and password (RFC 7617). Another thread verifies passwords; results are
//! cached.

use std::time::Duration;

use access::credentials::basic::{BasicCandidate, PASSWORD_LEN_MAX};
use access::{Refusal, Secret, Subject};
use base64ct::{Base64, Encoding};
use config::snapshot::BasicEntry;
use config::snapshot::credentials::of_scheme;
use http::{HeaderValue, header};
use http1::KnownName;
use tokio::time::timeout;

use crate::account::request::RequestContext;
use crate::authenticate::identify;
use crate::client::head::Head;
use crate::refusal::problem::Problem;
use crate::worker::credential_cache::CheckedCredential;
use crate::worker::password_cache::PasswordResult;

/// The time for which a verified password is not verified again.
const VALID_FOR: Duration = Duration::from_secs(300);
/// The time for which a wrong password is refused without a verification.
const INVALID_FOR: Duration = Duration::from_secs(10);
/// A request waits at most this long for the verification of its password.
const VERIFY_MAX: Duration = Duration::from_secs(5);
/// Maximum length of a name and a password in base64.
const ENCODED_LEN_MAX: usize = (255 + 1 + PASSWORD_LEN_MAX).div_ceil(3) * 4;

/// A decoded `Basic` credential.
struct BasicCredential {
    name: String,
    password: Secret,
}

/// Returns the subject of a request whose name and password are those of a user of `entry`.
pub(crate) async fn identify(request: &RequestContext, entry: &BasicEntry) -> Result<Subject, Problem> {
    let Some(encoded) = encoded(&request.head)? else {
        let message = "a user name and a password are needed: send them as Authorization: Basic";
        return Err(Problem::new(Refusal::Unauthorized, message));
    };
    let BasicCredential { name, password } = decode(encoded).ok_or_else(invalid)?;
    let worker = request.worker();
    let Some(key) = &worker.digest_key else { return Err(busy()) };
    let BasicCandidate { hash, user } = entry.users.candidate(&name, &key.digest([name.as_bytes()]));
    // The result depends on nothing else, so it remains valid with another configuration.
    let is_known = [u8::from(user.is_some())];
    let texts = [hash.text().expose(), name.as_str(), password.expose()].map(str::as_bytes);
    let digest = key.digest(std::iter::once(&is_known[..]).chain(texts));
    let checked = |result, keep| CheckedCredential { result, keep, is_shared: true };
    let check = || async {
        if let Some(wait) = identify::wait_before_check(request) {
            return CheckedCredential { is_shared: false, ..checked(PasswordResult::OverLimit(wait), Duration::ZERO) };
        }
        // The passwords of one address must not fill the queue.
        let Ok(_permit) = worker.shared.capacity.check_password(request.client_address()) else {
            return CheckedCredential { is_shared: false, ..checked(PasswordResult::Unknown, Duration::ZERO) };
        };
        let result = match &worker.shared.password_checks {
            Some(checks) => checks.verify(hash.clone(), password.clone()).await,
            None => None,
        };
        match result {
            Some(true) if user.is_some() => checked(PasswordResult::Valid, VALID_FOR),
            Some(_) => checked(PasswordResult::Invalid, INVALID_FOR),
            None => checked(PasswordResult::Unknown, Duration::ZERO),
        }
    };
    let found = timeout(VERIFY_MAX, worker.passwords.find(digest, &worker.shared.clock, check)).await;
    request.read_clock();
    match (found.unwrap_or(PasswordResult::Unknown), &user) {
        (PasswordResult::Valid, Some(name)) => Ok(Subject::Basic { issuer: entry.name.clone(), name: name.clone() }),
        (PasswordResult::Valid, None) | (PasswordResult::Invalid, _) => Err(invalid()),
        (PasswordResult::OverLimit(wait), _) => Err(identify::too_many_calls(request, wait)),
        (PasswordResult::Unknown, _) => Err(busy()),
    }
}

/// Returns the challenge of an entry (RFC 7617, 2.1). The name of an entry has no quote.
pub(crate) fn challenge(entry: &BasicEntry) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("Basic realm=\"{}\", charset=\"UTF-8\"", entry.name.as_str())).ok()
}

/// Whether the request has a credential of this scheme.
pub(crate) fn is_present(head: &Head) -> bool {
    head.fields().all(KnownName::Authorization).any(|value| of_scheme(value, b"basic").is_some())
}

/// Returns the one credential of a request in base64.
fn encoded(head: &Head) -> Result<Option<&[u8]>, Problem> {
    let mut found = head.fields().all(KnownName::Authorization).filter_map(|value| of_scheme(value, b"basic"));
    let first = found.next();
    if found.any(|other| Some(other) != first) {
        let message = "two different credentials were sent: send one, as Authorization: Basic";
        return Err(Problem::new(Refusal::AmbiguousCredentials, message));
    }
    Ok(first)
}

/// Decodes a name and a password, which are UTF-8 without control characters (RFC 7617, 2).
fn decode(encoded: &[u8]) -> Option<BasicCredential> {
    let encoded = std::str::from_utf8(encoded).ok().filter(|text| text.len() <= ENCODED_LEN_MAX)?;
    let text = Secret::new(String::from_utf8(Base64::decode_vec(encoded).ok()?).ok()?);
    let (name, password) = text.expose().split_once(':')?;
    let is_valid = password.len() <= PASSWORD_LEN_MAX && !text.expose().chars().any(char::is_control);
    is_valid.then(|| BasicCredential { name: name.to_owned(), password: Secret::new(password.to_owned()) })
}

fn invalid() -> Problem {
    Problem::new(Refusal::PasswordInvalid, "the user name or the password is wrong")
}

fn busy() -> Problem {
    let message = "too many passwords are being checked: try again in a moment";
    Problem::new(Refusal::DirectoryBusy, message).header(header::RETRY_AFTER, HeaderValue::from(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::head::tests::get;

    #[test]
    fn one_credential_is_read_from_one_field() {
        let check = |pairs: &[(&str, &str)]| {
            encoded(&get(pairs)).map(|found| found.map(<[u8]>::to_vec)).map_err(|problem| problem.refusal)
        };
        for (pairs, expected) in [
            (&[("authorization", "Basic eDp5")] as &[_], Ok(Some(b"eDp5".to_vec()))),
            (&[("authorization", "bASIC  eDp5 ")], Ok(Some(b"eDp5".to_vec()))),
            (&[("authorization", "Basic a"), ("authorization", "Basic a")], Ok(Some(b"a".to_vec()))),
            (&[("authorization", "Basic a"), ("authorization", "Basic b")], Err(Refusal::AmbiguousCredentials)),
            (&[("authorization", "Bearer a"), ("authorization", "Basic b")], Ok(Some(b"b".to_vec()))),
            (&[("authorization", "Basica")], Ok(None)),
            (&[("x-api-key", "Basic a")], Ok(None)),
        ] {
            assert_eq!(check(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_credential_is_utf_8_without_control_characters() {
        let read = |text: &[u8]| {
            let found = decode(Base64::encode_string(text).as_bytes());
            found.map(|found| (found.name, found.password.expose().to_owned()))
        };
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(read(b"ada:secret"), pair("ada", "secret"));
        assert_eq!(read("ada:a:\u{e9}".as_bytes()), pair("ada", "a:\u{e9}"));
        assert_eq!((read(b"ada:"), read(b":x")), (pair("ada", ""), pair("", "x")));
        for text in [&b"ada"[..], b"", b"ada:\xff", b"ada:a\nb", b"a\0:b"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert!(read(format!("ada:{}", "x".repeat(PASSWORD_LEN_MAX)).as_bytes()).is_some());
        assert_eq!(read(format!("ada:{}", "x".repeat(PASSWORD_LEN_MAX + 1)).as_bytes()), None);
        assert!(decode(b"not base64!").is_none() && decode(&[b'a'; ENCODED_LEN_MAX + 4]).is_none());
    }
}
