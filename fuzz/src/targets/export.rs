//! Usage exports of providers.

use ai::Export;
use ai::export::ExportFigures;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "{\"data\": [",
    "{\"start_time\": 1730419200, \"results\": [",
    "{\"starting_at\": \"2026-11-20T00:00:00Z\", \"results\": [",
    "{\"object\": \"organization.usage.completions.result\", \"num_model_requests\": 1, \"input_tokens\": 2}",
    "{\"object\": \"organization.costs.result\", \"amount\": {\"value\": 0.06, \"currency\": \"usd\"}}",
    "{\"amount\": \"123.45\", \"currency\": \"USD\"}",
    "\"uncached_input_tokens\": 1, ",
    "\"cache_creation\": {\"ephemeral_1h_input_tokens\": 1, \"ephemeral_5m_input_tokens\": 2}, ",
    "\"cache_read_input_tokens\": 3, \"output_tokens\": 4",
    "\"model\": \"m\", ",
    "]}], \"has_more\": false}",
    "18446744073709551615",
    "date",
    "model",
    "requests",
    "cost_usd",
    "2026-11-20",
    "-0.5e-3",
    ",",
    "\"",
    "\"\"",
    "\n",
    "\r\n",
    "\u{feff}",
];

/// Doubled rows give doubled figures; an error has a message.
pub fn export(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = match Export::read(text) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(!read.days.is_empty() && read.days.is_sorted());
    assert!(read.lines.keys().all(|of| read.days.contains(&of.day)));
    let twice = if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        format!("{text}\n{}", text.trim_start_matches('\u{feff}'))
    } else {
        // If a quoted field contains a line end, the header ends later.
        if text.contains('"') {
            return;
        }
        let Some((_, lines)) = text.split_once('\n') else { return };
        format!("{text}\n{lines}")
    };
    let twice = Export::read(&twice).unwrap_or_else(|error| panic!("{twice:?}: {error}"));
    let doubled = read.lines.into_iter().map(|(of, figures): (_, ExportFigures)| (of, figures.and(&figures))).collect();
    assert_eq!((twice.days, twice.lines), (read.days, doubled));
}
