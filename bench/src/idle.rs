//! The memory of idle keep-alive connections, each of which has sent one request.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::time::sleep;

use crate::connection::PlainConnection;
use crate::memory::pss_kib;
use crate::plan::RunPlan;
use crate::product::{LIMITED, Product, ProductFiles, ServerSettings};
use crate::scenario::BenchScenario;
use crate::target::Target;

/// Connections that are opened and closed before the first reading, so that it includes memory that is allocated once.
const FIRST_CONNECTIONS: u32 = 20;
/// Descriptors besides those of the connections.
const OTHER_DESCRIPTORS: u64 = 1_000;
/// The number of connections of the targets.
const TARGET_CONNECTIONS: u32 = 10_000;
/// The target of one connection in KiB.
pub(crate) const CONNECTION_KIB: Target = Target::must(4.0).aiming(2.0);
const ABOVE_REST_MIB: Target = Target::must(40.0);

/// The proportional set sizes of Tollgate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct IdleMemory {
    pub(crate) connections: u32,
    pub(crate) rest_kib: u64,
    pub(crate) open_kib: u64,
}

impl IdleMemory {
    /// Starts another Tollgate, so that no memory of an earlier load is reused, and opens the connections.
    pub(crate) async fn measure(
        program: &Path,
        backend: SocketAddr,
        plan: &RunPlan,
        out: &Path,
    ) -> anyhow::Result<Self> {
        let connections = plan.idle_connections;
        allow_descriptors(u64::from(connections) + OTHER_DESCRIPTORS)?;
        let dir = tempfile::tempdir()?;
        let data = dir.path().join("data");
        let (name, url, server) = ("tollgate-idle", None, ServerSettings::COMPARED);
        let places = ProductFiles { program, data: &data, out, name, url, limits: LIMITED, server };
        let product = Product::start(&places, backend).await?;
        let request = BenchScenario::plain().request("");
        for _ in 0..FIRST_CONNECTIONS {
            PlainConnection::open(product.proxy).await?.exchange(&request).await?;
        }
        sleep(plan.settle).await;
        let rest_kib = pss_kib(&product.group.account)?;
        let mut open = Vec::new();
        for number in 0..connections {
            let mut connection = PlainConnection::open(product.proxy).await?;
            connection.exchange(&request).await.with_context(|| format!("connection {number}"))?;
            open.push(connection);
        }
        sleep(plan.settle).await;
        let open_kib = pss_kib(&product.group.account)?;
        let lost = open.iter().filter(|connection| !connection.is_idle()).count();
        ensure!(lost == 0, "Tollgate closed {lost} of {connections} idle connections");
        Ok(Self { connections, rest_kib, open_kib })
    }

    pub(crate) fn connection_kib(&self) -> f64 {
        self.above_rest_kib() / f64::from(self.connections.max(1))
    }

    pub(crate) fn above_rest_mib(&self) -> f64 {
        self.above_rest_kib() / 1_024.0
    }

    /// The target of all connections, which is for [`TARGET_CONNECTIONS`].
    pub(crate) const fn above_rest_target(&self) -> Target {
        if self.connections >= TARGET_CONNECTIONS { ABOVE_REST_MIB } else { Target::NONE }
    }

    #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
    fn above_rest_kib(&self) -> f64 {
        self.open_kib as f64 - self.rest_kib as f64
    }
}

/// Raises the limit of open files of this process and of those that it starts.
fn allow_descriptors(needed: u64) -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "idle connections need {needed} open files, and the limit is {}: raise it (ulimit -Hn), or use --idle-connections",
        maximum.unwrap_or_default()
    );
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_divided_among_the_connections() {
        let idle = IdleMemory { connections: 10_000, rest_kib: 10_000, open_kib: 35_600 };
        assert!((idle.connection_kib() - 2.56).abs() < 1e-9 && (idle.above_rest_mib() - 25.0).abs() < 1e-9);
        let few = IdleMemory { connections: 200, ..idle };
        assert_eq!((idle.above_rest_target(), few.above_rest_target()), (ABOVE_REST_MIB, Target::NONE));
    }

    #[test]
    fn more_descriptors_than_the_hard_limit_are_refused() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        if let Some(maximum) = maximum {
            assert!(allow_descriptors(maximum + 1).is_err());
        }
        allow_descriptors(1).unwrap();
    }
}
