//! Compiles `prices_file` and `prices_key`: a price table that is newer than the built-in one.

use std::path::{Path, PathBuf};

use access::PublicKey;
use ai::ProviderKind;
use ai::price::{AS_OF, OtherPrices, Price, PriceFigures, Prices};
use settings::environment::Environment;
use settings::error::{Code, ConfigError, Problem, ValueOrigin};
use settings::input::Input;
use settings::section::section_input::SectionInput;
use settings::section::{Location, SettingsReader};
use settings::yaml;

use super::price;
use crate::note::Note;
use crate::schema::price::{PriceFileInput, PriceRowInput};
use crate::schema::traffic::{TrafficInput, is_model};
use crate::snapshot::PriceFile;
use crate::sources::file::read_bytes;

/// Suffix of the signature's file name.
const SIGNATURE: &str = ".sig";
const FILE: &str = "a readable YAML or JSON file of at most 4 MiB";
const MODEL: &str = "KIND/MODEL or HOST/MODEL: openai/gpt-5-mini, api.x.ai/grok-4.5";

/// Returns the built-in table with the file's prices in place of those that both have, and the file.
pub(super) fn table(
    reader: &SettingsReader<'_>,
    traffic: &TrafficInput,
    notes: &mut Vec<Note>,
) -> (Option<PriceFile>, Prices) {
    let key = traffic.prices_key.as_ref().map(|key| key.value);
    let Some(named) = &traffic.prices_file else {
        if traffic.location.has("prices_key") {
            traffic.location.missing(reader, &["prices_file"]);
        }
        return (None, Prices::builtin());
    };
    let path = named.value.clone();
    reader.uses_file(&path);
    if key.is_some() {
        reader.uses_file(&signature_of(&path));
    }
    match read(&path, key, reader.environment()) {
        Ok(read) => {
            notes.extend(read.notes);
            (Some(PriceFile { path, key, as_of: read.as_of.into() }), read.prices)
        }
        Err(PriceFileError::File { code, file, what, expected }) => {
            let message = match named.foreign {
                true => format!("`prices_file` names a file that {what}"),
                false => format!("`prices_file` needs {}, which {what}", file.display()),
            };
            reader.report(Problem::new(code, named.value_origin(), message).expected(expected));
            (None, Prices::builtin())
        }
        // The sender of a text must not see lines of a file.
        Err(PriceFileError::Rows(problems)) if reader.is_of_api() => {
            let message = format!("`prices_file` names a file with {} problems", problems.len());
            let expected = "a valid price file; `tollgate check` shows its problems";
            reader.report(Problem::new(Code::File, named.value_origin(), message).expected(expected));
            (None, Prices::builtin())
        }
        Err(PriceFileError::Rows(problems)) => {
            reader.report_elsewhere(problems);
            (None, Prices::builtin())
        }
    }
}

/// Reads a price file that is not the configured one: returns the built-in table with the file's prices in place of
/// those that both have.
///
/// # Errors
/// Returns a [`ConfigError`] with every problem of the file.
pub fn read_price_file(path: &Path, key: Option<PublicKey>) -> Result<(Prices, Vec<Note>), ConfigError> {
    match read(path, key, &Environment::default()) {
        Ok(PriceFileTable { prices, notes, .. }) => Ok((prices, notes)),
        Err(PriceFileError::Rows(problems)) => Err(ConfigError::from_problems(problems)),
        Err(PriceFileError::File { code, file, what, expected }) => {
            let message = format!("the price file needs {}, which {what}", file.display());
            let mut problem = Problem::new(code, None, message).expected(expected);
            problem.file = path.display().to_string();
            Err(ConfigError::from_problems(vec![problem]))
        }
    }
}

/// The contents of a price file.
struct PriceFileTable {
    as_of: String,
    prices: Prices,
    notes: Vec<Note>,
}

/// The reason why a price file could not be read.
enum PriceFileError {
    /// The file or its signature cannot be read or is invalid.
    File { code: Code, file: PathBuf, what: String, expected: &'static str },
    /// The problems of its contents, in the order of the file.
    Rows(Vec<Problem>),
}

fn read(path: &Path, key: Option<PublicKey>, environment: &Environment) -> Result<PriceFileTable, PriceFileError> {
    let text = text(path, key)?;
    let reader = SettingsReader::verbatim(path.display().to_string(), &text, environment);
    let tree = yaml::parse(&text);
    let rows = match &tree {
        Ok(tree) => {
            let section = reader.section(tree, String::new(), PriceFileInput::SPEC);
            section.map(|section| rows(&reader, PriceFileInput::read(&section)))
        }
        Err(broken) => {
            reader.report(broken.problem());
            None
        }
    };
    let problems = reader.problems(tree.as_ref().ok());
    let rows = match rows {
        Some(rows) if problems.is_empty() => rows,
        Some(_) | None => return Err(PriceFileError::Rows(problems)),
    };
    let PriceFileRows { as_of, is_newer, prices, long_unknown } = rows;
    let line = |at: Option<ValueOrigin>| at.and_then(ValueOrigin::place).map_or(1, |place| place.line);
    let place = |at: Option<ValueOrigin>| format!("{}:{}", path.display(), line(at));
    let mut notes = Vec::new();
    if !is_newer {
        notes.push(Note::PriceFileOlder { place: place(as_of.value_origin()), as_of: as_of.value.clone() });
    }
    let unknown = |(at, model, above_tokens)| Note::LongUnknown { place: place(at), model, above_tokens };
    notes.extend(long_unknown.into_iter().map(unknown));
    Ok(PriceFileTable { prices: prices.over_builtin(is_newer), notes, as_of: as_of.value })
}

/// The contents of a price file's rows.
struct PriceFileRows {
    as_of: Input<String>,
    /// Whether the file is not older than the built-in table.
    is_newer: bool,
    prices: Prices,
    /// Rows without rates of long requests, for models for which the built-in table has such rates: position, model,
    /// and the number of tokens above which a request is long.
    long_unknown: Vec<(Option<ValueOrigin>, String, u64)>,
}

/// Returns the path of the signature of a price file.
fn signature_of(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(SIGNATURE);
    PathBuf::from(beside)
}

/// Returns the text of the file, whose signature is checked if a key is configured.
fn text(path: &Path, key: Option<PublicKey>) -> Result<String, PriceFileError> {
    let unread = |code, file: &Path, reason: String, expected| PriceFileError::File {
        code,
        file: file.to_owned(),
        what: format!("cannot be read: {reason}"),
        expected,
    };
    let bytes = read_bytes(path).map_err(|reason| unread(Code::File, path, reason, FILE))?;
    if let Some(key) = key {
        let beside = signature_of(path);
        let expected = "a signature by `prices_key` in FILE.sig, of 64 bytes or these in base64";
        let signature = read_bytes(&beside).map_err(|reason| unread(Code::Signature, &beside, reason, expected))?;
        if !key.verifies(&bytes, &signature) {
            let what = "`prices_key` has not signed".to_owned();
            return Err(PriceFileError::File { code: Code::Signature, file: path.to_owned(), what, expected });
        }
    }
    String::from_utf8(bytes).map_err(|error| {
        let reason = format!("byte {} is not UTF-8", error.utf8_error().valid_up_to());
        unread(Code::File, path, reason, FILE)
    })
}

/// Returns the day of the file, and its rows. A row gets the fees of the provider's own tools that it lacks. If a row
/// lacks rates of long requests and the built-in table has them, their cost is unknown: a newer table must not make
/// long requests cheaper by omission.
fn rows(reader: &SettingsReader<'_>, file: PriceFileInput) -> PriceFileRows {
    let as_of = file.as_of.unwrap_or(Input::default(AS_OF.to_owned()));
    let source = file.source.map(|source| source.value);
    let is_newer = as_of.value.as_str() >= AS_OF;
    let builtin = Prices::builtin();
    let mut taken = price::PriceRows::default();
    let mut prices = Prices::default();
    let mut long_unknown = Vec::new();
    for PriceRowInput { location, figures: mut input, model, source: own, region } in file.prices.list {
        let model = model.filter(|model| is_priced(reader, &location, model));
        let figures = price::figures(reader, &mut input);
        let figures = PriceFigures { others: OtherPrices { region: region.value, ..figures.others }, ..figures };
        if let Some(model) = model
            && taken.take(reader, &model, figures.period)
        {
            let source = own.map(|own| own.value).or_else(|| source.clone()).unwrap_or_default();
            let (provider, name) = model.value.split_once('/').unwrap_or_default();
            let figures = figures.with_server_tools(provider, name).with_long_of(&builtin, provider, name);
            let (figures, above_tokens) = figures;
            // A row of an older file is not used if the built-in table has the model.
            let above_tokens = if is_newer || !builtin.names(provider, name) { above_tokens } else { None };
            long_unknown
                .extend(above_tokens.map(|above_tokens| (model.value_origin(), model.value.clone(), above_tokens)));
            prices = prices.with(&model.value, Price::of_file(figures, &source, &as_of.value));
        }
    }
    PriceFileRows { as_of, is_newer, prices, long_unknown }
}

/// Whether `name` is `KIND/MODEL` or `HOST/MODEL`: a price under another name would never be used.
fn is_priced(reader: &SettingsReader<'_>, location: &Location, name: &Input<String>) -> bool {
    let is_host = |host: &str| {
        host.contains('.') && host.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
    };
    let is_kind = |kind: &str| ProviderKind::parse(kind).is_some_and(|kind| kind.descriptor().own.is_some());
    let parts = name.value.split_once('/');
    let is_priced = parts.is_some_and(|(of, model)| (is_kind(of) || is_host(of)) && is_model(model));
    if !is_priced {
        reader.bad(name.value_origin().unwrap_or(location.at), &location.name("model"), MODEL);
    }
    is_priced
}
