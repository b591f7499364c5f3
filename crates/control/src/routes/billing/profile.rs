//! `GET` and `PATCH /api/billing/profile`: the customer on documents, and the language of documents and mails.

use std::sync::Arc;

use access::{Refusal, text};
use axum::Json;
use axum::extract::{Request, State};
use billing::books::BillingProfileChange;
use billing::language::Language;
use ledger::billing::{BillingProfile, profiles};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::enabled::{books, refused};
use crate::input;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::{Caller, Owner};

const NAME_CHARS_MAX: usize = 200;
const ADDRESS_CHARS_MAX: usize = 500;
const ADDRESS_LINES_MAX: usize = 6;
const TAX_NUMBER_CHARS_MAX: usize = 40;

/// The customer on documents. Empty texts are not printed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingProfile)]
pub(in crate::routes) struct BillingProfileView {
    /// The name; if empty, the user's name.
    name: String,
    /// The address, which may have several lines.
    address: String,
    /// The tax number of the customer.
    tax_number: String,
    /// The language of documents and mails: `en` or `id`.
    language: String,
}

/// The values that change; others stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BillingProfileChange, example = json!({"name": "PT Contoh", "address": "Jalan Merdeka 1\nJakarta", "language": "id"}))]
#[serde(deny_unknown_fields)]
struct ProfileBody {
    /// One line with at most 200 characters.
    name: Option<String>,
    /// At most 6 lines and 500 characters.
    address: Option<String>,
    /// One line with at most 40 characters.
    tax_number: Option<String>,
    /// The language: `en` or `id`.
    language: Option<String>,
}

/// The customer on documents of the authenticated user.
#[utoipa::path(get, path = "/api/billing/profile", tag = "billing", security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = BillingProfileView, example = json!({
        "name": "PT Contoh", "address": "Jalan Merdeka 1\nJakarta", "tax_number": "", "language": "id"
    }))))]
pub(in crate::routes) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<BillingProfileView>, Problem> {
    let books = books(&app)?;
    let store = books.store();
    Ok(Json(profiles::of_user(store, caller.user).await?.into()))
}

/// Changes the customer on documents, and the language of documents and mails.
#[utoipa::path(patch, path = "/api/billing/profile", tag = "billing", request_body = ProfileBody,
    security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found", "unprocessable"]))),
    responses((status = 200, body = BillingProfileView, example = json!({
        "name": "PT Contoh", "address": "Jalan Merdeka 1\nJakarta", "tax_number": "", "language": "id"
    }))))]
pub(in crate::routes) async fn change(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    request: Request,
) -> Result<Json<BillingProfileView>, Problem> {
    let body: ProfileBody = input::required(request, app.limits.body).await?;
    let books = books(&app)?;
    let ProfileBody { name, address, tax_number, language } = body;
    let change = BillingProfileChange { name, address, tax_number, language };
    check(&change)?;
    Ok(Json(books.change_profile(&caller.actor(), caller.user, change).await.map_err(refused)?.into()))
}

/// Checks the texts that change: none can add a line to a header of a mail.
fn check(of: &BillingProfileChange) -> Result<(), Problem> {
    let is_line =
        |line: Option<&str>, max: usize| line.is_none_or(|line| line.chars().count() <= max && text::is_plain(line));
    let address = of.address.as_deref().unwrap_or_default();
    let has_lines = address.split('\n').count() <= ADDRESS_LINES_MAX;
    let has_length = address.chars().count() <= ADDRESS_CHARS_MAX;
    let message = if !is_line(of.name.as_deref(), NAME_CHARS_MAX) {
        format!("`name` is one line with at most {NAME_CHARS_MAX} visible characters")
    } else if !(has_lines && has_length && address.split('\n').all(text::is_plain)) {
        format!("`address` has at most {ADDRESS_LINES_MAX} lines and {ADDRESS_CHARS_MAX} visible characters")
    } else if !is_line(of.tax_number.as_deref(), TAX_NUMBER_CHARS_MAX) {
        format!("`tax_number` is one line with at most {TAX_NUMBER_CHARS_MAX} visible characters")
    } else if of.language.as_deref().is_some_and(|code| Language::of_code(code).is_none()) {
        "`language` must be `en` or `id`".to_owned()
    } else {
        return Ok(());
    };
    Err(Problem::new(Refusal::Unprocessable, message))
}

impl From<BillingProfile> for BillingProfileView {
    fn from(of: BillingProfile) -> Self {
        Self { name: of.name, address: of.address, tax_number: of.tax_number, language: of.language }
    }
}
