//! The quotas of plans in windows.

use super::errors::check_codes;
use super::*;

/// Returns the quotas of a plan as text, in the order of the file.
fn quotas(keys: &str) -> Vec<String> {
    let source = format!("plans: [{{name: pro, {keys}}}]\n");
    snapshot(&source).traffic.plans[0].budgets.iter().map(Budget::to_string).collect()
}

fn check(keys: &str, code: &str, place: &str) {
    let source = format!("plans: [{{name: pro, {keys}}}]\n");
    let column = source.find(place).unwrap() + 1;
    check_codes(&source, &[(code, 1, u32::try_from(column).unwrap())]);
}

#[test]
fn a_quota_opens_with_the_first_use_or_at_local_midnight() {
    assert_eq!(
        quotas(
            "timezone: asia/jakarta, budgets: [{credits: 9, per: month}], quotas: [{credits: 400, per: 5h}, {tokens: 7, per: day},
              {credits: 3, per: week, from: first_use}, {money: 20 USD, per: month}, {money: 1 USD, per: 1m, from: first_use}]"
        ),
        [
            "9 credits a month",
            "400 credits per 5h from first use",
            "7 tokens a day in Asia/Jakarta",
            "3 credits per 7d from first use",
            "20 USD a month in Asia/Jakarta",
            "1 USD per 1m from first use",
        ]
    );
    assert_eq!(
        quotas(
            "quotas: [{credits: 400, per: 5h, from: subscription}, {credits: 9, per: week, from: subscription},
              {credits: 9, per: month, from: subscription}, {money: 20 USD, per: period}, {tokens: 5, per: period, from: subscription}]"
        ),
        [
            "400 credits per 5h of the subscription",
            "9 credits per week of the subscription",
            "9 credits per month of the subscription",
            "20 USD per period of the subscription",
            "5 tokens per period of the subscription",
        ]
    );
    let weeks = "quotas: [{credits: 3, per: week}, {credits: 9, per: month}], week_start: sunday";
    assert_eq!(quotas(weeks), ["3 credits a week from Sunday in UTC", "9 credits a month"]);
    // Without a time zone, calendar periods are those of budgets.
    assert_eq!(quotas("quotas: [{credits: 3, per: week, from: calendar}]"), ["3 credits a week"]);
}

#[test]
fn windows_that_do_not_exist_are_refused() {
    check("quotas: [{credits: 1, per: 1s}]", "bad_value", "1s");
    check("quotas: [{credits: 1, per: 100y}]", "bad_value", "100y");
    check("quotas: [{credits: 1, per: 91d}]", "bad_value", "91d");
    check("quotas: [{credits: 1, per: 0m}]", "bad_value", "0m");
    check("quotas: [{credits: 1, per: 5h, from: calendar}]", "bad_value", "{credits");
    check("quotas: [{credits: 1, per: month, from: first_use}]", "bad_value", "{credits");
    check("quotas: [{credits: 1, per: 5h, from: noon}]", "bad_value", "noon");
    check("quotas: [{credits: 1, per: period, from: calendar}]", "bad_value", "{credits");
    check("quotas: [{credits: 1, per: period, from: first_use}]", "bad_value", "{credits");
    check("quotas: [{name: Session, credits: 1, per: 5h}]", "bad_value", "Session");
    check(
        "quotas: [{name: a, credits: 1, per: 5h}, {name: a, credits: 2, per: 6h}]",
        "duplicate",
        "{name: a, credits: 2",
    );
    check("timezone: Asia/Nowhere", "bad_value", "Asia/Nowhere");
    check("quotas: [{credits: 1, tokens: 1, per: 5h}]", "bad_value", "{credits");
    check("quotas: [{credits: 1, per: 5h}, {credits: 2, per: 300m}]", "duplicate", "{credits: 2");
    check("budgets: [{credits: 1, per: day}], quotas: [{credits: 2, per: day}]", "duplicate", "{credits: 2");
    let nine: Vec<String> = (1..=9).map(|hours| format!("{{credits: 1, per: {hours}h}}")).collect();
    check(&format!("quotas: [{}]", nine.join(", ")), "bad_value", "{credits: 1, per: 9h}");
}
