//! Substitutes `${NAME}`, `${NAME:-default}` and `file:/path` inside values. `$${` is the text `${`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Code, Problem, ValueOrigin};

/// Largest file that a value may name, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Returns the value of a variable.
pub(crate) type VariableLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A value after substitution; it may be a credential, so it does not print.
pub struct SubstitutedValue {
    /// The text after substitution.
    pub text: String,
    /// Whether the text came from a variable or a file: errors then do not repeat it.
    pub foreign: bool,
}

/// The reason why a value could not be substituted; no variant repeats the contents of a variable or a file.
#[derive(Debug, PartialEq, Eq)]
pub enum SubstitutionError {
    /// The variable is not set.
    NotSet(String),
    /// `${` without its end, or with an invalid name.
    Form,
    /// The file cannot be read.
    File {
        /// The path as it is written.
        path: String,
        /// The reason why it cannot be read.
        reason: String,
    },
}

impl SubstitutionError {
    /// Returns the problem of the value of `path`, which is at `at`.
    pub fn problem(self, at: ValueOrigin, path: &str) -> Problem {
        let expected = "${NAME}, ${NAME:-default} or file:/path";
        match self {
            Self::NotSet(name) => Problem::new(
                Code::Environment,
                at,
                format!("`{path}` needs the environment variable {name}, which is not set"),
            )
            .expected(format!("{name} to be set, or a default: ${{{name}:-default}}")),
            Self::Form => Problem::new(Code::Environment, at, format!("`{path}` has a `${{` that names no variable"))
                .expected(format!("{expected}; the text `${{` is written `$${{`")),
            Self::File { reason, .. } if matches!(at, ValueOrigin::Variable(_)) => {
                Problem::new(Code::File, at, format!("`{path}` names a file that cannot be read: {reason}"))
                    .expected("a readable text file of at most 64 KiB")
            }
            Self::File { path: named, reason } => {
                Problem::new(Code::File, at, format!("`{path}` names {named}, which cannot be read: {reason}"))
                    .expected("a readable text file of at most 64 KiB")
            }
        }
    }
}

/// Replaces references in `text` once: the contents of variables and files are not substituted again. Relative paths begin
/// at `folder`.
///
/// # Errors
/// Returns the reference that has no value.
pub fn substitute(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
) -> Result<SubstitutedValue, SubstitutionError> {
    match text.strip_prefix("file:") {
        None => variables(text, env),
        Some(named) => file(&folder.join(variables(named, env)?.text), named),
    }
}

/// Substitutes the value of a variable: in it, only `file:/path` is a reference.
pub fn resolve_file(text: &str, folder: &Path) -> Result<SubstitutedValue, SubstitutionError> {
    match text.strip_prefix("file:") {
        None => Ok(SubstitutedValue { text: text.to_owned(), foreign: true }),
        Some(path) => file(&folder.join(path), path),
    }
}

/// Returns the contents of the file at `path`, which a value calls `named`.
fn file(path: &Path, named: &str) -> Result<SubstitutedValue, SubstitutionError> {
    let text = content(path).map_err(|reason| SubstitutionError::File { path: named.to_owned(), reason })?;
    Ok(SubstitutedValue { text, foreign: true })
}

/// Replaces the variables in `text` once.
pub(crate) fn variables(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<SubstitutedValue, SubstitutionError> {
    let mut replaced = String::new();
    let mut foreign = false;
    let mut rest = text;
    while let Some((before, after)) = split_reference(rest) {
        let (inner, behind) = after.split_once('}').ok_or(SubstitutionError::Form)?;
        let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
        if !is_variable_name(name) {
            return Err(SubstitutionError::Form);
        }
        replaced.push_str(&unescaped(before));
        match (env(name), default) {
            // As in a shell, the default also replaces an empty variable.
            (Some(value), Some(default)) if value.is_empty() => replaced.push_str(default),
            (Some(value), _) => replaced.push_str(&value),
            (None, Some(default)) => replaced.push_str(default),
            (None, None) => return Err(SubstitutionError::NotSet(name.to_owned())),
        }
        foreign = true;
        rest = behind;
    }
    replaced.push_str(&unescaped(rest));
    Ok(SubstitutedValue { text: replaced, foreign })
}

/// Splits a text at its first `${`, except those that are escaped as `$${`.
pub fn split_reference(text: &str) -> Option<(&str, &str)> {
    let (at, _) =
        text.match_indices("${").find(|(at, _)| !text.get(..*at).is_some_and(|before| before.ends_with('$')))?;
    let (before, after) = text.split_at_checked(at)?;
    Some((before, after.strip_prefix("${")?))
}

/// Returns a text without references as it is meant.
fn unescaped(text: &str) -> String {
    text.replace("$${", "${")
}

/// Whether a variable can have this name.
pub fn is_variable_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns a file's text without the final line end that editors write.
fn content(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if u64::try_from(read).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${SET} file:/etc/hostname".to_owned()),
            _ => None,
        }
    }

    fn text(text: &str) -> Result<String, SubstitutionError> {
        substitute(text, &env, Path::new("")).map(|substituted| substituted.text)
    }

    #[test]
    fn variables_and_their_defaults_are_replaced_once() {
        for (from, to) in [
            ("plain $SET $ {SET}", "plain $SET $ {SET}"),
            ("$${SET}", "${SET}"),
            ("a$${b", "a${b"),
            ("$$ $$SET $$", "$$ $$SET $$"),
            ("$$${SET}", "$${SET}"),
            ("${SET}$${SET}${SET}", "value${SET}value"),
            ("$${${SET}}", "${value}"),
            ("${D:-$}${SET}", "$value"),
            ("${SET}", "value"),
            ("a${SET}b${SET}c", "avaluebvaluec"),
            ("${SET:-default}", "value"),
            ("${UNSET:-default}", "default"),
            ("${UNSET:-}", ""),
            ("${EMPTY:-default}", "default"),
            ("${EMPTY}", ""),
            ("${NESTED}", "${SET} file:/etc/hostname"),
        ] {
            assert_eq!(text(from), Ok(to.to_owned()), "{from}");
        }
        assert_eq!(text("x ${UNSET}"), Err(SubstitutionError::NotSet("UNSET".to_owned())));
        for form in ["${SET", "${}", "${1A}", "${a b}", "${:-x}", "${SET-x}"] {
            assert_eq!(text(form), Err(SubstitutionError::Form), "{form}");
        }
    }

    #[test]
    fn a_file_is_read_without_its_last_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "sk-1\n").unwrap();
        assert_eq!(text(&format!("file:{}", path.display())), Ok("sk-1".to_owned()));
        let relative = substitute("file:key", &env, dir.path()).map(|substituted| substituted.text);
        assert_eq!(relative, Ok("sk-1".to_owned()), "the path begins at the folder of the configuration");
        std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
        let large = text(&format!("file:{}", path.display()));
        assert!(matches!(large, Err(SubstitutionError::File { reason, .. }) if reason.contains("larger")));
        let taken = resolve_file("a${SET}", dir.path()).map(|substituted| substituted.text);
        assert_eq!(taken, Ok("a${SET}".to_owned()));
        assert!(matches!(
            resolve_file(&format!("file:{}", path.display()), dir.path()),
            Err(SubstitutionError::File { .. })
        ));
        assert!(matches!(text(&format!("file:{}/none", dir.path().display())), Err(SubstitutionError::File { .. })));
    }
}
