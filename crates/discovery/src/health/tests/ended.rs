//! The ends of checks that are replaced, or that panic.

use std::fs;
use std::path::Path;

use super::*;

/// The backends of a job, which a test replaces as a reload does.
type Targets = Arc<Mutex<Arc<[CheckedBackend]>>>;

fn job(backends: Vec<CheckedBackend>) -> (HealthChecks, Targets) {
    let targets: Targets = Arc::new(Mutex::new(Arc::from(backends)));
    let current = targets.clone();
    (HealthChecks::new(Arc::new(move || current.lock().unwrap().clone()), tls()), targets)
}

/// Runs the job until a condition is true. The next turn of the job begins after a pause, because checks need one to end.
async fn run_until(job: &mut HealthChecks, mut is_reached: impl FnMut(&HealthChecks) -> bool) {
    while !is_reached(job) {
        job.run().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn healthy(reports: &Reports) -> Vec<Option<bool>> {
    reports.lock().unwrap().iter().map(|(_, healthy)| *healthy).collect()
}

#[tokio::test]
async fn a_replaced_check_is_aborted_and_reports_nothing() {
    let (hanging, requests) = server(b"").await;
    let (good, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let begin = Instant::now();
    let reports = Reports::default();
    // Neither check ends by its timeout, and the next one is due after an hour.
    let hour = Duration::from_hours(1);
    let old = CheckRules { timeout: hour, ..with_probe(get(200..=299)) };
    let (mut job, targets) = job(vec![target(hanging.port, old, begin, &reports)]);
    run_until(&mut job, |_| !requests.lock().unwrap().is_empty()).await;
    let new = CheckRules { timeout: hour, interval: hour, ..with_probe(get(200..=299)) };
    *targets.lock().unwrap() = Arc::from([target(good.port, new, begin, &reports)]);
    run_until(&mut job, |job| job.running.is_empty() && reports.lock().unwrap().len() >= 2).await;
    assert_eq!(healthy(&reports), [None, Some(true)], "the old check ended, then the new one decided alone");
}

#[tokio::test]
async fn a_check_that_panics_has_failed_and_is_repeated() {
    let (good, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let reports = Reports::default();
    let check = CheckRules { interval: Duration::ZERO, healthy_threshold: 1, ..with_probe(get(200..=299)) };
    let (mut job, _targets) = job(vec![target(good.port, check, Instant::now(), &reports)]);
    job.follow();
    let task = job.running.spawn(async { panic!("a defect of a check") });
    job.schedules.values_mut().next().unwrap().task = Some(task);
    run_until(&mut job, |_| reports.lock().unwrap().len() >= 2).await;
    assert_eq!(healthy(&reports)[..2], [Some(false), Some(true)]);
}

/// Returns the processes that are alive, of those that have written a file with their id as its name.
fn alive(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|pid| Path::new("/proc").join(pid).exists()).collect()
}

#[tokio::test]
async fn at_most_16_programs_are_alive_while_a_reload_replaces_their_checks() {
    let old = tempfile::tempdir().unwrap();
    let new = tempfile::tempdir().unwrap();
    let reports = Reports::default();
    let scripts = |folder: &Path| -> Vec<CheckedBackend> {
        let command = format!("echo > {}/$$; exec sleep 600", folder.display());
        let probe = Probe::Script(vec!["/bin/sh".to_owned(), "-c".to_owned(), command]);
        let check = CheckRules { timeout: Duration::from_secs(600), ..with_probe(probe) };
        let named = |id: usize| CheckedBackend {
            id: format!("u http://{id}").into(),
            ..target(1, check.clone(), Instant::now(), &reports)
        };
        (0..20).map(named).collect()
    };
    let (mut job, targets) = job(scripts(old.path()));
    run_until(&mut job, |_| alive(old.path()).len() == SCRIPTS_MAX).await;
    *targets.lock().unwrap() = Arc::from(scripts(new.path()));
    run_until(&mut job, |_| {
        let old = alive(old.path());
        let new = alive(new.path());
        assert!(old.len() + new.len() <= SCRIPTS_MAX, "{old:?} {new:?}");
        new.len() == SCRIPTS_MAX
    })
    .await;
    assert_eq!(healthy(&reports), [None::<bool>; 20], "no script has ended by itself");
}
