//! The rows of a measurement, their size, and their duration.

use std::time::Duration;

use tokio::time::Instant;

use crate::RunFlags;
use crate::order::Side;
use crate::pair_row::{PairKind, PairRow};
use crate::scenario::BenchScenario;

/// The names of the rows besides those of the scenarios.
pub(crate) const LATENCY: &str = "latency";
pub(crate) const LOG_LEVEL: &str = "info";
pub(crate) const IDLE: &str = "idle";
pub(crate) const MEMORY: &str = "memory";
/// All rows, in the order of the report.
pub(crate) const ROWS: [&str; 21] = [
    "plain",
    "keyed",
    "sdk",
    "sdk-keyed",
    "llm",
    "stream",
    "16k",
    "64k",
    "jwt",
    "routes",
    "backends",
    "http2",
    "tls",
    "handshakes",
    "rate",
    "keys",
    "cold",
    LATENCY,
    LOG_LEVEL,
    IDLE,
    MEMORY,
];

/// The sides of the row of latencies: the backend, four proxies and Tollgate.
const LATENCY_SIDES: u32 = 6;
/// The row with other credentials than a key: it needs another Tollgate.
pub(crate) const JWT: &str = "jwt";
/// The time to sign the tokens of a run.
const SIGNING: Duration = Duration::from_secs(6);
/// The time to create 10,000 users with a key.
const USERS: Duration = Duration::from_secs(20);
/// The time per run besides the load: starts, and the drain of the spool.
const RUN_EXTRA: Duration = Duration::from_millis(500);
/// The duration of a run before the measured ones.
pub(crate) const WARM_SECONDS: u64 = 1;
/// The time of starting all programs, or another Tollgate.
const START: Duration = Duration::from_secs(4);
/// The duration of a round of the pass that checks responses.
const CHECK_ROUND: Duration = Duration::from_millis(600);
/// The requests per second of the load for the memory.
const LOAD_A_SECOND: u64 = 20_000;
/// The connections that are opened per second.
const OPENED_A_SECOND: u32 = 3_000;
/// Smaller measurements are not results.
const RESULT_PAIRS: u32 = 12;
const RESULT_SECONDS: u64 = 2;

/// A measurement, as the flags select it.
#[derive(Debug, Clone)]
pub(crate) struct RunPlan {
    pub(crate) pairs: u32,
    pub(crate) seconds: u64,
    pub(crate) connections: u32,
    pub(crate) rows: Vec<String>,
    pub(crate) memory_requests: u64,
    pub(crate) idle_connections: u32,
    pub(crate) check_rounds: u32,
    /// The time between the start and the first reading of the memory, and before readings of idle connections.
    pub(crate) settle: Duration,
    /// The time of rest before the memory after load is read.
    pub(crate) rest: Duration,
}

impl RunPlan {
    pub(crate) fn of(flags: &RunFlags) -> Self {
        let all = || ROWS.map(str::to_owned).to_vec();
        let plan = Self {
            pairs: flags.pairs,
            seconds: flags.seconds,
            connections: flags.connections,
            rows: if flags.only.is_empty() { all() } else { flags.only.clone() },
            memory_requests: flags.memory_requests,
            idle_connections: flags.idle_connections,
            check_rounds: flags.check_rounds,
            settle: Duration::from_secs(5),
            rest: Duration::from_secs(flags.rest_seconds),
        };
        if !flags.quick {
            return plan;
        }
        Self {
            pairs: 2,
            seconds: 1,
            memory_requests: 1,
            idle_connections: 200,
            check_rounds: 2,
            settle: Duration::from_secs(1),
            rest: Duration::from_secs(1),
            ..plan
        }
    }

    pub(crate) fn has(&self, row: &str) -> bool {
        self.rows.iter().any(|chosen| chosen == row)
    }

    pub(crate) fn scenarios(&self) -> Vec<BenchScenario> {
        BenchScenario::all().into_iter().filter(|scenario| self.has(scenario.name)).collect()
    }

    pub(crate) fn pair_rows(&self) -> Vec<PairRow> {
        PairRow::all().into_iter().filter(|row| self.has(row.name)).collect()
    }

    /// Whether Envoy and Traefik are needed.
    pub(crate) fn has_peers(&self) -> bool {
        self.has(LATENCY) || self.scenarios().iter().any(|scenario| scenario.proxies.contains(&Side::Envoy))
    }

    /// Whether the measurement is large enough to be quoted.
    pub(crate) const fn is_result(&self) -> bool {
        self.pairs >= RESULT_PAIRS && self.seconds >= RESULT_SECONDS
    }

    /// The estimated duration of the whole measurement.
    pub(crate) fn estimate(&self) -> Duration {
        self.rows.iter().map(|row| self.row_estimate(row)).sum::<Duration>() + self.preparation()
    }

    /// The estimated duration of everything before the rows.
    pub(crate) fn preparation(&self) -> Duration {
        START + self.settle + CHECK_ROUND * self.check_rounds
    }

    /// The estimated duration of one row.
    pub(crate) fn row_estimate(&self, row: &str) -> Duration {
        if let Some(pair) = PairRow::all().iter().find(|pair| pair.name == row) {
            return self.pair_estimate(pair);
        }
        if let Some(scenario) = BenchScenario::all().iter().find(|scenario| scenario.name == row) {
            let sides = u32::try_from(scenario.proxies.len()).unwrap_or(u32::MAX) + 1;
            let start = if row == JWT { START } else { Duration::ZERO };
            return start + self.round_estimate(sides) * self.pairs + self.warm_estimate(sides);
        }
        match row {
            LATENCY => {
                let maxima = self.round_estimate(LATENCY_SIDES) + self.warm_estimate(LATENCY_SIDES);
                maxima + self.round_estimate(LATENCY_SIDES) * self.pairs + self.warm_estimate(LATENCY_SIDES)
            }
            LOG_LEVEL => START * 2 + self.round_estimate(2) * self.pairs + self.warm_estimate(2),
            IDLE => START + self.settle * 2 + Duration::from_secs((self.idle_connections / OPENED_A_SECOND).into()),
            MEMORY => Duration::from_secs(self.memory_requests / LOAD_A_SECOND) + self.rest,
            _ => Duration::ZERO,
        }
    }

    fn pair_estimate(&self, row: &PairRow) -> Duration {
        let run = |seconds| (Duration::from_secs(seconds) + RUN_EXTRA) * 2;
        let extra = match row.kind {
            PairKind::Cold => SIGNING,
            PairKind::Routes
            | PairKind::Backends
            | PairKind::Http2
            | PairKind::Tls
            | PairKind::Rate
            | PairKind::Keys => Duration::ZERO,
        };
        let start = START * 2 + if row.kind == PairKind::Keys { USERS } else { Duration::ZERO };
        let warm = run(row.warm_seconds(WARM_SECONDS)) + extra;
        start + warm + (run(row.seconds(self.seconds)) + extra) * self.pairs
    }

    /// The estimated duration of one run per side.
    pub(crate) fn round_estimate(&self, sides: u32) -> Duration {
        (Duration::from_secs(self.seconds) + RUN_EXTRA) * sides
    }

    fn warm_estimate(&self, sides: u32) -> Duration {
        (Duration::from_secs(WARM_SECONDS) + RUN_EXTRA) * sides
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

    fn plan(arguments: &[&str]) -> RunPlan {
        let cli = BenchCli::try_parse_from(["bench"].iter().chain(arguments)).unwrap();
        RunPlan::of(&cli.flags)
    }

    #[test]
    fn every_scenario_is_a_row_and_no_row_is_unknown() {
        let rows: Vec<&str> = BenchScenario::all().iter().map(|scenario| scenario.name).collect();
        let pairs: Vec<&str> = PairRow::all().iter().map(|row| row.name).collect();
        assert_eq!([rows.as_slice(), pairs.as_slice(), &[LATENCY, LOG_LEVEL, IDLE, MEMORY]].concat(), ROWS);
    }

    #[test]
    fn flags_select_rows_and_size() {
        let names = |plan: &RunPlan| plan.scenarios().iter().map(|scenario| scenario.name).collect::<Vec<_>>();
        assert_eq!((plan(&[]).rows.len(), plan(&[]).pairs, plan(&[]).is_result()), (ROWS.len(), 12, true));
        let chosen = plan(&["--only", "keyed,plain,idle"]);
        assert_eq!((names(&chosen), chosen.has(IDLE), chosen.has(MEMORY)), (vec!["plain", "keyed"], true, false));
        assert!(!plan(&["--quick"]).is_result() && !plan(&["--pairs", "11"]).is_result());
        assert!(!plan(&["--seconds", "1"]).is_result());
        let has_peers = |rows: &str| plan(&["--only", rows]).has_peers();
        assert!(has_peers("plain") && has_peers("jwt") && has_peers(LATENCY) && !has_peers("keyed,cold"));
        assert!(BenchCli::try_parse_from(["bench", "--only", "plane"]).is_err());
        assert!(BenchCli::try_parse_from(["bench", "--quick", "--pairs", "12"]).is_err());
    }

    #[test]
    fn the_estimate_is_the_sum_of_all_runs() {
        let plan = plan(&["--only", "plain", "--pairs", "10", "--seconds", "4", "--check-rounds", "10"]);
        // 10 rounds of five runs, five short runs; start, rest, and 10 rounds of checks.
        assert_eq!(plan.row_estimate("plain"), Duration::from_millis(10 * 5 * 4_500 + 5 * 1_500));
        assert_eq!(plan.estimate(), Duration::from_millis(232_500 + 4_000 + 5_000 + 6_000));
        assert_eq!(plan.row_estimate("keyed"), Duration::from_millis(10 * 3 * 4_500 + 3 * 1_500));
        assert!(ROWS.iter().all(|row| plan.row_estimate(row) > Duration::ZERO));
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
