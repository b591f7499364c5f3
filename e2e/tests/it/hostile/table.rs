//! Runs the table against the built binary.

use std::collections::{BTreeMap, HashSet};

use e2e::eventually;
use e2e::recorder::RecorderEntry;

use super::judge::{Manner, RowJudge, suits};
use super::requests::{Requirement, Row, THEMES};
use super::say;

fn rows() -> impl Iterator<Item = &'static Row> {
    THEMES.iter().copied().flatten()
}

#[test]
fn table_names_at_least_600_requests_each_once_and_each_with_its_rfc() {
    let names: HashSet<&str> = rows().map(|row| row.name).collect();
    assert_eq!(names.len(), rows().count(), "a name occurs twice");
    assert!(names.len() >= 600, "{}", names.len());
    for row in rows() {
        let (rfc, section) = row.rfc.split_once(", ").unwrap_or_default();
        let numbers = section.split('.').all(|number| number.parse::<u8>().is_ok());
        assert!(rfc.len() == 4 && rfc.parse::<u16>().is_ok() && numbers, "{}: {:?}", row.name, row.rfc);
        assert!(row.name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{}", row.name);
    }
}

/// Sends every row, one after the other, and checks that the backend's log contains exactly the expected requests.
async fn check(manner: Manner) {
    let court = RowJudge::sit().await;
    let mut failed = Vec::new();
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut accounted = 0;
    for row in rows().filter(|row| suits(row, manner)) {
        let lines = court.backend.lines();
        if let Err(why) = court.try_row(row, manner).await {
            failed.push(why);
        }
        accounted += whole(&court.backend.log(lines));
        let kind = match row.must {
            Requirement::Refused(_) => "refused and closed",
            Requirement::Answered(_) => "answered by Tollgate",
            Requirement::Read(_) => "read in one way",
            Requirement::Cut(_) => "cut in the body",
            Requirement::Unfinished => "never finished",
        };
        *counts.entry(kind).or_default() += 1;
    }
    let tried: usize = counts.values().sum();
    say(&format!("{manner:?}: {tried} hostile requests: {counts:?}; {} failed", failed.len()));
    assert!(failed.is_empty(), "{} rows failed:\n{}", failed.len(), failed.join("\n"));
    court.gateway.at_rest().await;
    eventually("every aborted upload is closed", async || {
        let log = court.backend.log(0);
        (whole(&log) == accounted).then_some(())
    })
    .await;
}

fn whole(log: &[RecorderEntry]) -> usize {
    log.iter().filter(|entry| matches!(entry, RecorderEntry::Whole(_))).count()
}

#[tokio::test]
async fn each_hostile_request_is_refused_or_has_one_reading() {
    check(Manner::Whole).await;
}

#[tokio::test]
async fn each_hostile_request_is_so_however_it_is_split() {
    check(Manner::Pieces).await;
}

#[tokio::test]
async fn each_hostile_request_is_refused_in_an_llms_own_words() {
    assert!(rows().filter(|row| suits(row, Manner::Llm)).count() > 100);
    check(Manner::Llm).await;
}
