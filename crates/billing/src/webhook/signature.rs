//! Signatures by Standard Webhooks: HMAC-SHA256 over the id, the time and the body.

use std::fmt;

use access::credentials::vault::{self, VaultError};
use access::{Secret, Timestamp};
use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};
use uuid::Uuid;

/// The prefix of a secret.
const PREFIX: &str = "whsec_";

/// The secret of an endpoint, and the previous one while it signs too.
#[derive(Clone)]
pub(crate) struct WebhookSecrets(Vec<Secret>);

/// A new secret, and the text that is sealed with it.
pub(crate) struct NewWebhookSecret {
    /// The secret, which is shown once.
    pub(crate) secret: Secret,
    /// The text that is sealed.
    pub(crate) text: Secret,
}

impl WebhookSecrets {
    /// Creates a secret of 32 random bytes. `previous` signs too, if it is given.
    ///
    /// # Errors
    /// [`VaultError::Random`] if no random bytes are available.
    pub(crate) fn generate(previous: Option<&Self>) -> Result<NewWebhookSecret, VaultError> {
        let secret = Secret::new(format!("{PREFIX}{}", vault::random_text()?.expose()));
        let text = match previous.and_then(|previous| previous.0.first()) {
            Some(previous) => Secret::new(format!("{} {}", secret.expose(), previous.expose())),
            None => secret.clone(),
        };
        Ok(NewWebhookSecret { secret, text })
    }

    /// Reads the stored text: the secret, and after a space the previous one, which counts until `previous_until`.
    pub(crate) fn read(text: &Secret, previous_until: Option<Timestamp>, now: Timestamp) -> Self {
        let has_previous = previous_until.is_some_and(|until| now < until);
        let count = if has_previous { 2 } else { 1 };
        Self(text.expose().split(' ').take(count).map(|secret| Secret::new(secret.to_owned())).collect())
    }

    /// Returns the value of `webhook-signature`: one signature for each secret.
    pub(crate) fn sign(&self, id: Uuid, seconds: u64, body: &str) -> String {
        let signed = format!("{id}.{seconds}.{body}");
        let one = |secret: &Secret| {
            let text = secret.expose();
            let mut key = [0; 64];
            // A secret that is not base64 signs with an empty key only if the store was changed by hand.
            let key = Base64::decode(text.strip_prefix(PREFIX).unwrap_or(text), &mut key).unwrap_or_default();
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
            format!("v1,{}", Base64::encode_string(tag.as_ref()))
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookSecrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn a_new_secret_keeps_one_previous_secret() {
        let first = WebhookSecrets::generate(None).unwrap();
        assert!(first.secret.expose().starts_with(PREFIX) && first.secret.expose().len() == PREFIX.len() + 44);
        assert_eq!(first.text, first.secret);
        let at = Timestamp(10);
        let later = Timestamp(11);
        let read = WebhookSecrets::read(&first.text, Some(later), at);
        let second = WebhookSecrets::generate(Some(&read)).unwrap();
        assert_eq!(second.text.expose(), format!("{} {}", second.secret.expose(), first.secret.expose()));
        let third = WebhookSecrets::generate(Some(&WebhookSecrets::read(&second.text, Some(later), at))).unwrap();
        assert_eq!(third.text.expose(), format!("{} {}", third.secret.expose(), second.secret.expose()));
        assert_ne!(first.secret, third.secret);
    }

    #[test]
    fn the_previous_secret_signs_until_its_time() {
        let text = Secret::new(TEXT.to_owned());
        let signed = |until| WebhookSecrets::read(&text, until, Timestamp(10)).sign(Uuid::nil(), 7, "{}");
        let one = signed(Some(Timestamp(10)));
        let both = signed(Some(Timestamp(11)));
        assert_eq!(one, signed(None));
        let both: Vec<&str> = both.split(' ').collect();
        assert_eq!((both.len(), both[0]), (2, one.as_str()));
        assert_ne!(both[0], both[1]);
        assert_eq!(format!("{:?}", WebhookSecrets::read(&text, None, Timestamp(0))), "WebhookSecrets(1)");
    }
}
