//! The files of the folder `examples/`. A test compares the table with the folder.

use super::{Example, ExampleFile};

/// Defines the table from the names of the examples and the paths of their files.
macro_rules! table {
    ($($name:literal: [$($path:literal),+ $(,)?])+) => {
        /// All examples, sorted by name.
        pub(super) static EXAMPLES: &[Example] = &[$(Example {
            name: $name,
            files: &[$(ExampleFile {
                path: $path,
                content: include_bytes!(concat!("../../../../../examples/", $name, "/", $path)),
            }),+],
        }),+];
    };
}

table! {
    "billing": ["README.md", "billing.yaml", "verify_receipt.py"]
    "blue-green": ["README.md", "tollgate.yaml"]
    "cache": ["README.md", "tollgate.yaml"]
    "canary": ["README.md", "tollgate.yaml"]
    "claude-code": ["README.md", "tollgate.yaml"]
    "codex-cli": ["README.md", "config.toml", "tollgate.yaml"]
    "codexible": ["README.md", "tollgate.yaml"]
    "cors": ["README.md", "tollgate.yaml"]
    "discovery": ["README.md", "sources.sh", "tollgate.yaml"]
    "export": ["README.md", "tollgate.yaml"]
    "grpc": ["README.md", "tollgate.yaml"]
    "insights": ["README.md", "brief_test.json", "classify_today.json", "runtime.json", "verify_export.py"]
    "jwt": ["README.md", "token.py", "tollgate.yaml"]
    "llm-openai": ["README.md", "tollgate.yaml"]
    "plain-api": ["README.md", "api/api/v1/users", "api/health", "tollgate.yaml"]
    "rate-limits": ["README.md", "tollgate.yaml"]
    "reselling": ["README.md", "shop.py", "tollgate.yaml"]
    "resilient": ["README.md", "tollgate.yaml"]
    "sdks": [
        "README.md", "azure_chat.mjs", "azure_chat.py", "chat.mjs", "chat.py", "content.mjs", "content.py",
        "message.mjs", "message.py", "tollgate.yaml",
    ]
    "transform": ["README.md", "tollgate.yaml"]
    "translation": ["README.md", "tollgate.yaml"]
    "websocket": ["README.md", "echo.mjs", "tollgate.yaml"]
}
