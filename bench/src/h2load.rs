//! The load generator h2load and its output: streams of HTTP/2, and HTTP/1.1 at a fixed rate.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::wrk::WrkRun;

/// The options of h2load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct H2load<'a> {
    pub(crate) program: &'a Path,
    pub(crate) seconds: u64,
}

/// The kind of load that h2load creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum H2loadMode {
    /// HTTP/2 with this number of streams on each connection, as fast as possible.
    Streams { connections: u32, streams: u32 },
    /// HTTP/1.1 with this number of requests per second on each connection.
    Rate { connections: u32, each: u32 },
}

impl H2load<'_> {
    /// Sends GET requests for `path`, with the key if there is one.
    pub(crate) async fn run(
        &self,
        mode: H2loadMode,
        target: SocketAddr,
        path: &str,
        key: Option<&str>,
    ) -> anyhow::Result<WrkRun> {
        let mut command = Command::new(self.program);
        command.args(["--threads=1", &format!("--duration={}", self.seconds)]).args(mode.arguments());
        if let Some(key) = key {
            command.args(["--header", &format!("authorization: Bearer {key}")]);
        }
        command.arg(format!("http://{target}{path}")).kill_on_drop(true);
        let output = command.output().await.context("h2load")?;
        let raw = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("h2load: {}: {raw}{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        read(raw)
    }
}

impl H2loadMode {
    /// Returns the requests per second, if they are fixed.
    pub(crate) const fn rate(self) -> Option<u64> {
        match self {
            Self::Streams { .. } => None,
            Self::Rate { connections, each } => Some(connections as u64 * each as u64),
        }
    }

    fn arguments(self) -> Vec<String> {
        match self {
            Self::Streams { connections, streams } => {
                vec![format!("--clients={connections}"), format!("--max-concurrent-streams={streams}")]
            }
            Self::Rate { connections, each } => {
                vec![String::from("--h1"), format!("--clients={connections}"), format!("--rps={each}")]
            }
        }
    }
}

fn read(raw: String) -> anyhow::Result<WrkRun> {
    let line = |name: &str| raw.lines().find_map(|line| line.strip_prefix(name));
    let number = |line: &str, what: &str| {
        let part = line.split(',').find_map(|part| part.trim().strip_suffix(what));
        part.and_then(|number| number.trim().parse::<u64>().ok())
    };
    let requests = line("requests: ").with_context(|| format!("the output of h2load has no requests: {raw}"))?;
    let of = |what: &str| number(requests, what).with_context(|| format!("h2load reports no requests{what}: {raw}"));
    let (done, failed) = (of(" succeeded")?, of(" failed")? + of(" errored")? + of(" timeout")?);
    let statuses = line("status codes: ").with_context(|| format!("the output of h2load has no statuses: {raw}"))?;
    let wrong = [" 4xx", " 5xx"].into_iter().filter_map(|class| number(statuses, class)).sum::<u64>();
    let read_bytes = line("traffic: ")
        .and_then(|traffic| traffic.split_once('(')?.1.split_once(')')?.0.parse().ok())
        .with_context(|| format!("the output of h2load has no traffic: {raw}"))?;
    Ok(WrkRun { requests: done, read_bytes, failed: failed + wrong, raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "starting benchmark...\nApplication protocol: h2c\n\nfinished in 1.00s, 5000.00 req/s, 1.2MB/s\n\
        requests: 5000 total, 5050 started, 5000 done, 4990 succeeded, 3 failed, 4 errored, 3 timeout\n\
        status codes: 4990 2xx, 0 3xx, 2 4xx, 1 5xx\n\
        traffic: 1.20MB (1258291) total, 100.0KB (102400) headers (space savings 90.00%), 500.00KB (512000) data\n";

    #[test]
    fn output_is_parsed() {
        let run = read(REPORT.to_owned()).unwrap();
        assert_eq!((run.requests, run.failed, run.read_bytes), (4_990, 13, 1_258_291));
        assert!(read(String::from("could not resolve")).is_err());
    }
}
