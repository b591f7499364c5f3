//! Interleaved runs of the sides of a row, and the processor time of each.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::client::Loader;
use crate::counts::{drained, metric};
use crate::load::{Generators, Load, LoadKind, LoadRun};
use crate::plan::Progress;
use crate::process::CpuTime;
use crate::product::WORKER_THREADS;
use crate::protocols::check_call;
use crate::request::{Credential, RequestBody};
use crate::rows::{Row, RowKind, TOKENS_A_RUN};
use crate::sides::Side;
use crate::stats::MedianInterval;
use crate::tokens::TokenIssuer;

/// The framing of a chunk: three hex digits and two line ends.
const CHUNK_FRAMING_BYTES: u64 = 7;
const COLUMNS: &str = "row,round,place,side,requests,failed,read_bytes,units,user_us,system_us,total_us,\
    workers_user_us,workers_system_us,workers_total_us";

/// The size of a measurement, and its tools.
#[derive(Clone, Copy)]
pub(crate) struct Rounds<'a> {
    pub(crate) generators: Generators<'a>,
    pub(crate) issuer: Option<&'a TokenIssuer>,
    /// The folder of the generators' output.
    pub(crate) out: &'a Path,
    pub(crate) pairs: u32,
    pub(crate) seconds: u64,
    /// The duration of a run before each measured one; zero for none.
    pub(crate) warm_each: u64,
}

/// The records of a measurement that runs: each line is written as soon as its run has ended.
pub(crate) struct Recorder {
    file: File,
    pub(crate) path: PathBuf,
    progress: RefCell<Progress>,
}

/// The unit of a cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CostUnit {
    /// One complete request and response.
    Request,
    /// An event of a stream. Events are counted by the bytes that wrk read, because many streams are incomplete at the
    /// end.
    Event { bytes: u64 },
}

/// A part of the processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CpuShare {
    Total,
    User,
    System,
    /// Tollgate's worker threads alone; all threads of other proxies.
    Workers,
    /// The user time of the same threads.
    WorkersUser,
}

/// A run of one side.
#[derive(Debug, Clone, Default)]
pub(crate) struct SideRun {
    pub(crate) load: LoadRun,
    pub(crate) cpu: CpuTime,
    /// The time of Tollgate's worker threads.
    pub(crate) workers: Option<CpuTime>,
    /// The time of PostgreSQL's processes.
    pub(crate) database_micros: u64,
}

/// The runs of a row, by round and side.
pub(crate) struct RowRuns {
    pub(crate) names: Vec<&'static str>,
    pub(crate) unit: CostUnit,
    pub(crate) rounds: Vec<Vec<SideRun>>,
    /// The number of failed requests of all sides.
    pub(crate) failed: u64,
}

impl Recorder {
    pub(crate) fn create(dir: &Path, progress: Progress) -> anyhow::Result<Self> {
        let path = dir.join("runs.csv");
        let mut file = File::create(&path)?;
        writeln!(file, "{COLUMNS}")?;
        Ok(Self { file, path, progress: RefCell::new(progress) })
    }

    /// Appends a run; `place` is its position within the round.
    pub(crate) fn append(&self, place: &str, run: &SideRun, unit: CostUnit) -> anyhow::Result<()> {
        Ok(writeln!(&self.file, "{place},{}", line(run, unit))?)
    }

    /// Prints a finished step; `estimate` is its estimated duration.
    pub(crate) fn step(&self, estimate: Duration, what: &str) {
        self.progress.borrow_mut().step(estimate, what);
    }
}

fn line(run: &SideRun, unit: CostUnit) -> String {
    let times = |time: CpuTime| format!("{},{},{}", time.user_micros, time.system_micros, time.total_micros);
    let LoadRun { requests, failed, read_bytes, .. } = run.load;
    let workers = run.workers.map_or(String::from(",,"), times);
    format!("{requests},{failed},{read_bytes},{},{},{workers}", run.units(unit), times(run.cpu))
}

impl Rounds<'_> {
    /// Runs each side once without measurement, then the rounds; `round` is the estimated duration of one.
    pub(crate) async fn measure(
        &self,
        row: &Row,
        sides: &[Side<'_>],
        round: Duration,
        recorder: &Recorder,
    ) -> anyhow::Result<RowRuns> {
        let (warm, seconds) = row.seconds(self.seconds);
        let unit = unit(row, sides).await?;
        let names = sides.iter().map(|side| side.name).collect();
        let mut runs = RowRuns { names, unit, rounds: Vec::new(), failed: 0 };
        for side in sides {
            runs.failed += self.run(row, side, warm).await?.load.failed;
        }
        let measure = async |number, place, at: usize| {
            let side = sides.get(at).context("internal error: no such side")?;
            let mut failed = 0;
            if self.warm_each > 0 {
                failed += self.run(row, side, self.warm_each).await?.load.failed;
            }
            let run = self.run(row, side, seconds).await?;
            recorder.append(&format!("{},{number},{place},{}", row.name, side.name), &run, unit)?;
            let output = format!("{}-{number:02}-{}.txt", row.name, side.name.replace([' ', ','], "-"));
            std::fs::write(self.out.join(output), &run.load.raw)?;
            Ok((failed + run.load.failed, run))
        };
        let done = |number: u32, measured: &[(u64, SideRun)]| {
            let text = format!("{} {}/{}: {}", row.name, number + 1, self.pairs, last(&runs.names, measured, unit));
            recorder.step(round, &text);
        };
        let rounds = interleaved(self.pairs, sides.len(), measure, done).await?;
        for measured in rounds {
            runs.failed += measured.iter().map(|(failed, _)| failed).sum::<u64>();
            runs.rounds.push(measured.into_iter().map(|(_, run)| run).collect());
        }
        Ok(runs)
    }

    /// One run of a side. The time of Tollgate includes the drain of the spool.
    async fn run(&self, row: &Row, side: &Side<'_>, seconds: u64) -> anyhow::Result<SideRun> {
        let once = side.has_new_tokens;
        let signed = match (once, self.issuer) {
            (false, _) => Vec::new(),
            (true, issuer) => issuer.context("internal error: no issuer")?.tokens(TOKENS_A_RUN)?,
        };
        let keys = match side.request.credential {
            Credential::None => &[],
            Credential::Key | Credential::Token if once => &*signed,
            Credential::Key | Credential::Token => &*side.keys,
        };
        let counted = side.counted.as_deref();
        let account = &side.account;
        let mut reached = 0;
        let mut dropped = 0;
        if let Some(counted) = counted {
            reached = counted.reached().await?;
            if side.log.is_some() {
                File::options().write(true).open(&counted.product.log)?.set_len(0)?;
                dropped = metric(&counted.product, "tollgate_log_lines_dropped_total").await?;
            }
        }
        let database = || side.database.map_or(Ok(0), |database| Ok::<_, anyhow::Error>(database.cpu_micros()?.1));
        let before = account.time()?;
        let workers_before = account.thread_time(WORKER_THREADS)?;
        let database_before = database()?;
        let load = Load { kind: row.load, request: &side.request, keys, once, seconds };
        let load = self.generators.run(load, side.address).await.context(side.name)?;
        ensure!(!once || load.requests <= u64::try_from(keys.len())?, "{} requests of {}", load.requests, keys.len());
        if let Some(counted) = counted {
            drained(&counted.product).await?;
        }
        let cpu = account.time()?.since(before);
        let workers = account.thread_time(WORKER_THREADS)?.since(workers_before);
        // The time of an ended server process is missing, so the difference may be negative.
        let database_micros = database()?.saturating_sub(database_before);
        if let Some(counted) = counted {
            let reached = counted.reached().await? - reached;
            let is_cached = row.listener == "cached";
            ensure!(!is_cached || reached == 0, "{reached} requests have reached the backend");
            let forwarded = if is_cached { load.requests } else { reached };
            side.count(forwarded, row.load.open(self.generators.connections));
            side.check_lines(load.requests, dropped).await.context(side.name)?;
        }
        let workers = (counted.is_some() && workers.total_micros > 0).then_some(workers);
        Ok(SideRun { load, cpu, workers, database_micros })
    }
}

/// Sends one request to each side beside proxies. It is an error if one fails, or if plain bodies or streams differ.
async fn unit(row: &Row, sides: &[Side<'_>]) -> anyhow::Result<CostUnit> {
    let mut bodies = Vec::new();
    let sides = if matches!(row.kind, RowKind::Proxies(..)) { sides } else { &[] };
    for side in sides {
        let request = &side.request;
        match (row.load, request.body) {
            (LoadKind::Wrk, _) if request.scheme == "http" => {}
            (_, RequestBody::Message) => {
                check_call(side.address, request).await.context(side.name)?;
                side.count(1, 0);
                continue;
            }
            // The load compares each echo. Other requests are those of a row over HTTP/1.1 without TLS.
            _ => continue,
        }
        let mut loader = Loader::connect(side.address, side.key()).await?;
        let response = loader.send(request.method(), request.path, &request.body()).await?;
        ensure!(response.status == 200, "{}, {}: {} {:?}", side.name, request.path, response.status, response.body);
        side.count(1, 0);
        bodies.push(String::from_utf8_lossy(&response.body).into_owned());
    }
    let is_equal = bodies.windows(2).all(|pair| matches!(pair, [one, other] if one == other));
    ensure!(row.request.body != RequestBody::None || is_equal, "the responses of {}: {bodies:?}", row.name);
    let sizes: Vec<(usize, usize)> = bodies.iter().map(|body| (body.len(), body.matches("\n\n").count())).collect();
    let Some((bytes, events)) = sizes.first() else {
        return Ok(CostUnit::Request);
    };
    let RequestBody::Streamed = row.request.body else {
        return Ok(CostUnit::Request);
    };
    ensure!(*events > 0 && sizes.iter().all(|(_, other)| other == events), "the streams differ in events: {sizes:?}");
    Ok(CostUnit::Event { bytes: u64::try_from(bytes / events)? + CHUNK_FRAMING_BYTES })
}

impl RowRuns {
    /// The median over the rounds of a figure of each.
    pub(crate) fn median(&self, of: impl Fn(&[SideRun]) -> f64) -> Option<MedianInterval> {
        MedianInterval::from_values(self.rounds.iter().map(|round| of(round)).collect())
    }

    /// The cost of a side in a round, in microseconds per unit.
    pub(crate) fn cost(&self, round: &[SideRun], side: usize, share: CpuShare) -> f64 {
        round.get(side).map_or(f64::NAN, |run| run.share(share, self.unit))
    }

    /// The ratio of two sides' costs within each round.
    pub(crate) fn ratio(&self, [of, to]: [usize; 2], share: CpuShare) -> Option<MedianInterval> {
        self.median(|round| self.cost(round, of, share) / self.cost(round, to, share))
    }
}

/// The text of the runs of a round.
fn last(names: &[&str], round: &[(u64, SideRun)], unit: CostUnit) -> String {
    let side = |(name, (failed, run)): (&&str, &(u64, SideRun))| {
        let [total, user] = [CpuShare::Total, CpuShare::User].map(|share| run.share(share, unit));
        let failed = if *failed > 0 { format!(", {failed} failed") } else { String::new() };
        format!("{name} {total:.2} µs (user {user:.2}{failed})")
    };
    names.iter().zip(round).map(side).collect::<Vec<_>>().join(" | ")
}

impl SideRun {
    /// A share of the cost per unit in microseconds.
    pub(crate) fn share(&self, share: CpuShare, unit: CostUnit) -> f64 {
        let workers = self.workers.unwrap_or(self.cpu);
        let micros = match share {
            CpuShare::Total => self.cpu.total_micros,
            CpuShare::User => self.cpu.user_micros,
            CpuShare::System => self.cpu.system_micros,
            CpuShare::Workers => workers.total_micros,
            CpuShare::WorkersUser => workers.user_micros,
        };
        per(micros, self.units(unit))
    }

    const fn units(&self, unit: CostUnit) -> u64 {
        match unit {
            CostUnit::Request => self.load.requests,
            CostUnit::Event { bytes } => self.load.read_bytes / bytes,
        }
    }
}

/// Without units, the cost is not a number.
#[expect(clippy::cast_precision_loss, reason = "below 2^52")]
pub(crate) fn per(micros: u64, units: u64) -> f64 {
    if units == 0 { f64::NAN } else { micros as f64 / units as f64 }
}

/// Runs each of `count` sides once in each round, in balanced orders. `run` gets the number of the round, the place in it,
/// and the side; `done` gets the runs of a round.
pub(crate) async fn interleaved<T: Clone + Default>(
    rounds: u32,
    count: usize,
    run: impl AsyncFn(u32, usize, usize) -> anyhow::Result<T>,
    done: impl Fn(u32, &[T]),
) -> anyhow::Result<Vec<Vec<T>>> {
    let mut measured = Vec::new();
    for (number, order) in (0..rounds).zip(orders(count).iter().cycle()) {
        let mut round = vec![T::default(); count];
        for (place, at) in order.iter().enumerate() {
            *round.get_mut(*at).context("internal error: no such side")? = run(number, place, *at).await?;
        }
        done(number, &round);
        measured.push(round);
    }
    Ok(measured)
}

/// Returns the orders of `count` sides, which rounds use in turn. Over all orders, each side runs equally often at each
/// place and equally often after each other side (a Latin square of Williams).
fn orders(count: usize) -> Vec<Vec<usize>> {
    // 0, 1, n - 1, 2, n - 2, …: the distances between neighbours differ.
    let place = |nth: usize| if nth % 2 == 1 { nth.div_ceil(2) } else { count - nth / 2 };
    let mut orders: Vec<Vec<usize>> = Vec::new();
    for shift in 0..count {
        let order: Vec<usize> = (0..count).map(|nth| (place(nth) + shift) % count).collect();
        // With an odd number of sides, only both directions together are balanced.
        let reversed = (count % 2 == 1).then(|| order.iter().rev().copied().collect());
        orders.push(order);
        orders.extend(reversed);
    }
    orders
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    pub(crate) fn run(total_micros: u64, user_micros: u64) -> SideRun {
        let load = LoadRun { requests: 10, read_bytes: 4_000, ..LoadRun::default() };
        let cpu = CpuTime { total_micros, user_micros, system_micros: total_micros - user_micros };
        SideRun { load, cpu, ..SideRun::default() }
    }

    #[test]
    fn each_side_runs_equally_often_at_each_place_and_after_each_other() {
        for count in 2..=6 {
            let orders = orders(count);
            let mut places = BTreeMap::new();
            let mut pairs = BTreeMap::new();
            for order in &orders {
                for (place, side) in order.iter().enumerate() {
                    *places.entry((place, *side)).or_insert(0) += 1;
                }
                for pair in order.windows(2) {
                    *pairs.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            let times = orders.len() / count;
            assert!(places.len() == count * count && places.values().all(|found| *found == times), "{places:?}");
            assert!(pairs.len() == count * (count - 1) && pairs.values().all(|found| *found == times), "{pairs:?}");
        }
        assert_eq!((orders(1)[0].clone(), orders(0).len()), (vec![0], 0));
    }

    #[test]
    fn costs_are_per_request_or_event() {
        let reference = run(100, 40);
        let tollgate = SideRun { workers: Some(run(50, 20).cpu), ..reference.clone() };
        let check = |run: &SideRun, share, unit, expected: f64| {
            assert!((run.share(share, unit) - expected).abs() < 1e-9, "{share:?}");
        };
        check(&tollgate, CpuShare::Total, CostUnit::Request, 10.0);
        check(&tollgate, CpuShare::User, CostUnit::Request, 4.0);
        check(&tollgate, CpuShare::System, CostUnit::Request, 6.0);
        check(&tollgate, CpuShare::Workers, CostUnit::Request, 5.0);
        check(&tollgate, CpuShare::WorkersUser, CostUnit::Request, 2.0);
        check(&tollgate, CpuShare::Total, CostUnit::Event { bytes: 200 }, 5.0);
        check(&reference, CpuShare::Workers, CostUnit::Request, 10.0);
        assert!(reference.share(CpuShare::Total, CostUnit::Event { bytes: 4_001 }).is_nan());
        assert_eq!(line(&tollgate, CostUnit::Request), "10,0,4000,10,40,60,100,20,30,50");
        let columns = format!("plain,0,0,x,{}", line(&reference, CostUnit::Event { bytes: 200 }));
        assert_eq!(columns.split(',').count(), COLUMNS.split(',').count());
    }
}
