//! Requests as CSV.

use access::amounts::usd::decimal;
use axum::response::Response;

use super::RequestItem;
use super::refused_limit::{self, RefusedLimitView};
use crate::message::csv::{Table, figure, quoted, quoted_or_empty};
use crate::message::figures::CURRENCY;

const HEAD: &str = "id,started_at,user_id,user,key_id,key,route,format,model,provider,status,result,outcome,code,credits,input,cached_input,cache_write,output,reasoning,total,cost,currency,unpriced,first_byte_ms,total_ms,request_bytes,response_bytes,count,program,answered_model";
/// The number of columns of tokens.
const CLASSES: usize = 6;

/// Returns one row per request, newest first.
pub(super) fn response(items: impl Iterator<Item = RequestItem>, next: Option<String>) -> Response {
    let mut table = Table::new(&format!("{HEAD},{}", refused_limit::HEAD));
    for item in items {
        table.push(&row(&item));
    }
    table.response("requests.csv", next)
}

fn row(item: &RequestItem) -> Vec<String> {
    let key = item.key.as_ref();
    let user = item.user.as_ref();
    let mut cells = vec![
        item.id.0.to_string(),
        item.started_at.clone(),
        figure(user.map(|user| user.id)),
        quoted_or_empty(user.map(|user| user.name.as_str())),
        figure(key.map(|key| key.id)),
        quoted_or_empty(key.map(|key| key.label.as_str())),
        quoted_or_empty(item.route.as_deref()),
        quoted_or_empty(item.format.as_deref()),
        quoted_or_empty(item.model.as_deref()),
        quoted_or_empty(item.provider.as_deref()),
        item.status.to_string(),
        item.result.to_owned(),
        quoted(&item.outcome),
        quoted_or_empty(item.refusal.as_ref().map(|refusal| refusal.code.as_str())),
        item.credits.to_string(),
    ];
    match &item.tokens {
        Some(tokens) => cells.extend(tokens.classes().map(|tokens| tokens.to_string())),
        None => cells.extend(vec![String::new(); CLASSES]),
    }
    let cost = item.cost.as_ref().map(|cost| decimal(cost.nano_usd()));
    let currency = if cost.is_some() { CURRENCY } else { "" };
    cells.extend([cost.unwrap_or_default(), currency.to_owned(), item.unpriced.to_string()]);
    let phases = item.phases.as_ref();
    cells.push(figure(phases.and_then(|phases| phases.first_byte_ms)));
    cells.push(figure(phases.map(|phases| phases.total_ms)));
    let bytes = item.bytes.as_ref();
    cells.extend([figure(bytes.map(|bytes| bytes.request)), figure(bytes.map(|bytes| bytes.response))]);
    cells.push(item.count.unwrap_or(1).to_string());
    cells.extend([quoted_or_empty(item.program.as_deref()), quoted_or_empty(item.answered_model.as_deref())]);
    cells.extend(RefusedLimitView::cells(item.refusal.as_ref().and_then(|refusal| refusal.limit.as_ref())));
    cells
}
