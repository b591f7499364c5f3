//! The insights endpoints of a server with example files. They need no credential, and changes stay in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use access::Refusal;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use insights::review::Decision;
use insights::{Brief, Classification, Examples, IngestStatus, InsightSettings, ReviewStatus, Roi};

use super::assets::{AssetList, AssetRequest};
use super::review::SignoffRequest;
use super::settings::{version_of, with_tag};
use crate::day_insights::settings::changed;
use crate::input::{self, Segment};
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::state::App;

/// The maximum number of decisions that one server keeps.
const DECISIONS_MAX: usize = 1_000;

/// The examples with the changes since the start.
#[derive(Debug, Clone)]
struct ExampleResponses(Arc<Mutex<Examples>>);

impl ExampleResponses {
    fn lock(&self) -> MutexGuard<'_, Examples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the endpoints that respond with `examples`.
pub(in crate::routes) fn router(examples: Examples) -> Router<Arc<App>> {
    Router::new()
        .route("/ingest/status", get(ingest_status))
        .route("/classify/today", get(classify_today))
        .route("/brief/{id}", get(brief))
        .route("/assets/generate", post(generate_assets))
        .route("/roi/today", get(roi_today))
        .route("/config", get(show_settings).post(change_settings))
        .route("/review/status", get(review_status))
        .route("/review/signoff", post(sign_off))
        .layer(Extension(ExampleResponses(Arc::new(Mutex::new(examples)))))
}

async fn ingest_status(Extension(examples): Extension<ExampleResponses>) -> Json<IngestStatus> {
    Json(examples.lock().ingest_status.clone())
}

async fn classify_today(Extension(examples): Extension<ExampleResponses>) -> Json<Classification> {
    Json(examples.lock().classification.clone())
}

async fn brief(Extension(examples): Extension<ExampleResponses>, Segment(id): Segment) -> Result<Json<Brief>, Problem> {
    let brief = examples.lock().briefs.get(&id).cloned();
    brief.map(Json).ok_or_else(|| Problem::new(Refusal::NotFound, "no example file has a brief with this id"))
}

async fn generate_assets(
    State(app): State<Arc<App>>,
    Extension(examples): Extension<ExampleResponses>,
    request: Request,
) -> Result<Json<AssetList>, Problem> {
    let body: AssetRequest = input::required(request, app.limits.body).await?;
    body.check()?;
    let brief = examples.lock().briefs.get(&body.id).cloned();
    let brief = brief.ok_or_else(|| Problem::new(Refusal::NotFound, "no example file has a brief with this id"))?;
    Ok(Json(body.draw(&app.pictures, &brief).await?))
}

async fn roi_today(Extension(examples): Extension<ExampleResponses>) -> Json<Roi> {
    Json(examples.lock().roi_today.clone())
}

async fn show_settings(Extension(examples): Extension<ExampleResponses>) -> Response {
    with_tag(examples.lock().settings.clone())
}

async fn change_settings(
    State(app): State<Arc<App>>,
    Extension(examples): Extension<ExampleResponses>,
    request: Request,
) -> Result<Response, Problem> {
    let expected = version_of(request.headers());
    let new: InsightSettings = input::required(request, app.limits.body).await?;
    let expected = expected?;
    new.check().map_err(|reason| Problem::new(Refusal::Unprocessable, reason))?;
    let mut examples = examples.lock();
    let version = examples.settings.version;
    if expected.is_some_and(|expected| expected != version) {
        return Err(changed());
    }
    examples.settings = InsightSettings { version: version.saturating_add(1), ..new };
    Ok(with_tag(examples.settings.clone()))
}

async fn review_status(Extension(examples): Extension<ExampleResponses>) -> Json<ReviewStatus> {
    Json(examples.lock().review_status.clone())
}

async fn sign_off(
    State(app): State<Arc<App>>,
    Extension(examples): Extension<ExampleResponses>,
    request: Request,
) -> Result<Json<ReviewStatus>, Problem> {
    let body: SignoffRequest = input::required(request, app.limits.body).await?;
    body.check()?;
    let SignoffRequest { role, approve, id, comment } = body;
    let mut examples = examples.lock();
    let review = &mut examples.review_status;
    if id.is_some_and(|id| id != review.id) {
        return Err(Problem::new(Refusal::NotFound, "no example file has a review with this id"));
    }
    if review.history.len() >= DECISIONS_MAX {
        return Err(Problem::new(Refusal::Conflict, "this example has too many decisions; restart the server"));
    }
    review.record(Decision { at: rfc3339(app.clock.now()), role, approve, comment });
    Ok(Json(review.clone()))
}
