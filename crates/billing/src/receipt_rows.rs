//! Rows of receipts from stored requests.

use invoicing::receipt::priced::{PricedAttempt, PricedLine, is_cost};
use invoicing::receipt::row::{ReceiptRow, rfc3339};
use invoicing::rules::terms::ListedPrice;
use ledger::billing::{ChargedAttempt, ChargedPrice, ChargedRequest, FoldedRequests};
use meter::rating;
use meter::usage::{CLASSES, TOOL_CALLS};

/// Returns the row of a request. `prices` are `None` if an older release listed the requests.
pub(crate) fn of_request(of: &ChargedRequest, prices: Option<&[ListedPrice]>) -> ReceiptRow {
    let priced = prices.map(|prices| of.attempts.iter().filter_map(|attempt| of_attempt(attempt, prices)));
    let usage = of.usage.as_ref();
    let tokens = usage.map(|usage| usage.classes()).into_iter().flatten().zip(CLASSES);
    let tokens = tokens.filter_map(|(tokens, class)| Some((class.to_owned(), tokens?.0)));
    let tools = usage.map(|usage| usage.tools.counts()).into_iter().flatten().zip(TOOL_CALLS);
    let tools = tools.filter_map(|(calls, name)| Some((name.to_owned(), calls?)));
    let billed = usage.and_then(|usage| usage.billed);
    let billed = billed.map(|billed| (billed.unit.as_str().to_owned(), billed.quantity));
    ReceiptRow {
        id: Some(of.id),
        started_at: rfc3339(of.started_at),
        route: of.route.clone(),
        model: if of.format.is_some() { of.model.clone() } else { None },
        provider: of.provider.clone(),
        price: of.price.clone(),
        status: of.status,
        outcome: of.outcome.clone(),
        requests: 1,
        credits: of.credits,
        tokens: tokens.collect(),
        units: tools.chain(billed).collect(),
        cost_nano: of.cost_nano,
        unpriced: of.unpriced,
        priced: priced.map(Iterator::collect).unwrap_or_default(),
    }
}

/// Returns the row of requests that are stored as counts.
pub(crate) fn of_counts(of: &FoldedRequests) -> ReceiptRow {
    ReceiptRow {
        route: of.route.clone(),
        status: of.status_class,
        outcome: "counted".to_owned(),
        requests: of.requests,
        credits: of.credits,
        ..ReceiptRow::default()
    }
}

/// Returns an attempt with the lines of its price; `None` without a cost. `prices` are in their order.
fn of_attempt(attempt: &ChargedAttempt, prices: &[ListedPrice]) -> Option<PricedAttempt> {
    let cost_nano = attempt.cost_nano?;
    let Some(price) = &attempt.price else { return Some(PricedAttempt { cost_nano, ..PricedAttempt::default() }) };
    let listed = prices.binary_search_by(|listed| listed.named().cmp(&names(price))).ok();
    let listed = listed.and_then(|nth| prices.get(nth));
    let lines = listed.zip(attempt.usage.as_ref()).and_then(|(listed, usage)| listed.card.lines(usage));
    // Lines of other rates would not be those of the cost.
    let lines = lines.filter(|lines| is_cost(cost_nano, rating::total(lines)));
    Some(PricedAttempt {
        provider: price.provider.clone(),
        model: price.sent_model.clone(),
        answered_model: price.answered_model.clone(),
        price: price.version.clone(),
        cost_nano,
        lines: lines.map(|lines| lines.iter().map(PricedLine::from_line).collect()),
    })
}

fn names(of: &ChargedPrice) -> (&str, &str, Option<&str>, &str) {
    (&of.provider, &of.sent_model, of.answered_model.as_deref(), &of.version)
}
