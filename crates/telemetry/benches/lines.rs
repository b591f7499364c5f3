//! Measures the processor time of a log line at `info`, as a request writes one: `cargo bench -p telemetry`, or with a
//! number of lines and a level, `-- 200000 warn`.
//!
//! Lines go to stderr in bursts, as workers end requests; the result is on stdout. At `warn` no line is written, which
//! measures the pauses between the bursts.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures time and prints it")]

use std::time::{Duration, Instant};

use telemetry::logs::{self, LineFormat, LogOptions};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const LINES: u32 = 1_000_000;
/// Lines between two pauses.
const BURST: u32 = 20;
const PAUSE: Duration = Duration::from_micros(500);

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    // `cargo test --benches` only checks that the benchmark runs.
    let usual = if std::env::args().any(|word| word == "--bench") { LINES } else { BURST };
    let lines = words.first().map_or(Ok(usual), |word| word.parse())?;
    let level = words.get(1).map_or("info", String::as_str);
    let writer = logs::init(LogOptions { format: Some(LineFormat::Json), level, modules: &[] })?;
    let began = Instant::now();
    let cpu = cpu_ticks()?;
    for line in 0..lines {
        log(line);
        if line % BURST == BURST - 1 {
            std::thread::park_timeout(PAUSE);
        }
    }
    let dropped = writer.dropped();
    drop(writer);
    let nanos = (cpu_ticks()? - cpu) * 10_000_000;
    let took = began.elapsed().as_secs_f64();
    println!("{level}: {} ns of CPU a line, {} dropped, {took:.1} s", nanos / u64::from(lines.max(1)), dropped.lines());
    Ok(())
}

fn log(line: u32) {
    let duration_us = u64::from(line);
    tracing::info!(
        request_id = %"0190aa00-0000-7000-8000-000000000001",
        correlation_id = None::<&str>,
        method = %"POST",
        path = Some("/v1/chat/completions"),
        route = %"/v1/chat/completions",
        status = 200_u16,
        outcome = "completed",
        code = None::<&str>,
        cause = None::<&str>,
        user = Some(tracing::field::display("user_0190aa0000007000800000000001")),
        key = Some(tracing::field::display("key_0190aa0000007000800000000001")),
        key_last4 = Some("abcd"),
        model = Some("gpt-5-mini"),
        upstream_id = Some("req_0123456789abcdef0123456789abcdef"),
        duration_us,
        "request"
    );
}

/// Processor time of this process in hundredths of a second (`utime` and `stime` of proc_pid_stat(5)).
fn cpu_ticks() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let mut times = fields.split_whitespace().skip(11).take(2);
    times.try_fold(0, |sum, ticks| Ok(sum + ticks.parse::<u64>()?))
}
