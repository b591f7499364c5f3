//! A table in CSV (RFC 4180): a header, and one line per day, or per day and model.

use access::Day;

use super::decimal::nano;
use super::{Export, ExportError, ExportFigures, ExportLineKey};

const COLUMNS: &str = "the header names date, and any of model, provider, requests, input_tokens, cached_input_tokens, \
                       cache_write_short_tokens, cache_write_long_tokens, output_tokens, cost_usd, each once";

/// A column that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Date,
    Model,
    Provider,
    Requests,
    Input,
    CachedInput,
    CacheWriteShort,
    CacheWriteLong,
    Output,
    Cost,
}

impl Column {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "date" => Self::Date,
            "model" => Self::Model,
            "provider" => Self::Provider,
            "requests" => Self::Requests,
            "input_tokens" => Self::Input,
            "cached_input_tokens" => Self::CachedInput,
            "cache_write_short_tokens" => Self::CacheWriteShort,
            "cache_write_long_tokens" => Self::CacheWriteLong,
            "output_tokens" => Self::Output,
            "cost_usd" => Self::Cost,
            _ => return None,
        })
    }
}

pub(super) fn read(text: &str) -> Result<Export, ExportError> {
    let mut records = Records { rest: text, line: 1 };
    let (line, header) = records.next().ok_or(ExportError::Empty)??;
    let mut columns: Vec<(Column, String)> = Vec::new();
    for name in header {
        let name = name.trim().to_owned();
        match Column::parse(&name) {
            Some(column) if columns.iter().all(|(known, _)| *known != column) => columns.push((column, name)),
            _ => return Err(ExportError::Table { line, column: name, what: COLUMNS }),
        }
    }
    if columns.iter().all(|(column, _)| *column != Column::Date) {
        return Err(ExportError::Table { line, column: "date".to_owned(), what: COLUMNS });
    }
    let mut export = Export::default();
    for record in records {
        let (line, fields) = record?;
        if let [only] = fields.as_slice()
            && only.trim().is_empty()
        {
            continue;
        }
        let (of, figures) = figures(line, &columns, &fields)?;
        export.days.push(of.day);
        export.add(of, &figures);
    }
    if export.days.is_empty() { Err(ExportError::Empty) } else { Ok(export) }
}

fn figures(
    line: usize,
    columns: &[(Column, String)],
    fields: &[String],
) -> Result<(ExportLineKey, ExportFigures), ExportError> {
    let wrong = |column: &str, what| ExportError::Table { line, column: column.to_owned(), what };
    if fields.len() != columns.len() {
        return Err(wrong("the whole line", "another number of fields than in the header"));
    }
    let mut of = ExportLineKey { day: Day(0), provider: None, model: None };
    let mut figures = ExportFigures::default();
    for ((column, name), field) in columns.iter().zip(fields) {
        let field = field.trim();
        let count = || match field {
            "" => Ok(None),
            digits => digits.parse::<u64>().map(Some).map_err(|_| wrong(name, "expected a whole number")),
        };
        let text = || (!field.is_empty()).then(|| field.to_owned());
        match column {
            Column::Date => of.day = Day::parse(field).ok_or_else(|| wrong(name, "expected a day as in 2026-11-20"))?,
            Column::Model => of.model = text(),
            Column::Provider => of.provider = text(),
            Column::Requests => figures.requests = count()?,
            Column::Input => figures.input = count()?,
            Column::CachedInput => figures.cached_input = count()?,
            Column::CacheWriteShort => figures.cache_write_short = count()?,
            Column::CacheWriteLong => figures.cache_write_long = count()?,
            Column::Output => figures.output = count()?,
            Column::Cost if field.is_empty() => {}
            Column::Cost => {
                let amount = nano(field, 0).ok_or_else(|| wrong(name, "expected an amount of USD as in 12.50"))?;
                figures.cost = Some(amount);
            }
        }
    }
    Ok((of, figures))
}

/// Iterates over records, each with the number of its first line. A quoted field may hold commas, line ends and doubled
/// quotes.
struct Records<'a> {
    rest: &'a str,
    line: usize,
}

impl Iterator for Records<'_> {
    type Item = Result<(usize, Vec<String>), ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let begins = self.line;
        let mut fields = Vec::new();
        loop {
            let field = match self.field() {
                Ok(field) => field,
                Err(what) => {
                    self.rest = "";
                    let column = format!("field {}", fields.len() + 1);
                    return Some(Err(ExportError::Table { line: self.line, column, what }));
                }
            };
            fields.push(field);
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
                continue;
            }
            let rest = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n'));
            self.rest = rest.unwrap_or("");
            self.line += 1;
            return Some(Ok((begins, fields)));
        }
    }
}

impl Records<'_> {
    /// Reads the next field, up to a comma, the end of the line or the end of the text.
    fn field(&mut self) -> Result<String, &'static str> {
        let Some(mut rest) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', '\n', '"']).unwrap_or(self.rest.len());
            let (field, rest) = self.rest.split_at(end);
            if rest.starts_with('"') {
                return Err("a quote within a field that does not begin with one");
            }
            self.rest = rest;
            let field = match field.strip_suffix('\r') {
                Some(field) if !rest.starts_with(',') => field,
                _ => field,
            };
            return Ok(field.to_owned());
        };
        let mut field = String::new();
        loop {
            let Some((part, behind)) = rest.split_once('"') else { return Err("a quote that does not end") };
            field.push_str(part);
            self.line += part.matches('\n').count();
            match behind.strip_prefix('"') {
                Some(behind) => {
                    field.push('"');
                    rest = behind;
                }
                None => {
                    self.rest = behind.strip_prefix('\r').filter(|behind| behind.is_empty()).unwrap_or(behind);
                    let ends =
                        self.rest.is_empty() || self.rest.starts_with([',', '\n']) || self.rest.starts_with("\r\n");
                    return if ends { Ok(field) } else { Err("text follows a closing quote") };
                }
            }
        }
    }
}
