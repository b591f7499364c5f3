use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use access::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::captured_log::capture;
use crate::ownership::OwnershipFuture;
use crate::report::JobReport;

const SECOND: Duration = Duration::from_secs(1);

/// Assigns a job to the node that claims it first, until the claim expires.
#[derive(Debug, Default)]
struct Claims {
    /// The owner, the end of its claim, and whether it runs the job.
    claim: Mutex<Option<(u32, Instant, bool)>>,
    is_away: AtomicBool,
    is_silent: AtomicBool,
}

/// One node's view of the claims.
struct NodeClaims {
    node: u32,
    claims: Arc<Claims>,
}

impl NodeClaims {
    async fn answer(&self) -> Result<(), JobError> {
        if self.claims.is_silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.claims.is_away.load(Ordering::Relaxed) { Err("the database is away".into()) } else { Ok(()) }
    }

    fn set(&self, until: Instant, is_running: bool) -> bool {
        let mut claim = self.claims.claim.lock().unwrap();
        let is_free = claim.is_none_or(|(owner, until, runs)| until <= Instant::now() || (runs && owner == self.node));
        if is_free {
            *claim = Some((self.node, until, is_running));
        }
        is_free
    }
}

impl Ownership for NodeClaims {
    fn claim<'a>(&'a self, _: &'a JobSpec) -> OwnershipFuture<'a> {
        Box::pin(async move { self.answer().await.map(|()| self.set(Instant::now() + CLAIM_TTL, true)) })
    }

    fn renew<'a>(&'a self, spec: &'a JobSpec) -> OwnershipFuture<'a> {
        self.claim(spec)
    }

    fn finish<'a>(&'a self, _: &'a JobSpec, end: &'a ClaimEnd) -> OwnershipFuture<'a> {
        Box::pin(async move { self.answer().await.map(|()| self.set(Instant::now() + end.pause, false)) })
    }
}

/// A job that runs a closure and counts its runs.
struct TestJob<F> {
    runs: Arc<AtomicU64>,
    step: F,
    stopped: Arc<AtomicU64>,
}

impl<F, R> Job for TestJob<F>
where
    F: FnMut(u64) -> R + Send + 'static,
    R: Future<Output = Result<NextRun, JobError>> + Send,
{
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        (self.step)(run).await
    }

    async fn stop(&mut self) -> Result<(), JobError> {
        self.stopped.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A runner of one node with one job.
struct World {
    runner: Runner,
    runs: Arc<AtomicU64>,
    stopped: Arc<AtomicU64>,
}

impl World {
    fn new<F, R>(spec: JobSpec, claims: &Arc<Claims>, node: u32, step: F) -> Self
    where
        F: FnMut(u64) -> R + Send + Clone + 'static,
        R: Future<Output = Result<NextRun, JobError>> + Send + 'static,
    {
        let ownership = Arc::new(NodeClaims { node, claims: claims.clone() });
        let mut runner = Runner::new(Clock::manual(Timestamp(1)), ownership);
        let runs = Arc::new(AtomicU64::new(0));
        let stopped = Arc::new(AtomicU64::new(0));
        let counted = runs.clone();
        let ended = stopped.clone();
        runner.add(spec, move || TestJob { runs: counted.clone(), step: step.clone(), stopped: ended.clone() });
        Self { runner, runs, stopped }
    }

    fn alone<F, R>(spec: JobSpec, step: F) -> Self
    where
        F: FnMut(u64) -> R + Send + Clone + 'static,
        R: Future<Output = Result<NextRun, JobError>> + Send + 'static,
    {
        Self::new(spec, &Arc::default(), 1, step)
    }

    fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    fn report(&self) -> JobReport {
        self.runner.reports().all().pop().unwrap()
    }
}

async fn succeed(_: u64) -> Result<NextRun, JobError> {
    Ok(NextRun::Period)
}

/// Time passes at once in these tests, since no other work is pending.
async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds) + Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_after_its_first_pause_and_then_every_period() {
    let spec = JobSpec { first_after: 5 * SECOND, ..JobSpec::every("test", 10 * SECOND) };
    let world = World::alone(spec, succeed);
    let mut seen = Vec::new();
    for _ in 0..4 {
        pass(4).await;
        seen.push(world.runs());
    }
    assert_eq!(seen, [0, 1, 1, 2], "runs at 5 and 15 s, looked at every 4 s");
    assert_eq!(world.report().runs(JobOutcome::Succeeded), 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_needed_yet_has_no_report_and_is_not_claimed() {
    let claims = Arc::new(Claims::default());
    let ownership = Arc::new(NodeClaims { node: 1, claims: claims.clone() });
    let mut runner = Runner::new(Clock::manual(Timestamp(1)), ownership);
    let spec = JobSpec { owner: Owner::OneNode, ..JobSpec::every("test", 10 * SECOND) };
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    let job = move || TestJob { runs: counted.clone(), step: succeed, stopped: Arc::default() };
    runner.add_when(spec, sleep(15 * SECOND), job.clone());
    pass(14).await;
    assert!(runner.reports().all().is_empty() && claims.claim.lock().unwrap().is_none());
    pass(2).await;
    assert_eq!((runner.reports().all().len(), runs.load(Ordering::Relaxed)), (1, 1));
    runner.add_when(JobSpec { name: "never", ..spec }, std::future::pending(), job);
    runner.stop(SECOND).await;
    assert_eq!(runs.load(Ordering::Relaxed), 1, "a job that was never needed ends with the others");
}

#[tokio::test(start_paused = true)]
async fn a_job_with_more_work_runs_again_at_once() {
    let world = World::alone(JobSpec::every("test", 10 * SECOND), |run| async move {
        Ok(if run < 4 { NextRun::Now } else { NextRun::Period })
    });
    pass(0).await;
    assert_eq!(world.runs(), 4);
    pass(10).await;
    assert_eq!(world.runs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_job_for_which_nothing_is_configured_rests_longer() {
    for (period, runs) in [(Duration::from_millis(100), 3), (SECOND, 2)] {
        let world = World::alone(JobSpec::every("test", period), |_| async { Ok(NextRun::Idle) });
        pass(1).await;
        assert_eq!(world.runs(), runs, "{period:?}");
    }
}

/// A job that one node runs at a time, and that may have work. Its first run with work fails.
struct Worker {
    has_work: Arc<AtomicBool>,
    runs: Arc<AtomicU64>,
}

impl Job for Worker {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        if self.has_work.swap(false, Ordering::Relaxed) { Err("not done".into()) } else { Ok(NextRun::Period) }
    }

    async fn has_work(&mut self) -> Result<bool, JobError> {
        Ok(self.has_work.load(Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_without_work_is_claimed_every_half_minute_only() {
    let has_work = Arc::new(AtomicBool::new(false));
    let runs = Arc::new(AtomicU64::new(0));
    let worked = has_work.clone();
    let counted = runs.clone();
    let mut runner = Runner::new(Clock::manual(Timestamp(1)), Arc::new(NodeClaims { node: 1, claims: Arc::default() }));
    let spec = JobSpec { owner: Owner::OneNode, ..JobSpec::every("test", SECOND) };
    runner.add(spec, move || Worker { has_work: worked.clone(), runs: counted.clone() });
    let mut seen = Vec::new();
    for _ in 0..3 {
        pass(20).await;
        seen.push(runs.load(Ordering::Relaxed));
    }
    assert_eq!(seen, [1, 2, 3], "at 0, 30 and 60 s");
    has_work.store(true, Ordering::Relaxed);
    pass(1).await;
    assert_eq!(runs.load(Ordering::Relaxed), 4);
    pass(1).await;
    assert_eq!(runs.load(Ordering::Relaxed), 5, "a failed run is repeated, with or without work");
    pass(20).await;
    assert_eq!(runs.load(Ordering::Relaxed), 5);
}

#[tokio::test(start_paused = true)]
async fn failures_are_repeated_with_growing_pauses_until_a_run_succeeds() {
    let world = World::alone(JobSpec::every("test", 100 * SECOND), |run| async move {
        if run < 4 { Err("no database".into()) } else { Ok(NextRun::Period) }
    });
    let mut seen = Vec::new();
    for _ in 0..9 {
        pass(0).await;
        seen.push(world.runs());
        sleep(SECOND - Duration::from_millis(1)).await;
    }
    assert_eq!(seen, [1, 2, 2, 3, 3, 3, 3, 4, 4], "after 0, 1, 3 and 7 s");
    let report = world.report();
    assert_eq!((report.runs(JobOutcome::Failed), report.runs(JobOutcome::Succeeded)), (3, 1));
    assert_eq!((report.last_outcome, report.last_error), (Some(JobOutcome::Succeeded), None));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_counted_and_the_job_is_built_anew() {
    let built = Arc::new(AtomicU64::new(0));
    let mut runner = Runner::new(Clock::manual(Timestamp(1)), Arc::new(NodeClaims { node: 1, claims: Arc::default() }));
    let builds = built.clone();
    runner.add(JobSpec::every("test", 60 * SECOND), move || {
        let nth = builds.fetch_add(1, Ordering::Relaxed);
        let runs = Arc::default();
        let stopped = Arc::default();
        let step = move |_| async move {
            assert_ne!(nth, 0, "the first one is damaged");
            Ok(NextRun::Period)
        };
        TestJob { runs, step, stopped }
    });
    pass(0).await;
    let report = runner.reports().all().pop().unwrap();
    assert_eq!((report.last_outcome, report.runs(JobOutcome::Panicked)), (Some(JobOutcome::Panicked), 1));
    assert!(report.last_error.unwrap().contains("the first one is damaged"));
    pass(1).await;
    let report = runner.reports().all().pop().unwrap();
    assert_eq!((report.last_outcome, built.load(Ordering::Relaxed)), (Some(JobOutcome::Succeeded), 2));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_dropped() {
    let spec = JobSpec { run_max: 3 * SECOND, ..JobSpec::every("test", SECOND) };
    let world = World::alone(spec, |run| async move {
        if run == 1 {
            std::future::pending::<()>().await;
        }
        Ok(NextRun::Period)
    });
    pass(2).await;
    assert_eq!((world.runs(), world.report().last_outcome), (1, None));
    pass(1).await;
    assert_eq!(world.report().last_outcome, Some(JobOutcome::TimedOut));
    pass(1).await;
    assert_eq!(world.report().last_outcome, Some(JobOutcome::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_one_runs_the_job_once_a_period_and_the_other_takes_over() {
    for period in [10, 3_600] {
        let claims = Arc::<Claims>::default();
        let spec = JobSpec { owner: Owner::OneNode, ..JobSpec::every("test", Duration::from_secs(period)) };
        let [first, second] = [1, 2].map(|node| World::new(spec, &claims, node, succeed));
        pass(period * 10 + period / 2).await;
        let runs = first.runs() + second.runs();
        // A node that does not own the job looks again after at most 30 s.
        assert!((8..=11).contains(&runs), "{runs} runs in ten periods of {period} s");
        assert!(first.report().is_unclaimed || second.report().is_unclaimed);
        let before = second.runs();
        first.runner.stop(SECOND).await;
        pass(period * 2 + 60).await;
        assert!((before + 2..=before + 8).contains(&second.runs()), "{before}, then {}", second.runs());
    }
}

#[tokio::test(start_paused = true)]
async fn each_node_runs_a_job_that_is_not_shared_though_the_claims_are_unreadable() {
    let claims = Arc::<Claims>::default();
    claims.is_away.store(true, Ordering::Relaxed);
    let nodes = [1, 2].map(|node| World::new(JobSpec::every("test", 10 * SECOND), &claims, node, succeed));
    pass(10).await;
    assert_eq!(nodes.each_ref().map(World::runs), [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_when_its_claim_is_lost_or_cannot_be_renewed() {
    let spec = JobSpec { owner: Owner::OneNode, run_max: 600 * SECOND, ..JobSpec::every("test", 600 * SECOND) };
    let endless = |_| async {
        std::future::pending::<()>().await;
        Ok(NextRun::Period)
    };
    let claims = Arc::<Claims>::default();
    let world = World::new(spec, &claims, 1, endless);
    pass(100).await;
    assert!(!world.report().is_unclaimed, "renewals keep the claim");
    *claims.claim.lock().unwrap() = Some((2, Instant::now() + 600 * SECOND, true));
    pass(5).await;
    assert!(world.report().is_unclaimed);

    let claims = Arc::<Claims>::default();
    let world = World::new(spec, &claims, 1, endless);
    pass(1).await;
    claims.is_away.store(true, Ordering::Relaxed);
    pass(5).await;
    assert_eq!(world.report().last_outcome, None, "one failed renewal is repeated");
    pass(5).await;
    assert_eq!(world.report().last_outcome, Some(JobOutcome::Failed));
    assert!(CLAIM_TTL > (2 * FAILED_RENEWALS_MAX + 1) * RENEW_EVERY, "the run ends while the claim is valid");
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_a_response_is_a_failed_run() {
    let spec = JobSpec { owner: Owner::OneNode, ..JobSpec::every("test", 10 * SECOND) };
    let claims = Arc::<Claims>::default();
    claims.is_silent.store(true, Ordering::Relaxed);
    let world = World::new(spec, &claims, 1, succeed);
    pass(6).await;
    assert_eq!((world.runs(), world.report().last_outcome), (0, Some(JobOutcome::Failed)));
    claims.is_silent.store(false, Ordering::Relaxed);
    pass(20).await;
    assert_eq!(world.report().last_outcome, Some(JobOutcome::Succeeded));
}

/// A job that panics before its run returns a future, and when it is dropped.
struct Damaged;

impl Job for Damaged {
    fn run(&mut self) -> impl Future<Output = Result<NextRun, JobError>> + Send {
        assert!(std::mem::size_of::<Self>() > 0, "damaged");
        async { Ok(NextRun::Period) }
    }
}

impl Drop for Damaged {
    fn drop(&mut self) {
        panic!("damaged when dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn panics_outside_of_a_run_are_counted_and_the_job_is_tried_again() {
    let mut runner = Runner::new(Clock::manual(Timestamp(1)), Arc::new(NodeClaims { node: 1, claims: Arc::default() }));
    runner.add(JobSpec::every("damaged", 10 * SECOND), || Damaged);
    let builds = Arc::new(AtomicU64::new(0));
    let counted = builds.clone();
    runner.add(JobSpec::every("unbuilt", 10 * SECOND), move || -> TestJob<fn(u64) -> Succeeded> {
        panic!("build {}", counted.fetch_add(1, Ordering::Relaxed))
    });
    pass(4).await;
    for report in runner.reports().all() {
        assert_eq!(report.runs(JobOutcome::Panicked), 3, "{}: at 0, 1 and 3 s", report.spec.name);
    }
    assert_eq!(builds.load(Ordering::Relaxed), 3);
}

type Succeeded = std::future::Ready<Result<NextRun, JobError>>;

#[tokio::test(start_paused = true)]
async fn a_stop_drops_or_awaits_the_run_in_progress_and_does_the_last_work() {
    for (cancellation, finished) in [(Cancellation::AtOnce, 0), (Cancellation::AfterRun, 1)] {
        let spec = JobSpec { cancellation, ..JobSpec::every("test", SECOND) };
        let world = World::alone(spec, |_| async {
            sleep(5 * SECOND).await;
            Ok(NextRun::Period)
        });
        pass(1).await;
        let reports = world.runner.reports().clone();
        let stopped = world.stopped;
        world.runner.stop(20 * SECOND).await;
        let report = reports.all().pop().unwrap();
        assert_eq!(report.runs(JobOutcome::Succeeded), finished, "{cancellation:?}");
        assert_eq!(stopped.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_job_with_the_same_name_is_not_started() {
    let mut world = World::alone(JobSpec::every("test", SECOND), succeed);
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    world.runner.add(JobSpec::every("test", SECOND), move || TestJob {
        runs: counted.clone(),
        step: succeed,
        stopped: Arc::default(),
    });
    pass(5).await;
    assert_eq!((world.runner.reports().all().len(), runs.load(Ordering::Relaxed)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_claims_is_logged_once_and_so_is_its_end() {
    let log = capture();
    let spec = JobSpec { owner: Owner::OneNode, ..JobSpec::every("test", 10 * SECOND) };
    let claims = Arc::<Claims>::default();
    let world = World::new(spec, &claims, 1, succeed);
    pass(1).await;
    claims.is_away.store(true, Ordering::Relaxed);
    pass(100).await;
    claims.is_away.store(false, Ordering::Relaxed);
    pass(20).await;
    assert!(world.report().runs(JobOutcome::Failed) >= 9 && world.runs() >= 2, "{:?}", world.report());
    let text = log.text();
    assert_eq!((text.matches("fails; retrying").count(), text.lines().count()), (1, 2), "{text}");
    assert!(text.contains("the database is away") && text.contains("works again"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_in_a_run_gives_up_its_claim() {
    let spec = JobSpec { owner: Owner::OneNode, ..JobSpec::every("test", 10 * SECOND) };
    let claims = Arc::<Claims>::default();
    let world = World::new(spec, &claims, 1, |_| async {
        std::future::pending::<()>().await;
        Ok(NextRun::Period)
    });
    pass(1).await;
    assert!(world.report().running_since.is_some());
    let reports = world.runner.reports().clone();
    world.runner.stop(SECOND).await;
    assert_eq!(reports.all()[0].running_since, None);
    let other = World::new(spec, &claims, 2, succeed);
    pass(0).await;
    assert_eq!(other.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_last_run_panicked_does_its_last_work() {
    let world = World::alone(JobSpec::every("test", SECOND), |_| async { panic!("damaged") });
    pass(0).await;
    assert_eq!(world.report().last_outcome, Some(JobOutcome::Panicked));
    let stopped = world.stopped;
    world.runner.stop(SECOND).await;
    assert_eq!(stopped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn jobs_that_do_not_end_are_named() {
    let log = capture();
    let spec = JobSpec { cancellation: Cancellation::AfterRun, ..JobSpec::every("endless", SECOND) };
    let mut world = World::alone(spec, |_| async {
        std::future::pending::<()>().await;
        Ok(NextRun::Period)
    });
    world.runner.add(JobSpec::every("short", SECOND), || TestJob {
        runs: Arc::default(),
        step: succeed,
        stopped: Arc::default(),
    });
    pass(0).await;
    world.runner.stop(SECOND).await;
    assert!(log.text().contains("aborted jobs=\"endless\""), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn runners_that_stop_at_different_times_share_their_reports() {
    let mut first = Runner::new(Clock::manual(Timestamp(1)), Arc::new(NodeClaims { node: 1, claims: Arc::default() }));
    let mut second = first.beside();
    let job = || TestJob { runs: Arc::default(), step: succeed, stopped: Arc::default() };
    first.add(JobSpec::every("first", SECOND), job);
    second.add(JobSpec::every("second", SECOND), job);
    second.add(JobSpec::every("first", SECOND), job);
    first.stop(SECOND).await;
    pass(5).await;
    let runs = second.reports().all().iter().map(|report| report.runs(JobOutcome::Succeeded)).collect::<Vec<_>>();
    assert_eq!(runs, [0, 6]);
}
