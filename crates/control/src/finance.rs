//! The permission to see and change the money of all users.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::caller::{Caller, Person};
use crate::day_insights::roles::HeldRoles;
use crate::problem::Problem;
use crate::state::App;

/// A person who signed in with a password and is an admin or holds the role `finance`.
#[derive(Debug)]
pub(crate) struct Finance(pub(crate) Caller);

impl FromRequestParts<Arc<App>> for Finance {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Person(caller) = Person::from_request_parts(parts, app).await?;
        HeldRoles::of(app, &caller).await?.require_finance()?;
        Ok(Self(caller))
    }
}
