//! The only item of a sequence, such as the value of a header field that a message may have once.

/// Returns the item, if there is exactly one.
pub fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_is_not_the_only_one() {
        for (items, expected) in [(&[][..], None), (&[1], Some(&1)), (&[1, 2], None), (&[1, 1], None)] {
            assert_eq!(only(items.iter()), expected);
        }
    }
}
