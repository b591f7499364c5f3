//! `POST /assets/generate`: charts of a brief.

use std::sync::Arc;

use access::Refusal;
use axum::Json;
use axum::extract::{Request, State};
use base64ct::{Base64, Encoding as _};
use insights::Brief;
use insights::charts::{ChartKind, ChartTheme, draw};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::day_insights::day_scope::brief_of;
use crate::day_insights::gather::DayReader;
use crate::input;
use crate::message::problem::Problem;
use crate::process::pictures::PictureDrawer;
use crate::process::state::App;
use crate::sign_in::caller::Caller;

/// The media types of charts.
const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";

/// The charts to draw.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AssetRequest, example = json!({"id": "today", "charts": ["spend"], "theme": "light", "format": "svg"}))]
#[serde(deny_unknown_fields)]
pub(super) struct AssetRequest {
    /// The id of the brief.
    pub(super) id: String,
    /// The charts, each at most once.
    charts: Vec<ChartKind>,
    /// The colours. Default `light`.
    theme: Option<ChartTheme>,
    /// The format: `svg`, which is the default, or `png`.
    format: Option<String>,
}

/// The charts of a brief.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assets)]
pub(in crate::routes) struct AssetList {
    /// The id of the brief.
    id: String,
    /// The charts, in the order of the request.
    assets: Vec<Asset>,
}

/// One chart of a brief.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Asset)]
struct Asset {
    /// The name of the file.
    name: String,
    /// The media type of the data.
    media_type: &'static str,
    /// The SHA-256 digest of the data, as hex digits.
    sha256: String,
    /// The chart as an SVG document, or a PNG of twice its size in base64.
    data: String,
    /// The figures of the chart; the first row is the head.
    table: Vec<Vec<String>>,
}

impl AssetRequest {
    /// Checks the charts and the format.
    ///
    /// # Errors
    /// `unprocessable`.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let bad = |message: &'static str| Problem::new(Refusal::Unprocessable, message);
        let is_repeated =
            (1..self.charts.len()).any(|at| self.charts.iter().take(at).any(|of| self.charts.get(at) == Some(of)));
        if self.charts.is_empty() || is_repeated {
            return Err(bad("`charts` must name at least one chart, and each at most once"));
        }
        if self.format.as_deref().is_some_and(|format| !["svg", "png"].contains(&format)) {
            return Err(bad("`format` must be `svg` or `png`"));
        }
        Ok(())
    }

    /// Draws the charts of a brief.
    ///
    /// # Errors
    /// `internal` for a chart that cannot be drawn.
    pub(super) async fn draw(&self, pictures: &PictureDrawer, brief: &Brief) -> Result<AssetList, Problem> {
        let is_png = self.format.as_deref() == Some("png");
        let mut assets = Vec::with_capacity(self.charts.len());
        for kind in &self.charts {
            let chart = draw(*kind, brief, self.theme.unwrap_or(ChartTheme::Light));
            if is_png {
                let png = pictures.png(chart.svg).await.map_err(Problem::fault)?;
                let name = format!("{}.png", kind.as_str());
                let data = Base64::encode_string(&png);
                assets.push(Asset { name, media_type: PNG, sha256: sha256(&png), data, table: chart.table });
            } else {
                let sha256 = sha256(chart.svg.as_bytes());
                assets.push(Asset { name: chart.name, media_type: SVG, sha256, data: chart.svg, table: chart.table });
            }
        }
        Ok(AssetList { id: brief.id.clone(), assets })
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    evidence::hex::encode(&digest)
}

/// Draws charts of a brief as SVG or PNG, each with a table of the same figures.
///
/// The same figures have the same bytes.
#[utoipa::path(post, path = "/assets/generate", tag = "insights", request_body = AssetRequest,
    security(("key" = []), ("cookie" = [])), extensions(("x-codes" = json!(["not_found", "unprocessable"]))),
    responses((status = 200, body = AssetList, example = json!({"id": "2026-11-21", "assets": [{
        "name": "spend.svg", "media_type": "image/svg+xml",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "data": "<svg …></svg>",
        "table": [["name", "cost"], ["2026-11-21", "12.50 USD"]]}]}))))]
pub(in crate::routes) async fn generate(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Json<AssetList>, Problem> {
    let body: AssetRequest = input::required(request, app.limits.body).await?;
    body.check()?;
    let (day, visible) = brief_of(&app, &caller, &body.id).await?;
    let brief = DayReader::begin(&app, day, visible).await?.brief().await?;
    Ok(Json(body.draw(&app.pictures, &brief).await?))
}
