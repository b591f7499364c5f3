//! The binary `api`: `tollgate serve` under another name. All arguments are those of `serve`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate::serve()
}
