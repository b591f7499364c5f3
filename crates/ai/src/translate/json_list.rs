//! Lists of JSON values.

/// A list of values that are JSON.
pub(super) fn list<T: AsRef<str>>(values: &[T]) -> String {
    let mut text = "[".to_owned();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(value.as_ref());
    }
    text.push(']');
    text
}
