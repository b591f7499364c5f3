//! Compiles what the binary must not take from a new glibc, so that packages run on older systems (`scripts/package.sh`).

fn main() {
    const SOURCE: &str = "build/hypotf.c";
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCE}");
    // `sqrt` is then an instruction. The whole archive is linked, because libraries that call the function come later.
    let mut build = cc::Build::new();
    build
        .file(SOURCE)
        .flag("-fno-math-errno")
        .flag("-fno-builtin-hypotf")
        .opt_level(2)
        .link_lib_modifier("+whole-archive");
    build.compile("older_glibc");
}
