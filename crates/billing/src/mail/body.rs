//! The text and the HTML of a mail.

use std::fmt::Write as _;

use super::notice::Notice;
use crate::language::Language;
use crate::markup::escaped;

/// Returns the part for programs that show no HTML.
pub(super) fn text(of: &Notice) -> String {
    let mut text = String::new();
    for paragraph in &of.paragraphs {
        text.push_str(&wrapped(paragraph));
        text.push('\n');
    }
    for (name, value) in &of.figures {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    if let Some((label, url)) = &of.link {
        let _ = write!(text, "\n{label}:\n{url}\n");
    }
    let _ = write!(text, "\n{}\n", of.signature);
    text
}

/// Returns the part with HTML. It loads nothing from other servers.
pub(super) fn html(of: &Notice, language: Language) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"font-family:sans-serif;font-size:16px;line-height:1.5;color:#1c1917;max-width:36em;margin:1.5em auto;padding:0 1em\">\n",
        language.code(),
        escaped(&of.subject)
    );
    for paragraph in &of.paragraphs {
        let _ = writeln!(html, "<p>{}</p>", escaped(paragraph));
    }
    if !of.figures.is_empty() {
        html.push_str("<table style=\"border-collapse:collapse\">\n");
        for (name, value) in &of.figures {
            let _ = writeln!(
                html,
                "<tr><td style=\"padding:4px 24px 4px 0;color:#57534e\">{}</td><td style=\"padding:4px 0\">{}</td></tr>",
                escaped(name),
                escaped(value)
            );
        }
        html.push_str("</table>\n");
    }
    if let Some((label, url)) = &of.link {
        let _ = writeln!(html, "<p><a href=\"{}\">{}</a></p>", escaped(url), escaped(label));
    }
    let _ = writeln!(html, "<p style=\"color:#57534e\">{}</p>\n</body></html>", escaped(&of.signature));
    html
}

/// The longest line of the text.
const LINE_CHARS: usize = 76;

/// Breaks a paragraph at spaces.
fn wrapped(paragraph: &str) -> String {
    let mut text = String::with_capacity(paragraph.len() + 8);
    let mut length = 0;
    for word in paragraph.split_whitespace() {
        let letters = word.chars().count();
        if length > 0 {
            let is_full = length + 1 + letters > LINE_CHARS;
            text.push(if is_full { '\n' } else { ' ' });
            length = if is_full { 0 } else { length + 1 };
        }
        text.push_str(word);
        length += letters;
    }
    text.push('\n');
    text
}
