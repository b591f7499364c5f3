//! The scenarios of `e2e/fixtures/failover_catalogue.yaml`.

use std::fs;

use serde::Deserialize;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/failover_catalogue.yaml");

/// One scenario of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FailoverScenario {
    pub(super) id: String,
    #[serde(rename = "about")]
    _about: String,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    /// What the first target does at each attempt; the last step repeats.
    pub(super) primary: Vec<ScenarioStep>,
    /// Whether the second target refuses messages that end with an assistant's.
    #[serde(default)]
    pub(super) fallback_refuses_prefill: bool,
    /// Whether an error is the right response.
    #[serde(default)]
    pub(super) right_is_error: bool,
    /// The pause between the calls of an outage.
    #[serde(default)]
    pub(super) calls_every_s: u64,
    /// A longer call hangs.
    pub(super) most_s: u64,
    #[serde(default)]
    pub(super) required: Vec<ScenarioCheck>,
    #[serde(default)]
    pub(super) advisory: Vec<ScenarioCheck>,
    pub(super) verdict: ScenarioVerdict,
}

/// The behaviour of a target at one attempt.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScenarioStep {
    Answer,
    Refuse(ScriptedRefusal),
    Reset,
    Silence,
    Stream(StreamFault),
    /// 503 for this many seconds, then a response.
    DownS(u64),
}

/// An error response of a provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptedRefusal {
    pub(super) status: u16,
    pub(super) code: Option<String>,
    pub(super) retry_after_s: Option<u32>,
}

/// A damaged stream; numbers without a unit count words.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StreamFault {
    pub(super) first_word_after_s: u64,
    pub(super) cut_after: Option<usize>,
    pub(super) cut_pause_s: u64,
    pub(super) broken_after: Option<usize>,
    pub(super) without_sentinel: bool,
}

/// A condition of a scenario.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScenarioCheck {
    PrimaryLeast(usize),
    PrimaryMost(usize),
    FirstGapLeastMs(u64),
    AttemptsWithin(Burst),
    EndsWithinS(u64),
    NotTruncated,
    Whole,
    Usage,
    NamesFallback,
    NoRefusedPrefill,
    AliveAfter,
    ServedWhileDown,
    RecoversWithinS(u64),
}

/// At most `most` attempts in the first `ms` milliseconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Burst {
    pub(super) ms: u64,
    pub(super) most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScenarioVerdict {
    Pass,
    Partial,
    Safe,
    Fail,
}

/// Returns the scenarios of the file.
pub(super) fn read() -> Vec<FailoverScenario> {
    match serde_saphyr::from_str(&fs::read_to_string(FILE).unwrap()) {
        Ok(scenarios) => scenarios,
        Err(error) => panic!("{error}"),
    }
}
