//! The settings of insights that were read last, with what identifies them.

use std::sync::{Arc, Mutex, PoisonError};

use insights::InsightSettings;
use insights::rules::BUILT_IN_VERSION;
use insights::signed_classes::SignedClasses;
use ledger::Ledger;
use sha2::{Digest, Sha256};

use crate::message::problem::Problem;

/// Settings with what identifies them.
#[derive(Debug)]
pub(crate) struct IdentifiedSettings {
    pub(crate) settings: Arc<InsightSettings>,
    /// The digest of the settings.
    pub(crate) digest: u64,
    /// The number in the store; `None` for settings of the configuration.
    number: Option<u64>,
}

impl IdentifiedSettings {
    /// Returns the settings with the rules of an approved day. `is_of_scope`: whether its classes apply too.
    pub(crate) fn with_signed(&self, signed: &SignedClasses, is_of_scope: bool) -> Self {
        let version = signed.rules_version;
        let rules = signed.rules.clone();
        let settings = InsightSettings { version, rules, ..(*self.settings).clone() };
        let text = serde_json::to_vec(&(signed, is_of_scope)).unwrap_or_default();
        let digest = digest(&settings) ^ digest_of(&text);
        Self { settings: Arc::new(settings), digest, number: self.number }
    }
}

/// The settings that were read last, so that a cached response needs neither their text nor their digest.
#[derive(Debug, Default)]
pub(crate) struct KnownSettings(Mutex<Option<Arc<IdentifiedSettings>>>);

impl KnownSettings {
    /// Returns the stored settings with a number; without one, `configured`.
    ///
    /// # Errors
    /// `unavailable`; `internal` for stored settings that this version cannot read.
    pub(crate) async fn numbered(
        &self,
        ledger: &Ledger,
        configured: &Arc<InsightSettings>,
        number: Option<u64>,
    ) -> Result<Arc<IdentifiedSettings>, Problem> {
        let is_same = |known: &IdentifiedSettings| {
            known.number == number && (number.is_some() || Arc::ptr_eq(&known.settings, configured))
        };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| is_same(known)) {
            return Ok(known);
        }
        let settings = match number {
            None => configured.clone(),
            Some(_) => Arc::new(in_force(ledger, configured).await?),
        };
        // Other settings may be in force since the number was read; the version of stored settings is their number.
        let digest = digest(&settings);
        let number = number.map(|_| settings.version);
        let read = Arc::new(IdentifiedSettings { settings, digest, number });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(read.clone());
        Ok(read)
    }
}

/// Returns the last stored settings, otherwise `configured`.
///
/// # Errors
/// `unavailable`; `internal` for stored settings that this version cannot read.
pub(crate) async fn in_force(ledger: &Ledger, configured: &InsightSettings) -> Result<InsightSettings, Problem> {
    let Some((number, text)) = ledger.insight_settings().await? else {
        return Ok(configured.clone());
    };
    let settings: InsightSettings = serde_json::from_str(&text).map_err(Problem::fault)?;
    Ok(InsightSettings { version: number, ..settings })
}

/// Returns a digest of settings and of the version of the built-in rules, so that responses of others are not taken for
/// theirs. The version of the settings does not suffice: another configuration has the same one.
fn digest(settings: &InsightSettings) -> u64 {
    // Numbers and texts can always be written.
    digest_of(&serde_json::to_vec(settings).unwrap_or_default())
}

/// Returns a digest of a text and of the version of the built-in rules.
fn digest_of(text: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update(text).chain_update(BUILT_IN_VERSION.to_be_bytes()).finalize();
    digest.first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
}
