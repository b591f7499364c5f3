//! Finds the key that was probably meant by an unknown one: in the same section, below it, or anywhere in the file.

use crate::spec::{SectionSpec, ValueShape};
use crate::suggestion::near::near;

/// The number of sections below one in which keys are searched.
const DEPTH_MAX: usize = 5;

/// Returns the key that `asked` in a section probably means, with its path below that section, or from `root`.
pub(crate) fn near_key(
    asked: &str,
    section: &'static SectionSpec,
    root: Option<&'static SectionSpec>,
) -> Option<String> {
    if let Some(name) = near(asked, section.names()) {
        return Some(name.to_owned());
    }
    let exact = |name: &str| name == asked;
    let close = |name: &str| near(asked, [name]).is_some();
    let of_root = |root: &'static SectionSpec| root.key(asked).map(|key| key.name.to_owned());
    let in_file = || root.and_then(|root| of_root(root).or_else(|| below(root, &exact)));
    below(section, &exact).or_else(|| below(section, &close)).or_else(in_file)
}

/// Returns the path of the first key below a section that `is_meant` accepts; the nearest sections come first.
fn below(section: &'static SectionSpec, is_meant: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut level = vec![(section, String::new())];
    for _ in 0..DEPTH_MAX {
        let mut next = Vec::new();
        for (section, path) in level {
            for key in section.keys() {
                let name = format!("{path}{}", key.name);
                let nested = match key.field.shape() {
                    ValueShape::Section(nested) => (nested, format!("{name}.")),
                    ValueShape::Sections(nested) => (nested, format!("{name}[].")),
                    ValueShape::Single | ValueShape::List | ValueShape::Map | ValueShape::Later => continue,
                };
                let (nested, path) = nested;
                if let Some(found) = nested.keys().into_iter().find(|key| is_meant(key.name)) {
                    return Some(format!("{path}{}", found.name));
                }
                next.push((nested, path));
            }
        }
        level = next;
    }
    None
}
