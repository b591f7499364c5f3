//! The table of a load: a row for each part of its duration. The file is written after each row, so that a load that is
//! stopped after hours has its table too.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::model::Model;
use super::slopes::{Samples, percentile};

/// The variable with the file of the table; without it, none is written.
const FILE: &str = "TOLLGATE_SOAK_TABLE";
/// Rows of a table, whatever the duration is: half an hour each in a day.
const ROWS: u32 = 48;
const HEAD: &str = "| minutes | requests | memory, KiB | descriptors | median, ms | p95, ms | without 200 |
|---|---|---|---|---|---|---|
";

/// The rows so far.
#[derive(Debug)]
pub(super) struct Table {
    file: Option<PathBuf>,
    model: Arc<Model>,
    text: String,
    every: Duration,
    /// The numbers of samples in the rows so far.
    shown: [usize; 3],
    rows: u32,
}

impl Table {
    /// Begins a table below this title.
    pub(super) fn begin(title: &str, duration: Duration, model: Arc<Model>) -> Self {
        let file = std::env::var_os(FILE).map(PathBuf::from);
        Self { file, model, text: format!("{title}\n\n{HEAD}"), every: duration / ROWS, shown: [0; 3], rows: 0 }
    }

    /// Adds a row if its time has passed.
    pub(super) fn note(&mut self, elapsed: Duration, samples: &Samples) {
        if elapsed < self.every * (self.rows + 1) {
            return;
        }
        self.rows += 1;
        self.text.push_str(&row(elapsed, samples, self.shown, self.model.begun()));
        self.shown = samples.counts();
        if let Some(file) = &self.file {
            fs::write(file, &self.text).unwrap();
        }
    }
}

/// Returns the row of the samples after those of `shown`. Requests and those without 200 are sums since the begin.
fn row(elapsed: Duration, samples: &Samples, shown: [usize; 3], requests: u64) -> String {
    let [memory, descriptors, latency] = samples.since(shown);
    let cell = |values: &[f64], percent, digits: usize| match values {
        [] => "-".to_owned(),
        values => format!("{:.digits$}", percentile(values, percent)),
    };
    format!(
        "| {} | {requests} | {} | {} | {} | {} | {} |\n",
        elapsed.as_secs() / 60,
        cell(memory, 50, 0),
        cell(descriptors, 50, 0),
        cell(latency, 50, 1),
        cell(latency, 95, 1),
        samples.without_200()
    )
}

#[test]
fn each_part_of_a_day_has_a_row_with_the_samples_of_that_part() {
    const HALF_AN_HOUR: Duration = Duration::from_mins(30);
    let model = Arc::new(Model::default());
    let mut table = Table { file: None, ..Table::begin("Load", Duration::from_hours(24), Arc::clone(&model)) };
    let mut samples = Samples::default();
    samples.add([100.0, 20.0], Some(1.0));
    table.note(HALF_AN_HOUR / 2, &samples);
    model.begin(true);
    samples.add([100.0, 20.0], Some(3.0));
    table.note(HALF_AN_HOUR, &samples);
    model.begin(false);
    samples.add([200.0, 21.0], None);
    table.note(2 * HALF_AN_HOUR, &samples);
    let rows: Vec<&str> = table.text.lines().skip(4).collect();
    assert_eq!(rows, ["| 30 | 1 | 100 | 20 | 1.0 | 3.0 | 0 |", "| 60 | 2 | 200 | 21 | - | - | 0 |"]);
}
