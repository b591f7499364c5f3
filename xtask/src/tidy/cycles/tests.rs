use super::*;
use crate::tidy::finding::messages;

fn check_files(files: &[(&str, &str)]) -> Vec<String> {
    messages(&check(&Tree::from_files(files)))
}

/// The findings of a crate with the modules `a`, `a::x`, `b` and `b::y`; each of them may have text.
fn check_modules(texts: &[(&str, &str)]) -> Vec<String> {
    let names = ["lib", "a", "a/x", "b", "b/y"];
    let path = |name: &&str| format!("crates/meter/src/{name}.rs");
    let text = |name: &&str| texts.iter().find(|(named, _)| named == name).map_or("", |(_, text)| text);
    let files: Vec<(String, &str)> = names.iter().map(|name| (path(name), text(name))).collect();
    check_files(&files.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>())
}

#[test]
fn a_cycle_fails_with_the_imports_that_close_it() {
    let messages =
        check_modules(&[("a", "//! A.\nuse crate::b::B;\n"), ("b", "use crate::a::{\n    A,\n    C,\n};\n")]);
    assert_eq!(
        messages,
        ["crates/meter/src/a.rs:2: modules of `meter` import each other: `a` → `b` → `a` (crates/meter/src/a.rs:2 \
          `crate::b::B` → crates/meter/src/b.rs:2 `crate::a::A`, crates/meter/src/b.rs:3 `crate::a::C`); move the code \
          that both need into one of them, or into a third module"]
    );
}

#[test]
fn each_form_of_an_import_closes_a_cycle() {
    for import in [
        "use crate::b::B;",
        "pub(crate) use super::b::B as C;",
        "use super::{a, b::B};",
        "use super::b;",
        "use crate::{b::{self}};",
        "use crate::b::*;",
        "fn f() { use crate::b::B; }",
        "fn f(b: &crate::b::B) {}",
        "fn f() { let _ = <Vec<u8> as crate::b::B>::f(); }",
        "fn f() { println!(\"{}\", super::b::f(1)); }",
        "macro_rules! m { () => { $crate::b::f() }; }",
        "mod inline { use super::super::b::B; }",
        "use crate as root;\nfn f() { root::b::f(); }",
        "#[cfg(not(test))]\nuse crate::b::B;",
        "struct S {\n    #[cfg(test)]\n    count: u8,\n    b: crate::b::B,\n}",
    ] {
        let messages = check_modules(&[("a", import), ("b", "use crate::a::A;")]);
        assert_eq!(messages.len(), 1, "{import}: {messages:?}");
    }
}

#[test]
fn an_import_of_a_descendant_counts_for_its_branch() {
    let messages = check_modules(&[("a/x", "use crate::b::y::Y;"), ("b", "use crate::a::x::X;")]);
    assert!(messages.len() == 1 && messages[0].contains("`a` → `b` → `a`"), "{messages:?}");
    let siblings = [("crates/meter/src/a/w.rs", "use super::x::X;"), ("crates/meter/src/a/x.rs", "use super::w::W;")];
    let messages = check_files(&siblings);
    assert!(messages.len() == 1 && messages[0].contains("`a::w` → `a::x` → `a::w`"), "{messages:?}");
}

#[test]
fn parents_and_children_may_use_types_of_each_other() {
    let parent = "mod x;\npub use x::X;\nuse self::x::Z;\npub struct A(x::Y);\nmacro_rules! m { () => {} }";
    let child = "use super::{A, LIMIT, m};\nuse crate::{Root, a};\npub(in crate::a) fn f() { A::new(); crate::f(); a::A::new(); }";
    let root = "mod a;\npub use a::A;\npub use a::x::X;";
    assert!(check_modules(&[("lib", root), ("a", parent), ("a/x", child)]).is_empty());
    assert!(check_modules(&[("lib", root), ("a", parent), ("a/x", child), ("b", "use crate::a::x::X;")]).is_empty());
}

#[test]
fn a_child_calls_no_function_of_the_file_that_imports_it() {
    let cycle = "`a::self` → `a::x` → `a::self`";
    for child in
        ["use super::f;", "use crate::a;\nfn g() { a::f(); }", "fn g() { super::f(); }", "fn g() { crate::a::f(); }"]
    {
        let messages = check_modules(&[("a", "mod x;\nfn f() { x::g(); }"), ("a/x", child)]);
        assert!(messages.len() == 1 && messages[0].contains(cycle), "{child}: {messages:?}");
        let messages = check_modules(&[("a", "mod x;\nuse x::X;"), ("a/x", child)]);
        assert!(messages.len() == 1 && messages[0].contains(cycle), "{child}: {messages:?}");
        assert!(check_modules(&[("a", "mod x;"), ("a/x", child)]).is_empty(), "{child}");
    }
    // The way from the child to its parent leads over another child.
    let files = [
        ("crates/meter/src/a.rs", "mod x;\nmod y;\nfn f() { x::g(); }"),
        ("crates/meter/src/a/x.rs", "use super::y::Y;"),
        ("crates/meter/src/a/y.rs", "use super::f;"),
    ];
    let messages = check_files(&files);
    assert!(messages.len() == 1 && messages[0].contains("`a::self` → `a::x` → `a::y` → `a::self`"), "{messages:?}");
}

#[test]
fn an_exported_name_counts_for_its_module() {
    let root = ("lib", "mod a;\nmod b;\npub use b::B;");
    let messages = check_modules(&[root, ("a", "use crate::B;"), ("b", "use crate::a::A;")]);
    assert!(messages.len() == 1 && messages[0].contains("a.rs:1 `crate::B`"), "{messages:?}");
    // `b` exports a name of `c`, and `a` uses it there: `a` needs `b` and `c`.
    for target in ["b", "c"] {
        let back = format!("crates/meter/src/{target}.rs");
        let exports = "pub use crate::c::C;";
        let uses = "use crate::a::A;";
        let text = if target == "b" { format!("{exports}\n{uses}") } else { uses.to_owned() };
        let export = if target == "b" { ("crates/meter/src/c.rs", "") } else { ("crates/meter/src/b.rs", exports) };
        let messages = check_files(&[("crates/meter/src/a.rs", "use crate::b::C;"), (&back, &text), export]);
        assert_eq!(messages.len(), if target == "b" { 1 } else { 2 }, "{target}: {messages:?}");
        assert!(messages[0].contains(&format!("`a` → `{target}` → `a`")), "{target}: {messages:?}");
    }
}

#[test]
fn names_that_export_each_other_end() {
    let messages = check_modules(&[("a", "pub use crate::b::N;"), ("b", "pub use crate::a::N;")]);
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[test]
fn comments_texts_tests_and_other_crates_are_no_imports() {
    for text in [
        "// use crate::b::B;",
        "//! See [`crate::b::B`].\n/* use crate::b::B; */",
        "const TEXT: &str = \"use crate::b::B;\";\nconst RAW: &str = r#\"crate::b::B\"#;",
        "use b::B;\nuse ::b::C;\nfn f() { b::f(); ::b::g(); }",
        "#[cfg(test)]\nuse crate::b::B;",
        "#[cfg(test)]\nuse crate::{b::B};\nuse crate::a::x::X;",
        "#[cfg(test)]\n#[allow(dead_code)]\npub(crate) fn f<A, B>() { crate::b::f(); }",
        "#[cfg(all(test, unix))]\nmod tests {\n    use crate::b::B;\n}",
        "struct S {\n    #[cfg(test)]\n    b: crate::b::B,\n}",
    ] {
        let messages = check_modules(&[("a", text), ("b", "use crate::a::A;")]);
        assert!(messages.is_empty(), "{text}: {messages:?}");
    }
}

#[test]
fn files_of_tests_are_left_out() {
    let back = ("crates/meter/src/b.rs", "use crate::a::A;");
    for (declaration, path) in [
        ("mod tests;", "crates/meter/src/a/tests.rs"),
        ("mod tests;", "crates/meter/src/a/tests/cases.rs"),
        ("#[cfg(test)]\nmod fixture;", "crates/meter/src/a/fixture.rs"),
        ("#[cfg(test)]\npub(crate) mod fixture;", "crates/meter/src/a/fixture/rows.rs"),
        ("", "crates/meter/tests/it/main.rs"),
        ("", "docs/src/a.rs"),
    ] {
        let messages = check_files(&[("crates/meter/src/a.rs", declaration), (path, "use crate::b::B;"), back]);
        assert!(messages.is_empty(), "{path}: {messages:?}");
    }
}

#[test]
fn short_cycles_come_first_and_each_only_once() {
    let files = [
        ("xtask/src/a.rs", "use crate::{b, d};"),
        ("xtask/src/b.rs", "use crate::c::C;"),
        ("xtask/src/c.rs", "use crate::a::A;"),
        ("xtask/src/d.rs", "use crate::e::E;"),
        ("xtask/src/e.rs", "use crate::d::D;"),
        ("xtask/src/f.rs", "use crate::a::A;"),
    ];
    let messages = check_files(&files);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("`d` → `e` → `d`"), "{messages:?}");
    assert!(messages[1].contains("`a` → `b` → `c` → `a`"), "{messages:?}");
}

#[test]
fn a_file_that_is_not_rust_fails() {
    let messages = check_modules(&[("a", "fn f( {")]);
    assert!(messages.len() == 1 && messages[0].starts_with("crates/meter/src/a.rs: tidy cannot read"), "{messages:?}");
}

#[test]
fn files_of_the_dashboard_import_each_other_without_a_cycle() {
    for import in [
        "import type { Way } from \"@/features/session/form\";",
        "import { Way } from \"./form\";",
        "export { Way } from \"../session/form\";",
        "const form = await import(\"./form.tsx\");",
        "import {\n  Way,\n} from \"@/features/session/form\";",
        "import \"./form\";",
    ] {
        let form = ("dashboard/features/session/form.tsx", "import { Note } from \"@/features/session/note\";");
        let messages = check_files(&[("dashboard/features/session/note.ts", import), form]);
        let cycle = "`features/session/form.tsx` → `features/session/note.ts` → `features/session/form.tsx`";
        assert!(messages.len() == 1 && messages[0].contains(cycle), "{import}: {messages:?}");
        let one_way = check_files(&[("dashboard/features/session/note.ts", "import \"react\";"), form]);
        assert!(one_way.is_empty(), "{one_way:?}");
    }
}
