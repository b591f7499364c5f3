//! `POST /export/{id}`: a day as a signed zip.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use crate::day_insights::day_scope::brief_of;
use crate::day_insights::export::{DayExport, ExportSource};
use crate::day_insights::gather::DayReader;
use crate::day_insights::signing;
use crate::input::Segment;
use crate::message::attachment;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::Caller;

/// Exports a day as a zip: the brief, charts, events, counts, and a manifest with digests and a signature.
///
/// `tollgate verify FILE` checks the zip without a server. If the transfer fails, the zip ends early and is not valid.
#[utoipa::path(post, path = "/export/{id}", tag = "insights", security(("key" = []), ("cookie" = [])),
    params(("id" = String, Path, description = "The id of a brief")),
    extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = String, content_type = "application/zip", example = "PK…")))]
pub(in crate::routes) async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let (day, visible) = brief_of(&app, &caller, &id).await?;
    let of = visible.of;
    let brief = DayReader::begin(&app, day, visible).await?.compute_brief().await?;
    let key = signing::key(&app).await?;
    let name = attachment::named(&brief.id, "zip")?;
    Ok(zip(name, DayExport::new(app, ExportSource::Usage(of, day), brief, key)))
}

/// Returns the response that sends an export as a file of this name.
pub(super) fn zip(name: HeaderValue, export: DayExport) -> Response {
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/zip")), (header::CONTENT_DISPOSITION, name)];
    (headers, export.into_body()).into_response()
}
