//! The memory at rest, after load, and of idle connections.

use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::sleep;

use crate::client::PlainConnection;
use crate::counts::drained;
use crate::load::{Load, LoadKind};
use crate::plan::RunFlags;
use crate::process::pss_kib;
use crate::product::{MockProcess, ServerConfig};
use crate::report::Figure;
use crate::request::BenchRequest;
use crate::rounds::Rounds;
use crate::sides::{CountedProduct, SideStart};
use crate::stats::Target;

/// Connections that are opened and closed before the first reading, so that it includes memory that is allocated once.
const FIRST_CONNECTIONS: u32 = 20;
/// Descriptors besides those of the connections.
const OTHER_DESCRIPTORS: u64 = 1_000;
/// The number of connections of the targets.
const TARGET_CONNECTIONS: u32 = 10_000;
const TARGET_WEBSOCKETS: u32 = 5_000;

/// Sends requests until the plan's number is reached, rests, and reads the memory.
pub(crate) async fn after_load(
    rounds: &Rounds<'_>,
    main: &CountedProduct,
    plan: &RunFlags,
    at_rest_kib: u64,
    mut requests: u64,
) -> anyhow::Result<Vec<Figure>> {
    let request = BenchRequest::KEYED;
    let keys = [main.product.key.clone()];
    let (least, rest) = plan.memory_load();
    while requests < least {
        let load = Load { kind: LoadKind::Wrk, request: &request, keys: &keys, once: false, seconds: rounds.seconds };
        requests += rounds.generators.run(load, main.product.proxy).await?.requests.max(1);
    }
    drained(&main.product).await?;
    sleep(Duration::from_secs(rest)).await;
    let loaded_kib = pss_kib(&main.product.group.account)?;
    let what = format!("MiB after {requests} requests and {rest} s of rest");
    Ok(vec![
        Figure::once(String::from("MiB at rest"), kib(at_rest_kib) / 1_024.0, Target::must(30.0)),
        Figure::once(what, kib(loaded_kib) / 1_024.0, Target::must(60.0)),
    ])
}

/// Starts another Tollgate, so that no memory of an earlier load is reused, and opens connections: keep-alive ones, each of
/// which has sent one request, or WebSockets.
pub(crate) async fn idle(start: &SideStart<'_>, plan: &RunFlags, websockets: bool) -> anyhow::Result<Vec<Figure>> {
    let (name, config, connections) = if websockets {
        let connections = plan.idle_connections().min(TARGET_WEBSOCKETS);
        ("idle-websockets", ServerConfig::full(start.proxies.origin), connections)
    } else {
        ("idle", ServerConfig::default(), plan.idle_connections())
    };
    allow_descriptors(u64::from(connections) * 2 + OTHER_DESCRIPTORS)?;
    // A mock that was started before has a lower limit of descriptors.
    let mock = MockProcess::start(start.program, start.out, &format!("mock-{name}")).await?;
    let product = start.product(&format!("tollgate-{name}"), config, mock.address).await?;
    let open = async || {
        if websockets {
            return PlainConnection::websocket(product.proxy).await;
        }
        let mut connection = PlainConnection::open(product.proxy).await?;
        connection.exchange(&BenchRequest::PLAIN.bytes("")).await?;
        Ok(connection)
    };
    for _ in 0..FIRST_CONNECTIONS {
        open().await?;
    }
    sleep(plan.settle()).await;
    let rest_kib = pss_kib(&product.group.account)?;
    let mut all = Vec::new();
    for number in 0..connections {
        all.push(open().await.with_context(|| format!("connection {number}"))?);
    }
    sleep(plan.settle()).await;
    let open_kib = pss_kib(&product.group.account)?;
    let lost = all.iter().filter(|connection| !connection.is_idle()).count();
    ensure!(lost == 0, "Tollgate closed {lost} of {connections} idle connections");
    Ok(idle_figures(websockets, connections, kib(open_kib) - kib(rest_kib)))
}

fn idle_figures(websockets: bool, connections: u32, above_rest_kib: f64) -> Vec<Figure> {
    let (name, all, target) = if websockets {
        ("WebSocket", TARGET_WEBSOCKETS, Target::NONE)
    } else {
        ("connection", TARGET_CONNECTIONS, Target::must(4.0).aiming(2.0))
    };
    let target_of_all = if connections >= all { Target::must(40.0) } else { Target::NONE };
    let each = above_rest_kib / f64::from(connections.max(1));
    let whole = format!("MiB of {connections} idle {name}s above rest");
    vec![
        Figure::once(format!("KiB per idle {name}, of {connections}"), each, target),
        Figure::once(whole, above_rest_kib / 1_024.0, target_of_all),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "below 2^52")]
const fn kib(kib: u64) -> f64 {
    kib as f64
}

/// Raises the limit of open files of this process and of those that it starts.
pub(crate) fn allow_descriptors(needed: u64) -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "{needed} open files are needed, and the limit is {}: raise it (ulimit -Hn)",
        maximum.unwrap_or_default()
    );
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_divided_among_the_connections() {
        for (connections, each, all, target) in
            [(10_000, 2.56, 25.0, Target::must(40.0)), (200, 128.0, 25.0, Target::NONE)]
        {
            let figures = idle_figures(false, connections, 25_600.0);
            let found: Vec<f64> = figures.iter().map(|figure| figure.measured.unwrap().median).collect();
            assert_eq!((found, figures[1].target), (vec![each, all], target));
        }
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
