//! The mock provider and its record of received requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::child::Process;
use crate::client::Call;
use crate::commands;
use crate::setup::Folder;
use crate::wait::eventually_within;

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A mock, either built into a server or a separate process.
#[derive(Debug)]
pub struct Mock {
    address: SocketAddr,
    _own: Option<(Process, Folder)>,
}

impl Mock {
    /// Wraps the mock that listens at `address`.
    #[must_use]
    pub const fn from_address(address: SocketAddr) -> Self {
        Self { address, _own: None }
    }

    /// Starts `tollgate mock` as a separate process.
    pub async fn start() -> Self {
        let folder = Folder::new();
        let process = Process::new(commands::mock(&folder));
        let address = eventually_within(START_TIMEOUT, "the mock listens", async || {
            let printed = folder.read("mock.stdout");
            printed.split_once("listening on http://")?.1.strip_suffix('\n')?.parse().ok()
        })
        .await;
        Self { address, _own: Some((process, folder)) }
    }

    /// Returns the address on which the mock listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the record of a model (its name without `mock/`) from `GET /mock/seen`: `requests`, `bodies` and
    /// `credentials` (each distinct `NAME: VALUE`). Of the last request it contains `method`, `target`, `headers` and
    /// `parts` (of a form).
    pub async fn seen(&self, model: &str) -> Value {
        Call::get("/mock/seen").send(self.address).await.expect(200).json()["models"][model].clone()
    }

    /// Returns how many requests for a model the mock received.
    pub async fn requests(&self, model: &str) -> u64 {
        self.seen(model).await["requests"].as_u64().unwrap_or(0)
    }

    /// Returns how many requests for each model the mock received; the mock distinguishes at most 10,000 names.
    pub async fn models(&self) -> BTreeMap<String, u64> {
        let seen = Call::get("/mock/seen").send(self.address).await.expect(200).json();
        let models = seen["models"].as_object().into_iter().flatten();
        models.map(|(name, seen)| (name.clone(), seen["requests"].as_u64().unwrap_or(0))).collect()
    }
}
