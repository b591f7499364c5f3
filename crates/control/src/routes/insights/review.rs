//! `GET /review/status` and `POST /review/signoff`: the approval of a day's figures by several roles.

use std::sync::Arc;

use access::{Day, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use insights::review::Decision;
use insights::scope::BriefId;
use insights::{DayScope, ReviewStatus};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::documented::runtime;
use crate::caller::{Caller, Person};
use crate::day_insights::review::DayReview;
use crate::day_insights::roles::HeldRoles;
use crate::input;
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::state::App;

/// The maximum length of a role, in characters.
const ROLE_CHARS_MAX: usize = 50;
/// The maximum length of a comment, in characters.
const COMMENT_CHARS_MAX: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReviewQuery {
    /// The day, such as `2026-11-20`. Default: the newest complete day.
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
    /// The day, such as `2026-11-20`. Default: the newest complete day.
    pub(super) id: Option<String>,
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
    let day = id.as_deref().map(|id| day_of(&app, id)).transpose()?;
    if !HeldRoles::of(&app, &caller).await?.holds_any() {
        return Err(no_such_review());
    }
    Ok(Json(DayReview::read(&app, day).await?.status()))
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
    let SignoffRequest { role, approve, id, comment } = body;
    let day = id.as_deref().map(|id| day_of(&app, id)).transpose()?;
    let holds = HeldRoles::of(&app, &caller).await?.holds(&role);
    let review = DayReview::read(&app, day).await?;
    let decision = Decision { at: rfc3339(app.clock.now()), role, approve, comment };
    review.decide(&app, &caller, &decision, holds).await?;
    Ok(Json(DayReview::read(&app, day).await?.status()))
}

/// Returns the day of a review's id.
fn day_of(app: &App, id: &str) -> Result<Day, Problem> {
    let today = app.clock.now().day();
    match BriefId::parse(id) {
        Some(BriefId { day, scope: None | Some(DayScope::All {}) }) => {
            let day = day.unwrap_or(today);
            if day > today { Err(no_such_review()) } else { Ok(day) }
        }
        Some(BriefId { scope: Some(DayScope::User { .. } | DayScope::Label { .. }), .. }) | None => {
            Err(no_such_review())
        }
    }
}

fn no_such_review() -> Problem {
    Problem::new(Refusal::NotFound, "no review with this id is visible to you")
}
