//! The binary `tollgate`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate::main()
}
