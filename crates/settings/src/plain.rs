//! Values without their sources, which the structs of sections of plain values hold.

use crate::field::{Entries, ValueList};
use crate::input::Input;

/// A checked value that is used as it is read. [`section!`](crate::section!) implements it for sections that declare a
/// struct of plain values.
pub trait PlainInput {
    /// The value without its source.
    type Plain;

    /// Returns the value without its source.
    fn plain(&self) -> Self::Plain;
}

impl<T: Clone> PlainInput for Input<T> {
    type Plain = T;

    fn plain(&self) -> T {
        self.value.clone()
    }
}

impl<P: PlainInput> PlainInput for Option<P> {
    type Plain = Option<P::Plain>;

    fn plain(&self) -> Self::Plain {
        self.as_ref().map(PlainInput::plain)
    }
}

impl<T: Clone> PlainInput for ValueList<T> {
    type Plain = Vec<T>;

    fn plain(&self) -> Vec<T> {
        self.list.iter().map(PlainInput::plain).collect()
    }
}

impl<P: PlainInput> PlainInput for Entries<P> {
    type Plain = Vec<P::Plain>;

    fn plain(&self) -> Self::Plain {
        self.list.iter().map(PlainInput::plain).collect()
    }
}

/// A mapping with arbitrary keys.
impl<P: PlainInput> PlainInput for Vec<(String, P)> {
    type Plain = Vec<(String, P::Plain)>;

    fn plain(&self) -> Self::Plain {
        self.iter().map(|(name, value)| (name.clone(), value.plain())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::environment::Environment;
    use crate::field::{default, list, nested, optional};
    use crate::form::{Boolean, DurationForm, Whole};
    use crate::section::SettingsReader;
    use crate::section::section_input::SectionInput;
    use crate::yaml;

    crate::section! {
        /// A section inside of another.
        InnerInput => #[derive(Copy, PartialEq, Eq)] pub(crate) Inner {
            /// A time with a default.
            after: Input<Duration> = default(DurationForm::ANY, || Duration::from_secs(2));
        }
    }

    crate::section! {
        /// A section with another one.
        OuterInput => pub(crate) Outer {
            /// A section of plain values.
            inner: InnerInput = nested::<InnerInput>();
            /// A list of plain numbers.
            numbers: ValueList<u32> = list(Whole::<u32>::new(1, 9), 3, "none");
            /// A value that may be absent.
            r#type: Option<Input<bool>> = optional(Boolean, "none");
        }
    }

    #[test]
    fn a_section_of_plain_values_has_a_struct_of_them() {
        let environment = Environment::default();
        let read = |source: &str| {
            let root = yaml::parse(source).unwrap();
            let reader = SettingsReader::new(String::new(), source, &environment);
            let section = reader.section(&root, String::new(), OuterInput::SPEC).unwrap();
            let values = OuterInput::read(&section).plain();
            assert!(reader.is_valid(), "{source}");
            values
        };
        let Outer { inner, numbers, r#type } = read("{inner: {after: 5s}, numbers: [3, 1], type: true}");
        assert_eq!((inner, numbers, r#type), (Inner { after: Duration::from_secs(5) }, vec![3, 1], Some(true)));
        let Outer { inner, numbers, r#type } = read("{}");
        assert_eq!((inner, numbers, r#type), (Inner { after: Duration::from_secs(2) }, Vec::new(), None));
    }
}
