//! Compiles the section `export`.

use settings::error::{Code, Problem};
use settings::section::SettingsReader;

use super::link_local;
use crate::schema::process::ExportInput;
use crate::snapshot::{ExportDestination, ExportSettings};

/// Returns the export of usage events; `None` if no target is configured.
pub(super) fn export(reader: &SettingsReader<'_>, input: &ExportInput) -> Option<ExportSettings> {
    let given: Vec<&str> = ["file", "clickhouse", "nats"].into_iter().filter(|key| input.location.has(key)).collect();
    if let [first, second, ..] = given.as_slice() {
        let message = format!("`export` has `{first}` and `{second}`");
        reader.report(Problem::new(Code::BadValue, input.location.at, message).expected("one of them"));
        return None;
    }
    let target = destination(reader, input)?;
    Some(ExportSettings { target, size_bytes_max: input.max_size.value })
}

fn destination(reader: &SettingsReader<'_>, input: &ExportInput) -> Option<ExportDestination> {
    if let Some(file) = &input.file {
        return Some(ExportDestination::File {
            dir: file.dir.value.clone(),
            file_bytes_max: file.max_file.value,
            files_max: file.keep.value,
        });
    }
    if let Some(table) = &input.clickhouse {
        let url = match table.url.value_origin() {
            Some(at) => link_local::checked(reader, &table.url.value, false, (at, "export.clickhouse.url"))?,
            None => table.url.value.clone(),
        };
        return Some(ExportDestination::ClickHouse {
            url,
            database: table.database.value.clone(),
            table: table.table.value.clone(),
            user: table.user.value.clone(),
            password: table.password.as_ref().map(|password| password.value.clone()),
        });
    }
    let stream = input.nats.as_ref()?;
    Some(ExportDestination::Nats {
        server: stream.url.value.clone(),
        subject: stream.subject.value.clone(),
        user: stream.user.as_ref().map(|user| user.value.clone()),
        password: stream.password.as_ref().map(|password| password.value.clone()),
    })
}
