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
    /// The bytes with heads and framing, with a precision of about 10 KiB.
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
    /// Returns the requests per second, if they are fixed.
    pub(crate) const fn rate(self) -> Option<u64> {
        match self {
            Self::Wrk | Self::Streams { .. } | Self::Echoes { .. } => None,
            Self::Rate { connections, each } => Some(connections as u64 * each as u64),
        }
    }

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
        let (url, mut command) = (format!("{}://{target}{}", request.scheme, request.path), Command::new(self.wrk));
        if let LoadKind::Echoes { bytes } = kind {
            let message = EchoedMessage::of(bytes);
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

fn wrk_run(raw: String) -> anyhow::Result<LoadRun> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let counted = raw.lines().find_map(|line| line.split_once(" requests in "));
    let requests = counted.and_then(|(requests, _)| number(requests));
    let read = counted.and_then(|(_, rest)| size(rest.split_once(", ")?.1.strip_suffix(" read")?));
    let refused = raw.lines().find_map(|line| number(line.trim().strip_prefix("Non-2xx or 3xx responses:")?));
    let sockets = raw.lines().find_map(|line| line.trim().strip_prefix("Socket errors:"));
    let broken = sockets.map_or(0, |line| line.split([' ', ',']).filter_map(number).sum());
    let requests = requests.with_context(|| format!("the output of wrk has no request count: {raw}"))?;
    let read_bytes = read.with_context(|| format!("the output of wrk has no byte count: {raw}"))?;
    Ok(LoadRun { requests, read_bytes, failed: refused.unwrap_or(0) + broken, raw })
}

/// Parses wrk's `12.01MB`: powers of 1,024 with two decimals.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..)? {
        "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "00"));
    let hundredths = whole.parse::<u64>().ok()? * 100 + decimals.parse::<u64>().ok()?;
    Some(hundredths * unit / 100)
}

fn h2load_run(raw: String) -> anyhow::Result<LoadRun> {
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
    Ok(LoadRun { requests: done, read_bytes, failed: failed + wrong, raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  \
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.33ms    1.90ms  42.21ms   97.71%\n  \
        52931 requests in 1.00s, 12.01MB read\nRequests/sec:  52908.21\nTransfer/sec:     12.00MB\n";

    #[test]
    fn the_output_of_wrk_is_parsed() {
        let check = |raw: &str, requests, failed| {
            let run = wrk_run(raw.to_owned()).unwrap();
            assert_eq!((run.requests, run.failed), (requests, failed));
            assert_eq!(run.read_bytes, 1_201 * (1 << 20) / 100);
        };
        check(CLEAN, 52_931, 0);
        check(&format!("{CLEAN}  Non-2xx or 3xx responses: 12\n"), 52_931, 12);
        check(&format!("{CLEAN}  Socket errors: connect 1, read 2, write 0, timeout 4\n"), 52_931, 7);
        assert_eq!(
            (size("7.00B"), size("1.50KB"), size("2.00GB"), size("1.00")),
            (Some(7), Some(1_536), Some(2 << 30), None)
        );
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
