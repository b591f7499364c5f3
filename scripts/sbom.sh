#!/usr/bin/env bash
# Writes the components of the binary as a list in CycloneDX (SBOM) into target/packages. Two runs of a commit write the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tools=$target/tools
export PATH=$tools/bin:$PATH:$HOME/.cargo/bin
readonly VERSION=0.5.9

if ! cargo cyclonedx --version >/dev/null 2>&1; then
    cargo install cargo-cyclonedx --version "$VERSION" --locked --quiet --root "$tools"
fi
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
name=tollgate-$version-linux-$(uname -m).cdx
# The file is written beside the manifest.
cargo cyclonedx --manifest-path crates/tollgate/Cargo.toml --format json --spec-version 1.5 --override-filename "$name" --quiet
mkdir -p "$target/packages"
mv "crates/tollgate/$name.json" "$target/packages/$name.json"
# Each member of the workspace gets a file; only that of the binary is kept.
find crates e2e bench fuzz xtask -name "$name.json" -delete
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} python3 - "$target/packages/$name.json" "$PWD" <<'PYTHON'
import datetime, json, os, sys, uuid

path, folder = sys.argv[1:]
# The tool names the folder, the time and a random number.
document = json.loads(open(path).read().replace(folder, "/tollgate"))
document.pop("serialNumber", None)
built = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
document["metadata"]["timestamp"] = built.strftime("%Y-%m-%dT%H:%M:%SZ")
document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document)).urn
with open(path, "w") as file:
    json.dump(document, file, indent=2)
    file.write("\n")
names = {component["name"] for component in document["components"]}
missing = {"rustls", "tokio", "sqlx", "aws-lc-sys"} - names
if document["bomFormat"] != "CycloneDX" or missing:
    sys.exit(f"sbom: the list lacks {sorted(missing)}")
print(f"sbom: {len(names)} components in {path}")
PYTHON
