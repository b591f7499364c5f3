//! Paths and `use` declarations in the tokens of a source file. Comments and texts are single tokens or none, so that
//! no path inside them counts.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, Ident, LexError, Spacing, TokenStream, TokenTree};

/// The imports of one module; a file contains one module and its inline modules.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Paths of at least two segments in code and in `use` declarations.
    pub(super) mentions: Vec<Mention>,
    /// Names that `use` declarations bring into the module.
    pub(super) names: Vec<ImportedName>,
    /// Macros that the module defines.
    pub(super) macros: Vec<String>,
    /// Inline modules by their name.
    pub(super) inline: Vec<(String, Source)>,
    /// Modules in files of their own that only tests contain.
    pub(super) test_modules: Vec<String>,
}

/// A path in the code.
#[derive(Debug, Clone)]
pub(super) struct Mention {
    /// The line from 1.
    pub(super) line: usize,
    /// The segments; a global path (`::http`) does not begin at a module and is left out.
    pub(super) segments: Vec<String>,
}

/// A name of a `use` declaration, and the path behind it.
#[derive(Debug)]
pub(super) struct ImportedName {
    pub(super) name: String,
    pub(super) segments: Vec<String>,
}

/// The tokens of one group, and a position in it.
struct Tokens {
    all: Vec<TokenTree>,
    at: usize,
}

impl Source {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// The text is not Rust.
    pub(super) fn read(text: &str) -> Result<Self, LexError> {
        let mut source = Self::default();
        source.scan(TokenStream::from_str(text)?);
        Ok(source)
    }

    fn scan(&mut self, stream: TokenStream) {
        let mut tokens = Tokens { all: stream.into_iter().collect(), at: 0 };
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' && tokens.is_test_attribute() => {
                    self.skip_item(&mut tokens);
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && punct.spacing() == Spacing::Joint => {
                    // The rest of a path that began with another token: `<T as Name>::Item`, `::http::Method`.
                    tokens.at += 1;
                    tokens.path_segments();
                }
                TokenTree::Ident(word) if word == "use" && !tokens.is_char('<') => self.read_use(&mut tokens),
                TokenTree::Ident(word) if word == "mod" && tokens.is_ident() => self.read_module(&mut tokens),
                TokenTree::Ident(word) if word == "macro_rules" && tokens.take_char('!') => {
                    self.macros.extend(tokens.take_ident().map(|name| name.to_string()));
                }
                TokenTree::Ident(word) => self.read_path(&word, &mut tokens),
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// Skips what an attribute of tests applies to: an item up to its body or semicolon; a field, variant or arm up to
    /// its comma.
    fn skip_item(&mut self, tokens: &mut Tokens) {
        const ITEMS: &[&str] = &[
            "pub", "fn", "mod", "use", "impl", "struct", "enum", "const", "static", "async", "type", "trait", "unsafe",
        ];
        while tokens.is_char('#') {
            tokens.at += 2;
        }
        let is_item =
            matches!(tokens.peek(), Some(TokenTree::Ident(word)) if ITEMS.contains(&word.to_string().as_str()));
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) if word == "mod" && tokens.is_ident() => {
                    self.test_modules.extend(tokens.take_ident().map(|name| name.to_string()));
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' || (punct.as_char() == ',' && !is_item) => return,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
                TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn read_module(&mut self, tokens: &mut Tokens) {
        let Some(name) = tokens.take_ident() else { return };
        if let Some(TokenTree::Group(body)) = tokens.peek() {
            let mut source = Self::default();
            source.scan(body.stream());
            self.inline.push((name.to_string(), source));
            tokens.at += 1;
        }
    }

    fn read_path(&mut self, first: &Ident, tokens: &mut Tokens) {
        let mut segments = vec![first.to_string()];
        if tokens.take_separator() {
            segments.extend(tokens.path_segments());
        }
        if segments.len() > 1 {
            self.mentions.push(Mention { line: first.span().start().line, segments });
        }
    }

    fn read_use(&mut self, tokens: &mut Tokens) {
        // A leading `::` names another crate.
        if !tokens.is_char(':') {
            self.read_use_tree(tokens, &[]);
        }
        while tokens.peek().is_some() && !tokens.take_char(';') {
            tokens.at += 1;
        }
    }

    /// Reads one tree of a `use` declaration: `a::b`, `a::b as c`, `a::*` or `a::{…}`.
    fn read_use_tree(&mut self, tokens: &mut Tokens, prefix: &[String]) {
        let mut segments = prefix.to_vec();
        let line = tokens.line();
        segments.extend(tokens.path_segments());
        if let Some(TokenTree::Group(group)) = tokens.peek().cloned() {
            return self.read_use_group(&group, &segments);
        }
        if segments.last().is_some_and(|last| last == "self") && !prefix.is_empty() {
            segments.pop();
        }
        if !tokens.take_char('*') {
            let is_renamed = matches!(tokens.peek(), Some(TokenTree::Ident(word)) if word == "as");
            tokens.at += usize::from(is_renamed);
            let renamed = tokens.take_ident().map(|word| word.to_string());
            let name = if is_renamed { renamed } else { segments.last().cloned() };
            self.names.extend(name.map(|name| ImportedName { name, segments: segments.clone() }));
        }
        self.mentions.push(Mention { line, segments });
    }

    fn read_use_group(&mut self, group: &Group, prefix: &[String]) {
        let mut tokens = Tokens { all: group.stream().into_iter().collect(), at: 0 };
        while tokens.peek().is_some() {
            self.read_use_tree(&mut tokens, prefix);
            while tokens.peek().is_some() && !tokens.take_char(',') {
                tokens.at += 1;
            }
        }
    }
}

impl Tokens {
    fn peek(&self) -> Option<&TokenTree> {
        self.all.get(self.at)
    }

    fn next(&mut self) -> Option<TokenTree> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn line(&self) -> usize {
        self.peek().map_or(0, |token| token.span().start().line)
    }

    fn is_ident(&self) -> bool {
        matches!(self.peek(), Some(TokenTree::Ident(_)))
    }

    fn take_ident(&mut self) -> Option<Ident> {
        let Some(TokenTree::Ident(word)) = self.peek().cloned() else { return None };
        self.at += 1;
        Some(word)
    }

    fn is_char(&self, expected: char) -> bool {
        self.is_char_at(self.at, expected)
    }

    fn is_char_at(&self, at: usize, expected: char) -> bool {
        matches!(self.all.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == expected)
    }

    fn take_char(&mut self, expected: char) -> bool {
        let is_next = self.is_char(expected);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes `::` if it is next.
    fn take_separator(&mut self) -> bool {
        let is_next = self.is_char(':') && self.is_char_at(self.at + 1, ':');
        self.at += if is_next { 2 } else { 0 };
        is_next
    }

    /// The segments behind a separator: `b::c`; none before `<`, `{` or `*`.
    fn path_segments(&mut self) -> Vec<String> {
        let mut segments = Vec::new();
        while let Some(word) = self.take_ident() {
            segments.push(word.to_string());
            if !self.take_separator() {
                break;
            }
        }
        segments
    }

    /// Whether `#` is followed by `[cfg(test)]` or `[cfg(all(test, …))]`, and takes the brackets.
    fn is_test_attribute(&mut self) -> bool {
        let Some(TokenTree::Group(group)) = self.peek() else { return false };
        let text: String = group.stream().to_string().split_whitespace().collect();
        let is_test = text == "cfg(test)" || text.starts_with("cfg(all(test,");
        self.at += usize::from(is_test);
        is_test
    }
}
