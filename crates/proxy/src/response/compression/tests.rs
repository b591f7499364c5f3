use super::*;

#[test]
fn an_item_of_a_list_is_found_in_any_case() {
    for (list, item, expected) in [
        ("no-transform", "no-transform", true),
        ("max-age=5, No-Transform", "no-transform", true),
        ("max-age=5", "max-age", true),
        ("x-no-transform", "no-transform", false),
        ("\"a\", W/\"b\"", "W/\"b\"", true),
        ("\"a\", W/\"b\"", "\"b\"", false),
        ("*", "*", true),
        ("", "a", false),
    ] {
        assert_eq!(has_item(list.as_bytes(), item.as_bytes()), expected, "{list} {item}");
    }
}
