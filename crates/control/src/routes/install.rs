//! `GET /install.sh`: the script that configures a coding agent.

use std::sync::Arc;

use access::Refusal;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::header;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::input;
use crate::message::problem::Problem;
use crate::pages::install::{Agent, script};
use crate::pages::scripts;
use crate::process::state::App;

/// The selection of the script.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallScriptQuery {
    /// The coding agent to configure: `codex` or `claude`. Default `codex`.
    #[param(example = "codex")]
    agent: Option<String>,
}

/// Returns a shell script that configures a coding agent to use the proxy.
///
/// The script asks for a key and contains none.
///
///
/// Every error is a shell script too: it prints the error's message to its stderr and exits with 1.
#[utoipa::path(get, path = "/install.sh", tag = "keys", params(InstallScriptQuery),
    extensions(("x-codes" = json!(["bad_request", "not_found"]))),
    responses((status = 200, description = "POSIX sh", content_type = "text/x-shellscript; charset=utf-8", body = String,
        example = "#!/bin/sh\n…\nmain \"$@\"\n")))]
pub(super) async fn show(State(app): State<Arc<App>>, request: Request) -> Result<impl IntoResponse, Problem> {
    let InstallScriptQuery { agent } = input::query(request.uri())?;
    let Some(agent) = agent.as_deref().map_or(Some(Agent::default()), Agent::named) else {
        let names = Agent::ALL.map(|(name, _)| format!("?agent={name}")).join(" or ");
        return Err(Problem::new(Refusal::BadRequest, format!("no script exists for this agent; use {names}")));
    };
    let script = script(agent, &app.live.load());
    let script =
        script.ok_or_else(|| Problem::new(Refusal::NotFound, "the LLM endpoints are disabled on this server"))?;
    Ok(([(header::CONTENT_TYPE, scripts::MEDIA_TYPE), (header::CACHE_CONTROL, "no-cache")], script))
}
