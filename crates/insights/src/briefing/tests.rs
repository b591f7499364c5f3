mod days;

use super::*;
use crate::classification::Class;
use crate::figures::day;
use crate::rules::Metadata;
use crate::settings::{ClassRule, RuleConditions};

const TODAY: &str = "2026-11-21";

fn head(scope: DayScope) -> FiguresHead {
    let day = day::parse(TODAY).unwrap();
    FiguresHead { day, scope, as_of: day.start(), complete: true, figures_version: 3 }
}

fn figures(back: u32, requests: u64, cost_nano: i64) -> DayFigures {
    let day = Day(day::parse(TODAY).unwrap().0 - back);
    DayFigures { day, requests, tokens: requests * 10, cost_nano, ..DayFigures::default() }
}

fn chats(requests: u64, cost_nano: i128) -> RequestGroup<'static> {
    let metadata = Metadata { format: Some("chat"), streamed: Some(true), status: 200, ..Metadata::default() };
    RequestGroup { metadata, requests, tokens: requests * 10, cost_nano, ids: vec![Uuid::from_u128(1)] }
}

fn compose(days: &[DayFigures], groups: &[RequestGroup<'_>], outcomes: DayOutcomes) -> Brief {
    let of = BriefFigures {
        head: head(DayScope::All {}),
        days,
        outcomes,
        models: &[],
        groups,
        codes: Vec::new(),
        failed: FailedCost::default(),
        latency: DayLatency::default(),
        budget: None,
        signed: None,
    };
    brief(of, &InsightSettings::default())
}

#[test]
fn a_quiet_day_names_its_cost_and_its_largest_class() {
    let days = [figures(7, 90, 10_000_000_000), figures(1, 80, 9_000_000_000), figures(0, 100, 12_500_000_000)];
    let told = compose(&days, &[chats(100, 12_500_000_000)], DayOutcomes::default());
    assert_eq!(
        told.headline,
        "all users spent 12.50 USD, 2.50 USD more than on the same weekday; 100 of 100 requests are chat"
    );
    assert_eq!((told.id.as_str(), told.figures_version), (TODAY, 3));
    assert_eq!((told.rules_version, told.built_in_rules_version), (1, Some(BUILT_IN_VERSION)));
    assert_eq!(told.spend.cost.amount_nano, 12_500_000_000);
    assert_eq!(told.spend.yesterday.amount_nano, 9_000_000_000);
    assert_eq!(told.spend.same_weekday.amount_nano, 10_000_000_000);
    assert_eq!((told.spend.requests, told.spend.tokens), (100, 1_000));
    assert_eq!(told.classes, [ClassCount { class: Class::Chat, requests: 100 }]);
    // Costs without a model are one mover.
    assert_eq!(told.movers.iter().map(|mover| mover.difference).sum::<i64>(), 2_500_000_000);
    assert_eq!(told.anomalies_reason.as_deref(), Some("2 earlier days have usage; at least 14 are needed"));
    assert!(told.recommendations.is_empty());
}

#[test]
fn a_first_and_an_empty_day_are_complete_responses() {
    let first = compose(&[figures(0, 1, 5)], &[chats(1, 5)], DayOutcomes::default());
    assert_eq!(first.spend.yesterday.amount_nano, 0);
    assert!(first.headline.ends_with("1 of 1 requests are chat"), "{}", first.headline);
    let empty = compose(&[], &[], DayOutcomes::default());
    let expected = "all users spent 0.00 USD, as much as on the same weekday; there were no requests";
    assert_eq!(empty.headline, expected);
    assert_eq!((empty.classes.len(), empty.movers.len()), (0, 0));
    let refused = RequestGroup { requests: 0, tokens: 0, ids: Vec::new(), ..chats(0, 0) };
    let day = DayFigures { refused: 7, ..figures(0, 0, 0) };
    let told = compose(&[day], &[refused], DayOutcomes::default());
    assert!(told.headline.ends_with("; 7 requests were refused") && told.classes.is_empty(), "{told:?}");
}

#[test]
fn an_approved_day_keeps_its_classes_when_the_rules_change() {
    let day = figures(0, 100, 700);
    let groups = [chats(100, 700)];
    let settings = InsightSettings::default();
    let classified = ClassifiedDay { figures: &day, unpriced: 0, groups: &groups };
    let before = classification(&head(DayScope::All {}), &settings, classified);
    let signed = SignedClasses { built_in_rules_version: 1, ..SignedClasses::from_classification(&before, &settings) };
    let rule = ClassRule {
        name: "all".into(),
        class: Class::Other,
        when: RuleConditions::default(),
        confidence: crate::Ratio::ONE,
    };
    let changed = InsightSettings { version: 2, rules: vec![rule], ..settings };
    let of = |signed| BriefFigures {
        head: head(DayScope::All {}),
        days: std::slice::from_ref(&day),
        outcomes: DayOutcomes::default(),
        models: &[],
        groups: &groups,
        codes: Vec::new(),
        failed: FailedCost::default(),
        latency: DayLatency::default(),
        budget: None,
        signed,
    };
    let open = brief(of(None), &changed);
    assert_eq!(open.classes, [ClassCount { class: Class::Other, requests: 100 }]);
    let approved = brief(of(Some(&signed)), &changed);
    assert_eq!(approved.classes, [ClassCount { class: Class::Chat, requests: 100 }]);
    assert_eq!(approved.built_in_rules_version, Some(1));
    assert!(approved.headline.ends_with("100 of 100 requests are chat"), "{}", approved.headline);
}

#[test]
fn a_day_past_the_retention_reports_missing_classes() {
    let told = compose(&[figures(0, 40, 5)], &[], DayOutcomes::default());
    assert!(told.headline.contains("the events of 40 requests are deleted"), "{}", told.headline);
}

#[test]
fn an_outage_has_errors_and_what_they_cost() {
    let outcomes = DayOutcomes { failed: 60, unpriced: 2 };
    let day = DayFigures { refused: 3, own_cost_nano: 90, ..figures(0, 100, 700) };
    let of = BriefFigures {
        head: head(DayScope::Label { label: "team=payments".into() }),
        days: &[day],
        outcomes,
        models: &[],
        groups: &[chats(100, 700)],
        codes: vec![
            ErrorCount { code: "budget_exceeded".into(), requests: 3 },
            ErrorCount { code: "upstream_timeout".into(), requests: 60 },
        ],
        failed: FailedCost { cost_nano: 400, ids: vec![Uuid::from_u128(9)] },
        latency: DayLatency::default(),
        budget: None,
        signed: None,
    };
    let told = brief(of, &InsightSettings::default());
    assert!(told.headline.starts_with("payments spent 0.0000007 USD, 0.0000007 USD more"), "{}", told.headline);
    assert_eq!((told.errors.requests, told.errors.refused), (60, 3));
    assert_eq!((told.spend.requests, told.spend.refused), (100, 3), "refused requests are apart");
    assert_eq!((told.spend.cost.amount_nano, told.spend.own_cost.amount_nano), (700, 90));
    assert_eq!(told.errors.by_code[0].code, "upstream_timeout");
    let kinds: Vec<&str> = told.recommendations.iter().map(|of| of.kind.as_str()).collect();
    assert_eq!(kinds, ["failed_requests", "missing_prices"]);
    assert_eq!(told.recommendations[0].saves.as_ref().unwrap().amount_nano, 400);
    assert_eq!(told.id, "2026-11-21~team=payments");
}

#[test]
fn savings_are_those_that_can_be_computed() {
    let caches = CacheSavings { amount_nano: 3_100, requests: 380, without_price: 0 };
    let day = DayFigures { own_cost_nano: 600, ..figures(0, 1_000, 12_500) };
    let of = RoiFigures {
        figures: &day,
        refused_by_budget: 3,
        prompt_caches: caches,
        response_caches: ResponseCacheUse::default(),
        gateway_cost: NanoUsd(0),
    };
    let told = roi(&head(DayScope::All {}), of);
    assert_eq!((told.spent.amount_nano, told.total_saved.amount_nano), (12_500, 3_100));
    assert_eq!(told.own_cost.amount_nano, 600, "the operator does not pay it");
    assert_eq!(told.saved[0].requests, 380);
    let named: Vec<(&str, u64)> = told.not_counted.iter().map(|of| (of.kind.as_str(), of.requests)).collect();
    assert_eq!(named, [("refused_overspend", 3), ("response_cache", 0)]);
    let unknown = CacheSavings { without_price: 7, ..CacheSavings::default() };
    let told = roi(&head(DayScope::All {}), RoiFigures { prompt_caches: unknown, ..of });
    assert_eq!(told.saved, []);
    assert_eq!((told.not_counted[2].kind.as_str(), told.not_counted[2].requests), ("prompt_cache", 7));
    for (is_configured, requests, reason) in [
        (false, 0, "no route has a cache"),
        (true, 0, "no request with an event was served from a cache"),
        // The cache of the route was removed since.
        (false, 2, "these requests were served from a cache; "),
        (true, 2, "these requests were served from a cache; "),
    ] {
        let response_caches = ResponseCacheUse { is_configured, requests };
        let told = roi(&head(DayScope::All {}), RoiFigures { response_caches, ..of });
        let cache = &told.not_counted[1];
        assert_eq!((cache.kind.as_str(), cache.requests), ("response_cache", requests));
        assert!(cache.reason.starts_with(reason), "{}", cache.reason);
        assert_eq!(told.total_saved.amount_nano, 3_100, "an unknown amount is never added");
    }
}

/// November has 30 days, so 20 USD are 0.666666666 or 0.666666667 USD a day.
#[test]
fn the_gateway_costs_its_share_of_the_month() {
    let day = figures(0, 1_000, 12_500);
    let told = |scope, gateway_cost| {
        let prompt_caches = CacheSavings::default();
        let response_caches = ResponseCacheUse::default();
        let gateway_cost = NanoUsd(gateway_cost);
        let of = RoiFigures { figures: &day, refused_by_budget: 0, prompt_caches, response_caches, gateway_cost };
        roi(&head(scope), of)
    };
    let parts = |of: &Roi| of.costs.iter().map(|of| (of.kind.clone(), of.amount.amount_nano)).collect::<Vec<_>>();
    let requests = ("requests".to_owned(), 12_500);
    let all = told(DayScope::All {}, 20_000_000_000);
    assert_eq!(parts(&all), [requests.clone(), ("gateway".to_owned(), 666_666_667)]);
    assert_eq!(all.spent.amount_nano, 666_679_167);
    assert!(all.costs.iter().all(|of| !of.formula.is_empty() && of.assumptions.len() == 1));
    let free = told(DayScope::All {}, 0);
    assert_eq!((parts(&free), free.spent.amount_nano), (vec![requests.clone()], 12_500));
    // A part of the users has no known part of it.
    let label = told(DayScope::Label { label: "team=payments".into() }, 20_000_000_000);
    assert_eq!((parts(&label), label.spent.amount_nano), (vec![requests], 12_500));
    assert_eq!(label.not_counted.last().map(|of| of.kind.as_str()), Some("gateway"));
    for (first, days) in [("2026-11-01", 30), ("2024-02-01", 29), ("2026-12-01", 31)] {
        let first = day::parse(first).unwrap().0;
        let shares: i64 = (first..first + days).map(|day| share_of_day(NanoUsd(20_000_000_000), Day(day)).0).sum();
        assert_eq!(shares, 20_000_000_000, "{days} days");
    }
}

#[test]
fn classes_and_brief_have_the_same_figures() {
    let day = figures(0, 100, 12_500);
    let groups = [chats(90, 12_000)];
    let head = head(DayScope::User { user_id: Uuid::from_u128(4) });
    let classes = classification(
        &head,
        &InsightSettings::default(),
        ClassifiedDay { figures: &day, unpriced: 1, groups: &groups },
    );
    let told = compose(&[day], &groups, DayOutcomes { unpriced: 1, ..DayOutcomes::default() });
    assert_eq!(classes.cost, told.spend.cost);
    assert_eq!((classes.requests, classes.tokens), (told.spend.requests, told.spend.tokens));
    let sum = classes.classes.iter().map(|of| of.requests).sum::<u64>();
    assert_eq!(sum, told.classes.iter().map(|of| of.requests).sum::<u64>());
    assert_eq!((sum, classes.unpriced_requests), (100, 1));
    assert_eq!(classes.id, format!("{TODAY}~user={}", Uuid::from_u128(4)));
}
