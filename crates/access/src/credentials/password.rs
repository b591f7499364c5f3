//! Passwords and their hashes: Argon2id in PHC form (OWASP's parameters: 19 MiB, two passes, one lane).
//!
//! Each function blocks, and uses tens of milliseconds of one core and 19 MiB. Callers limit the number of concurrent
//! calls.

mod guess;

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use thiserror::Error;

use crate::credentials::secret::Secret;

/// Minimum number of characters of a password.
pub const CHARS_MIN: usize = 12;
/// Maximum number of characters of a password.
pub const CHARS_MAX: usize = 128;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The salt for [`absent`]; every salt costs the same.
const NOBODYS_SALT: &[u8; 16] = b"nobody's account";

/// A password that a user may choose: [`CHARS_MIN`] to [`CHARS_MAX`] Unicode characters without normalization, no
/// control characters, and not easy to guess. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Secret);

/// Why a password is rejected, or cannot be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// The password is too short or too long.
    #[error("a password has {CHARS_MIN} to {CHARS_MAX} characters")]
    Length,
    /// The password contains a control character, which keyboards may not be able to type.
    #[error("a password has no control characters")]
    Control,
    /// The password consists of a few common words, sequences, years, repetitions and names of the user.
    #[error(
        "this password is easy to guess: it is made of common words, sequences or your own name; use more words, or rarer ones"
    )]
    Easy,
    /// The operating system returned no random bytes, or memory is exhausted.
    #[error("the password could not be hashed")]
    Unhashed,
}

impl Password {
    /// Parses a password that a user chose. `own` are texts that others know of this user: e-mail address, name, the
    /// brand.
    ///
    /// # Errors
    /// [`PasswordError::Length`], [`PasswordError::Control`], [`PasswordError::Easy`].
    pub fn parse(text: Secret, own: &[&str]) -> Result<Self, PasswordError> {
        let chars = text.expose().chars().take(CHARS_MAX + 1).count();
        if !(CHARS_MIN..=CHARS_MAX).contains(&chars) {
            return Err(PasswordError::Length);
        }
        if text.expose().chars().any(char::is_control) {
            return Err(PasswordError::Control);
        }
        if guess::is_easy(text.expose(), own) { Err(PasswordError::Easy) } else { Ok(Self(text)) }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Returns the hash to store, with a random salt: `$argon2id$v=19$m=19456,t=2,p=1$…`. Blocks.
///
/// # Errors
/// [`PasswordError::Unhashed`] if no random bytes or memory are available.
pub fn hash(password: &Password) -> Result<Secret, PasswordError> {
    let hashed = argon2()?.hash_password(password.0.expose().as_bytes());
    let hashed: PasswordHash = hashed.map_err(|_| PasswordError::Unhashed)?;
    Ok(Secret::new(hashed.to_string()))
}

/// Whether `phc` is the hash of `presented`, whose length is not limited here. Returns `false` if `phc` is not a hash
/// that [`hash`] creates. Blocks.
#[must_use]
pub fn verify(presented: &Secret, phc: &Secret) -> bool {
    let Ok(argon2) = argon2() else { return false };
    let Ok(stored) = PasswordHash::new(phc.expose()) else { return false };
    argon2.verify_password(presented.expose().as_bytes(), &stored).is_ok()
}

/// Does the work of [`verify`] without a hash, so that the response time does not reveal whether an account exists.
/// Blocks.
pub fn absent(presented: &Secret) {
    if let Ok(argon2) = argon2() {
        let hashed: Result<PasswordHash, _> =
            argon2.hash_password_with_salt(presented.expose().as_bytes(), NOBODYS_SALT);
        std::hint::black_box(hashed.is_ok());
    }
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Unhashed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        for (text, fine) in [
            ("elevenchars", false),
            ("twelve chars", true),
            ("ключ-ключ-ключ", true),
            ("🔑🔒🗝🚪🏠🌍🔑🔒🚪🌍🗝", false),
            ("🔑🔒🗝🚪🏠🌍🔑🔒🚪🌍🗝🏠", true),
            (&"xy7-z w9".repeat(16), true),
            (&"x".repeat(129), false),
            (&"x".repeat(10_000_000), false),
            ("", false),
        ] {
            assert_eq!(Password::parse(secret(text), &[]).is_ok(), fine, "{} chars", text.chars().count());
        }
        assert_eq!(PasswordError::Length.to_string(), "a password has 12 to 128 characters");
        assert_eq!(format!("{:?}", Password::parse(secret("twelve chars"), &[])), "Ok(***)");
    }

    #[test]
    fn control_characters_and_guessable_passwords_are_refused() {
        let refused = |text: &str, own: &[&str]| Password::parse(secret(text), own).unwrap_err();
        for text in
            ["\0\0\0\0\0\0\0\0\0\0\0\0", "correct horse\nbattery", "correct horse\u{85}battery", "correct\u{1b}horse"]
        {
            assert_eq!(refused(text, &[]), PasswordError::Control, "{text:?}");
        }
        assert_eq!(refused("password1234", &[]), PasswordError::Easy);
        assert_eq!(refused("analytical engine", &["Analytical", "engine@example.com"]), PasswordError::Easy);
    }

    #[test]
    fn a_hash_is_of_its_password_alone() {
        let chosen = Password::parse(secret("correct horse battery"), &[]).unwrap();
        let phc = hash(&chosen).unwrap();
        assert!(phc.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", phc.expose());
        assert!(verify(&secret("correct horse battery"), &phc));
        for other in ["correct horse", "correct horse batterY", "", "correct horse battery ", "correct horse battery\0"]
        {
            assert!(!verify(&secret(other), &phc), "{other:?}");
        }
        assert_ne!(hash(&chosen).unwrap(), phc, "two salts");
    }

    #[test]
    fn an_invalid_hash_matches_no_password() {
        for phc in
            ["", "x", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"]
        {
            assert!(!verify(&secret("correct horse battery"), &secret(phc)), "{phc}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test measures the time that a client could measure")]
    fn a_missing_account_takes_as_long_as_a_wrong_password() {
        let phc = hash(&Password::parse(secret("correct horse battery"), &[]).unwrap()).unwrap();
        let presented = secret("not the password");
        let once = |work: &dyn Fn()| {
            let began = Instant::now();
            work();
            began.elapsed()
        };
        // The minimum of many interleaved runs: other load on the machine only increases the times.
        let mut known = Duration::MAX;
        let mut unknown = Duration::MAX;
        let is_like =
            |known: Duration, unknown: Duration| (0.8..1.25).contains(&(known.as_secs_f64() / unknown.as_secs_f64()));
        for round in 0..500 {
            known = known.min(once(&|| assert!(!verify(&presented, &phc))));
            unknown = unknown.min(once(&|| absent(&presented)));
            if round >= 5 && is_like(known, unknown) {
                return;
            }
        }
        panic!("{known:?} against {unknown:?}");
    }
}
