//! The load generator wrk and its output.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Serialize;
use tokio::process::Command;

use crate::scenario::BenchScenario;

/// The result of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WrkRun {
    pub(crate) requests: u64,
    /// The bytes with heads and framing, with a precision of about 10 KiB.
    pub(crate) read_bytes: u64,
    /// The number of responses other than 2xx and 3xx, and of socket errors.
    pub(crate) failed: u64,
    /// The output of wrk.
    #[serde(skip)]
    pub(crate) raw: String,
}

/// The options of wrk.
#[derive(Clone, Copy)]
pub(crate) struct Wrk<'a> {
    pub(crate) program: &'a Path,
    /// The folder of the Lua file. The file contains keys and is not kept.
    pub(crate) dir: &'a Path,
    /// One key, or several that are used in turn.
    pub(crate) keys: &'a [String],
    pub(crate) connections: u32,
    pub(crate) seconds: u64,
}

impl Wrk<'_> {
    /// Runs `wrk -t1`. With one key, Lua sets the request once and does nothing during the run.
    pub(crate) async fn run(&self, scenario: &BenchScenario, target: SocketAddr) -> anyhow::Result<WrkRun> {
        let script = self.dir.join("request.lua");
        std::fs::write(&script, scenario.lua(self.keys))?;
        let mut command = Command::new(self.program);
        command
            .args([
                "-t1",
                &format!("-c{}", self.connections),
                &format!("-d{}s", self.seconds),
                "--timeout",
                "10s",
                "-s",
            ])
            .arg(&script)
            .arg(format!("{}://{target}{}", scenario.scheme, scenario.path))
            .kill_on_drop(true);
        let output = command.output().await.context("wrk")?;
        let raw = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("wrk: {}: {raw}{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        WrkRun::read(raw)
    }
}

impl WrkRun {
    fn read(raw: String) -> anyhow::Result<Self> {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let counted = raw.lines().find_map(|line| line.split_once(" requests in "));
        let requests = counted.and_then(|(requests, _)| number(requests));
        let read = counted.and_then(|(_, rest)| size(rest.split_once(", ")?.1.strip_suffix(" read")?));
        let refused = raw.lines().find_map(|line| number(line.trim().strip_prefix("Non-2xx or 3xx responses:")?));
        let sockets = raw.lines().find_map(|line| line.trim().strip_prefix("Socket errors:"));
        let broken = sockets.map_or(0, |line| line.split([' ', ',']).filter_map(number).sum());
        let requests = requests.with_context(|| format!("the output of wrk has no request count: {raw}"))?;
        let read_bytes = read.with_context(|| format!("the output of wrk has no byte count: {raw}"))?;
        Ok(Self { requests, read_bytes, failed: refused.unwrap_or(0) + broken, raw })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  \
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.33ms    1.90ms  42.21ms   97.71%\n  \
        52931 requests in 1.00s, 12.01MB read\nRequests/sec:  52908.21\nTransfer/sec:     12.00MB\n";

    #[test]
    fn output_is_parsed() {
        let check = |raw: &str, requests, failed| {
            let run = WrkRun::read(raw.to_owned()).unwrap();
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
        assert!(WrkRun::read(String::from("unable to connect")).is_err());
    }
}
