//! The size and the estimated duration of a measurement, as its flags select it, and its progress.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use tokio::time::Instant;

use crate::rows::{IDLE, LATENCY, MEMORY, ROWS, Row, RowKind, TRANSFORM, WEBSOCKET};

/// Rows whose name also selects another row.
const ALSO: [(&str, &str); 3] = [("llm", "targets"), (WEBSOCKET, "websocket-64k"), (TRANSFORM, "tls-both")];
/// The time of starting all programs, or the Tollgates of a row.
const START: Duration = Duration::from_secs(4);
/// Smaller measurements are not results.
const RESULT_PAIRS: u32 = 12;
const RESULT_SECONDS: u64 = 2;

/// Options of the comparison. The project's method uses the defaults.
#[derive(clap::Args, Clone)]
pub(crate) struct RunFlags {
    /// Rows to measure, separated by commas; by default all
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(Row::names()))]
    pub(crate) only: Vec<String>,
    /// A smoke check in little time, with 2 rounds of 1 s; its figures are no result
    #[arg(long, conflicts_with_all = ["pairs", "seconds"])]
    pub(crate) quick: bool,
    /// Requests per second of the row `latency`; by default half of the smallest maximum
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    #[command(flatten)]
    pub(crate) size: SizeFlags,
}

/// The size of a comparison in rounds, and its places.
#[derive(clap::Args, Clone)]
pub(crate) struct SizeFlags {
    /// Interleaved rounds of runs per row; results need at least 12
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub(crate) pairs: u32,
    /// Duration of a run in seconds; results need at least 2
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Number of connections of wrk
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub(crate) connections: u32,
    #[command(flatten)]
    pub(crate) places: PlaceFlags,
}

/// The folders of the binary and of the output.
#[derive(clap::Args, Clone)]
pub(crate) struct PlaceFlags {
    /// The folder of the binary `tollgate`; by default that of this binary
    #[arg(long)]
    pub(crate) profile_dir: Option<PathBuf>,
    /// The folder of the raw output
    #[arg(long, default_value = "bench/out")]
    pub(crate) out: PathBuf,
}

impl RunFlags {
    /// The flags with all selected rows and, if quick, the size of a smoke check.
    pub(crate) fn planned(mut self) -> Self {
        if self.only.is_empty() {
            self.only = Row::names().into_iter().map(str::to_owned).collect();
        }
        for (name, also) in ALSO {
            if self.has(name) && !self.has(also) {
                self.only.push(also.to_owned());
            }
        }
        if !self.quick {
            return self;
        }
        Self { size: SizeFlags { pairs: 2, seconds: 1, ..self.size }, ..self }
    }

    pub(crate) fn has(&self, row: &str) -> bool {
        self.only.iter().any(|chosen| chosen == row)
    }

    pub(crate) fn compared(&self) -> impl Iterator<Item = Row> {
        ROWS.into_iter().filter(|row| self.has(row.name))
    }

    /// Whether Envoy and Traefik are needed.
    pub(crate) fn has_peers(&self) -> bool {
        let needs = |row: Row| matches!(row.kind, RowKind::Proxies(proxies, _) if proxies.len() > 2);
        self.has(LATENCY) || self.compared().any(needs)
    }

    /// Whether the measurement is large enough to be quoted.
    pub(crate) const fn is_result(&self) -> bool {
        self.size.pairs >= RESULT_PAIRS && self.size.seconds >= RESULT_SECONDS
    }

    /// The number of idle connections.
    pub(crate) const fn idle_connections(&self) -> u32 {
        if self.quick { 200 } else { 10_000 }
    }

    /// The requests before the second reading of the memory, and the seconds of rest then.
    pub(crate) const fn memory_load(&self) -> (u64, u64) {
        if self.quick { (1, 1) } else { (1_000_000, 60) }
    }

    /// The time between the start and the first reading of the memory, and before readings of idle connections.
    pub(crate) const fn settle(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { 5 })
    }

    /// The estimated duration of the whole measurement.
    pub(crate) fn estimate(&self) -> Duration {
        self.only.iter().map(|row| self.row_estimate(row)).sum::<Duration>() + self.preparation()
    }

    /// The estimated duration of everything before the rows.
    pub(crate) fn preparation(&self) -> Duration {
        START + self.settle()
    }

    /// The estimated duration of one round of a row, with the drain of the spool after each run.
    pub(crate) fn round_estimate(&self, name: &str) -> Duration {
        let sides = Row::find(name).map_or(if name == LATENCY { 6 } else { 2 }, |row| row.sides());
        Duration::from_millis(self.size.seconds * 1_000 + 500) * u32::try_from(sides).unwrap_or(u32::MAX)
    }

    /// The estimated duration of one row.
    pub(crate) fn row_estimate(&self, name: &str) -> Duration {
        match name {
            IDLE => START + self.settle() * 3,
            MEMORY => Duration::from_secs(self.memory_load().0 / 20_000 + self.memory_load().1),
            _ => START + self.round_estimate(name) * (self.size.pairs + 1),
        }
    }
}

/// The share of the estimate that is done.
pub(crate) struct Progress {
    total: Duration,
    done: Duration,
    began: Instant,
}

impl Progress {
    pub(crate) fn begin(total: Duration) -> Self {
        Self { total, done: Duration::ZERO, began: Instant::now() }
    }

    /// Prints a finished step; `estimate` is its estimated duration.
    pub(crate) fn step(&mut self, estimate: Duration, what: &str) {
        self.done += estimate;
        println!("{} {what}", mark(self.done, self.total, self.began.elapsed()));
    }
}

/// The share that is done, and the remaining time at the speed so far.
fn mark(done: Duration, total: Duration, elapsed: Duration) -> String {
    let share = (done.as_secs_f64() / total.as_secs_f64()).min(1.0);
    let left = if share > 0.0 { elapsed.mul_f64((1.0 - share) / share) } else { total };
    format!("[{:3.0}%, {} left]", share * 100.0, minutes(left))
}

/// A duration in seconds, or in minutes from two minutes.
pub(crate) fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 120 { format!("{seconds:2} s") } else { format!("{:2} min", (seconds + 30) / 60) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::BenchCli;

    fn plan(arguments: &[&str]) -> RunFlags {
        let cli = BenchCli::try_parse_from(["bench"].iter().chain(arguments)).unwrap();
        cli.flags.planned()
    }

    #[test]
    fn flags_select_rows_and_size() {
        assert_eq!((plan(&[]).only.len(), plan(&[]).size.pairs, plan(&[]).is_result()), (32, 12, true));
        let chosen = plan(&["--only", "keyed,plain,idle"]);
        let names: Vec<&str> = chosen.compared().map(|row| row.name).collect();
        assert_eq!((names, chosen.has(IDLE), chosen.has(MEMORY)), (vec!["plain", "keyed"], true, false));
        for (rows, expected) in [("llm", vec!["llm", "targets"]), ("targets,llm", vec!["targets", "llm"])] {
            assert_eq!(plan(&["--only", rows]).only, expected);
        }
        assert!(plan(&["--only", WEBSOCKET]).has("websocket-64k"));
        assert!(!plan(&["--only", "websocket-64k"]).has(WEBSOCKET));
        for small in [&["--quick"][..], &["--pairs", "11"], &["--seconds", "1"]] {
            assert!(!plan(small).is_result(), "{small:?}");
        }
        let has_peers = |rows: &str| plan(&["--only", rows]).has_peers();
        assert!(has_peers("plain") && has_peers("jwt") && has_peers(LATENCY) && !has_peers("keyed,cold"));
        assert!(BenchCli::try_parse_from(["bench", "--only", "plane"]).is_err());
        assert!(BenchCli::try_parse_from(["bench", "--quick", "--pairs", "12"]).is_err());
    }

    #[test]
    fn the_estimate_is_the_sum_of_all_runs() {
        let plan = plan(&["--only", "plain", "--pairs", "10", "--seconds", "4"]);
        // 11 rounds of five runs, and the start; then the start of all programs, and rest.
        assert_eq!(plan.row_estimate("plain"), Duration::from_millis(11 * 5 * 4_500 + 4_000));
        assert_eq!(plan.estimate(), Duration::from_millis(251_500 + 4_000 + 5_000));
        assert!(Row::names().iter().all(|row| plan.row_estimate(row) > Duration::ZERO));
    }

    #[test]
    fn the_remaining_time_follows_the_speed_so_far() {
        let seconds = Duration::from_secs;
        assert_eq!(mark(seconds(0), seconds(600), seconds(0)), "[  0%, 10 min left]");
        assert_eq!(mark(seconds(300), seconds(600), seconds(450)), "[ 50%,  8 min left]");
        assert_eq!(mark(seconds(700), seconds(600), seconds(450)), "[100%,  0 s left]");
        assert_eq!(minutes(seconds(119)), "119 s");
    }
}
