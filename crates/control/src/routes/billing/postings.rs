//! `GET /api/billing/postings`: the double entries of all users, for finance.

use std::sync::Arc;

use access::UserId;
use axum::Json;
use axum::extract::{Request, State};
use ledger::billing::{ListedPosting, PostingFilter, listed_postings};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::enabled::books;
use super::lists::BilledUserView;
use super::views::MoneyView;
use crate::input;
use crate::message::listing;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::permissions::finance::Finance;
use crate::process::state::App;

/// The query of the postings of all users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct PostingsQuery {
    /// Only postings about the money of this user.
    user_id: Option<Uuid>,
    /// Only postings of this invoice.
    invoice_id: Option<Uuid>,
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// One entry of a change of money. The entries of a transaction sum to zero.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Posting)]
struct PostingView {
    /// The id of the entry.
    id: Uuid,
    /// The id of all entries of the change.
    transaction_id: Uuid,
    /// The number of the entry in its transaction, from 1.
    no: i64,
    /// The time of the change.
    #[schema(format = DateTime)]
    at: String,
    /// The account: `receivable`, `revenue`, `tax`, `clearing`, `wallet` or `write_off`.
    account: String,
    /// The change of money, such as `invoice.opened`.
    reason: String,
    /// The amount: a debit is positive.
    amount: MoneyView,
    /// The user whose money moved.
    user: BilledUserView,
    /// The invoice to which the entry belongs.
    invoice_id: Option<Uuid>,
    /// The payment to which the entry belongs.
    payment_id: Option<Uuid>,
}

/// A page of postings of all users, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Postings)]
pub(in crate::routes) struct PostingsView {
    items: Vec<PostingView>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

impl From<ListedPosting> for PostingView {
    fn from(of: ListedPosting) -> Self {
        Self {
            id: of.id,
            transaction_id: of.transaction_id,
            no: of.no,
            at: rfc3339(of.at),
            account: of.account,
            reason: of.reason,
            amount: MoneyView::new(of.amount, of.currency),
            user: of.user.into(),
            invoice_id: of.invoice,
            payment_id: of.payment,
        }
    }
}

/// Lists the double entries of all changes of money, newest first. `GET /api/billing/export` returns the entries of a month as
/// a table.
#[utoipa::path(get, path = "/api/billing/postings", tag = "billing", params(PostingsQuery),
    security(("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = PostingsView, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000007", "transaction_id": "0199aa00-0000-7000-8000-000000000005",
            "no": 2, "at": "2026-11-21T12:00:00Z", "account": "revenue", "reason": "invoice.opened",
            "amount": {"amount": -150000, "currency": "IDR"},
            "user": {"id": "0199aa00-0000-7000-8000-000000000001", "name": "Ada", "email": "ada@example.com"},
            "invoice_id": "0199aa00-0000-7000-8000-000000000002", "payment_id": null}],
        "next": null
    }))))]
pub(in crate::routes) async fn list(
    State(app): State<Arc<App>>,
    _finance: Finance,
    request: Request,
) -> Result<Json<PostingsView>, Problem> {
    let PostingsQuery { user_id, invoice_id, limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.unwrap_or(Uuid::max());
    let of = PostingFilter { user: user_id.map(UserId), invoice: invoice_id };
    let mut found = listed_postings::page(books(&app)?.store(), of, before, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |posting| posting.id);
    Ok(Json(PostingsView { items: found.into_iter().map(PostingView::from).collect(), next }))
}
