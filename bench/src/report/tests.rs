use super::*;
use crate::counts::ProductCounts;
use crate::process::CpuTime;
use crate::rounds::tests::run;
use crate::rounds::{CostUnit, SideRun};

fn report(is_result: bool, counted: u64) -> BenchReport {
    let exactly = |median: f64| Some(MedianInterval { median, low: median - 0.01, high: median + 0.01 });
    let cost = |share, side, micros, ratio: Option<f64>, target| CostResult {
        what: "plain route",
        share,
        side,
        micros: exactly(micros),
        ratio: ratio.and_then(exactly),
        target,
    };
    let counts = ProductCounts { metrics_requests: counted, usage_requests: 0 };
    BenchReport {
        is_result,
        costs: vec![
            cost(CpuShare::Total, "nginx", 10.0, Some(0.9), Target::must(0.95).aiming(0.85)),
            cost(CpuShare::User, "nginx", 8.0, Some(1.2), Target::must(0.9)),
            cost(CpuShare::Workers, "nginx", 10.0, None, Target::must(1.75)),
            cost(CpuShare::Total, "tollgate", 9.0, None, Target::NONE),
        ],
        figures: vec![Figure::once(String::from("MiB at rest"), 10.2, Target::must(30.0))],
        counts: vec![LoadCounts { what: "x", forwarded: 100, forwarded_with_key: 0, counted: counts, tolerance: 4 }],
        ..BenchReport::default()
    }
}

#[test]
fn rows_have_figure_target_and_verdict() {
    let text = report(true, 100).markdown();
    for row in [
        "| plain route | all | nginx | 10.00 (9.99 to 10.01) | 0.900 (0.890 to 0.910) | 0.95 | 0.85 | met |",
        "| plain route | user | nginx | 8.00 (7.99 to 8.01) | 1.200 (1.190 to 1.210) | 0.9 |  | missed by 33% |",
        "| plain route | Tollgate's workers, all | nginx | 10.00 (9.99 to 10.01) |  | 1.75 |  | not measured |",
        "| plain route | all | tollgate | 9.00 (8.99 to 9.01) |  |  |  |  |",
        "| MiB at rest | 10.20 | 30 |  | met |",
    ] {
        assert!(text.lines().any(|line| line == row), "{row}\n{text}");
    }
    assert!(!text.contains(NO_RESULT) && !text.contains("no result"), "{text}");
}

#[test]
fn a_small_run_has_no_verdicts() {
    let text = report(false, 100).markdown();
    let found = (text.matches(NO_RESULT).count(), text.contains("missed"), text.contains("| met"));
    assert_eq!(found, (2, false, false));
}

#[test]
fn a_wrong_count_or_failed_request_is_not_correct() {
    assert!(report(true, 104).correct() && !report(true, 105).correct() && !report(true, 95).correct());
    let failed = BenchReport { failed: 1, ..report(true, 100) };
    assert!(!failed.correct() && failed.markdown().contains("all sides: 1: NOT GOOD"));
}

#[test]
fn a_busy_machine_is_reported() {
    let warning = |load| Machine { load, ..Machine::default() }.warning();
    assert_eq!((warning(Some(0.05)), warning(None)), (None, None));
    assert!(warning(Some(1.75)).unwrap().contains("load 1.75"));
    assert_eq!(processor("processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: x\n"), Some("AMD EPYC"));
}

/// Three rounds, of which the second is twice as slow for every side. A side has the factors of the total and of the
/// user time.
fn runs(sides: &[(&'static str, u64, u64)], has_workers: bool) -> RowRuns {
    let round = |slow: u64| {
        let side = |(_, total, user): &(_, u64, u64)| {
            let run = run(100 * slow * total, 10 * slow * user);
            let workers = has_workers.then_some(CpuTime { total_micros: 50 * slow * total, ..run.cpu });
            SideRun { workers, ..run }
        };
        sides.iter().map(side).collect()
    };
    let names = sides.iter().map(|(name, ..)| *name).collect();
    RowRuns { names, unit: CostUnit::Request, rounds: [1, 2, 1].map(round).to_vec(), failed: 0 }
}

#[test]
fn ratios_are_of_the_same_round() {
    let row = Row::find("llm").unwrap();
    let runs = runs(&[("nginx", 1, 1), ("envoy", 2, 4), ("tollgate", 3, 2)], true);
    let targets = RatioTargets { peers: [None, Some(0.4), None], ..crate::rows::must(1.9).workers(1.75, 1.5) };
    let costs = CostResult::from_runs(&row, &targets, &runs);
    for (share, side, micros, ratio, target) in [
        (CpuShare::Total, "nginx", 10.0, 3.0, Target::must(1.9)),
        (CpuShare::Total, "envoy", 20.0, 1.5, Target::must(0.4)),
        (CpuShare::User, "envoy", 4.0, 0.5, Target::NONE),
        (CpuShare::Workers, "nginx", 5.0, 3.0, Target::must(1.75).aiming(1.5)),
    ] {
        let found = costs.iter().find(|found| (found.share, found.side) == (share, side)).unwrap();
        let near = |found: Option<MedianInterval>, expected: f64| (found.unwrap().median - expected).abs() < 1e-9;
        assert!(near(found.micros, micros) && near(found.ratio, ratio) && found.target == target, "{found:?}");
    }
    let none = CostResult::from_runs(&row, &targets, &RowRuns { rounds: vec![Vec::new()], ..runs });
    assert!(none.iter().all(|cost| cost.ratio.is_none() && cost.micros.is_none()));
}

#[test]
fn figures_of_two_sides_are_compared_within_their_round() {
    let check = |name: &str, has_workers: bool, expected: f64, endings: &[&str]| {
        let row = Row::find(name).unwrap();
        let runs = runs(&[("a", 5, 1), ("b", 6, 1)], has_workers);
        let lines = Some(LineCounts { requests: 9, written: 8, dropped: 1 });
        let figures = Figure::of_pair(&row, &runs, lines);
        let names: Vec<&str> = figures.iter().map(|figure| figure.what.as_str()).collect();
        assert_eq!(names, endings.iter().map(|ending| ending.replace("WHAT", row.what)).collect::<Vec<_>>());
        let with_target = figures.iter().rfind(|figure| figure.target != Target::NONE).unwrap();
        assert!((with_target.measured.unwrap().median - expected).abs() < 1e-9, "{figures:?}");
    };
    let [first, other] = ["µs per request, WHAT, a", "µs per request, WHAT, b"];
    check("keys", true, 1.2, &[first, other, "ratio, WHAT", "ratio, WHAT, worker threads"]);
    check("cold", true, 10.0, &[first, other, "µs added, WHAT", "µs added, WHAT, worker threads"]);
    check("backends", false, 1.2, &[first, other, "ratio, WHAT"]);
    let what = |time| {
        format!("µs of {time} time added to a plain request by `log.level: info` (9 requests, 8 lines, 1 dropped)")
    };
    check("info", true, 10.0, &[&what("total"), &what("user")]);
}
