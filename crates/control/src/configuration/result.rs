//! The result of a change of the configuration, and the reasons why one is not applied.

use std::sync::Arc;

use config::{Change, ConfigError, Note};
use store::{ConfigurationError, DatabaseError};
use thiserror::Error;

use super::key::KeyFault;
use super::running::RunningText;

/// The result of a successful change or check.
#[derive(Debug)]
pub struct ConfigurationResult {
    /// The settings that differ from the ones in force before, a bounded number.
    pub changes: Vec<Change>,
    /// The number of further changes.
    pub more: usize,
    /// Facts that may surprise the operator.
    pub notes: Vec<Note>,
    /// The configuration that is in force now.
    pub running: Arc<RunningText>,
}

/// The reason why a configuration was not applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The configuration is invalid, or changes keys that need a restart.
    #[error("{0}")]
    Invalid(#[from] ConfigError),
    /// The client's copy of the configuration is not the one in force.
    #[error("the configuration has changed")]
    Changed,
    /// No stored configuration has this id.
    #[error("no stored configuration has this id")]
    Unknown,
    /// The text of this configuration was not stored, because it contains secrets.
    #[error("the text of this configuration was not stored, because it contains secrets")]
    NotStored,
    /// Demo users, a provider that costs money and a public listener.
    #[error(
        "demo_keys_exposed: the store has demo users, and the configuration adds a provider that costs money to a public listener"
    )]
    DemoKeysExposed,
    /// The plan of users who register does not exist.
    #[error("signup_plan is {plan}, which neither `plans` nor the store has")]
    NoSignupPlan {
        /// The name of the plan.
        plan: String,
    },
    /// The plan of customers who owe does not exist.
    #[error("billing.fallback_plan is {plan}, which neither `plans` nor the store has")]
    NoFallbackPlan {
        /// The name of the plan.
        plan: String,
    },
    /// Billing would be turned off although customers have subscriptions or invoices.
    #[error(
        "billing_needed: billing cannot be turned off while customers have subscriptions, or invoices that are not \
         settled: cancel these subscriptions, and void or write off these invoices; or restart with `billing.enabled: \
         false` in the file, which only interrupts billing"
    )]
    BillingNeeded,
    /// The configuration of an admin key sends stored credentials to another server.
    #[error("an admin key may not change the server that receives the stored credentials of {name}, or remove it")]
    Redirected {
        /// The name of the provider or upstream.
        name: String,
    },
    /// The configuration is in a key of etcd.
    #[error("the configuration comes from the key {key} in etcd; change it there")]
    Followed {
        /// The name of the key.
        key: Arc<str>,
    },
    /// The configuration file had keys, and has none.
    #[error("file_emptied: the configuration file has no key; restart the server to run without routes")]
    FileEmptied,
    /// The key of etcd has no configuration.
    #[error("{fault}")]
    Key {
        /// The defect of the value of the key.
        fault: KeyFault,
    },
    /// An error of the store.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The compiler ended early.
    #[error("the configuration could not be compiled: {0}")]
    Compiler(#[from] tokio::task::JoinError),
}

impl From<ConfigurationError> for ApplyError {
    fn from(error: ConfigurationError) -> Self {
        match error {
            ConfigurationError::Changed => Self::Changed,
            ConfigurationError::Database(error) => Self::Database(error),
        }
    }
}
