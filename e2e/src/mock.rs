//! The mock provider: what it has seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::client::Call;
use crate::commands;
use crate::gateway::Process;
use crate::setup::Folder;
use crate::wait::eventually_within;

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A mock, built into a server or a process of its own.
#[derive(Debug)]
pub struct Mock {
    address: SocketAddr,
    _own: Option<(Process, Folder)>,
}

impl Mock {
    /// The one at `address`.
    #[must_use]
    pub const fn at(address: SocketAddr) -> Self {
        Self { address, _own: None }
    }

    /// `tollgate mock` as a process of its own.
    pub async fn start() -> Self {
        let folder = Folder::new();
        let process = Process::new(commands::mock(&folder));
        let address = eventually_within(START_TIMEOUT, "the mock listens", async || {
            let said = folder.read("mock.stdout");
            said.split_once("listening on http://")?.1.strip_suffix('\n')?.parse().ok()
        })
        .await;
        Self { address, _own: Some((process, folder)) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `GET /mock/seen` says of a model (its name without `mock/`): `requests`, `bodies`, `credentials` (each that ever
    /// came, `NAME: VALUE`), and of the last request `method`, `target`, `headers`, `parts` (of a form).
    pub async fn seen(&self, model: &str) -> Value {
        Call::get("/mock/seen").send(self.address).await.expect(200).json()["models"][model].clone()
    }

    /// How many requests for a model it received.
    pub async fn requests(&self, model: &str) -> u64 {
        self.seen(model).await["requests"].as_u64().unwrap_or(0)
    }

    /// How many requests for each model it received; it tells 10,000 names apart.
    pub async fn models(&self) -> BTreeMap<String, u64> {
        let seen = Call::get("/mock/seen").send(self.address).await.expect(200).json();
        let models = seen["models"].as_object().into_iter().flatten();
        models.map(|(name, seen)| (name.clone(), seen["requests"].as_u64().unwrap_or(0))).collect()
    }
}
