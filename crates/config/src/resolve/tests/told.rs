//! Notes about prices that end or begin.

use super::*;

#[test]
fn prices_that_end_are_told_from_fourteen_days_before_and_after() {
    let source = "
providers: [{name: main, kind: openai, credential: x}, {name: off, kind: gemini, credential: ''}]
prices:
  - {model: main/own, input: '1', output: '2', until: 2026-12-31}
  - {model: main/gpt-5.6, input: '5', output: '6', from: 2026-11-22}
";
    let snapshot = loaded(source, false).snapshot;
    let told = |day: &str| {
        let at = access::Day::parse(day).unwrap().start();
        let notes = snapshot.traffic.prices_ending(at, Duration::from_secs(14 * 86_400));
        notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told("2026-11-06"), "");
    assert_eq!(
        told("2026-11-07"),
        "prices of provider main end on 2026-11-21, after that day the cost will be unknown: gpt-5.6-sol; \
         set later prices in `prices` or in a `prices_file`"
    );
    assert!(told("2026-11-21").starts_with("prices of provider main end on 2026-11-21"));
    assert!(told("2026-11-22").starts_with("prices of provider main ended on 2026-11-21, after that day the cost is"));
    assert!(
        !told("2026-12-16").contains(": own;")
            && told("2026-12-17").contains("2026-12-31, after that day the cost will be unknown: own;")
    );
    let ends: Vec<_> = snapshot.traffic.price_expiries().map(|(_, end)| end.model).collect();
    assert_eq!(ends, ["gpt-5.6-sol", "own"], "gpt-5.6 goes on as it is configured");
}

#[test]
fn a_price_that_begins_later_is_told_where_there_is_none_today() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    let file = "
as_of: 2026-12-01
source: s
prices:
  - {model: openai/gpt-5.5, input: '1', output: '2', from: 2026-12-24, long: {above_tokens: 1, input: '1', output: '2'}}
  - {model: openai/gpt-5, input: '1', output: '2', from: 2026-12-24}
  - {model: openai/gpt-5, input: '1', output: '2', until: 2026-12-23}
  - {model: gemini/gemini-9, input: '1', output: '2', from: 2026-12-24}
";
    std::fs::write(&path, file).unwrap();
    let source = format!(
        "
prices_file: {}
providers: [{{name: main, kind: openai, credential: x}}]
prices:
  - {{model: main/own, input: '1', output: '2', from: 2027-01-01}}
  - {{model: main/gpt-5-mini, input: '1', output: '2', from: 2027-01-01}}
",
        path.display()
    );
    let snapshot = loaded(&source, false).snapshot;
    let told = |day: &str| {
        let notes = snapshot.traffic.prices_beginning(access::Day::parse(day).unwrap().start());
        notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let note = |from, model| {
        format!(
            "prices of provider main begin on {from}, before that day the cost is unknown: {model}; \
             set the prices of today beside them"
        )
    };
    assert_eq!(told("2026-12-01"), [note("2026-12-24", "gpt-5.5"), note("2027-01-01", "own")]);
    assert_eq!(told("2026-12-24"), [note("2027-01-01", "own")]);
    assert_eq!(told("2027-01-01"), [""; 0]);
}
