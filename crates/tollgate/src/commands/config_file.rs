//! The configuration file that a command reads.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Once;

use config::{Environment, Note};

use crate::cli::Place;

/// The file in the working folder.
const BESIDE: &str = "tollgate.yaml";
/// The variable that names the file of all commands.
const VARIABLE: &str = "TOLLGATE_CONFIG";

/// The configuration file of a command, by its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigFile {
    /// `--config` names the file.
    Flag(PathBuf),
    /// `TOLLGATE_CONFIG` names the file.
    Variable(PathBuf),
    /// The file is `tollgate.yaml` in the working folder.
    Beside,
    /// `tollgate.yaml` in the working folder is not read, because `--data` names the store.
    Unread,
    /// No file exists: the defaults apply.
    Absent,
}

impl ConfigFile {
    /// Returns the file of a command in the working folder.
    pub(crate) fn chosen(place: &Place, environment: &Environment) -> Self {
        Self::chosen_in(Path::new("."), place, named(environment))
    }

    fn chosen_in(folder: &Path, place: &Place, named: Option<PathBuf>) -> Self {
        if let Some(file) = &place.config {
            return Self::Flag(file.clone());
        }
        if let Some(file) = named {
            return Self::Variable(file);
        }
        match (folder.join(BESIDE).is_file(), &place.data) {
            (false, _) => Self::Absent,
            (true, None) => Self::Beside,
            (true, Some(_)) => Self::Unread,
        }
    }

    /// Returns the path of the file that is read.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Flag(file) | Self::Variable(file) => Some(file),
            Self::Beside => Some(Path::new(BESIDE)),
            Self::Unread | Self::Absent => None,
        }
    }

    /// Returns a note if the command line does not name the file that is read, or the file is not read.
    pub(crate) fn note(&self) -> Option<Note> {
        match self {
            Self::Variable(file) => {
                Some(Note::FileFromEnvironment { file: file.display().to_string(), variable: VARIABLE })
            }
            Self::Beside => Some(Note::FileBeside { file: BESIDE.to_owned() }),
            Self::Unread => Some(Note::FileUnread { file: BESIDE.to_owned() }),
            Self::Flag(_) | Self::Absent => None,
        }
    }

    /// Reports once that the file in the working folder is not read.
    pub(crate) fn warn(&self) {
        static WARNED: Once = Once::new();
        if *self == Self::Unread
            && let Some(note) = self.note()
        {
            WARNED.call_once(|| telemetry::logs::write_stderr(format!("note: {note}\n")));
        }
    }
}

/// Returns the file that the environment names. The process's variable may name a path that is not UTF-8.
fn named(environment: &Environment) -> Option<PathBuf> {
    let in_file = || environment.get(VARIABLE).map(OsString::from);
    std::env::var_os(VARIABLE).or_else(in_file).filter(|file| !file.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_precedes_the_variable_and_the_variable_precedes_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = |config: Option<&str>, data: Option<&str>| Place {
            config: config.map(Into::into),
            env_file: None,
            data: data.map(Into::into),
        };
        let of =
            |place: &Place, named: Option<&str>| ConfigFile::chosen_in(folder.path(), place, named.map(PathBuf::from));
        assert_eq!(of(&place(None, None), None), ConfigFile::Absent);
        std::fs::write(folder.path().join(BESIDE), "").unwrap();
        assert_eq!(of(&place(None, None), None), ConfigFile::Beside);
        let unread = of(&place(None, Some("data")), None);
        assert_eq!(unread, ConfigFile::Unread);
        assert_eq!(unread.path(), None);
        assert_eq!(of(&place(None, Some("data")), Some("b.yaml")), ConfigFile::Variable("b.yaml".into()));
        assert_eq!(of(&place(Some("a.yaml"), None), Some("b.yaml")), ConfigFile::Flag("a.yaml".into()));
    }
}
