//! The keys of `export`.

use std::path::PathBuf;

use super::FOLDER;
use crate::snapshot::process_keys::{GIB, MIB};
use crate::snapshot::{NatsServer, Origin, Scheme};
use access::Secret;
use settings::field::{default, maybe_nested, optional};
use settings::form::{FormRefusal, Scalar, SizeForm, TextForm, Whole, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

section! {
    ExportInput {
        /// Files of JSON lines.
        file: Option<ExportFileInput> = maybe_nested::<ExportFileInput>();
        /// A table of ClickHouse.
        clickhouse: Option<ClickHouseInput> = maybe_nested::<ClickHouseInput>();
        /// A stream of NATS JetStream.
        nats: Option<NatsInput> = maybe_nested::<NatsInput>();
        /// Maximum size of segments that wait for the target. The oldest are skipped.
        max_size: Input<u64> = default(SizeForm::new(64 * MIB, 1_024 * GIB), || GIB);
        rules: Rule::NotAll(&["file", "clickhouse"]), Rule::NotAll(&["file", "nats"]), Rule::NotAll(&["clickhouse", "nats"]);
    }
}

section! {
    ExportFileInput {
        /// The folder of the files.
        dir: Input<PathBuf> = default(FOLDER, || PathBuf::from("./tollgate-events"));
        /// Size after which a new file begins; a new day begins one too.
        max_file: Input<u64> = default(SizeForm::new(MIB, 64 * GIB), || 256 * MIB);
        /// Maximum number of files; the oldest are removed.
        keep: Input<u32> = default(FILES, || 100);
    }
}

section! {
    ClickHouseInput {
        /// The URL of its HTTP interface.
        url: Input<Origin> = default(URL, || url("http://127.0.0.1:8123"));
        /// The database that has the table.
        database: Input<String> = default(NAME, || "default".to_owned());
        /// The [table](export.md#recipe-clickhouse) of the events.
        table: Input<String> = default(NAME, || "tollgate_events".to_owned());
        /// The user with the right to insert.
        user: Input<String> = default(USER, || "default".to_owned());
        /// The password of the user: `${CLICKHOUSE_PASSWORD}`.
        password: Option<Input<Secret>> = optional(PASSWORD, "none");
    }
}

section! {
    NatsInput {
        /// The server: `nats://HOST[:PORT]`, or `tls://…`.
        url: Input<NatsServer> = default(SERVER, NatsServer::local);
        /// The subject of a stream; `.request` or `.count` is added.
        subject: Input<String> = default(SUBJECT, || "tollgate.events".to_owned());
        /// The name of a user.
        user: Option<Input<String>> = optional(USER, "none");
        /// The password, or without `user` a token.
        password: Option<Input<Secret>> = optional(PASSWORD, "none");
    }
}

/// The newest file and the one that is written.
const FILES: Whole<u32> = Whole::new(2, 100_000);

#[expect(clippy::expect_used, reason = "the default is a constant, and a test parses it")]
fn url(text: &str) -> Origin {
    Origin::parse(text).expect("the default is a URL")
}

const URL: TextForm<Origin> = TextForm {
    parse: |text| match Origin::parse(text) {
        Ok(origin) if origin.scheme != Scheme::H2c && !text.contains('@') => Ok(origin),
        Ok(_) => Err(bad("http://HOST[:PORT][/PATH] or https://…, without a user")),
        Err(error) => Err(FormRefusal::Bad(error.to_string())),
    },
    shown: |origin| Value::text(origin),
    cell: "URL",
    pattern: r"^[Hh][Tt][Tt][Pp][Ss]?://[^?#@]+$",
    scalar: Scalar::Text,
};
const NAME: TextForm<String> = TextForm {
    parse: |name| {
        let is_name = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
        let is_valid = (1..=64).contains(&name.len()) && name.bytes().all(is_name);
        accept(name, is_valid, "1 to 64 letters, digits and `_`")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z0-9_]{1,64}$",
    scalar: Scalar::Any,
};
const USER: TextForm<String> = TextForm {
    parse: |name| {
        let is_valid = (1..=256).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        accept(name, is_valid, "1 to 256 visible ASCII characters")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[!-~]{1,256}$",
    scalar: Scalar::Any,
};
const PASSWORD: TextForm<Secret> = TextForm {
    parse: |text| {
        let is_valid = (1..=1_024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        accept(text, is_valid, "1 to 1,024 visible ASCII characters").map(Secret::new)
    },
    shown: Value::secret,
    cell: "secret",
    pattern: "^[!-~]{1,1024}$",
    scalar: Scalar::Any,
};
const SERVER: TextForm<NatsServer> = TextForm {
    parse: |text| NatsServer::parse(text).ok_or_else(|| bad("nats://HOST[:PORT] or tls://HOST[:PORT], without a user")),
    shown: |server| Value::text(server),
    cell: "`nats://HOST[:PORT]`",
    pattern: r"^([Nn][Aa][Tt][Ss]|[Tt][Ll][Ss])://[^/?#@]+$",
    scalar: Scalar::Text,
};
const SUBJECT: TextForm<String> = TextForm {
    parse: |text| {
        let is_token = |token: &str| {
            let is_byte = |byte: u8| byte == b'_' || byte == b'-' || byte.is_ascii_alphanumeric();
            !token.is_empty() && token.bytes().all(is_byte)
        };
        let is_valid = text.len() <= 200 && text.split('.').all(is_token);
        accept(text, is_valid, "words of letters, digits, `-` and `_`, joined by `.`")
    },
    shown: |text| Value::text(text),
    cell: "subject",
    pattern: r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
    scalar: Scalar::Any,
};
