//! The classes of an approved day, which changes of the rules leave as they were approved.

use serde::{Deserialize, Serialize};

use crate::brief::ClassCount;
use crate::classification::{ClassShare, Classification};
use crate::rules::BUILT_IN_VERSION;
use crate::settings::{ClassRule, InsightSettings};

/// The classification that a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedClasses {
    /// The version of the settings with the configured rules.
    pub rules_version: u64,
    /// The version of the built-in rules.
    pub built_in_rules_version: u64,
    /// The rules that were configured then.
    pub rules: Vec<ClassRule>,
    /// The requests by class.
    pub classes: Vec<ClassCount>,
}

impl SignedClasses {
    /// Returns the classes of a day by the rules of these settings.
    #[must_use]
    pub fn from_classification(day: &Classification, settings: &InsightSettings) -> Self {
        let count = |of: &ClassShare| ClassCount { class: of.class, requests: of.requests };
        Self {
            rules_version: settings.version,
            built_in_rules_version: BUILT_IN_VERSION,
            rules: settings.rules.clone(),
            classes: day.classes.iter().map(count).collect(),
        }
    }
}
