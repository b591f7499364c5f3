//! Short forms of routes: a single value in place of a section with one key, such as `auth: none`.

use settings::yaml::{Kind, YamlKey, YamlNode};

/// Replaces each short form by the section that it means. Positions are those of the value.
pub(crate) fn expand(root: &mut YamlNode) {
    let lists = entries(root).filter(|(key, _)| key.name == "routes").map(|(_, routes)| routes);
    for (key, value) in lists.flat_map(items).flat_map(entries) {
        match key.name.as_str() {
            "auth" => expand_value(value, "type"),
            "redirect" => expand_value(value, "to"),
            "upstreams" => items(value).for_each(|upstream| expand_value(upstream, "name")),
            _ => {}
        }
    }
}

/// Replaces a single value by a section in which `key` has it.
fn expand_value(node: &mut YamlNode, key: &str) {
    if let Kind::Scalar(text) = &mut node.kind {
        let value = YamlNode { at: node.at, kind: Kind::Scalar(std::mem::take(text)) };
        node.kind = Kind::Map(vec![(YamlKey { at: node.at, name: key.to_owned() }, value)]);
    }
}

fn entries(node: &mut YamlNode) -> impl Iterator<Item = (&YamlKey, &mut YamlNode)> {
    let entries = if let Kind::Map(entries) = &mut node.kind { entries.as_mut_slice() } else { &mut [] };
    entries.iter_mut().map(|(key, value)| (&*key, value))
}

fn items(node: &mut YamlNode) -> impl Iterator<Item = &mut YamlNode> {
    let items = if let Kind::List(items) = &mut node.kind { items.as_mut_slice() } else { &mut [] };
    items.iter_mut()
}
