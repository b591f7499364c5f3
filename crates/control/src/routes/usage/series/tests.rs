use super::*;

const NOW: Timestamp = Timestamp(1_795_176_000_000_000);

fn check(step: StepParameter, since: Option<&str>, until: Option<&str>) -> Result<(u64, u64), String> {
    let query = UsageSeriesQuery {
        by: None,
        step: None,
        since: since.map(str::to_owned),
        until: until.map(str::to_owned),
        key_id: None,
        model: None,
        label: None,
        scope: None,
        user_id: None,
        empty: None,
        format: None,
    };
    let seconds = |at: Timestamp| (NOW.0 - at.0) / 1_000_000;
    range(&query, step, NOW).map(|(since, until)| (seconds(since), seconds(until))).map_err(|_| "refused".to_owned())
}

#[test]
fn a_range_is_bounded_by_its_step() {
    let at = |seconds: u64| rfc3339(Timestamp(NOW.0 - seconds * 1_000_000));
    let hours = |hours: u64| at(hours * 3_600);
    for (step, default, longest) in
        [(StepParameter::Minute, 1, 6), (StepParameter::Hour, 24, 7 * 24), (StepParameter::Day, 30 * 24, 366 * 24)]
    {
        assert_eq!(check(step, None, None), Ok((default * 3_600, 0)), "{step:?}");
        assert_eq!(check(step, Some(&hours(longest)), None), Ok((longest * 3_600, 0)), "{step:?}");
        // A range between steps touches one more.
        let since = at(longest * 3_600 + 30);
        let until = at(30);
        assert!(check(step, Some(&since), Some(&until)).is_ok(), "{step:?}");
        assert_eq!(check(step, Some(&hours(longest + 48)), None), Err("refused".to_owned()), "{step:?}");
    }
    assert_eq!(check(StepParameter::Hour, None, Some(&hours(1))), Ok((25 * 3_600, 3_600)));
    assert_eq!(check(StepParameter::Hour, Some(&hours(1)), Some(&hours(2))), Err("refused".to_owned()));
    assert_eq!(check(StepParameter::Day, Some("1970-01-01T00:00:00Z"), None), Err("refused".to_owned()));
    assert_eq!(check(StepParameter::Day, Some("yesterday"), None), Err("refused".to_owned()));
}
