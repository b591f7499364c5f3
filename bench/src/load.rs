//! The load generators wrk and h2load, and their outputs.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::protocols;
use crate::request::{BenchRequest, EchoedMessage, RequestBody};

/// The result of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LoadRun {
    pub(crate) requests: u64,
    /// The bytes with heads and framing.
    pub(crate) read_bytes: u64,
    /// The number of responses other than 2xx and 3xx, and of socket errors.
    pub(crate) failed: u64,
    /// The output of the generator.
    pub(crate) raw: String,
}

/// The kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadKind {
    /// wrk: HTTP/1.1, as fast as possible.
    Wrk,
    /// h2load: HTTP/2 with this number of streams on each connection, as fast as possible.
    Streams { connections: u32, streams: u32 },
    /// h2load: HTTP/1.1 with this number of requests per second on each connection.
    Rate { connections: u32, each: u32 },
    /// WebSockets with messages of this size, each sent as soon as the one before has come back.
    Echoes { bytes: u32 },
}

impl LoadKind {
    /// Returns the requests that may be open when a run ends; wrk has these connections.
    pub(crate) const fn open(self, connections: u32) -> u64 {
        match self {
            Self::Wrk | Self::Echoes { .. } => connections as u64,
            Self::Streams { connections, streams } => connections as u64 * streams as u64,
            Self::Rate { connections, .. } => connections as u64,
        }
    }
}

/// The programs that create load.
#[derive(Clone, Copy)]
pub(crate) struct Generators<'a> {
    pub(crate) wrk: &'a Path,
    pub(crate) h2load: Option<&'a Path>,
    /// The folder of the Lua file. The file contains keys and is not kept.
    pub(crate) dir: &'a Path,
    pub(crate) connections: u32,
}

/// One run of a load.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) kind: LoadKind,
    pub(crate) request: &'a BenchRequest,
    /// No key, one key, or several that are used in turn.
    pub(crate) keys: &'a [String],
    /// Whether each key is used once, until all are used.
    pub(crate) once: bool,
    pub(crate) seconds: u64,
}

impl Generators<'_> {
    /// Runs a load with one thread. With one key, wrk sets the request once and runs no Lua meanwhile.
    pub(crate) async fn run(&self, load: Load<'_>, target: SocketAddr) -> anyhow::Result<LoadRun> {
        let Load { kind, request, keys, once, seconds } = load;
        let url = format!("{}://{target}{}", request.scheme, request.path);
        let mut command = Command::new(self.wrk);
        if let LoadKind::Echoes { bytes } = kind {
            let message = EchoedMessage::with_bytes(bytes);
            let echo_bytes = u64::try_from(message.echo.len())?;
            let requests = protocols::echoes(target, self.connections, message, seconds).await?;
            let raw = format!("{requests} messages of {bytes} bytes\n");
            return Ok(LoadRun { requests, read_bytes: requests * echo_bytes, failed: 0, raw });
        }
        if kind == LoadKind::Wrk {
            let script = self.dir.join("request.lua");
            std::fs::write(&script, request.lua(keys, once))?;
            let size = [format!("-c{}", self.connections), format!("-d{seconds}s")];
            command.arg("-t1").args(size).args(["--timeout", "10s", "-s"]).arg(&script);
        } else {
            command = Command::new(self.h2load.context("internal error: h2load was not searched")?);
            command.args(["--threads=1", &format!("--duration={seconds}")]);
            command
                .args(keys.first().into_iter().flat_map(|key| ["-H".into(), format!("authorization: Bearer {key}")]))
                .args(request.headers.iter().flat_map(|(name, value)| ["-H".into(), format!("{name}: {value}")]));
            if request.body == RequestBody::Message {
                let message = self.dir.join("message");
                std::fs::write(&message, request.body())?;
                command.arg("-d").arg(message);
            }
        }
        match kind {
            LoadKind::Wrk | LoadKind::Echoes { .. } => {}
            LoadKind::Streams { connections, streams } => {
                command.args([format!("--clients={connections}"), format!("--max-concurrent-streams={streams}")]);
            }
            LoadKind::Rate { connections, each } => {
                command.args(["--h1", &format!("--clients={connections}"), &format!("--rps={each}")]);
            }
        }
        let output = command.arg(url).kill_on_drop(true).output().await.context("the load generator")?;
        let raw = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("{command:?}: {}: {raw}{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        if kind == LoadKind::Wrk { wrk_run(raw) } else { h2load_run(raw) }
    }
}

/// Parses the line that the script of [`BenchRequest::lua`] prints.
fn wrk_run(raw: String) -> anyhow::Result<LoadRun> {
    let counts = raw.lines().find_map(|line| line.strip_prefix("bench:"));
    let counts: Option<Vec<u64>> =
        counts.and_then(|line| line.split_whitespace().map(|word| word.parse().ok()).collect());
    let counts = counts.and_then(|counts| <[u64; 3]>::try_from(counts).ok());
    let [requests, read_bytes, failed] = counts.with_context(|| format!("the output of wrk has no counts: {raw}"))?;
    Ok(LoadRun { requests, read_bytes, failed, raw })
}

fn h2load_run(raw: String) -> anyhow::Result<LoadRun> {
    let line = |name: &str| raw.lines().find_map(|line| line.strip_prefix(name));
    let number = |line: &str, what: &str| {
        let part = line.split(',').find_map(|part| part.trim().strip_suffix(what));
        part.and_then(|number| number.trim().parse::<u64>().ok())
    };
    let requests = line("requests: ").with_context(|| format!("the output of h2load has no requests: {raw}"))?;
    let of = |what: &str| number(requests, what).with_context(|| format!("h2load reports no requests{what}: {raw}"));
    let done = of(" succeeded")?;
    let failed = of(" failed")? + of(" errored")? + of(" timeout")?;
    let statuses = line("status codes: ").with_context(|| format!("the output of h2load has no statuses: {raw}"))?;
    let wrong = [" 4xx", " 5xx"].into_iter().filter_map(|class| number(statuses, class)).sum::<u64>();
    let read_bytes = line("traffic: ")
        .and_then(|traffic| traffic.split_once('(')?.1.split_once(')')?.0.parse().ok())
        .with_context(|| format!("the output of h2load has no traffic: {raw}"))?;
    Ok(LoadRun { requests: done, read_bytes, failed: failed + wrong, raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_wrk_is_parsed() {
        let run = wrk_run("Running 1s test\nRequests/sec:  52908.21\nbench: 52931 12593397 7\n".to_owned()).unwrap();
        assert_eq!((run.requests, run.read_bytes, run.failed), (52_931, 12_593_397, 7));
        assert!(wrk_run(String::from("unable to connect")).is_err());
    }

    const REPORT: &str = "starting benchmark...\nApplication protocol: h2c\n\nfinished in 1.00s, 5000.00 req/s, 1.2MB/s\n\
        requests: 5000 total, 5050 started, 5000 done, 4990 succeeded, 3 failed, 4 errored, 3 timeout\n\
        status codes: 4990 2xx, 0 3xx, 2 4xx, 1 5xx\n\
        traffic: 1.20MB (1258291) total, 100.0KB (102400) headers (space savings 90.00%), 500.00KB (512000) data\n";

    #[test]
    fn the_output_of_h2load_is_parsed() {
        let run = h2load_run(REPORT.to_owned()).unwrap();
        assert_eq!((run.requests, run.failed, run.read_bytes), (4_990, 13, 1_258_291));
        assert!(h2load_run(String::from("could not resolve")).is_err());
    }
}
