//! `GET /review/status` and `POST /review/signoff`: the approval of a day's figures by several roles.

use std::sync::Arc;

use access::{Day, LabelId, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use insights::review::Decision;
use insights::scope::BriefId;
use insights::{DayScope, ReviewStatus};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::documented::runtime;
use crate::day_insights::day_scope::VisibleScope;
use crate::day_insights::review::DayReview;
use crate::day_insights::roles::HeldRoles;
use crate::input;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::{Caller, Person};

/// The maximum length of a role, in characters.
const ROLE_CHARS_MAX: usize = 50;
/// The maximum length of a comment, in characters.
const COMMENT_CHARS_MAX: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReviewQuery {
    /// The day, such as `2026-11-20` or `2026-11-20~team=payments`. Default: the newest complete day.
    id: Option<String>,
}

/// A decision of one role on the figures of one day.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Signoff, example = json!({"role": "finance", "approve": true}))]
#[serde(deny_unknown_fields)]
pub(super) struct SignoffRequest {
    /// The role for which the caller decides: 1 to 50 characters.
    #[schema(min_length = 1, max_length = 50)]
    pub(super) role: String,
    /// Whether the figures are approved.
    pub(super) approve: bool,
    /// The day, such as `2026-11-20` or `2026-11-20~team=payments`. Default: the newest complete day.
    pub(super) id: Option<String>,
    /// The `figures_version` that was read. With another one the decision is a conflict.
    pub(super) figures_version: Option<u64>,
    /// The reason of the decision, at most 1,000 characters; a rejection needs it.
    #[schema(max_length = 1_000)]
    pub(super) comment: Option<String>,
}

impl SignoffRequest {
    /// Checks the lengths of the texts.
    ///
    /// # Errors
    /// `bad_request`.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let bad = |message: &'static str| Problem::new(Refusal::BadRequest, message);
        if !(1..=ROLE_CHARS_MAX).contains(&self.role.chars().count()) {
            return Err(bad("`role` must have 1 to 50 characters"));
        }
        if self.comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT_CHARS_MAX) {
            return Err(bad("`comment` must have at most 1,000 characters"));
        }
        Ok(())
    }
}

/// Returns the state of a day's review, for admins and users with a role.
#[utoipa::path(get, path = "/review/status", tag = "insights", params(ReviewQuery),
    security(("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = ReviewStatus, example = json!(runtime("review_status")))))]
pub(in crate::routes) async fn status(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Json<ReviewStatus>, Problem> {
    let ReviewQuery { id } = input::query(request.uri())?;
    let roles = HeldRoles::load(&app, &caller).await?;
    let (day, reviewed) = reviewed_of(&app, &roles, id.as_deref()).await?;
    if !roles.sees_reviews(label_of(&reviewed)) {
        return Err(no_such_review());
    }
    Ok(Json(DayReview::read(&app, day, &reviewed).await?.status()))
}

/// Approves or rejects the figures of a day for a role that the caller holds.
///
/// The caller must have signed in with a password. One person decides once about a version of the figures.
#[utoipa::path(post, path = "/review/signoff", tag = "insights", request_body = SignoffRequest,
    security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["bad_request", "forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = ReviewStatus, example = json!(runtime("review_status")))))]
pub(in crate::routes) async fn sign_off(
    State(app): State<Arc<App>>,
    Person(caller): Person,
    request: Request,
) -> Result<Json<ReviewStatus>, Problem> {
    let body: SignoffRequest = input::required(request, app.limits.body).await?;
    body.check()?;
    let SignoffRequest { role, approve, id, figures_version, comment } = body;
    let roles = HeldRoles::load(&app, &caller).await?;
    let (day, reviewed) = reviewed_of(&app, &roles, id.as_deref()).await?;
    let holds = roles.holds(&role, label_of(&reviewed));
    let review = DayReview::read(&app, day, &reviewed).await?;
    review.check_version(figures_version)?;
    let decision = Decision { at: rfc3339(app.clock.now()), role, approve, comment };
    review.judge(&caller, &decision, holds)?;
    let classes = if approve { Some(review.classes(&app, &reviewed).await?) } else { None };
    review.decide(&app, &caller, &decision, classes).await?;
    Ok(Json(DayReview::read(&app, day, &reviewed).await?.status()))
}

/// Returns the day and the scope of a review's id. Without a scope, these are all users, or the led label of a caller whose
/// roles are limited to labels.
async fn reviewed_of(app: &App, roles: &HeldRoles, id: Option<&str>) -> Result<(Option<Day>, VisibleScope), Problem> {
    let today = app.clock.now().day();
    let (day, scope) = match id.map(|id| BriefId::parse(id).ok_or_else(no_such_review)).transpose()? {
        None => (None, None),
        Some(BriefId { day, .. }) if day.is_some_and(|day| day > today) => return Err(no_such_review()),
        Some(BriefId { day, scope }) => (Some(day.unwrap_or(today)), scope),
    };
    let label = match scope {
        Some(DayScope::Label { label }) => Some(label),
        Some(DayScope::User { .. }) => return Err(no_such_review()),
        Some(DayScope::All {}) => None,
        None if roles.sees_reviews(None) => None,
        None => roles.led_label().map(str::to_owned),
    };
    let Some(label) = label else { return Ok((day, VisibleScope::all())) };
    if !roles.sees_reviews(Some(&label)) || !app.ledger.has_label(LabelId::from_label(&label)).await? {
        return Err(no_such_review());
    }
    Ok((day, VisibleScope::label(&label)))
}

/// Returns the label to which a review is limited.
fn label_of(reviewed: &VisibleScope) -> Option<&str> {
    match &reviewed.scope {
        DayScope::Label { label } => Some(label),
        DayScope::All {} | DayScope::User { .. } => None,
    }
}

fn no_such_review() -> Problem {
    Problem::new(Refusal::NotFound, "no review with this id is visible to you")
}
