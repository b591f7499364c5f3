//! The keys of `config`: the place of the configuration, if the file only starts the process.

use settings::field::optional;
use settings::form::{Scalar, TextForm, accept};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;

section! {
    ConfigSourceInput {
        /// A key of [etcd](discovery.md#etcd) with a [whole configuration](live-configuration.md#a-configuration-in-etcd), in force instead of the file.
        etcd: Option<Input<String>> = optional(ETCD_KEY, "none");
    }
}

const ETCD_KEY: TextForm<String> = TextForm {
    parse: |text| {
        let is_valid = (1..=1_024).contains(&text.len()) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        accept(text, is_valid, "1 to 1,024 visible ASCII characters, such as /tollgate/config")
    },
    shown: |key| Value::text(key),
    cell: "key of etcd",
    pattern: "^[!-~]{1,1024}$",
    scalar: Scalar::Any,
};
