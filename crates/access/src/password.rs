//! Passwords and their hashes: Argon2id in PHC form (OWASP's parameters: 19 MiB, two passes, one lane).
//!
//! Each function takes tens of milliseconds of a core and 19 MiB: it blocks, and who calls it bounds how many do so at once.

mod guess;

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use thiserror::Error;

use crate::secret::Secret;

/// Fewest characters of a password.
pub const CHARS_MIN: usize = 12;
/// Most characters of a password.
pub const CHARS_MAX: usize = 128;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// For [`absent`]; any salt costs the same.
const NOBODYS_SALT: &[u8; 16] = b"nobody's account";

/// A password that may be chosen: [`CHARS_MIN`] to [`CHARS_MAX`] characters of Unicode, taken as they are, none of them a control
/// character, and not easy to guess. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Secret);

/// Why there is no password, or no hash of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// It is too short or too long.
    #[error("a password has {CHARS_MIN} to {CHARS_MAX} characters")]
    Length,
    /// It has a control character, which no keyboard types again.
    #[error("a password has no control characters")]
    Control,
    /// It falls apart into common words, sequences, years, repetitions and the user's own names.
    #[error(
        "this password is easy to guess: it is made of common words, sequences or your own name; use more words, or rarer ones"
    )]
    Easy,
    /// The operating system gave no random bytes, or no memory.
    #[error("the password could not be hashed")]
    Unhashed,
}

impl Password {
    /// Takes a text that a user chose. `own` are texts that others know of this user: e-mail address, name, the brand.
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

/// The hash that is stored: `$argon2id$v=19$m=19456,t=2,p=1$…`, with a salt of its own. Blocks.
///
/// # Errors
/// [`PasswordError::Unhashed`].
pub fn hash(password: &Password) -> Result<Secret, PasswordError> {
    let hashed = argon2()?.hash_password(password.0.expose().as_bytes());
    let hashed: PasswordHash = hashed.map_err(|_| PasswordError::Unhashed)?;
    Ok(Secret::new(hashed.to_string()))
}

/// Whether `phc` is the hash of what was presented, whose length nobody bounds here. A text that is no hash of ours is
/// nobody's. Blocks.
#[must_use]
pub fn verify(presented: &Secret, phc: &Secret) -> bool {
    let (Ok(argon2), Ok(stored)) = (argon2(), PasswordHash::new(phc.expose())) else { return false };
    argon2.verify_password(presented.expose().as_bytes(), &stored).is_ok()
}

/// The work of [`verify`] where there is no hash, so that time does not tell who has an account. Blocks.
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
    fn control_characters_and_what_is_easy_to_guess_are_refused() {
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
    fn what_is_no_hash_is_nobodys() {
        for phc in
            ["", "x", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"]
        {
            assert!(!verify(&secret("correct horse battery"), &secret(phc)), "{phc}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what is measured is the time that a caller could measure")]
    fn an_absent_account_costs_what_a_wrong_password_costs() {
        let phc = hash(&Password::parse(secret("correct horse battery"), &[]).unwrap()).unwrap();
        let presented = secret("not the password");
        let once = |work: &dyn Fn()| {
            let began = Instant::now();
            work();
            began.elapsed()
        };
        // The fastest of many, one beside the other: what else the machine does only makes them slower.
        let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
        let is_like =
            |known: Duration, unknown: Duration| (0.8..1.25).contains(&(known.as_secs_f64() / unknown.as_secs_f64()));
        for round in 0..50 {
            known = known.min(once(&|| assert!(!verify(&presented, &phc))));
            unknown = unknown.min(once(&|| absent(&presented)));
            if round >= 5 && is_like(known, unknown) {
                return;
            }
        }
        panic!("{known:?} against {unknown:?}");
    }
}
