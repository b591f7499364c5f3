//! A brief as an HTML document for printing, without scripts and other files.

use std::fmt::Write;

use crate::brief::Brief;
use crate::charts::{Chart, escaped};
use crate::figures::money::shown;

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;color:#1b1f24}\
    table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccc;padding:.25rem .75rem;text-align:left}";

/// Returns the document of a brief with its charts.
#[must_use]
pub fn html(brief: &Brief, charts: &[Chart]) -> String {
    let title = escaped(&format!("Usage of {}", brief.id));
    let mut page = String::new();
    // Writing to a `String` cannot fail.
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body><h1>{title}</h1>\n<p>{}</p>\n",
        escaped(&brief.headline)
    );
    let completeness = if brief.complete { "complete" } else { "not complete" };
    let facts = [
        ("Figures", format!("version {}, {completeness}, as of {}", brief.figures_version, brief.as_of)),
        ("Cost", shown(brief.spend.cost.amount_nano.into())),
        ("Cost of users' own credentials", shown(brief.spend.own_cost.amount_nano.into())),
        ("Requests", brief.spend.requests.to_string()),
        ("Refused requests", brief.spend.refused.to_string()),
        ("Tokens", brief.spend.tokens.to_string()),
        ("Requests with an unknown cost", brief.spend.unpriced_requests.to_string()),
        ("Failed requests", brief.errors.requests.to_string()),
    ];
    page.push_str("<table>\n");
    for (name, value) in facts {
        let _ = writeln!(page, "<tr><th>{name}</th><td>{}</td></tr>", escaped(&value));
    }
    page.push_str("</table>\n");
    for chart in charts {
        page.push_str(&chart.svg);
    }
    for anomaly in &brief.anomalies {
        let _ = writeln!(page, "<p>Anomaly: {}</p>", escaped(&anomaly.text));
    }
    for recommendation in &brief.recommendations {
        let _ = writeln!(page, "<p>Recommendation: {}</p>", escaped(&recommendation.text));
    }
    page.push_str("</body></html>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::{ChartKind, ChartTheme, draw};

    #[test]
    fn a_page_has_the_figures_and_no_markup_of_others() {
        let mut brief: Brief =
            serde_json::from_str(include_str!("../../../examples/insights/brief_test.json")).unwrap();
        brief.headline = "<b>x</b>".to_owned();
        let page = html(&brief, &[draw(ChartKind::Spend, &brief, ChartTheme::Light)]);
        for part in ["12.50 USD", "&lt;b&gt;x&lt;/b&gt;", "<svg ", "requests are far above"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<b>") && !page.contains("<script"));
    }
}
