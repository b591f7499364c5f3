//! Charts of a brief as SVG, each with a title, a description and a table of the same figures. The same brief has the same
//! bytes.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::brief::Brief;
use crate::figures::money::shown;

/// The width of a chart in pixels.
const WIDTH: i128 = 640;
/// The height of one bar with its gap.
const ROW: i128 = 32;
/// The left end of the bars.
const LEFT: i128 = 200;
/// The length of the longest bar.
const LONGEST: i128 = 300;
/// The maximum number of characters of a label.
const LABEL_CHARS_MAX: usize = 26;

/// The subject of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChartKind {
    /// The cost of the day beside that of other days.
    Spend,
    /// The requests by class.
    Classes,
    /// The models whose cost changed most.
    Movers,
    /// The percentiles of durations.
    Latency,
}

/// The colours of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChartTheme {
    /// Dark text on a light background.
    Light,
    /// Light text on a dark background.
    Dark,
}

/// A chart with the table of its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// The name of the file.
    pub name: String,
    /// The chart as an SVG document.
    pub svg: String,
    /// The figures, the head first.
    pub table: Vec<Vec<String>>,
}

/// One bar of a chart.
struct Bar {
    label: String,
    value: i128,
    text: String,
}

impl ChartKind {
    /// All charts, in the order of an export.
    pub const ALL: [Self; 4] = [Self::Spend, Self::Classes, Self::Movers, Self::Latency];

    /// The word of the chart.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spend => "spend",
            Self::Classes => "classes",
            Self::Movers => "movers",
            Self::Latency => "latency",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Spend => "Cost of the day and of earlier days",
            Self::Classes => "Requests by class",
            Self::Movers => "Change of the cost since the same weekday",
            Self::Latency => "Duration of requests",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Spend => "cost",
            Self::Classes => "requests",
            Self::Movers => "difference",
            Self::Latency => "duration",
        }
    }

    fn bars(self, brief: &Brief) -> Vec<Bar> {
        let money =
            |label: &str, nano: i64| Bar { label: label.to_owned(), value: nano.into(), text: shown(nano.into()) };
        match self {
            Self::Spend => vec![
                money(&brief.date, brief.spend.cost.amount_nano),
                money("day before", brief.spend.yesterday.amount_nano),
                money("same weekday", brief.spend.same_weekday.amount_nano),
            ],
            Self::Classes => {
                let bar = |of: &crate::brief::ClassCount| Bar {
                    label: of.class.as_str().to_owned(),
                    value: of.requests.into(),
                    text: of.requests.to_string(),
                };
                brief.classes.iter().map(bar).collect()
            }
            Self::Movers => brief.movers.iter().map(|of| money(&of.name, of.difference)).collect(),
            Self::Latency => {
                let all = [("p50", brief.latency.p50_ms), ("p95", brief.latency.p95_ms), ("p99", brief.latency.p99_ms)];
                let known = all.into_iter().filter_map(|(label, ms)| Some((label, ms?)));
                let bar = |(label, ms): (&str, u64)| Bar {
                    label: label.to_owned(),
                    value: ms.into(),
                    text: format!("{ms} ms"),
                };
                known.map(bar).collect()
            }
        }
    }
}

/// Draws a chart of a brief.
#[must_use]
pub fn draw(kind: ChartKind, brief: &Brief, theme: ChartTheme) -> Chart {
    let bars = kind.bars(brief);
    let (back, front, bar, negative) = match theme {
        ChartTheme::Light => ("#ffffff", "#1b1f24", "#0e7188", "#b3261e"),
        ChartTheme::Dark => ("#14181d", "#e6e9ee", "#4fb3c8", "#ff8a80"),
    };
    let rows = i128::try_from(bars.len().max(1)).unwrap_or(1);
    let height = 64 + rows * ROW;
    // The id may end with that of a user, which is longer than the picture is wide.
    let title = format!("{}: {}", kind.title(), brief.date);
    let listed: Vec<String> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.text)).collect();
    let described = if listed.is_empty() { "There are no figures.".to_owned() } else { listed.join("; ") };
    let mut svg = String::new();
    // Writing to a `String` cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-labelledby=\"title desc\" font-family=\"sans-serif\" font-size=\"14\">\n\
         <title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"{back}\"/>\n\
         <text x=\"16\" y=\"30\" font-size=\"16\" fill=\"{front}\">{}</text>\n",
        escaped(&title),
        escaped(&described),
        escaped(&title),
    );
    let largest = bars.iter().map(|bar| bar.value.abs()).max().unwrap_or(0).max(1);
    for (row, of) in (0_i128..).zip(&bars) {
        let y = 52 + row * ROW;
        let length = (of.value.abs() * LONGEST / largest).max(1);
        let fill = if of.value < 0 { negative } else { bar };
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"{front}\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{length}\" height=\"20\" fill=\"{fill}\"/>\n\
             <text x=\"{}\" y=\"{}\" fill=\"{front}\">{}</text>\n",
            LEFT - 8,
            y + 15,
            escaped(&short(&of.label)),
            LEFT + length + 8,
            y + 15,
            escaped(&of.text),
        );
    }
    if bars.is_empty() {
        let _ = writeln!(svg, "<text x=\"16\" y=\"67\" fill=\"{front}\">There are no figures.</text>");
    }
    svg.push_str("</svg>\n");
    let head = vec!["name".to_owned(), kind.unit().to_owned()];
    let table = std::iter::once(head).chain(bars.into_iter().map(|bar| vec![bar.label, bar.text])).collect();
    Chart { name: format!("{}.svg", kind.as_str()), svg, table }
}

fn short(label: &str) -> String {
    if label.chars().count() <= LABEL_CHARS_MAX {
        return label.to_owned();
    }
    label.chars().take(LABEL_CHARS_MAX - 1).chain(['…']).collect()
}

/// Escapes a text for XML. Characters that XML does not allow are replaced.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other if other.is_control() || matches!(other, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief() -> Brief {
        serde_json::from_str(include_str!("../../../examples/insights/brief_test.json")).unwrap()
    }

    #[test]
    fn charts_have_a_title_a_description_and_a_table() {
        for kind in ChartKind::ALL {
            for theme in [ChartTheme::Light, ChartTheme::Dark] {
                let chart = draw(kind, &brief(), theme);
                assert_eq!(chart, draw(kind, &brief(), theme));
                assert!(chart.svg.starts_with("<svg ") && chart.svg.ends_with("</svg>\n"));
                for part in ["<title id=\"title\">", "<desc id=\"desc\">", "role=\"img\""] {
                    assert!(chart.svg.contains(part), "{}", chart.svg);
                }
                for row in chart.table.iter().skip(1) {
                    assert!(chart.svg.contains(&row[1]), "{row:?}");
                }
            }
        }
        let spend = draw(ChartKind::Spend, &brief(), ChartTheme::Light);
        assert_eq!(spend.table[1], ["2026-11-21", "12.50 USD"]);
        assert_eq!(spend.name, "spend.svg");
        assert_ne!(spend, draw(ChartKind::Spend, &brief(), ChartTheme::Dark));
        let of_user = Brief { id: "2026-11-21~user=0199aa00-0000-7000-8000-000000000000".to_owned(), ..brief() };
        let svg = draw(ChartKind::Spend, &of_user, ChartTheme::Light).svg;
        assert!(svg.contains("earlier days: 2026-11-21</text>") && !svg.contains("user="), "{svg}");
    }

    #[test]
    fn names_are_escaped_and_shortened() {
        let mut brief = brief();
        brief.movers[0].name = "<script>&\"'\u{1}".to_owned() + &"x".repeat(100);
        let svg = draw(ChartKind::Movers, &brief, ChartTheme::Light).svg;
        assert!(svg.contains("&lt;script&gt;&amp;&quot;&#39;\u{fffd}") && !svg.contains("<script>"), "{svg}");
        assert!(svg.contains('…'));
    }

    #[test]
    fn an_empty_brief_has_charts() {
        let mut brief = brief();
        brief.classes.clear();
        brief.movers.clear();
        let chart = draw(ChartKind::Classes, &brief, ChartTheme::Light);
        assert!(chart.svg.contains("There are no figures."));
        assert_eq!(chart.table.len(), 1);
    }
}
