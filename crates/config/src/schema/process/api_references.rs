//! The keys of `control.config`: what a configuration of the API may refer to.

use std::path::{Component, Path, PathBuf};

use settings::field::{ValueList, list};
use settings::form::{Scalar, TextForm, accept};
use settings::section;
use settings::setting::Value;
use settings::substitute::is_variable_name;

use crate::api_references::INSTALLATION_SECRETS;

section! {
    ApiReferencesInput {
        /// Folders with files (at most 4 MiB) that a [configuration of the API](live-configuration.md#references-of-the-api) may name.
        files: ValueList<PathBuf> = list(PUBLIC_FOLDER, 16, "none");
        /// Variables that such a configuration may name: `API_PORT`.
        variables: ValueList<String> = list(VARIABLE, 64, "none");
    }
}

const PUBLIC_FOLDER: TextForm<PathBuf> = TextForm {
    parse: |path| {
        let names = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).count();
        let is_plain = Path::new(path).components().all(|part| part != Component::ParentDir);
        let is_valid = path.starts_with('/') && names > 0 && is_plain && !path.contains('\0');
        accept(path, is_valid, "the absolute path of a folder: /etc/tollgate/public").map(PathBuf::from)
    },
    shown: |path| Value::text(path.display()),
    cell: "absolute path",
    pattern: "^/.",
    scalar: Scalar::Text,
};
const VARIABLE: TextForm<String> = TextForm {
    parse: |name| {
        accept(name, is_variable_name(name), "the name of a variable: API_PORT")?;
        let expected = "a variable that is no secret of the installation";
        accept(name, !INSTALLATION_SECRETS.contains(&name), expected)
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
    scalar: Scalar::Any,
};
