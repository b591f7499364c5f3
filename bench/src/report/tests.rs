use super::*;
use crate::counts::ProductCounts;
use crate::rounds::CostUnit;
use crate::rounds::tests::run;

const fn exactly(median: f64) -> MedianInterval {
    MedianInterval { median, low: median - 0.01, high: median + 0.01 }
}

fn cost(share: CpuShare, to_nginx: Option<f64>, target: Target) -> CostResult {
    let ratios = [("nginx", to_nginx), ("haproxy", Some(0.75)), ("envoy", Some(0.4)), ("traefik", Some(0.25))];
    let peers = [("haproxy", 0.7), ("envoy", 0.38), ("traefik", 0.3)].map(|(side, must)| (side, Target::must(must)));
    let peers = peers.into_iter().filter(|_| share == CpuShare::Total);
    CostResult {
        what: "plain route",
        share,
        micros: [("nginx", 10.0), ("haproxy", 12.0), ("envoy", 40.0), ("traefik", 36.0), ("tollgate", 9.0)]
            .map(|(side, micros)| (side, exactly(micros)))
            .into(),
        ratios: ratios.into_iter().filter_map(|(side, ratio)| Some((side, exactly(ratio?)))).collect(),
        targets: peers.chain([("nginx", target)]).collect(),
    }
}

fn report(is_result: bool, counted: u64) -> BenchReport {
    let counts = ProductCounts { metrics_requests: counted, usage_requests: 0 };
    BenchReport {
        is_result,
        costs: vec![
            cost(CpuShare::Total, Some(0.9), Target::must(0.95).aiming(0.85)),
            cost(CpuShare::User, Some(1.2), Target::must(0.9)),
            cost(CpuShare::System, Some(0.5), Target::NONE),
            cost(CpuShare::Workers, None, Target::must(1.75)),
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
        "| plain route | all | 10.00 | 12.00 | 9.00 | 0.900 (0.890 to 0.910) | 0.750 (0.740 to 0.760) | 0.95 | 0.85 | met |",
        "|  | user | 10.00 | 12.00 | 9.00 | 1.200 (1.190 to 1.210) | 0.750 (0.740 to 0.760) | 0.9 |  | missed by 33% |",
        "|  | system | 10.00 | 12.00 | 9.00 |  |  |  |  |  |",
        "|  | Tollgate's workers, all | 10.00 | 12.00 | 9.00 | not measured | 0.750 (0.740 to 0.760) | 1.75 |  | not measured |",
        "| plain route | all | Envoy | 40.00 | 0.400 (0.390 to 0.410) | 0.38 |  | missed by 5% |",
        "| plain route | user | Envoy | 40.00 | 0.400 (0.390 to 0.410) |  |  |  |",
        "| plain route | all | HAProxy | 12.00 | 0.750 (0.740 to 0.760) | 0.7 |  | missed by 7% |",
        "| plain route | all | Traefik | 36.00 | 0.250 (0.240 to 0.260) | 0.3 |  | met |",
        "| MiB at rest | 10.20 | 30 |  | met |",
    ] {
        assert!(text.lines().any(|line| line == row), "{row}\n{text}");
    }
    assert!(!text.contains("| user | HAProxy |"), "{text}");
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
    let machine = |load| Machine { load, ..report(true, 1).machine };
    assert_eq!((machine(Some(0.05)).warning(), machine(None).warning()), (None, None));
    assert!(machine(Some(1.75)).warning().unwrap().contains("load 1.75"));
    assert_eq!(processor("processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: x\n"), Some("AMD EPYC"));
}

/// Three rounds, of which the second is twice as slow for every side. A side has the factors of the total and of the
/// user time.
fn runs(sides: &[(&'static str, u64, u64)], has_workers: bool) -> RowRuns {
    let round = |slow: u64| {
        let side = |(_, total, user): &(_, u64, u64)| {
            let run = run(100 * slow * total, 10 * slow * user);
            let workers = has_workers.then_some(crate::process::CpuTime { total_micros: 50 * slow * total, ..run.cpu });
            SideRun { workers, ..run }
        };
        sides.iter().map(side).collect()
    };
    let names = sides.iter().map(|(name, ..)| *name).collect();
    RowRuns { names, unit: CostUnit::Request, rounds: [1, 2, 1].map(round).to_vec(), failed: 0 }
}

#[test]
fn ratios_are_of_the_same_round() {
    let (row, runs) = (Row::of("llm").unwrap(), runs(&[("nginx", 1, 1), ("haproxy", 2, 4), ("tollgate", 3, 2)], true));
    let RowKind::Proxies(_, targets) = row.kind else { panic!("{row:?}") };
    let costs = CostResult::of(&row, &targets, &runs);
    let check = |share: CpuShare, cost: f64, to_nginx: f64, to_haproxy: f64| {
        let found = costs.iter().find(|found| found.share == share).unwrap();
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
        assert!(near(found.micros["tollgate"].median, cost), "{found:?}");
        assert!(near(found.ratios["nginx"].high, to_nginx) && near(found.ratios["haproxy"].median, to_haproxy));
        assert_eq!((found.micros.len(), found.ratios.len()), (3, 2));
    };
    check(CpuShare::Total, 30.0, 3.0, 1.5);
    check(CpuShare::User, 2.0, 2.0, 0.5);
    check(CpuShare::Workers, 15.0, 3.0, 1.5);
    assert_eq!(costs.iter().filter(|cost| cost.targets.contains_key("nginx")).count(), 2);
    let none = CostResult::of(&row, &targets, &RowRuns { rounds: vec![Vec::new()], ..runs });
    assert!(none.iter().all(|cost| cost.ratios.is_empty() && cost.micros.is_empty()));
}

#[test]
fn figures_of_two_sides_are_compared_within_their_round() {
    let check = |name: &str, has_workers: bool, expected: f64, endings: &[&str]| {
        let (row, runs) = (Row::of(name).unwrap(), runs(&[("a", 5, 1), ("b", 6, 1)], has_workers));
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
    // 60 µs 5,000 times a second.
    check("rate", true, 30.0, &["% of one core, WHAT, a", "% of one core, WHAT, b"]);
    let what = |time| {
        format!("µs of {time} time added to a plain request by `log.level: info` (9 requests, 8 lines, 1 dropped)")
    };
    check("info", true, 10.0, &[&what("total"), &what("user")]);
}
