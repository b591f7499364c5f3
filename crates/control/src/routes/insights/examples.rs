//! The insights endpoints of a server with example files. They need no credential, and changes stay in memory.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use access::credentials::vault;
use access::{Refusal, Secret};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use evidence::SigningKey;
use insights::review::Decision;
use insights::{Brief, Classification, Examples, IngestStatus, InsightSettings, ReviewStatus, Roi};

use super::assets::{AssetList, AssetRequest};
use super::export::zip;
use super::review::SignoffRequest;
use super::settings::{version_of, with_tag};
use crate::day_insights::export::{DayExport, ExportSource};
use crate::day_insights::settings::changed;
use crate::input::{self, Segment};
use crate::message::attachment;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::state::App;

/// The maximum number of decisions that one server keeps.
const DECISIONS_MAX: usize = 1_000;

/// The examples with the changes since the start, and the seed of the key that signs their exports.
#[derive(Debug, Clone)]
struct ExampleResponses {
    examples: Arc<Mutex<Examples>>,
    seed: Arc<OnceLock<Secret>>,
}

impl ExampleResponses {
    fn lock(&self) -> MutexGuard<'_, Examples> {
        self.examples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the brief with this id.
    ///
    /// # Errors
    /// `not_found`.
    fn brief(&self, id: &str) -> Result<Brief, Problem> {
        let brief = self.lock().briefs.get(id).cloned();
        brief.ok_or_else(|| Problem::new(Refusal::NotFound, "no example file has a brief with this id"))
    }

    /// Returns the key that signs exports. It is random, and exists in memory only.
    ///
    /// # Errors
    /// `internal` without random bytes.
    fn signing_key(&self) -> Result<SigningKey, Problem> {
        let seed = match self.seed.get() {
            Some(seed) => seed,
            None => {
                let new = vault::random_text().map_err(Problem::fault)?;
                self.seed.get_or_init(|| new)
            }
        };
        SigningKey::of_seed(seed).map_err(Problem::fault)
    }
}

/// Returns the endpoints that respond with `examples`.
pub(in crate::routes) fn router(examples: Examples) -> Router<Arc<App>> {
    let responses = ExampleResponses { examples: Arc::new(Mutex::new(examples)), seed: Arc::new(OnceLock::new()) };
    Router::new()
        .route("/ingest/status", get(ingest_status))
        .route("/classify/today", get(classify_today))
        .route("/brief/{id}", get(brief))
        .route("/assets/generate", post(generate_assets))
        .route("/roi/today", get(roi_today))
        .route("/export/{id}", post(export))
        .route("/config", get(show_settings).post(change_settings))
        .route("/review/status", get(review_status))
        .route("/review/signoff", post(sign_off))
        .layer(Extension(responses))
}

async fn ingest_status(Extension(examples): Extension<ExampleResponses>) -> Json<IngestStatus> {
    Json(examples.lock().ingest_status.clone())
}

async fn classify_today(Extension(examples): Extension<ExampleResponses>) -> Json<Classification> {
    Json(examples.lock().classification.clone())
}

async fn brief(Extension(examples): Extension<ExampleResponses>, Segment(id): Segment) -> Result<Json<Brief>, Problem> {
    examples.brief(&id).map(Json)
}

async fn generate_assets(
    State(app): State<Arc<App>>,
    Extension(examples): Extension<ExampleResponses>,
    request: Request,
) -> Result<Json<AssetList>, Problem> {
    let body: AssetRequest = input::required(request, app.limits.body).await?;
    body.check()?;
    let brief = examples.brief(&body.id)?;
    Ok(Json(body.draw(&app.pictures, &brief).await?))
}

async fn roi_today(Extension(examples): Extension<ExampleResponses>) -> Json<Roi> {
    Json(examples.lock().roi_today.clone())
}

async fn export(
    State(app): State<Arc<App>>,
    Extension(examples): Extension<ExampleResponses>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let brief = examples.brief(&id)?;
    let key = examples.signing_key()?;
    let name = attachment::named(&brief.id, "zip")?;
    Ok(zip(name, DayExport::new(app, ExportSource::Example, brief, key)))
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
    let SignoffRequest { role, approve, id, comment, .. } = body;
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
