//! The result of an audit as text and as JSON.

use access::amounts::usd;
use cluster::OpenLease;
use ledger::{DIFFERENCES_MAX, Days, Difference, DifferencePlace, RepairedTotals, UnleasedUsage, UnpricedRequests};
use meter::{BudgetScope, Measure};
use serde_json::{Value, json};
use store::ScopeIds;

use super::AuditReport;
use crate::commands::leases::{of_what, subject_name};
use crate::commands::{amounts, moment, printable};

/// Returns one line per difference, one per note, and a summary.
pub(super) fn in_words(
    days: Days,
    AuditReport { found, sample, unusable, repaired, future, books }: &AuditReport,
    ids: &ScopeIds,
) -> String {
    let mut lines = Vec::new();
    if let Some(RepairedTotals { keys, models, plans, subjects, hours, routes, labels }) = repaired {
        lines.push(format!(
            "repaired: daily totals of {keys} keys, {models} models, {plans} plans, {subjects} subjects, {routes} routes and {labels} \
             label sets, and {hours} totals of hours"
        ));
    }
    lines.extend(found.differences.iter().map(|one| difference(one, ids)));
    if found.more {
        lines.push(format!("further differences are omitted; at most {DIFFERENCES_MAX} are listed"));
    }
    lines.extend(
        sample.map(|sample| format!("sampled: a given wrong total was found with a chance of {}%", sample.chance())),
    );
    let Days { first, last } = days;
    match found.compared {
        Some(compared) if compared.first > first => lines.push(format!(
            "not comparable: days from {first} to before {}, whose events were deleted by retention.events",
            compared.first
        )),
        Some(_) => {}
        None => lines.push(format!(
            "not comparable: days from {first} to {last}, whose events were deleted by retention.events"
        )),
    }
    let ledger::InterruptedRequests { requests, reserved } = found.interrupted;
    if requests > 0 {
        let parts = Measure::ALL.map(|measure| measure.written(reserved.amount_of(measure)));
        lines.push(format!(
            "interrupted: {requests} requests were in flight when a server died; their reservations count as used: {}",
            parts.join(", ")
        ));
    }
    lines.extend(future.map(|day| {
        format!("future: usage is recorded on days until {day}, after today: a node's clock was wrong, or this machine's clock is")
    }));
    lines.extend(found.unpriced.iter().map(unpriced));
    if found.open.requests > 0 {
        let oldest =
            found.open.oldest.map_or_else(String::new, |oldest| format!(", the oldest since {}", moment(oldest)));
        lines.push(format!("open: {} requests are recorded as in flight{oldest}", found.open.requests));
    }
    lines.extend(unusable.iter().map(|lease| unusable_line(lease, ids)));
    lines.extend(found.unleased.iter().map(|UnleasedUsage { cell, amount }| {
        let number = amounts::number(cell.budget.measure, *amount);
        let cell = of_what(*cell, ids);
        format!("unleased: {number} {cell} were charged without a lease, for example before a limit was set")
    }));
    let in_books: usize = books.iter().map(|compared| compared.found.len()).sum();
    lines.push(match found.differences.len() + in_books {
        0 if found.more => {
            format!("{first} to {last}: the comparison is incomplete, as too many figures seem to differ")
        }
        0 if found.compared.is_none() => "only leases could be compared, and all agree".to_owned(),
        0 if sample.is_some() => format!("{first} to {last}: all sampled figures agree"),
        0 => format!("{first} to {last}: all figures agree"),
        one => format!("{first} to {last}: {one} figures differ"),
    });
    lines.join("\n") + "\n"
}

fn difference(difference: &Difference, ids: &ScopeIds) -> String {
    let Difference { place, measure, expected, found } = difference;
    let place = match place {
        DifferencePlace::Key { day, user, key } => {
            let user = name(user.0.0, user.1);
            let key = name(key.0.0, key.1);
            format!("{day} key {key} of user {user}")
        }
        DifferencePlace::Model { day, user, model } => {
            let model = model.as_deref().map_or_else(|| "unknown model".to_owned(), printable);
            format!("{day} user {}, {model}", name(user.0.0, user.1))
        }
        DifferencePlace::Hour { at, user, key, model, route } => {
            let user = name(user.0.0, user.1);
            let key = name(key.0.0, key.1);
            let model = model.as_deref().map_or_else(|| "no model".to_owned(), printable);
            format!("hour of {} key {key} of user {user}, {model}, {}", moment(*at), route_name(route.as_deref()))
        }
        DifferencePlace::Route { day, user, route } => {
            format!("{day} user {}, {}", name(user.0.0, user.1), route_name(route.as_deref()))
        }
        DifferencePlace::Labels { day, user, labels, model } => {
            let model = model.as_deref().map_or_else(|| "no model".to_owned(), printable);
            let labels = labels.as_deref().map_or_else(|| "no labels".to_owned(), printable);
            format!("{day} user {}, {labels}, {model}", name(user.0.0, user.1))
        }
        DifferencePlace::Plan { day, plan } => {
            let name = ids.plan(*plan).map_or_else(|| plan.to_string(), printable);
            format!("{day} plan {name}")
        }
        DifferencePlace::Subject { day, subject } => format!("{day} {}", subject_name(*subject, ids)),
        DifferencePlace::Day(day) => format!("{day} all plans"),
        DifferencePlace::BudgetAccount(cell) | DifferencePlace::Window(cell) => of_what(*cell, ids),
        DifferencePlace::Lease { cell, node, incarnation } => {
            format!("lease of node {node}, incarnation {incarnation}, of {}", of_what(*cell, ids))
        }
    };
    let (expected_by, should) = expected;
    let (found_in, is) = found;
    let [is_text, should] = [*is, *should].map(|sum| amounts::sum(measure, sum));
    let beyond = amounts::sum(measure, is - expected.1);
    let plus = if beyond.starts_with('-') { "" } else { "+" };
    format!("differs: {place}: {measure}: {found_in} {is_text}, {expected_by} {should} ({plus}{beyond})")
}

fn unpriced(unpriced: &UnpricedRequests) -> String {
    let UnpricedRequests { reason, requests, charged, cost } = unpriced;
    let reason = printable(reason);
    format!(
        "unknown cost ({reason}): {requests} LLM requests; {} charged to budgets, {} billed",
        usd::written_money(*charged),
        usd::written_money(*cost)
    )
}

fn route_name(route: Option<&str>) -> String {
    route.map_or_else(|| "unknown route".to_owned(), |route| format!("route {}", printable(route)))
}

fn name(no: i64, id: Option<uuid::Uuid>) -> String {
    id.map_or_else(|| format!("number {no}"), |id| id.to_string())
}

fn unusable_line(lease: &OpenLease, ids: &ScopeIds) -> String {
    let unspent = amounts::number(lease.cell.budget.measure, lease.granted.saturating_sub(lease.spent));
    let node = lease.node;
    let what = of_what(lease.cell, ids);
    let heard = moment(lease.heard_at);
    format!("unusable: {unspent} {what}, leased to node {node}, last seen at {heard}")
}

/// Returns every scope of a budget in the report.
pub(super) fn scopes(AuditReport { found, unusable, .. }: &AuditReport) -> Vec<BudgetScope> {
    let of_place = |difference: &Difference| match difference.place {
        DifferencePlace::BudgetAccount(cell) | DifferencePlace::Window(cell) | DifferencePlace::Lease { cell, .. } => {
            Some(cell.budget.scope)
        }
        DifferencePlace::Plan { plan, .. } => Some(BudgetScope::Plan(plan)),
        DifferencePlace::Subject { subject, .. } => Some(BudgetScope::Subject(subject)),
        DifferencePlace::Key { .. }
        | DifferencePlace::Model { .. }
        | DifferencePlace::Hour { .. }
        | DifferencePlace::Route { .. }
        | DifferencePlace::Labels { .. }
        | DifferencePlace::Day(_) => None,
    };
    let places = found.differences.iter().filter_map(of_place);
    let unusable = unusable.iter().map(|lease| lease.cell.budget.scope);
    places.chain(unusable).chain(found.unleased.iter().map(|unleased| unleased.cell.budget.scope)).collect()
}

/// Returns the result for programs.
pub(super) fn in_json(
    days: Days,
    AuditReport { found, sample, unusable, repaired, future, .. }: &AuditReport,
    ids: &ScopeIds,
) -> Value {
    let of_days = |days: Days| json!({"since": days.first.to_string(), "until": days.last.to_string()});
    let ledger::InterruptedRequests { requests, reserved } = found.interrupted;
    let lease_in_json = |lease: &OpenLease| {
        json!({
            "budget": of_what(lease.cell, ids), "node": lease.node, "incarnation": lease.incarnation,
            "unspent": amounts::in_json(lease.cell.budget.measure, lease.granted.saturating_sub(lease.spent)), "heard_at": moment(lease.heard_at),
        })
    };
    json!({
        "agrees": found.agrees() && future.is_none(),
        "future": future.map(|day| day.to_string()),
        "days": of_days(days),
        "compared": found.compared.map(of_days),
        "sampled_percent": sample.map(ledger::Sample::chance),
        "differences": found.differences.iter().map(|one| difference_in_json(one, ids)).collect::<Value>(),
        "more": found.more,
        "repaired": repaired.map(|repaired| {
            let RepairedTotals { keys, models, plans, subjects, hours, routes, labels } = repaired;
            json!({
                "keys": keys, "models": models, "plans": plans, "subjects": subjects, "hours": hours, "routes": routes,
                "labels": labels,
            })
        }),
        "interrupted": {
            "requests": requests, "credits": reserved.credits, "tokens": reserved.tokens, "money": reserved.money,
        },
        "unpriced": found.unpriced.iter().map(|UnpricedRequests { reason, requests, charged, cost }| {
            json!({"reason": reason, "requests": requests, "charged": charged.0, "cost": cost.0})
        }).collect::<Value>(),
        "open": {"requests": found.open.requests, "oldest": found.open.oldest.map(moment)},
        "unusable": unusable.iter().map(lease_in_json).collect::<Value>(),
        "unleased": found.unleased.iter().map(|UnleasedUsage { cell, amount }| {
            let amount = amounts::in_json(cell.budget.measure, *amount);
            json!({"budget": of_what(*cell, ids), "amount": amount})
        }).collect::<Value>(),
    })
}

fn difference_in_json(difference: &Difference, ids: &ScopeIds) -> Value {
    let Difference { place, measure, expected, found } = difference;
    let place = match place {
        DifferencePlace::Key { day, user, key } => json!({
            "of": "key", "day": day.to_string(), "user_no": user.0.0, "user_id": user.1, "key_no": key.0.0, "key_id": key.1,
        }),
        DifferencePlace::Model { day, user, model } => json!({
            "of": "model", "day": day.to_string(), "user_no": user.0.0, "user_id": user.1, "model": model,
        }),
        DifferencePlace::Hour { at, user, key, model, route } => json!({
            "of": "hour", "at": moment(*at), "user_no": user.0.0, "user_id": user.1, "key_no": key.0.0, "key_id": key.1,
            "model": model, "route": route,
        }),
        DifferencePlace::Route { day, user, route } => json!({
            "of": "route", "day": day.to_string(), "user_no": user.0.0, "user_id": user.1, "route": route,
        }),
        DifferencePlace::Labels { day, user, labels, model } => json!({
            "of": "labels", "day": day.to_string(), "user_no": user.0.0, "user_id": user.1, "labels": labels, "model": model,
        }),
        DifferencePlace::Plan { day, plan } => json!({"of": "plan", "day": day.to_string(), "plan_id": plan.0}),
        DifferencePlace::Subject { day, subject } => {
            json!({"of": "subject", "day": day.to_string(), "subject_id": subject.0, "subject": subject_name(*subject, ids)})
        }
        DifferencePlace::Day(day) => json!({"of": "plans", "day": day.to_string()}),
        DifferencePlace::BudgetAccount(cell) => json!({"of": "budget", "budget": of_what(*cell, ids)}),
        DifferencePlace::Window(cell) => json!({"of": "window", "budget": of_what(*cell, ids)}),
        DifferencePlace::Lease { cell, node, incarnation } => {
            json!({"of": "lease", "budget": of_what(*cell, ids), "node": node, "incarnation": incarnation})
        }
    };
    let number = |value: i128| amounts::sum_in_json(measure, value);
    json!({
        "place": place, "measure": measure, "expected": number(expected.1), "expected_by": expected.0,
        "found": number(found.1), "found_in": found.0,
    })
}
