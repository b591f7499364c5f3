use access::{Day, KeyNo, PlanId, UserNo};

use super::*;
use crate::refusal::vendor_fields::Vendor;

/// The time of the tests: six hours after the beginning of 2024-10-04.
const NOW: Timestamp = Timestamp(1_728_021_600_000_000);
const USER: BudgetScope = BudgetScope::User(UserNo(1));
const KEY: BudgetScope = BudgetScope::Key(KeyNo(1));

fn budget(scope: BudgetScope, measure: Measure, per: LimitPeriod, [limit, left, unspent]: [u64; 3]) -> LimitItem {
    let budget = BudgetId { scope, measure, per };
    let [limit, left, unspent] = [limit, left, unspent].map(|units| measure.limit_of(units));
    let period = Period::containing(per, NOW.day());
    LimitItem::of_budget(&BudgetLevel { budget, name: None, period, limit, left, unspent }, NOW)
}

fn per_minute(limit: u32, remaining: u32) -> LimitItem {
    let level = RateLevel { limit, remaining, reset: Duration::from_millis(6_500) };
    LimitItem::of_rate(LimitSource::PerMinute, LimitUnit::Count, level)
}

fn exceeded(scope: BudgetScope, measure: Measure, [limit, used, requested]: [u64; 3], by: RefusalCause) -> LimitItem {
    let budget = BudgetId { scope, measure, per: LimitPeriod::Day };
    let [limit, used, requested] = [limit, used, requested].map(|units| measure.limit_of(units));
    let period = Period::containing(LimitPeriod::Day, NOW.day());
    LimitItem::of_exceeded(&BudgetExceeded { budget, period, limit, used, requested, by }, None, NOW)
}

/// Returns the fields of a response, one a line.
fn fields(refused_by: Option<LimitItem>, others: Vec<LimitItem>, vendor: Option<Vendor>) -> Vec<String> {
    let items = LimitItems::new(refused_by, others.into_iter());
    let mut edits = HeadEdits::for_forwarding();
    items.write(NOW, &mut edits).unwrap();
    if let Some(vendor) = vendor {
        vendor.write(&items, NOW, &mut edits).unwrap();
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    edits.added().map(|field| format!("{}: {}", text(field.name).to_ascii_lowercase(), text(field.value))).collect()
}

#[test]
fn each_window_is_an_item_and_the_least_share_left_is_first() {
    let windows = vec![
        per_minute(60, 59),
        budget(USER, Measure::Money, LimitPeriod::Month, [20_000_000_000, 19_999_999_999, 20_000_000_000]),
        budget(USER, Measure::Credits, LimitPeriod::Day, [400, 312, 312]),
        budget(KEY, Measure::Tokens, LimitPeriod::Day, [1_000, 100, 150]),
    ];
    assert_eq!(
        fields(None, windows, None),
        [
            "x-ratelimit-limit: 400",
            "x-ratelimit-remaining: 312",
            "x-ratelimit-reset: 1728086400",
            "x-ratelimit-limit-tokens: 1000",
            "x-ratelimit-remaining-tokens: 100",
            "x-ratelimit-reset-tokens: 64800s",
            "ratelimit-policy: \"key+day:tokens\";q=1000;qu=\"tokens\";w=86400, \"day\";q=400;w=86400, \
             \"requests_per_minute\";q=60;w=60, \"month:money\";q=20000000;qu=\"microusd\";w=2678400",
            "ratelimit: \"key+day:tokens\";r=100;t=64800, \"day\";r=312;t=64800, \"requests_per_minute\";r=59;t=7, \
             \"month:money\";r=19999999;t=2397600",
        ]
    );
}

#[test]
fn a_client_without_limits_gets_no_fields() {
    for vendor in [None, Some(Vendor::Codex), Some(Vendor::Claude)] {
        assert_eq!(fields(None, Vec::new(), vendor), Vec::<String>::new());
    }
}

#[test]
fn the_limit_that_refuses_is_first_and_listed_once() {
    let refused_by = exceeded(USER, Measure::Credits, [1_000, 400, 601], RefusalCause::Limit);
    let others = vec![
        budget(KEY, Measure::Credits, LimitPeriod::Day, [100, 1, 1]),
        budget(USER, Measure::Credits, LimitPeriod::Day, [1_000, 600, 600]),
    ];
    assert_eq!(
        fields(Some(refused_by), others, None),
        [
            "x-ratelimit-limit: 1000",
            "x-ratelimit-remaining: 600",
            "x-ratelimit-reset: 1728086400",
            "ratelimit-policy: \"day\";q=1000;w=86400, \"key+day\";q=100;w=86400",
            "ratelimit: \"day\";r=600;t=64800, \"key+day\";r=1;t=64800",
        ]
    );
}

#[test]
fn a_rest_that_only_other_nodes_know_is_not_reported() {
    let of = |amounts| fields(Some(exceeded(USER, Measure::Credits, amounts, RefusalCause::Lease)), Vec::new(), None);
    assert_eq!(
        of([1_000, 400, 601]),
        ["x-ratelimit-limit: 1000", "x-ratelimit-reset: 1728086400", "ratelimit-policy: \"day\";q=1000;w=86400"]
    );
    assert!(of([1_000, 1_000, 1]).contains(&"x-ratelimit-remaining: 0".to_owned()));
}

#[test]
fn a_refusal_by_money_or_a_shared_budget_reports_its_reset_alone() {
    const RESET: [&str; 1] = ["x-ratelimit-reset: 1728086400"];
    let money = fields(Some(exceeded(USER, Measure::Money, [5_000, 5_000, 1], RefusalCause::Limit)), Vec::new(), None);
    assert_eq!(money[..1], RESET, "a client would read the figures as requests");
    for scope in [BudgetScope::Global, BudgetScope::Plan(PlanId::NIL)] {
        for amounts in [[5, 5, 1], [1_000, 400, 601], [0, 0, 1]] {
            let refused_by = exceeded(scope, Measure::Credits, amounts, RefusalCause::Limit);
            assert_eq!(fields(Some(refused_by.clone()), Vec::new(), Some(Vendor::Codex)), RESET);
            let claude = fields(Some(refused_by), Vec::new(), Some(Vendor::Claude)).join("\n");
            assert!(claude.contains("unified-status: rejected") && !claude.contains("1000"), "{claude}");
        }
    }
}

#[test]
fn at_most_eight_items_are_sent() {
    let policy = |no: u32| LimitSource::Rule(format!("\"rule{no}\";q=100;w=60").into());
    let level = |no| RateLevel { limit: 100, remaining: no, reset: Duration::ZERO };
    let rules = (0..64).rev().map(|no| LimitItem::of_rate(policy(no), LimitUnit::Count, level(no))).collect();
    let fields = fields(None, rules, None);
    let policies = fields.iter().find(|line| line.starts_with("ratelimit-policy")).unwrap();
    assert_eq!(policies.matches("q=100").count(), 8);
    assert!(policies.starts_with("ratelimit-policy: \"rule0\""), "{policies}");
}

#[test]
fn codex_sees_the_two_fullest_windows_by_what_is_settled() {
    let windows = vec![
        per_minute(60, 0),
        budget(USER, Measure::Money, LimitPeriod::Month, [20_000_000_000, 1_000_000_000, 15_400_000_000]),
        budget(USER, Measure::Credits, LimitPeriod::Day, [400, 100, 100]),
        budget(KEY, Measure::Credits, LimitPeriod::Day, [400, 399, 399]),
    ];
    let fields = fields(None, windows, Some(Vendor::Codex));
    let codex: Vec<&String> = fields.iter().filter(|line| line.starts_with("x-codex")).collect();
    assert_eq!(
        codex,
        [
            "x-codex-primary-used-percent: 23.0",
            "x-codex-primary-window-minutes: 43200",
            "x-codex-primary-reset-at: 1730419200",
            "x-codex-secondary-used-percent: 75.0",
            "x-codex-secondary-window-minutes: 1440",
            "x-codex-secondary-reset-at: 1728086400",
        ]
    );
}

#[test]
fn claude_code_sees_the_fullest_window_and_a_warning_from_three_quarters_on() {
    let claude = |left: u64| {
        let windows = vec![budget(USER, Measure::Credits, LimitPeriod::Day, [100, left, left])];
        let fields = fields(None, windows, Some(Vendor::Claude));
        let prefix = "anthropic-ratelimit-unified-";
        fields.iter().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned).collect::<Vec<_>>()
    };
    let common = ["reset: 1728086400", "overage-reset: 1728086400"];
    let of = |status: &str, utilization: &str| {
        let status =
            [format!("status: {status}"), "representative-claim: overage".into(), format!("overage-status: {status}")];
        let lines = common.map(str::to_owned).into_iter().chain(status);
        lines.chain([format!("overage-utilization: {utilization}")]).collect::<Vec<_>>()
    };
    assert_eq!(claude(26), of("allowed", "0.74"));
    let warned = |utilization, threshold: &str| {
        let mut lines = of("allowed_warning", utilization);
        lines.push(format!("overage-surpassed-threshold: {threshold}"));
        lines
    };
    assert_eq!(claude(25), warned("0.75", "0.75"));
    assert_eq!(claude(5), warned("0.95", "0.95"));
    assert_eq!(claude(0), warned("0.99", "0.95"), "a full one would be a refusal");
}

#[test]
fn claude_code_shows_the_message_of_a_refusal_because_no_claim_is_named() {
    let refused_by = exceeded(USER, Measure::Credits, [5, 5, 1], RefusalCause::Limit);
    let fields = fields(Some(refused_by), Vec::new(), Some(Vendor::Claude));
    let unified: Vec<&String> = fields.iter().filter(|line| line.starts_with("anthropic")).collect();
    assert_eq!(
        unified,
        [
            "anthropic-ratelimit-unified-reset: 1728086400",
            "anthropic-ratelimit-unified-overage-reset: 1728086400",
            "anthropic-ratelimit-unified-status: rejected",
            "anthropic-ratelimit-unified-overage-utilization: 1",
            "anthropic-ratelimit-unified-overage-surpassed-threshold: 1",
            "anthropic-ratelimit-unified-overage-period: daily",
            "anthropic-ratelimit-unified-overage-disabled-reason: org_spend_cap_reached",
        ]
    );
}

#[test]
fn the_day_of_the_tests_is_the_one_of_their_clock() {
    assert_eq!(NOW.day(), Day(20_000));
}
